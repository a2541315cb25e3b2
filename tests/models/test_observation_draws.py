"""Draws from p(x|z) have the frequencies that its density says."""

import harness
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gvlab import models, rng
from gvlab.models import observation
from gvlab.networks import MLPDecoder, MLPEncoder

DRAWS = 20_000
OF_LEVELS = {
    "bernoulli": (observation.bernoulli(), 2, jnp.array([0.7])),
    "discretized_logistic": (
        observation.discretized_logistic(),
        256,
        jnp.array([0.98, -1.5]),
    ),  # much in the last level
    "mixture_of_logistics": (
        observation.mixture_of_logistics(2),
        256,
        jnp.array([0.4, -0.3, 0.98, -0.5, -3.0, -2.0]),
    ),
    "categorical": (observation.categorical(4), 4, jnp.array([0.1, -1.0, 2.0, 0.5])),
}


def drawn(likelihood, raw):
    """[DRAWS, 1, 1, 1], as images of one pixel."""
    return jax.jit(likelihood.draw)(rng.root(3), jnp.broadcast_to(raw, (DRAWS, 1, 1, len(raw))))


@pytest.mark.parametrize("name", OF_LEVELS)
def test_each_level_is_drawn_as_often_as_it_is_likely(name):
    likelihood, levels, raw = OF_LEVELS[name]
    values = np.arange(levels, dtype=np.float32)[:, None, None, None] / (levels - 1)
    log_prob = jax.jit(likelihood.log_prob)(jnp.broadcast_to(raw, (levels, 1, 1, len(raw))), values)
    x = drawn(likelihood, raw)
    assert x.shape == (DRAWS, 1, 1, 1)
    counts = np.bincount(np.round(np.asarray(x).ravel() * (levels - 1)).astype(int), minlength=levels)
    np.testing.assert_allclose(np.round(x * (levels - 1)) / (levels - 1), x, atol=1e-6)
    expected = np.exp(log_prob)
    np.testing.assert_allclose(expected.sum(), 1, rtol=1e-3)
    assert (np.abs(counts / DRAWS - expected) < 5 * np.sqrt(expected / DRAWS) + 2 / DRAWS).all()


def test_the_channels_of_a_pixel_are_drawn_in_turn():
    """As often together as they are likely together, and about the mean."""
    mixture = observation.mixture_of_logistics(2)
    channels = [
        [0.2, -0.5, -5.0, -6.0, 0.7, -0.4],
        [-0.1, 0.3, -5.5, -6.0, 1.0, 0.5],
        [0.6, -0.7, -6.0, -5.5, 0.3, -0.8],
    ]
    raw = jnp.array([0.5, -0.2, *(number for channel in channels for number in channel)])
    x = np.asarray(jax.jit(lambda raw: drawn(mixture, raw))(raw))
    assert x.shape == (DRAWS, 1, 1, 3)
    assert np.abs(x.mean(0) - mixture.mean(raw[None, None, None])[0]).max() < 5 * x.std() / np.sqrt(DRAWS)
    pixels, counts = np.unique(x, axis=0, return_counts=True)
    log_prob = jax.jit(mixture.log_prob)
    expected = np.exp(log_prob(jnp.broadcast_to(raw, (len(pixels), 1, 1, len(raw))), jnp.asarray(pixels)))
    assert (np.abs(counts / DRAWS - expected) < 6 * np.sqrt(expected / DRAWS) + 6 / DRAWS).all()
    assert expected.sum() > 0.8


@pytest.mark.parametrize(
    ("likelihood", "raw", "deviation"),
    [
        (observation.gaussian(0.25), [0.3], 0.5),
        (observation.learned_gaussian(), [0.3, -1.0], np.exp(-0.5)),
        (observation.shared_gaussian(), [0.3, -0.5], np.exp(-0.5)),
    ],
)
def test_normal_draws_have_the_mean_and_the_deviation(likelihood, raw, deviation):
    x = drawn(likelihood, jnp.array(raw))
    assert abs(x.mean() - 0.3) < 4 * deviation / np.sqrt(DRAWS)
    np.testing.assert_allclose(x.std(), deviation, rtol=0.03)


def test_a_vae_is_drawn_from_where_it_decodes_the_same_latents():
    program = harness.program("vae")
    model, state, key = program.model, program.model.init(rng.root(0), program.first_batch()), rng.root(2)
    mean, x = (jax.jit(made, static_argnums=2)(state, key, 500) for made in (model.sample, model.draw))
    assert x.shape == mean.shape
    assert set(np.unique(x)) == {0.0, 1.0}  # Bernoulli pixels
    assert np.abs((x - mean).mean(0)).max() < 5 * 0.5 / np.sqrt(500)


def test_what_cannot_be_drawn_from_is_known():
    assert harness.program("gan").model.draw is None
    silent = observation.bernoulli()._replace(draw=None)
    networks = MLPEncoder(2, hidden=(3,)), MLPDecoder(shape=(4, 4, 1), hidden=(3,))
    assert models.variational_autoencoder(*networks, silent, optax.sgd(0.1), latent_dim=2).draw is None
