"""The importance-weighted objective and the model with two layers of latents, against the same mathematics by hand."""

from functools import cache
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.stats import multivariate_normal
from zoo import quick_jit

from gvlab import models
from gvlab.models import observation
from gvlab.types import Batch

SIZE, RATE, VARIANCE = 6, 0.01, 0.5
UNBOUNDED = (-float("inf"), float("inf"))


class LinearNormal(nn.Module):
    """A normal distribution whose mean and log-variance are linear."""

    features: int

    @nn.compact
    def __call__(self, x, y=None, *, train):
        return nn.Dense(self.features, name="mean")(x), nn.Dense(self.features, name="logvar")(x)


class LinearDecoder(nn.Module):
    @nn.compact
    def __call__(self, z, y=None, *, train):
        return nn.Dense(3, name="out")(z)


class Made(NamedTuple):
    model: Any
    state: Any
    batch: Batch


@cache
def made(factory, **options) -> Made:
    """A linear model of three numbers, with one layer of two latents or with layers of two and one."""
    if "two_layer" in factory.__name__:
        networks, size = (LinearNormal(2), LinearNormal(1), LinearNormal(2), LinearDecoder()), {"layers": (2, 1)}
    else:
        networks, size = (LinearNormal(2), LinearDecoder()), {"latent_dim": 2}
    model = factory(*networks, observation.gaussian(VARIANCE), optax.sgd(RATE), **size, data_range=UNBOUNDED, **options)
    batch = Batch(jax.random.normal(jax.random.key(5), (SIZE, 3)))
    return Made(model, quick_jit(model.init)(jax.random.key(0), batch), batch)


def dense(params, x):
    return jnp.einsum("...i,io->...o", x, params["kernel"]) + params["bias"].reshape((1,) * (x.ndim - 1) + (-1,))


def log_normal(x, mean, logvar):
    return jnp.sum(-0.5 * (jnp.log(2 * jnp.pi) + logvar + (x - mean) ** 2 / jnp.exp(logvar)), axis=-1)


def one_layer_log_weight(params, x, noise):
    """log p(x, z) - log q(z|x) of one draw for every example, written out."""
    mean, logvar = (dense(params["encoder"][name], x) for name in ("mean", "logvar"))
    z = mean + jnp.exp(logvar / 2) * noise
    log_p = log_normal(x, dense(params["decoder"]["out"], z), jnp.log(VARIANCE)) + log_normal(z, 0.0 * z, 0.0 * z)
    return log_p - log_normal(z, mean, logvar)


def two_layer_log_weight(params, x, noise):
    """log p(x, h1, h2) - log q(h1, h2|x); the noise of h2 comes first."""
    mean1, logvar1 = (dense(params["encoder"][name], x) for name in ("mean", "logvar"))
    h1 = mean1 + jnp.exp(logvar1 / 2) * noise[:, 1:]
    mean2, logvar2 = (dense(params["top_encoder"][name], h1) for name in ("mean", "logvar"))
    h2 = mean2 + jnp.exp(logvar2 / 2) * noise[:, :1]
    prior1 = (dense(params["top_decoder"][name], h2) for name in ("mean", "logvar"))
    log_p = log_normal(x, dense(params["decoder"]["out"], h1), jnp.log(VARIANCE)) + log_normal(h1, *prior1)
    log_p += log_normal(h2, 0.0 * h2, 0.0 * h2)
    return log_p - log_normal(h1, mean1, logvar1) - log_normal(h2, mean2, logvar2)


IWAES = {
    models.importance_weighted_autoencoder: one_layer_log_weight,
    models.two_layer_importance_weighted_autoencoder: two_layer_log_weight,
}
every_iwae = pytest.mark.parametrize("factory", IWAES, ids=["one layer", "two layers"])


def noise_of(key, k, length):
    return jax.random.normal(key, (k, SIZE, length))


def length_of(made: Made) -> int:
    return made.model.prior(jax.random.key(0), 1).shape[1]


@every_iwae
@pytest.mark.parametrize("k", [1, 5])
def test_a_step_is_the_normalised_weights_times_the_gradients_of_the_log_weights(factory, k):
    """Burda et al. 2016, equation 14, with every weight's gradient taken on its own."""
    of = made(factory, num_samples=k)
    key = jax.random.key(1)
    new, info = quick_jit(of.model.train_step)(of.state, of.batch, key)
    noise = noise_of(key, k, length_of(of))

    def log_weights(params):
        return jax.vmap(IWAES[factory], in_axes=(None, None, 0))(params, of.batch.x, noise)  # [k, batch]

    # The leaves of the jacobian are [k, batch, ...].
    values, jacobian = quick_jit(lambda params: (log_weights(params), jax.jacrev(log_weights)(params)))(of.state.params)
    values = np.asarray(values, np.float64)
    weights = np.exp(values - values.max(0))
    normalised = weights / weights.sum(0)
    gradient = jax.tree.map(lambda leaf: np.einsum("kb,kb...->...", normalised, leaf) / SIZE, jacobian)
    moves = jax.device_get((new.params, of.state.params, gradient))
    for moved, before, grad in zip(*map(jax.tree.leaves, moves), strict=True):
        np.testing.assert_allclose(moved, before + RATE * grad, rtol=1e-4, atol=1e-6)
    bound = np.log(weights.mean(0)) + values.max(0)
    np.testing.assert_allclose(info["loss"], -bound.mean(), rtol=1e-5)
    found = quick_jit(of.model.log_weights, static_argnums=3)(of.state, of.batch, key, k)
    np.testing.assert_allclose(found, values, rtol=1e-4, atol=1e-4)
    assert (normalised.max(0) > 1.5 / k).any() or k == 1  # the weights do differ


def test_with_one_sample_the_bound_of_two_layers_is_their_elbo():
    key = jax.random.key(1)
    states = [
        quick_jit(of.model.train_step)(of.state, of.batch, key)[0].params
        for of in (
            made(models.two_layer_importance_weighted_autoencoder, num_samples=1),
            made(models.two_layer_variational_autoencoder, num_samples=1),
        )
    ]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), *states)


def test_with_one_sample_the_gradient_of_one_layer_is_that_of_the_elbo_on_average():
    """The VAE's KL is exact, the IWAE's drawn: over 4,000 keys the mean steps agree within five standard errors."""
    keys = jax.random.split(jax.random.key(1), 4000)
    moves = []
    for factory in (models.importance_weighted_autoencoder, models.variational_autoencoder):
        of = made(factory, num_samples=1)
        step = jax.vmap(lambda key, of=of: of.model.train_step(of.state, of.batch, key)[0].params)
        moves.append(jax.tree.leaves(quick_jit(step)(keys)))
    for drawn, exact in zip(*moves, strict=True):
        difference = np.asarray(drawn, np.float64) - np.asarray(exact, np.float64)
        error = difference.std(0) / np.sqrt(len(keys))
        assert (np.abs(difference.mean(0)) <= 5 * error + 1e-9).all()


@pytest.mark.parametrize("samples", [1, 4])
def test_the_elbo_of_two_layers_is_the_mean_log_weight(samples):
    of = made(models.two_layer_variational_autoencoder, num_samples=samples)
    key = jax.random.key(3)
    log_weights = quick_jit(jax.vmap(two_layer_log_weight, in_axes=(None, None, 0)))
    values = np.asarray(log_weights(of.state.params, of.batch.x, noise_of(key, samples, 3)))
    terms = jax.device_get(quick_jit(of.model.evaluate)(of.state, of.batch, key))
    np.testing.assert_allclose(terms["elbo_nats"], np.mean(values, axis=0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        terms["elbo_nats"], terms["reconstruction_nats"] - terms["kl_nats"], rtol=1e-5, atol=1e-5
    )
    _, info = quick_jit(of.model.train_step)(of.state, of.batch, key)
    np.testing.assert_allclose(info["loss"], -np.mean(values), rtol=1e-5)


def test_the_kl_of_two_layers_takes_its_weight():
    key, of = jax.random.key(1), made(models.two_layer_variational_autoencoder, beta=0.5, kl_warmup_steps=2)
    step = quick_jit(of.model.train_step)
    state, info = jax.device_get(step(of.state, of.batch, key))
    np.testing.assert_allclose(info["loss"], 0.25 * info["kl_nats"] - info["reconstruction_nats"], rtol=1e-5)
    _, info = jax.device_get(step(state, of.batch, key))
    np.testing.assert_allclose(info["loss"], 0.5 * info["kl_nats"] - info["reconstruction_nats"], rtol=1e-5)


# Two layers where everything is known --------------------------------------------------------------------------------

W, B = np.array([0.7, -1.1, 0.4]), np.array([0.2, 0.0, -0.5])
SLOPE, SPREAD = 0.8, 0.3
"""h2 ~ N(0, 1), h1 | h2 ~ N(SLOPE h2, SPREAD), x | h1 ~ N(W h1 + B, VARIANCE): everything is jointly normal."""


def linear(kernel, bias, logvar):
    kernel, bias = np.atleast_2d(kernel), np.atleast_1d(bias)
    return {
        "mean": {"kernel": kernel, "bias": bias},
        "logvar": {"kernel": np.zeros_like(kernel), "bias": np.full_like(bias, logvar)},
    }


class Exact(NamedTuple):
    model: Any
    state: Any
    batch: Batch
    log_evidence: np.ndarray


@cache
def exact() -> Exact:
    """The model at those parameters, with the exact posterior in its encoders."""
    model = models.two_layer_importance_weighted_autoencoder(
        LinearNormal(1),
        LinearNormal(1),
        LinearNormal(1),
        LinearDecoder(),
        observation.gaussian(VARIANCE),
        optax.sgd(RATE),
        layers=(1, 1),
        num_samples=2,
        data_range=UNBOUNDED,
    )
    batch = Batch(jax.random.normal(jax.random.key(5), (SIZE, 3)))
    marginal = SLOPE**2 + SPREAD  # of h1
    variance = 1 / (1 / marginal + W @ W / VARIANCE)
    params = {
        "encoder": linear(variance / VARIANCE * W[:, None], -variance / VARIANCE * (W @ B), np.log(variance)),
        "top_encoder": linear(SLOPE / marginal, 0.0, np.log(SPREAD / marginal)),
        "top_decoder": linear(SLOPE, 0.0, np.log(SPREAD)),
        "decoder": {"out": {"kernel": W[None], "bias": B}},
    }
    state = quick_jit(model.init)(jax.random.key(0), batch)
    params = jax.tree.map(lambda p, like: p.astype(np.float32).reshape(like.shape), params, state.params)
    covariance = marginal * np.outer(W, W) + VARIANCE * np.eye(3)
    log_evidence = multivariate_normal.logpdf(np.asarray(batch.x, np.float64), B, covariance)
    return Exact(model, state.replace(params=params), batch, log_evidence)


def test_with_the_exact_posterior_of_both_layers_every_log_weight_is_the_log_likelihood():
    of = exact()
    weights = quick_jit(of.model.log_weights, static_argnums=3)(of.state, of.batch, jax.random.key(1), 7)
    np.testing.assert_allclose(weights, np.broadcast_to(of.log_evidence, (7, SIZE)), rtol=1e-5, atol=1e-5)


def test_the_one_latent_of_two_layers_integrates_to_the_log_likelihood():
    """log p(x) = log of the integral of p(x|z) N(z; 0, I), by quadrature over z = (h2, e)."""
    of = exact()
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    z = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 1, 2)
    log_weights = np.log(np.outer(weights, weights).reshape(-1, 1) / (2 * np.pi))
    z = np.broadcast_to(z.astype(np.float32), (len(z), SIZE, 2))
    values = np.asarray(quick_jit(of.model.log_likelihood)(of.state, of.batch, z), np.float64)
    np.testing.assert_allclose(np.logaddexp.reduce(values + log_weights, axis=0), of.log_evidence, rtol=1e-4)


def test_samples_of_two_layers_have_the_moments_of_the_model():
    """Of the mean of p(x|h1): W h1 + B, where h1 has the variance of both layers."""
    of, n = exact(), 20_000
    x = np.asarray(quick_jit(of.model.sample, static_argnums=2)(of.state, jax.random.key(2), n), np.float64)
    spread = np.sqrt(SLOPE**2 + SPREAD)
    np.testing.assert_array_less(np.abs(x.mean(0) - B), 5 * np.abs(W) * spread / np.sqrt(n))
    np.testing.assert_array_less(np.abs(x.std(0) / np.abs(W) - spread), 5 * spread / np.sqrt(2 * n))


def test_the_encoding_of_two_layers_decodes_to_the_mean_of_the_first():
    of = exact()
    mean, logvar = jax.device_get(quick_jit(of.model.encode)(of.state, of.batch))
    params = of.state.params

    @quick_jit
    def by_hand(params, x):
        h1 = dense(params["encoder"]["mean"], x)
        return dense(params["top_encoder"]["mean"], h1), dense(params["decoder"]["out"], h1)

    h2, x = by_hand(params, of.batch.x)
    np.testing.assert_allclose(mean[:, :1], h2, rtol=1e-5)
    np.testing.assert_allclose(quick_jit(of.model.decode)(of.state, mean), x, rtol=1e-4, atol=1e-5)
    of_h1 = params["encoder"]["logvar"]["bias"][0]
    expected = [params["top_encoder"]["logvar"]["bias"][0], of_h1 - np.log(SPREAD)]  # e is in units of p(h1|h2)
    np.testing.assert_allclose(logvar, np.broadcast_to(expected, logvar.shape), rtol=1e-5)
