from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.test_util import check_grads
from scipy.special import expit, log_softmax

from gvlab import losses
from gvlab.types import UserError

# One program is compiled for each shape, and not one for each operation; that both agree is the contract's to test.
bernoulli_log_prob = jax.jit(losses.bernoulli_log_prob)
gaussian_log_prob = jax.jit(losses.gaussian_log_prob)
discretized_logistic_log_prob = jax.jit(losses.discretized_logistic_log_prob, static_argnames="levels")
categorical_log_prob = jax.jit(losses.categorical_log_prob)

EXTREMES = np.array([-1e4, -1.0, 0.0, 1.0, 1e4], np.float32)


def normal(seed, *shape):
    return np.random.RandomState(seed).standard_normal(shape)


def test_bernoulli_against_scipy():
    logits, x = 3.0 * normal(0, 5, 4, 2, 3), (normal(1, 4, 2, 3) > 0).astype(float)
    expected = scipy.stats.bernoulli.logpmf(x, expit(logits)).sum((-1, -2))
    with jax.enable_x64(True):
        np.testing.assert_allclose(bernoulli_log_prob(jnp.asarray(logits), jnp.asarray(x)), expected, rtol=1e-11)


def test_bernoulli_of_a_gray_value_is_the_cross_entropy():
    logits, x = normal(2, 6, 1), expit(normal(3, 6, 1))
    expected = (x * np.log(expit(logits)) + (1 - x) * np.log(expit(-logits)))[:, 0]
    with jax.enable_x64(True):
        np.testing.assert_allclose(bernoulli_log_prob(jnp.asarray(logits), jnp.asarray(x)), expected, rtol=1e-12)


def test_bernoulli_keeps_its_digits_in_the_tails():
    logits, x = jnp.array([[30.0], [-30.0], [30.0], [-30.0]]), jnp.array([[1.0], [0.0], [0.0], [1.0]])
    tail = -np.log1p(np.exp(-30.0))
    np.testing.assert_allclose(bernoulli_log_prob(logits, x), [tail, tail, tail - 30, tail - 30], rtol=1e-6)


def test_bernoulli_gradient_is_x_minus_p_even_at_logit_zero():
    logits, x = jnp.array([[0.0, 0.0, 2.0, -1e4, 1e4]]), jnp.array([[1.0, 0.25, 0.0, 1.0, 0.0]])
    gradient = jax.jit(jax.grad(lambda v: bernoulli_log_prob(v, x).sum()))(logits)
    np.testing.assert_allclose(gradient, [[0.5, -0.25, -expit(2.0), 1.0, -1.0]], rtol=1e-6)
    curvature = jax.jit(jax.hessian(lambda v: bernoulli_log_prob(v[None, None], x[:, :1]).sum()))(jnp.array(0.0))
    np.testing.assert_allclose(curvature, -0.25, rtol=1e-6)


def test_gaussian_against_scipy():
    mean, logvar, x = normal(4, 5, 4, 2, 3), normal(5, 5, 4, 2, 3), normal(6, 4, 2, 3)
    learned = scipy.stats.norm.logpdf(x, mean, np.exp(logvar / 2)).sum((-1, -2))
    fixed = scipy.stats.norm.logpdf(x, mean, 0.3).sum((-1, -2))
    with jax.enable_x64(True):
        mean, logvar, x = jnp.asarray(mean), jnp.asarray(logvar), jnp.asarray(x)
        np.testing.assert_allclose(gaussian_log_prob(mean, logvar, x), learned, rtol=1e-11)
        of_a_number = jax.jit(lambda mean, x: losses.gaussian_log_prob(mean, 2 * np.log(0.3).item(), x))
        np.testing.assert_allclose(of_a_number(mean, x), fixed, rtol=1e-11)
        np.testing.assert_allclose(gaussian_log_prob(mean, jnp.array(2 * np.log(0.3)), x), fixed, rtol=1e-11)


def test_gaussian_of_fixed_unit_variance_is_half_the_squared_error():
    mean, x = jnp.array([[1.0, 2.0]]), jnp.array([[4.0, 6.0]])
    found = jax.jit(lambda mean, x: losses.gaussian_log_prob(mean, 0.0, x))(mean, x)
    np.testing.assert_allclose(found, [-0.5 * 25.0 - np.log(2 * np.pi)], rtol=1e-6)


def test_a_shared_learned_variance_has_its_maximum_at_the_mean_squared_error():
    mean, x = jnp.asarray(normal(7, 8, 3), jnp.float32), jnp.asarray(normal(8, 8, 3), jnp.float32)
    optimum = jnp.asarray(np.log(np.mean((np.asarray(x) - np.asarray(mean)) ** 2)))
    slope = jax.jit(jax.grad(lambda logvar: gaussian_log_prob(mean, logvar, x).sum()))(optimum)
    np.testing.assert_allclose(slope, 0.0, atol=1e-5)


@pytest.mark.parametrize("levels", [2, 3, 256])
def test_discretized_logistic_masses_sum_to_one(levels):
    grid = jnp.asarray(np.arange(levels, dtype=np.float32)[:, None] / (levels - 1))
    mean, log_scale = np.meshgrid([-0.2, 0.0, 0.37, 1.0, 1.5], [-12.0, -5.0, -2.0, 0.0, 6.0])
    mean, log_scale = (
        jnp.asarray(np.broadcast_to(a[..., None, None], (5, 5, levels, 1)), jnp.float32) for a in (mean, log_scale)
    )
    masses = np.exp(np.asarray(discretized_logistic_log_prob(mean, log_scale, grid, levels)))
    np.testing.assert_allclose(masses.sum(axis=-1), np.ones((5, 5)), rtol=2e-5)


@pytest.mark.parametrize("log_scale", [-4.0, -1.0, 2.0])
def test_discretized_logistic_against_differences_of_scipy_cdf(log_scale):
    levels, mean, scale = 16, 0.4, np.exp(log_scale)
    edges = (np.arange(levels + 1) - 0.5) / (levels - 1)
    edges[[0, -1]] = -np.inf, np.inf
    # By symmetry on the side where the distribution function is small: its differences keep their digits there.
    below, above = scipy.stats.logistic.cdf(edges, mean, scale), scipy.stats.logistic.sf(edges, mean, scale)
    expected = np.log(np.where(edges[1:] < mean, np.diff(below), -np.diff(above)))
    with jax.enable_x64(True):
        x = np.arange(levels)[:, None] / (levels - 1)
        of_a_number = jax.jit(lambda mean, x: losses.discretized_logistic_log_prob(mean, log_scale, x, levels))
        found = of_a_number(np.full((levels, 1), mean), x)
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_discretized_logistic_far_bins_and_wide_scales_have_their_asymptotes():
    x = jnp.array([[128 / 255]])
    # Far in the tail: log mass -> -|x - mean| / s + log(2 sinh(w / 2)).
    width = np.exp(5.0) / 255
    far = discretized_logistic_log_prob(jnp.array([[30.0]]), -5.0, x)
    np.testing.assert_allclose(far, [(128 / 255 - 30) * np.exp(5.0) + np.log(2 * np.sinh(width / 2))], rtol=1e-6)
    # Wide: log mass -> log(w / 4), where w underflows in float32 and its logarithm doesn't.
    wide = discretized_logistic_log_prob(jnp.array([[0.5]]), 200.0, x)
    np.testing.assert_allclose(wide, [-200 - np.log(255) - np.log(4)], rtol=1e-6)
    slope = jax.jit(jax.grad(lambda s: discretized_logistic_log_prob(jnp.array([[0.5]]), s, x)[0]))(jnp.array(200.0))
    np.testing.assert_allclose(slope, -1.0, rtol=1e-6)


def test_categorical_against_scipy():
    logits, x = normal(9, 5, 4, 2, 3, 7), np.random.RandomState(10).randint(0, 7, (4, 2, 3))
    index = np.broadcast_to(x, (5, 4, 2, 3))[..., None]
    expected = np.take_along_axis(log_softmax(logits, -1), index, -1).sum((-1, -2, -3))
    with jax.enable_x64(True):
        np.testing.assert_allclose(categorical_log_prob(jnp.asarray(logits), jnp.asarray(x)), expected, rtol=1e-12)


def test_categorical_takes_bytes_and_makes_impossible_classes_nan():
    logits = np.zeros((4, 1, 256), np.float32)
    np.testing.assert_allclose(
        categorical_log_prob(logits, np.array([[0], [127], [128], [255]], np.uint8)),
        np.full(4, -np.log(256)),
        rtol=1e-6,
    )
    found = categorical_log_prob(logits[:2, :, :10], np.array([[-1], [10]]))
    assert np.isnan(found).all()


def test_numerical_gradients():
    mean, spread = normal(11, 2, 3, 2), 0.3 * normal(12, 2, 3, 2)
    x = np.random.RandomState(13).randint(0, 8, (3, 2))
    with jax.enable_x64(True):
        mean, spread = jnp.asarray(mean), jnp.asarray(spread)
        grid, binary, classes = jnp.asarray(x / 7), jnp.asarray((x > 3).astype(float)), jnp.asarray(x)
        check_grads(jax.jit(lambda v: bernoulli_log_prob(v, binary)), (mean,), order=1)
        check_grads(jax.jit(lambda m, v: gaussian_log_prob(m, v, grid)), (mean, spread), order=1)
        check_grads(jax.jit(lambda m, s: discretized_logistic_log_prob(m, s, grid, 8)), (mean, spread), order=1)
        logits = jnp.asarray(np.stack([i * np.asarray(mean) for i in range(8)], -1))
        check_grads(jax.jit(lambda v: categorical_log_prob(v, classes)), (logits,), order=1)


@cache
def with_gradients(log_prob):
    """(values, gradients of their sum with respect to both parameters), in one program for all cases."""
    gradients = jax.grad(lambda mean, spread, x: log_prob(mean, spread, x).sum(), argnums=(0, 1))
    return jax.jit(lambda *arguments: (log_prob(*arguments), gradients(*arguments)))


@pytest.mark.parametrize("target", [0.0, 100 / 255, 1.0])
@pytest.mark.parametrize("spread", EXTREMES)
def test_extreme_parameters_give_no_nan(target, spread):
    mean = np.append(EXTREMES, np.float32(target))[:, None]  # a deviation of exactly 0 is one of them
    spread, x = np.full_like(mean, spread), np.full_like(mean, target)
    for log_prob in (gaussian_log_prob, discretized_logistic_log_prob):
        value, gradients = jax.tree.map(np.asarray, with_gradients(log_prob)(mean, spread, x))
        assert not np.isnan(value).any(), log_prob
        assert not np.isnan(gradients).any(), log_prob
        if log_prob is discretized_logistic_log_prob:
            assert np.isfinite(value).all()
            assert (value <= 0).all()
            assert np.isfinite(gradients).all()


def test_extreme_logits_give_exact_finite_values():
    logits, x = jnp.array([[-1e4], [-1e4], [1e4], [1e4]]), jnp.array([[0.0], [1.0], [0.0], [1.0]])
    np.testing.assert_array_equal(bernoulli_log_prob(logits, x), [0.0, -1e4, -1e4, 0.0])
    logits, classes = jnp.array([[[-1e4, 0.0, 1e4]]] * 3), jnp.array([[0], [1], [2]])
    np.testing.assert_array_equal(categorical_log_prob(logits, classes), [-2e4, -1e4, 0.0])
    gradient = jax.jit(jax.grad(lambda v: categorical_log_prob(v, classes).sum()))(logits)
    np.testing.assert_array_equal(np.asarray(gradient)[:, 0], [[1, 0, -1], [0, 1, -1], [0, 0, 0]])


def zeros(*shape, dtype=np.float32):
    return jnp.asarray(np.zeros(shape, dtype))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: losses.bernoulli_log_prob(zeros(4, 6), zeros(4, 2, 3)), r"x has shape \(4, 2, 3\).*\(4, 6\)"),
        (lambda: losses.bernoulli_log_prob(zeros(4, 6), zeros(4, 1)), r"x has shape \(4, 1\)"),
        (lambda: losses.gaussian_log_prob(zeros(4, 6), zeros(6), zeros(4, 6)), r"logvar has shape \(6,\)"),
        (
            lambda: losses.discretized_logistic_log_prob(zeros(4, 6), zeros(4, 1), zeros(4, 6)),
            r"log_scale has shape \(4, 1\)",
        ),
        (lambda: losses.discretized_logistic_log_prob(zeros(4, 6), 0.0, zeros(4, 6), 1), "levels is 1"),
        (lambda: losses.categorical_log_prob(zeros(4, 6), zeros(4, 6, dtype=np.int32)), r"x has shape \(4, 6\)"),
    ],
)
def test_shapes_that_would_broadcast_silently_are_refused(call, sentence):
    with pytest.raises(UserError, match=sentence):
        call()
