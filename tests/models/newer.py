"""Rows of the contract tests' tables: a model of sounds by their pictures, a translator, and means that are normalised.

What came as a network alone has none, since its model has one already: `CodeWaves`, `Convolutions` and
`SentenceConvolutions`, whose sentences are integers besides, and so no `zoo.examples` (`test_one_hot.py`).
"""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from cases import LATENT, Case

from gvlab import models, networks
from gvlab.audio.standardised import Frequencies
from gvlab.models import observation

IMAGE = (4, 4, 1)
SAMPLES = 32
"""Of a sound."""


class Unbiased(nn.Module):
    """An encoder whose means have no bias, since BatchNorm would take it away, and rounding alone would move it."""

    @nn.compact
    def __call__(self, x, y=None, *, train):
        h = nn.relu(nn.Dense(32)(x.reshape(len(x), -1)))
        return nn.Dense(LATENT, use_bias=False)(h), nn.Dense(LATENT)(h)


def normalised_vae(optimizer, axis_name=None):
    """Of whose means BatchNorm leaves the shift alone."""
    return models.variational_autoencoder(
        networks.NormalisedMeans(Unbiased(), 1.0, axis_name),
        networks.MLPDecoder(IMAGE, hidden=(32,)),
        observation.bernoulli(),
        optimizer,
        latent_dim=LATENT,
        axis_name=axis_name,
    )


def spectrogram_vae(optimizer, axis_name=None):
    """Pictures of 8 frames and 4 frequencies."""
    within = models.variational_autoencoder(
        networks.MLPEncoder(LATENT, hidden=(8,)),
        networks.MLPDecoder((8, 4, 1), hidden=(8,), parameters=2),
        observation.learned_gaussian(),
        optimizer,
        latent_dim=LATENT,
        data_range=(-float("inf"), float("inf")),
        axis_name=axis_name,
    )
    of = Frequencies(np.zeros(4, np.float32), np.ones(4, np.float32))
    return models.of_spectrograms(within, of, n_fft=8, hop=4, rounds=2, samples=SAMPLES)


class Painter(nn.Module):
    """The smallest generator of images from pictures that has batch statistics."""

    axis_name: str | None = None

    @nn.compact
    def __call__(self, x, y=None, *, train):
        h = jnp.tanh(nn.Dense(3)(x))
        h = nn.BatchNorm(use_running_average=not train, momentum=0.8, axis_name=self.axis_name)(h)
        return nn.tanh(nn.Dense(x.shape[-1])(h))


class Pixels(nn.Module):
    """A critic of single pixels."""

    @nn.compact
    def __call__(self, x, y=None, *, train):
        return nn.Dense(1)(jnp.tanh(nn.Dense(4)(x)))[..., 0]


def smeared(x):
    return 0.6 * x + 0.2 * jnp.roll(x, 1, axis=2)


def translator(optimizer, axis_name=None):
    """The networks of Isola et al. 2017 are held over devices in `test_translation.py`, and are too dear here."""
    return models.translator(
        Painter(axis_name), Pixels(), (optimizer, optimizer), smeared, shape=IMAGE, l1_weight=3.0, axis_name=axis_name
    )


OTHERS = {
    "spectrogram vae": Case(spectrogram_vae, (SAMPLES, 1), levels=(-0.5, 0.5), low=-1.0),
    "translator": Case(translator, IMAGE, levels=(-1.0, 1.0), low=-1.0),
}
"""Models that are neither of the families of the other tables; CycleGAN, whose step takes long to compile, is held to
the same in `test_cycle.py`."""
