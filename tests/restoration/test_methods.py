"""Searches and chains, as `gvlab restore` drives them, against the closed forms of a linear generator."""

import json
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab.restoration import driving, methods, operators

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "restoration.json").read_text())["linear_generator"]
NOISE, SHAPE = 0.05, (16, 16, 1)


@cache
def problem():
    """(generate, operator, y [1, 12]) of the recipe."""
    n, k = np.mgrid[0:256, 0:5]
    weights, offset = np.sin(0.31 * (n + 1) * (k + 1) + 0.2) / 4, 0.5 + 0.1 * np.cos(0.05 * np.arange(256))
    r, n = np.mgrid[0:12, 0:256]
    phase = np.modf(0.6180339887498949 * (r + 1) * (n + 1) ** 2)[0]
    operator = operators.matrix(SHAPE, np.sqrt(2 / 80) * np.cos(0.7 + 2 * np.pi * phase))

    def generate(z, image):
        return (z @ jnp.asarray(weights.T.astype(z.dtype)) + jnp.asarray(offset.astype(z.dtype))[None]).reshape(
            -1, *SHAPE
        )

    z = jnp.asarray([[0.8, -1.1, 0.3, 0.5, -0.4]])
    y = jax.vmap(operator.apply)(generate(z, None)) + NOISE * jnp.sin(3.1 * jnp.arange(12))[None]
    return generate, operator, y


def decode(given, z, image):
    return problem()[0](z, image) + given


def found(weight, steps=1_510, restarts=3):
    """(what is found, what is heard of it), as `gvlab restore` searches."""
    _, operator, y = problem()
    by, heard = driving.searcher(decode, operator, latent_dim=5, restarts=restarts, rate=0.02, weight=weight), []
    both = jnp.concatenate([y, y])
    result = driving.searched(by, 0.0, jax.random.key(0), both, steps, lambda *now: heard.append(now))
    return result, heard


@pytest.mark.parametrize(
    ("weight", "stride", "z", "objective"),
    [
        (0.1, 1, GOLDEN["csgm_sum_lambda0.1"]["z"], GOLDEN["csgm_sum_lambda0.1"]["objective"]),
        (0.1, 50, GOLDEN["csgm_sum_lambda0.1"]["z"], GOLDEN["csgm_sum_lambda0.1"]["objective"]),
        (NOISE**2, 50, GOLDEN["posterior_mean"], None),
    ],
)
def test_searching_meets_the_optimum_from_every_start(weight, stride, z, objective, monkeypatch):
    """A step at a time, as on CPU, and 50 at once, as on accelerators."""
    monkeypatch.setattr(driving, "stride_here", lambda: stride)
    result, heard = found(weight)
    np.testing.assert_allclose(result.z, [z, z], atol=2e-4)
    if objective is not None:
        np.testing.assert_allclose(result.objective, np.full((2, 3), objective), rtol=1e-4)
    assert result.x.shape == (2, *SHAPE)
    assert heard == [(done, 1_510) for done in range(0, 1_510, stride)]


def test_many_steps_at_once_are_as_many_single_ones(monkeypatch):
    """Far from the optimum, where another number of steps ends elsewhere."""
    one = found(0.1, steps=7)[0]
    monkeypatch.setattr(driving, "stride_here", lambda: 3)
    np.testing.assert_allclose(found(0.1, steps=7)[0].z, one.z, rtol=1e-5)
    assert np.abs(found(0.1, steps=6)[0].z - one.z).max() > 1e-3


def test_the_best_restart_is_the_one_of_the_least_objective():
    result, _ = found(0.1, steps=1, restarts=8)
    _, operator, y = problem()
    again = methods.squared_error(operator, result.x, jnp.concatenate([y, y])) + 0.1 * (result.z**2).sum(-1)
    np.testing.assert_allclose(again, result.objective.min(axis=1), rtol=1e-5)


def test_hamiltonian_draws_have_the_posteriors_mean_and_covariance():
    generate, operator, y = problem()
    heard = []
    result = driving.sampled(
        decode, operator, 0.0, jax.random.key(0), y, latent_dim=5, noise=NOISE, chains=16, warmup=400, draws=400,
        thinning=1, listen=lambda *now: heard.append(now),
    )  # fmt: skip
    assert heard == [(done, 800) for done in range(0, 800, 20)]
    z = np.asarray(result.z[:, :, 0], np.float64)
    covariance = np.asarray(GOLDEN["posterior_covariance"])
    deviations = np.sqrt(np.diagonal(covariance))
    np.testing.assert_allclose(z.mean((0, 1)), GOLDEN["posterior_mean"], atol=0.06 * deviations.max())
    np.testing.assert_allclose(np.cov(z.reshape(-1, 5).T), covariance, atol=0.08 * covariance.max())
    assert 0.6 < result.acceptance[0] < 0.97
    pixels = np.asarray(generate(result.z.reshape(-1, 5), None)).reshape(-1, 256).std(0)[[0, 50, 100, 255]]
    np.testing.assert_allclose(pixels, GOLDEN["pixel_sd_0_50_100_255"], rtol=0.06)
