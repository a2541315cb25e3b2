"""The mixture of logistics against the published codes, and as a distribution; the optimal variance of a batch."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from waves import wave

from gvlab import losses
from gvlab.models import observation
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "vae_likelihoods.json").read_text())


def golden_mixture():
    raw = wave(GOLDEN["inputs"]["l"])
    raw[..., 4:].reshape(2, 3, 3, 3, 12)[..., 4:8] -= 2
    return raw, np.asarray(GOLDEN["inputs"]["pixels"]) / 255


def test_the_mixture_agrees_with_the_published_codes():
    raw, x = golden_mixture()
    expected = GOLDEN["outputs"]
    log_prob = observation.mixture_of_logistics(4).log_prob
    with jax.enable_x64(True):
        found = jax.jit(lambda raw, x: (-log_prob(raw, x), jax.grad(lambda raw: -log_prob(raw, x).sum() / 27)(raw)))
        value, slope = jax.device_get(found(raw, x))
    np.testing.assert_allclose(value, expected["nll_nats_exact"], rtol=1e-9)
    np.testing.assert_allclose(value, expected["pixelcnn_nats"], rtol=1e-4)  # masses below 1e-5 are approximated there
    np.testing.assert_allclose(value / 27, expected["nll_nats_per_dim_vdvae"], rtol=1e-4)
    np.testing.assert_allclose([slope[0, 0, 0], slope[1, 2, 2]], expected["gradient"], rtol=1e-3, atol=1e-5)
    # NVAE's last level is also that of 254, which the first image has.
    assert abs(value[0] / 27 - expected["nll_nats_per_dim_nvae_as_run"][0]) > 0.05


@jax.jit
def masses(log_scale):
    """(sum of grey's; those of the channels given red and green of 254, [3, 256]; of all blues, as their product and as
    the mixture gives it)."""
    grid, given = jnp.arange(256)[:, None, None, None] / 255, jnp.full((256, 1, 1, 1), 254 / 255)

    def log_prob(components, numbers, x):
        raw = jnp.broadcast_to(
            jnp.stack([jnp.asarray(number, x.dtype) for number in numbers]), (256, 1, 1, len(numbers))
        )
        return observation.mixture_of_logistics(components).log_prob(raw, x)

    grey = jnp.exp(log_prob(2, [0.3, -0.2, -0.99, 0.8, log_scale, 0.5], grid)).sum()
    numbers = [0.7, 0.1, log_scale, 2.0, -0.3, log_scale, -1.5, 0.2, log_scale, 0.4]
    blue = jnp.exp(log_prob(1, numbers, jnp.concatenate([given, given, grid], -1)))
    shift = jnp.tanh(jnp.array([0.0, 2.0, -1.5])) + jnp.array([0.0, 0.0, jnp.tanh(0.4)])
    mean = (jnp.array([0.1, -0.3, 0.2]) + 1) / 2 + shift * (254 / 255 - 0.5)  # of Salimans et al. 2017, eq. 3
    scale = jnp.broadcast_to(jnp.maximum(log_scale, -7) - jnp.log(2.0), (256, 1))
    each = jax.vmap(
        lambda m: jnp.exp(losses.discretized_logistic_log_prob(jnp.broadcast_to(m, (256, 1)), scale, grid[:, 0, 0]))
    )(mean)
    return grey, each, each[0, 254] * each[1, 254] * each[2], blue


@pytest.mark.parametrize("log_scale", [-12.0, -4.0, 0.0])
def test_the_masses_of_all_levels_sum_to_1(log_scale):
    """Of grey values, and of each channel given those before it: a mistaken level would count twice."""
    with jax.enable_x64(True):
        grey, each, product, blue = jax.device_get(masses(jnp.asarray(log_scale)))
    np.testing.assert_allclose(grey, 1, rtol=1e-9)
    np.testing.assert_allclose(each.sum(1), 1, rtol=1e-9)
    np.testing.assert_allclose(blue, product, rtol=1e-9)


def test_extreme_numbers_give_no_nan():
    extremes = jnp.array([-1e4, 0.0, 1e4])
    raw = jnp.stack(jnp.meshgrid(extremes, extremes, extremes), -1).reshape(27, 1, 1, 3)
    log_prob = observation.mixture_of_logistics(1).log_prob
    value, slope = jax.jit(jax.value_and_grad(lambda raw: log_prob(raw, jnp.ones((27, 1, 1, 1)) / 255).sum()))(raw)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


def test_the_variance_of_a_batch_is_its_mean_squared_error():
    expected, given = GOLDEN["sigma_vae"]["outputs"], GOLDEN["sigma_vae"]["inputs"]
    before_floor = np.log(np.expm1(expected["optimal_log_sigma"] + 6)) - 6
    with jax.enable_x64(True):
        mean, x = (jnp.asarray(wave(given[name])) for name in ("reconstruction", "x"))
        raw = jnp.concatenate([mean, jnp.full((5, 1), before_floor)], -1)
        shared = observation.shared_gaussian()
        of_optimum, of_learned = losses.optimal_gaussian_log_prob(mean, x), shared.log_prob(raw, x)
        slope = np.asarray(jax.grad(lambda raw: shared.log_prob(raw, x).sum())(raw))
    np.testing.assert_allclose(-of_optimum, expected["nll_at_optimum_per_example"], rtol=1e-9)
    np.testing.assert_allclose(of_learned, of_optimum, rtol=1e-9)  # where the learned variance is that of the batch
    np.testing.assert_allclose(slope[:, -1].sum(), 0, atol=1e-9)  # and there it has its optimum
    exact = jnp.asarray([0.5, 0.25])[None]
    assert np.isfinite(losses.optimal_gaussian_log_prob(exact, exact)).all()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: observation.mixture_of_logistics(4).made_for((8, 8, 2)), "one of grey or RGB images, .* 2 channels"),
        (
            lambda: observation.mixture_of_logistics(4).mean(jnp.zeros((2, 8, 8, 11))),
            "gives 11 .* need 12 .* 40 of RGB",
        ),
        (
            lambda: losses.discretized_logistic_mixture_log_prob(
                jnp.zeros((2, 3)), jnp.zeros((2, 1, 3)), 0.0, jnp.zeros((2, 1)), 1
            ),
            "levels is 1",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, sentence):
    with pytest.raises(UserError, match=sentence):
        call()
