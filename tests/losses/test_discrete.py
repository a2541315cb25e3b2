"""Gradients by discrete latents: against published numbers, and unbiased by going through all that can be drawn."""

import inspect
import itertools
import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from waves import waves

from gvlab import losses
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "vae_discrete.json").read_text())


def inputs(entry):
    """Of an entry by the golden file's formula, in float64 where that is enabled."""
    return {name: jnp.asarray(of) for name, of in waves(GOLDEN[entry]["inputs"]).items()}


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


def log_weights(given, logits, z):
    """log p(x|z) + log p(z) - log q(z|x) of the golden model, [*samples, batch]."""
    x = (given["x_raw"] > 0).astype(float)
    decoded = jnp.einsum("...l,xl->...x", z, given["W"]) + given["b"].reshape((1,) * (z.ndim - 1) + (-1,))
    prior = jnp.broadcast_to(given["prior_logits"], logits.shape)
    log_posterior = losses.bernoulli_log_prob(jnp.broadcast_to(logits, z.shape), z) if z.ndim == 2 else None
    if z.ndim == 3:
        log_posterior = jax.vmap(lambda z: losses.bernoulli_log_prob(logits, z))(z)
        log_prior = jax.vmap(lambda z: losses.bernoulli_log_prob(prior, z))(z)
    else:
        log_prior = losses.bernoulli_log_prob(prior, z)
    return losses.bernoulli_log_prob(decoded, x) + log_prior - log_posterior


def surrogate_slope(estimator, given, noise, still=True, **options):
    """(value, gradient by the logits) of the surrogate loss, f's own dependence on the logits stopped or not."""

    @jax.jit
    def found(logits):
        def loss(logits):
            of_f = jax.lax.stop_gradient(logits) if still else logits
            estimate = estimator(logits, noise, partial(log_weights, given, of_f), **options)
            return losses.surrogate(logits, estimate).sum(), estimate.value

        return jax.grad(loss, has_aux=True)(logits)

    return found(given["logits"])[::-1]


@pytest.mark.parametrize("name", ["reinforce", "arm", "disarm"])
def test_the_published_gradients(name):
    expected = GOLDEN["discrete_gradients"]["outputs"]
    with jax.enable_x64(True):
        given = inputs("discrete_gradients")
        close(surrogate_slope(getattr(losses, name), given, given["u"])[1], expected[name]["grad"])
        if name == "reinforce":
            with_baseline = surrogate_slope(losses.reinforce, given, given["u"], baseline=-5.0)
            close(with_baseline[1], expected[name]["grad_with_baseline_minus5"])
            statistics = losses.SignalStatistics(jnp.array(1.0), jnp.array(4.0))
            nvil = surrogate_slope(losses.nvil, given, given["u"], baseline=jnp.full(3, -6.0), statistics=statistics)
            close(2 * nvil[1], expected[name]["grad_with_baseline_minus5"])


def test_vimco():
    expected = GOLDEN["discrete_gradients"]["outputs"]["vimco"]
    with jax.enable_x64(True):
        given = inputs("discrete_gradients")
        value, slope = surrogate_slope(losses.vimco, given, given["u_k"], still=False)
    close(value, expected["bound"])
    close(slope, expected["grad_logits"])
    with pytest.raises(UserError, match="VIMCO compares the weights of draws, but there are 1: use at least 2"):
        losses.vimco(jnp.zeros((2, 3)), jnp.zeros((1, 2, 3)), lambda z: z.sum(-1))


def cells(logits, draws):
    """(uniforms [cells, draws, latent], their probabilities): the middles of all cells in which no draw changes. There
    every estimator is at most linear in u, so that the middle is the mean."""
    edges = [np.unique([0, 1 / (1 + np.exp(-a)), 1 / (1 + np.exp(a)), 1]) for a in np.tile(logits, draws)]
    middles = itertools.product(*(((e[1:] + e[:-1]) / 2).tolist() for e in edges))
    widths = itertools.product(*(np.diff(e).tolist() for e in edges))
    return np.reshape(list(middles), (-1, draws, len(logits))), np.prod(list(widths), axis=1)


@pytest.mark.parametrize("name", ["reinforce", "arm", "disarm", "nvil"])
def test_on_average_the_gradient_is_the_exact_one(name):
    expected = GOLDEN["discrete_gradients"]["outputs"]
    options = {"reinforce": {"baseline": -3.0}}.get(name, {})
    factor = 1.0
    if name == "nvil":
        statistics = losses.SignalStatistics(jnp.float32(0.5), jnp.float32(9.0))
        options, factor = {"baseline": jnp.array([-2.0]), "statistics": statistics}, 3.0
    with jax.enable_x64(True):
        given = inputs("discrete_gradients")

        @jax.jit
        def found(logits, x_raw, uniforms):
            f = partial(log_weights, given | {"x_raw": x_raw}, logits)
            return jax.vmap(lambda u: getattr(losses, name)(logits, u, f, **options))(uniforms)

        for example in range(3):
            logits = given["logits"][example : example + 1]
            uniforms, shares = cells(np.asarray(logits[0]), 1)
            estimate = found(logits, given["x_raw"][example : example + 1], uniforms)
            close(shares @ np.asarray(estimate.value)[:, 0], expected["exact_elbo"][example])
            mean = factor * shares @ np.asarray(estimate.gradient)[:, 0]
            np.testing.assert_allclose(mean, expected["exact_grad_logits"][example], rtol=1e-6)


def test_disarm_has_less_variance_than_arm():
    with jax.enable_x64(True):
        given = inputs("discrete_gradients")
        logits, uniforms = given["logits"][:1], np.random.RandomState(0).uniform(size=(4000, 1, 3))
        f = partial(log_weights, given | {"x_raw": given["x_raw"][:1]}, logits)
        both = (losses.arm, losses.disarm)
        deviations = [np.std(jax.jit(jax.vmap(lambda u, of=of: of(logits, u, f).gradient))(uniforms), 0) for of in both]
    assert (deviations[1] < deviations[0]).all()


def test_vimco_on_average_has_the_gradient_of_its_bound():
    logits = np.array([0.6, -0.3])
    with jax.enable_x64(True):
        weight = jnp.array([[0.3, -1.0], [2.0, 0.7]])

        def of_weights(logits, z):  # [k, 1]
            log_posterior = jax.vmap(lambda z: losses.bernoulli_log_prob(logits, z))(z)
            return ((z @ weight) * z).sum(-1) - log_posterior

        @jax.jit
        def found(uniforms):
            def loss(logits, u):
                return losses.surrogate(logits, losses.vimco(logits, u, partial(of_weights, logits))).sum()

            return jax.vmap(jax.value_and_grad(loss), in_axes=(None, 0))(jnp.asarray(logits)[None], uniforms)

        def exact(logits):
            states = jnp.asarray(list(itertools.product([0.0, 1.0], repeat=4))).reshape(16, 2, 1, 2)
            log_prob = jax.vmap(jax.vmap(lambda z: losses.bernoulli_log_prob(logits, z)))(states).sum((1, 2))
            bound = jax.vmap(lambda z: losses.importance_weighted_bound(of_weights(logits, z)))(states)[:, 0]
            return (jnp.exp(log_prob) * bound).sum()

        uniforms, shares = cells(logits, 2)
        value, slope = found(uniforms[:, :, None])
        expected = jax.jit(jax.value_and_grad(exact))(jnp.asarray(logits)[None])
        close(shares @ np.asarray(value), expected[0])
        close(shares @ np.asarray(slope)[:, 0], expected[1][0])


def test_statistics_of_a_signal():
    value, baseline = jnp.array([1.0, 5.0]), jnp.array([0.0, 1.0])
    found = losses.nvil_statistics(losses.SignalStatistics(jnp.float32(0.0), jnp.float32(0.0)), value, baseline)
    np.testing.assert_allclose(found, [0.2 * 2.5, 0.2 * 2.25], rtol=1e-6)


def test_a_surrogate_has_the_value_and_both_gradients():
    logits, uniforms = jnp.array([[0.5, -1.0]]), jnp.array([[0.2, 0.9]])

    def loss(logits, scale):
        return losses.surrogate(logits, losses.disarm(logits, uniforms, lambda z: scale * z.sum(-1))).sum()

    value, (of_logits, of_scale) = jax.jit(jax.value_and_grad(loss, (0, 1)))(logits, 3.0)
    z = np.array([[1.0, 0.0], [0.0, 1.0]])  # 1[u < sigmoid], 1[u > sigmoid(-logits)]
    assert (value, of_scale) == (3.0 * z.sum() / 2, z.sum() / 2)
    np.testing.assert_allclose(of_logits, losses.disarm(logits, uniforms, lambda z: 3 * z.sum(-1)).gradient)


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_relaxed_draws_and_their_densities(temperature):
    expected = GOLDEN["gumbel_softmax"]["outputs"]
    of_temperature = expected[f"tau={temperature}"]
    with jax.enable_x64(True):
        given = inputs("gumbel_softmax")
        logits, gumbels = given["logits"], -jnp.log(-jnp.log(given["u"]))
        found, slopes = jax.device_get(
            relaxed(logits, gumbels, jnp.log(given["u"] / (1 - given["u"]))[:, :2], temperature)
        )
    for name, value in found.items():
        close(value, (of_temperature | expected)[name])
    for slope in slopes:  # hard draws have the gradient of the relaxed ones
        close(slope, of_temperature["grad_logits_of_weighted_sum"])


@jax.jit
def relaxed(logits, gumbels, logistics, temperature):
    weights = jnp.sin(0.5 * jnp.arange(float(logits.size)) + 0.2).reshape(logits.shape)

    def loss(draw, logits):
        return (weights * draw(logits, gumbels, temperature)).sum()

    slopes = [
        jax.grad(partial(loss, draw))(logits)
        for draw in (losses.relaxed_categorical, losses.straight_through_categorical)
    ]
    log_value, bits = jax.nn.log_softmax((logits + gumbels) / temperature), logits[:, :2]
    return {
        "gumbels": gumbels,
        "relaxed": losses.relaxed_categorical(logits, gumbels, temperature),
        "hard": losses.straight_through_categorical(logits, gumbels, temperature),
        "log_density": losses.relaxed_categorical_log_prob(log_value, logits, temperature),
        "binary_relaxed": losses.relaxed_bernoulli(bits, logistics, temperature),
        "binary_log_density": losses.relaxed_bernoulli_log_prob((bits + logistics) / temperature, bits, temperature),
        "kl_to_uniform": losses.categorical_kl_to_uniform(logits),
    }, slopes


def test_a_relaxed_density_integrates_to_1_and_is_finite_where_values_round_to_the_ends():
    value_logits = jnp.linspace(-60, 60, 200_001)
    log_prob = jax.jit(losses.relaxed_bernoulli_log_prob)(value_logits, jnp.full_like(value_logits, 0.7), 0.5)
    # Over the values, d value = value (1 - value) d log odds.
    density = np.exp(np.asarray(log_prob + jax.nn.log_sigmoid(value_logits) + jax.nn.log_sigmoid(-value_logits)))
    np.testing.assert_allclose(density.sum() * 120 / 200_000, 1, rtol=1e-4)
    assert np.isfinite(log_prob).all()
    extreme = losses.relaxed_categorical_log_prob(jnp.array([[0.0, -1e3]]), jnp.array([[5.0, -5.0]]), 0.1)
    assert np.isfinite(extreme).all()


@pytest.mark.parametrize("estimator", [losses.reinforce, losses.arm, losses.disarm])
def test_what_would_broadcast_is_refused(estimator):
    logits, uniforms = jnp.zeros((3, 2)), jnp.full((3, 2), 0.4)
    with pytest.raises(UserError, match=r"f gives an array of shape \(3, 1\) of latents of shape \(3, 2\), but must"):
        estimator(logits, uniforms, lambda z: z.sum(-1, keepdims=True))
    with pytest.raises(UserError, match=r"baseline has shape \(1,\)"):
        inspect.unwrap(losses.reinforce)(logits, uniforms, lambda z: z.sum(-1), jnp.zeros(1))
