"""VAEs and their kin in gvlab; the forms are those of `gvlab_tasks`."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from gvlab_tasks import in_turn, vae_parameters, versions
from worker import Task, coloured, levels

from gvlab import build, config, models, networks, tree
from gvlab.models import objectives, observation, priors
from gvlab.types import PyTree

__all__ = ["TASKS", "make", "versions"]

LATENT_DIM = 16
"""Of pythae's own examples, which its defaults leave open."""

of_torch = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""PyTorch's default for kernels."""


class PseudoInputs(nn.Module):
    """pythae's: one row of a linear layer each, and its bias, which all share, cut off at 0 and 1."""

    components: int = 500

    @nn.compact
    def __call__(self, nothing, y=None, *, train):
        def drawn(key, shape):
            return jax.random.uniform(key, shape, minval=-1, maxval=1) / np.sqrt(self.components)

        rows = self.param("rows", drawn, (self.components, 28, 28, 1))
        return jnp.clip(rows + self.param("bias", drawn, (1, 28, 28, 1)), 0.0, 1.0)


def iwae(form: str, pixels: np.ndarray) -> Task:
    return _mlp(form, pixels, objective=objectives.importance_weighted, num_samples=50)


def vamp(form: str, pixels: np.ndarray) -> Task:
    objective = objectives.evidence_lower_bound()
    return _mlp(form, pixels, objective=objective, prior=priors.vamp(PseudoInputs()))


def _mlp(form: str, pixels: np.ndarray, **options) -> Task:
    """A model with pythae's default networks, by Adam."""
    given = {"hidden": (512,), "activation": nn.relu, "kernel_init": of_torch}
    encoder, decoder = networks.MLPEncoder(LATENT_DIM, **given), networks.MLPDecoder((28, 28, 1), **given)
    adam = optax.adam(1e-3)
    model = models.autoencoder(encoder, decoder, observation.bernoulli(), adam, latent_dim=LATENT_DIM, **options)
    images = jnp.asarray(pixels[:6400] > 127, jnp.float32)
    return in_turn(form, model, images, 64, ("elbo_nats",), vae_parameters)


def vqvae(form: str, pixels: np.ndarray) -> Task:
    """That of `experiments/cifar10_vqvae.py`."""
    vqvae = config.VQVAE(
        quantizer=config.EMAVQ(codes=512, features=64, decay=0.99),
        likelihood=config.Gaussian(variance=0.0633),
        commitment=0.125,
        optimizer=config.Adam(learning_rate=3e-4),
    )
    images = jnp.asarray(coloured(pixels[:6400]), jnp.float32) / 255
    return in_turn(form, build.model(vqvae, images.shape[1:], 0), images, 32, ("loss",), trained_parameters)


def sentence_vae(form: str, tokens: np.ndarray) -> Task:
    """That of `experiments/grammar_vae.py`."""
    vae = config.VAE(
        network=config.SentenceGRU(width=64, embedding=32),
        latent_dim=16,
        likelihood=config.Sentences(word_dropout=0.3),
        kl_warmup_steps=2000,
        optimizer=config.Adam(learning_rate=2e-3),
    )
    model = build.model(vae, tokens.shape[1:], 0, levels=levels(tokens))
    return in_turn(form, model, jnp.asarray(tokens[:6400]), 64, ("elbo_nats",), vae_parameters)


def trained_parameters(state: PyTree) -> dict[str, int]:
    """Without what is trained by no gradient, such as a codebook of averages."""
    return {name: tree.count(params) for name, params in state.params.items() if params}


TASKS = {"iwae": iwae, "vamp": vamp, "vqvae": vqvae, "sentence_vae": sentence_vae}


def make(benchmark: str, form: str, examples: np.ndarray) -> Task:
    return TASKS[benchmark](form, examples)
