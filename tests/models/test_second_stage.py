"""Second stages: the nats add up to those of a closed form, the first stands still, and samples go through both."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.stats import multivariate_normal
from zoo import quick_jit

from gvlab import models, networks, parallel
from gvlab.losses import normal_log_prob
from gvlab.models import densities, observation, second_stage
from gvlab.types import Batch, Model, UserError

W, NOISE = np.array([[2.0, -1.0]]), 0.25
"""x [2] is z [1] times W and noise of this variance."""
MEAN, VARIANCE = 0.7, 1.5
"""Of the second stage's z."""


def made_up(**functions):
    """A first stage of these functions; its state has one number, which nothing may change."""

    def init(key, batch):
        return densities.DensityState(jnp.zeros((), jnp.int32), {"w": jnp.ones(1)}, ())

    nothing = dict.fromkeys(("train_step", "sample", "evaluate", "prior"))
    return Model(**({"init": init} | nothing | functions))


def linear_first():
    """Whose q(z|x) is the posterior under the *second* stage's prior, so that every weight is log p(x)."""
    variance = 1 / (1 / VARIANCE + (W @ W.T).item() / NOISE)

    def encode(state, batch):
        mean = variance * (batch.x @ W.T / NOISE + MEAN / VARIANCE)
        return mean, jnp.full_like(mean, np.log(variance))

    def log_likelihood(state, batch, z):
        mean = z @ W
        return normal_log_prob(jnp.broadcast_to(batch.x[None], mean.shape), mean, jnp.full_like(mean, np.log(NOISE)))

    return made_up(encode=encode, log_likelihood=log_likelihood, decode=lambda state, z, y=None: z @ W)


def coded_first():
    """Whose codes are the signs of x."""

    def log_likelihood(state, batch, z):
        mean = 2.0 * z - 1
        return normal_log_prob(jnp.broadcast_to(batch.x[None], mean.shape), mean, jnp.zeros_like(mean))

    return made_up(
        codes=lambda state, batch: (batch.x > 0).astype(jnp.int32),
        code_sizes=(2, 2),
        log_likelihood=log_likelihood,
        decode=lambda state, z, y=None: 2.0 * z - 1,
    )


def second_of(kind, optimizer, axis_name=None):
    if kind == "codes":
        network = networks.CausalTransformer(2, 4, 1, 2)
        return densities.density(densities.autoregressive(network, (2, 2)), optimizer, axis_name=axis_name)
    if kind == "mixture":
        return densities.density(densities.mixture(networks.NormalMixture(1, 1), 1), optimizer, axis_name=axis_name)
    coders = networks.MLPEncoder(2, hidden=(4,)), networks.MLPDecoder((1,), hidden=(4,))
    whole = (-np.inf, np.inf)
    vae = models.variational_autoencoder(
        *coders, observation.gaussian(0.04), optimizer, latent_dim=2, data_range=whole, axis_name=axis_name
    )
    return second_stage.drawn(vae, 1)


KINDS = ["mixture", "vae", "codes"]
every_kind = pytest.mark.parametrize("kind", KINDS)
X = Batch(jnp.asarray(np.random.default_rng(0).normal(size=(8, 2)), jnp.float32))


def staged(kind, axis_name=None):
    first = coded_first() if kind == "codes" else linear_first()
    second = second_of(kind, optax.sgd(0.1), axis_name)
    whole = (-float("inf"), float("inf"))
    return models.latent_model(first, first.init(None, X), second, data_range=whole, axis_name=axis_name)


@cache
def begun(kind):
    model = staged(kind)
    return model, quick_jit(model.init)(jax.random.key(0), X)


def test_nats_of_a_linear_model_are_those_of_its_closed_form():
    model, state = begun("mixture")
    exact = {"logits": jnp.zeros(1), "mean": jnp.full((1, 1), MEAN), "logvar": jnp.full((1, 1), np.log(VARIANCE))}
    state = state.replace(second=state.second.replace(params=exact))
    covariance = VARIANCE * W.T @ W + NOISE * np.eye(2)
    expected = multivariate_normal.logpdf(np.asarray(X.x, np.float64), MEAN * W[0], covariance)
    weights = quick_jit(model.log_weights, static_argnums=3)(state, X, jax.random.key(1), 3)
    np.testing.assert_allclose(weights, np.stack([expected] * 3), rtol=2e-5)
    terms = quick_jit(model.evaluate)(state, X, jax.random.key(2))
    np.testing.assert_allclose(terms["elbo_nats"], expected, rtol=2e-5)
    np.testing.assert_allclose(terms["reconstruction_nats"] - terms["kl_nats"], terms["elbo_nats"], rtol=1e-5)


def test_nats_of_codes_are_those_of_the_codes_and_of_x_by_them():
    model, state = begun("codes")
    weights = np.asarray(quick_jit(model.log_weights, static_argnums=3)(state, X, jax.random.key(1), 2))
    x = np.asarray(X.x, np.float64)
    of_x = (-0.5 * (x - np.sign(x)) ** 2 - 0.5 * np.log(2 * np.pi)).sum(1)
    expected = of_x - 2 * np.log(2)  # before training all codes are equally likely
    np.testing.assert_allclose(weights, np.stack([expected] * 2), rtol=1e-5)


@every_kind
def test_a_step_trains_the_second_alone(kind):
    model, state = begun(kind)
    new, info = quick_jit(model.train_step)(state, X, jax.random.key(0))
    state, new = jax.device_get((state, new))
    assert (int(state.step), int(new.step)) == (0, 1)
    jax.tree.map(np.testing.assert_array_equal, new.frozen, state.frozen)
    moved = [np.any(a != b) for a, b in zip(*map(jax.tree.leaves, (new.params, state.params)), strict=True)]
    assert any(moved)
    assert {"loss", "grad_norm"} <= set(info)
    assert all(name.startswith("latents/") for name in set(info) - {"loss", "grad_norm"})


@every_kind
def test_samples_go_through_both(kind):
    model, state = begun(kind)

    @quick_jit
    def found(state, key):
        return model.sample(state, key, 5), model.decode(state, model.latents(state, key, 5))

    sampled, decoded = found(state, jax.random.key(4))
    assert sampled.shape == (5, 2)
    np.testing.assert_array_equal(sampled, decoded)


def test_a_vae_that_is_drawn_from_has_the_variance_of_its_likelihood():
    model, state = begun("vae")

    @quick_jit
    def found(state, key):
        z = model.prior(key, 6)
        return z, model.decode(state, z.at[:, 2].set(0.0)), model.decode(state, z)

    z, *decoded = jax.device_get(found(state, jax.random.key(0)))
    assert z.shape == (6, 3)
    mean, drawn = (x @ W.T / (W @ W.T) for x in decoded)
    np.testing.assert_allclose((drawn - mean)[:, 0], 0.2 * z[:, 2], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", ["mixture", "vae"])
def test_two_devices_train_as_one(kind):
    model, state = begun(kind)
    expected, _ = quick_jit(model.train_step)(state, X, jax.random.key(3))
    together = staged(kind, parallel.AXIS)
    found, _ = parallel.over_pmap(together.train_step, jax.devices()[:2])(state, X, jax.random.key(3))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), found, expected)


def test_what_has_nothing_for_a_second_is_refused():
    blind = linear_first()._replace(encode=None)
    with pytest.raises(UserError, match="The first stage has no encoder to put a second on"):
        models.latent_model(blind, blind.init(None, X), second_of("mixture", optax.sgd(0.1)))
    silent = second_of("mixture", optax.sgd(0.1))._replace(log_weights=None)
    with pytest.raises(UserError, match="has no likelihood of latents"):
        models.latent_model(linear_first(), None, silent)
