"""Methods against the closed forms of a linear generator."""

import json
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab.restoration import methods, operators

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


def found(weight, **options):
    generate, operator, y = problem()
    settings = {"latent_dim": 5, "restarts": 3, "steps": 1_500, "rate": 0.02} | options
    run = jax.jit(lambda key, y: methods.optimise(key, generate, operator, y, weight=weight, **settings))
    return run(jax.random.key(0), jnp.concatenate([y, y]))


@pytest.mark.parametrize(
    ("weight", "z", "objective"),
    [
        (0.1, GOLDEN["csgm_sum_lambda0.1"]["z"], GOLDEN["csgm_sum_lambda0.1"]["objective"]),
        (NOISE**2, GOLDEN["posterior_mean"], None),
    ],
)
def test_optimising_meets_the_optimum_from_every_start(weight, z, objective):
    result = found(weight)
    np.testing.assert_allclose(result.z, [z, z], atol=2e-4)
    if objective is not None:
        np.testing.assert_allclose(result.objective, np.full((2, 3), objective), rtol=1e-4)
    assert result.x.shape == (2, *SHAPE)


def test_the_best_restart_is_the_one_of_the_least_objective():
    result = found(0.1, steps=1, restarts=8)
    _, operator, y = problem()
    again = methods.squared_error(operator, result.x, jnp.concatenate([y, y])) + 0.1 * (result.z**2).sum(-1)
    np.testing.assert_allclose(again, result.objective.min(axis=1), rtol=1e-5)


def test_a_start_that_is_given_is_the_first_restart():
    generate, operator, y = problem()
    start = jnp.asarray([GOLDEN["csgm_sum_lambda0.1"]["z"]])
    run = jax.jit(
        lambda key, y: methods.optimise(
            key, generate, operator, y, latent_dim=5, restarts=4, steps=0, rate=0.1, weight=0.1, start=start
        )
    )
    np.testing.assert_allclose(run(jax.random.key(1), y).z, start, rtol=1e-6)


def test_hamiltonian_draws_have_the_posteriors_mean_and_covariance():
    generate, operator, y = problem()
    run = jax.jit(
        lambda key, y: methods.posterior(
            key, generate, operator, y, latent_dim=5, noise=NOISE, chains=16, warmup=400, draws=400
        )
    )
    result = run(jax.random.key(0), y)
    z = np.asarray(result.z[:, :, 0], np.float64)
    covariance = np.asarray(GOLDEN["posterior_covariance"])
    deviations = np.sqrt(np.diagonal(covariance))
    np.testing.assert_allclose(z.mean((0, 1)), GOLDEN["posterior_mean"], atol=0.06 * deviations.max())
    np.testing.assert_allclose(np.cov(z.reshape(-1, 5).T), covariance, atol=0.08 * covariance.max())
    assert 0.6 < result.acceptance[0] < 0.97
    pixels = np.asarray(generate(result.z.reshape(-1, 5), None)).reshape(-1, 256).std(0)[[0, 50, 100, 255]]
    np.testing.assert_allclose(pixels, GOLDEN["pixel_sd_0_50_100_255"], rtol=0.06)
