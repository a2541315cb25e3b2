"""On a linear-Gaussian model, x = W z + c + noise, where log p(x) = log N(x; c, W W^T + variance I) is exact."""

import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from gvlab import losses
from gvlab.losses import bernoulli_log_prob, gaussian_log_prob
from gvlab.metrics import ais
from gvlab.metrics.ais import (
    Chains,
    forward_chains,
    gaussian_observation,
    loop_temperatures,
    reverse_chains,
    sigmoid_schedule,
    tune_step_sizes,
)
from gvlab.types import UserError

# One program is compiled for each shape, and not one for each operation.
importance_weighted_bound = jax.jit(losses.importance_weighted_bound)
reverse_bound, effective_sample_size = jax.jit(ais.reverse_bound), jax.jit(ais.effective_sample_size)

LATENT, WIDTH, BATCH, VARIANCE = 3, 6, 20, 0.4
R = np.random.RandomState(0)
W = R.standard_normal((LATENT, WIDTH)).astype(np.float32)
C = R.standard_normal(WIDTH).astype(np.float32)
Z = R.standard_normal((BATCH, LATENT)).astype(np.float32)
X = Z @ W + C + math.sqrt(VARIANCE) * R.standard_normal((BATCH, WIDTH)).astype(np.float32)
EXACT = scipy.stats.multivariate_normal(C, W.T @ W + VARIANCE * np.eye(WIDTH)).logpdf(X)

log_likelihood = gaussian_observation(lambda state, z: z @ state["w"] + state["c"][None], VARIANCE)
GIVEN = ({"w": jnp.asarray(W), "c": jnp.asarray(C)}, jnp.asarray(X))
BETAS = sigmoid_schedule(400)


@pytest.fixture(scope="module")
def pilot():
    return tune_step_sizes(jax.random.key(0), log_likelihood, GIVEN, BETAS, chains=16, batch=BATCH, latent_dim=LATENT)


def forward(pilot, key=1, chains=64, **options):
    return forward_chains(
        jax.random.key(key), log_likelihood, GIVEN, BETAS, pilot.step_sizes, chains=chains, latent_dim=LATENT, **options
    )


@pytest.fixture(scope="module")
def ahead(pilot):
    return forward(pilot)


@pytest.fixture(scope="module")
def back(pilot):
    precision = np.eye(LATENT) + W @ W.T / VARIANCE
    posterior_mean = (X - C) @ W.T @ np.linalg.inv(precision) / VARIANCE
    noise = np.random.RandomState(1).standard_normal((64, BATCH, LATENT))
    z = posterior_mean + noise @ np.linalg.cholesky(np.linalg.inv(precision)).T
    return reverse_chains(
        jax.random.key(2), log_likelihood, GIVEN, BETAS, pilot.step_sizes, jnp.asarray(z, jnp.float32)
    )


def ratios(log_weights, sign=1):
    """exp(+-(log w - exact)) in float64: the expectation is 1, forward with sign 1 and reverse with sign -1."""
    return np.exp(sign * (np.asarray(log_weights, np.float64) - EXACT))


@pytest.mark.parametrize(("direction", "sign"), [("ahead", 1), ("back", -1)])
def test_the_weights_are_unbiased(direction, sign, request):
    found = ratios(request.getfixturevalue(direction).log_weights, sign)
    assert found.shape == (64, BATCH)
    errors = (found.mean(0) - 1) / (found.std(0, ddof=1) / math.sqrt(64))
    # 20 examples with a Student's t of 63 degrees each: 3.6 is exceeded by any of them once in a hundred.
    assert np.abs(errors).max() < 3.6
    pooled = found.mean(0).mean() - 1
    assert abs(pooled) < 3 * found.std(ddof=1) / math.sqrt(found.size)


def test_the_bounds_bracket_the_truth(ahead, back):
    lower = np.asarray(ahead.log_weights, np.float64) - EXACT  # one chain each: the bounds at their loosest
    upper = np.asarray(back.log_weights, np.float64) - EXACT
    for found, sign in ((lower, -1), (upper, 1)):
        error = found.std(ddof=1) / math.sqrt(found.size)
        assert sign * found.mean() > -3 * error
        assert sign * found.mean() > 0.01  # and they are bounds, not the truth itself
    gap = np.asarray(reverse_bound(back.log_weights)) - np.asarray(importance_weighted_bound(ahead.log_weights))
    assert gap.mean() < (upper.mean() - lower.mean()) / 4
    assert abs(np.asarray(importance_weighted_bound(ahead.log_weights)) - EXACT).max() < 0.25


def test_the_last_latents_are_of_the_posterior(ahead):
    precision = np.eye(LATENT) + W @ W.T / VARIANCE
    covariance = np.linalg.inv(precision)
    posterior_mean = (X - C) @ W.T @ covariance / VARIANCE
    weights = np.exp(np.asarray(ahead.log_weights, np.float64) - EXACT)
    weights /= weights.sum(0)
    found = np.einsum("kb,kbd->bd", weights, np.asarray(ahead.z, np.float64))
    deviations = (found - posterior_mean) / np.sqrt(
        np.diag(covariance) / np.asarray(effective_sample_size(ahead.log_weights))[:, None]
    )
    assert np.abs(deviations).max() < 4.2  # 60 deviations
    assert np.abs(deviations.mean()) < 4 / math.sqrt(deviations.size)


def test_importance_weighting_with_the_prior_agrees_with_the_closed_form():
    z = jax.random.normal(jax.random.key(5), (20_000, 2, LATENT))
    wide = gaussian_observation(lambda state, z: z @ state["w"] + state["c"][None], 4.0)
    exact = scipy.stats.multivariate_normal(C, W.T @ W + 4.0 * np.eye(WIDTH)).logpdf(X[:2])
    weights = np.exp(np.asarray(jax.jit(wide)(z, (GIVEN[0], X[:2])), np.float64) - exact)
    assert (abs(weights.mean(0) - 1) < 3 * weights.std(0) / math.sqrt(20_000)).all()


def test_step_sizes_reach_the_wanted_acceptance(pilot, ahead):
    assert pilot.step_sizes.shape == pilot.acceptance.shape == (400, BATCH)
    # The first temperatures are the search.
    assert 0.55 < np.asarray(pilot.acceptance)[100:].mean() < 0.75
    # Frozen, on chains that had no part in the adaptation; one step size is off by some 5 to 20 percent.
    assert 0.55 < np.asarray(ahead.acceptance)[100:].mean() < 0.75
    assert (np.asarray(ahead.acceptance)[100:].mean(0) > 0.45).all()
    low = tune_step_sizes(
        jax.random.key(0), log_likelihood, GIVEN, BETAS, chains=16, batch=BATCH, latent_dim=LATENT, target=0.9
    )
    assert (np.asarray(low.step_sizes)[-1] < np.asarray(pilot.step_sizes)[-1]).mean() > 0.9


def test_more_temperatures_shrink_the_gap(pilot, ahead, back):
    betas = sigmoid_schedule(10)
    sizes = np.asarray(pilot.step_sizes)[39::40]
    few = forward_chains(
        jax.random.key(3), log_likelihood, GIVEN, betas, sizes, chains=64, latent_dim=LATENT
    ).log_weights
    assert np.mean(effective_sample_size(ahead.log_weights)) > 2 * np.mean(effective_sample_size(few))
    many = np.asarray(ahead.log_weights, np.float64)
    few = np.asarray(few, np.float64)
    error = math.hypot(few.std() / math.sqrt(few.size), many.std() / math.sqrt(many.size))
    assert many.mean() - few.mean() > 3 * error


def test_equal_seeds_give_equal_numbers_and_others_do_not(pilot, ahead):
    again = forward(pilot)
    for one, other in zip(ahead, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(forward(pilot, key=7).log_weights, ahead.log_weights)


def test_the_loop_gives_what_the_scan_gives():
    betas, sizes = sigmoid_schedule(4), np.full((4, BATCH), 0.05, np.float32)
    options = dict(chains=3, latent_dim=LATENT, leapfrog_steps=2)
    scanned = forward_chains(jax.random.key(1), log_likelihood, GIVEN, betas, sizes, **options)
    looped = forward_chains(jax.random.key(1), log_likelihood, GIVEN, betas, sizes, **options, loop=loop_temperatures)
    for one, other in zip(scanned, looped, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-5)


def test_one_compilation_serves_all_batches(pilot):
    traces = 0

    def counting(z, given):
        nonlocal traces
        traces += 1
        return log_likelihood(z, given)

    def run(key, x):
        sizes = np.full((3, BATCH), 0.05, np.float32)
        forward_chains(
            key, counting, (GIVEN[0], x), sigmoid_schedule(3), sizes, chains=2, latent_dim=LATENT, leapfrog_steps=2
        )

    run(jax.random.key(0), GIVEN[1])
    once = traces
    run(jax.random.key(1), jnp.asarray(X + 1))
    assert traces <= once + 1  # the look at the shape


def test_a_likelihood_without_information_costs_nothing():
    # p(x|z) = p(x): every weight is exact, and the chains stay in the prior.
    flat = lambda z, x: jnp.full(z.shape[:2], -3.0) + 0.0 * z.sum(-1)  # noqa: E731
    sizes = np.full((5, 2), 1.0, np.float32)
    found = forward_chains(jax.random.key(0), flat, None, sigmoid_schedule(5), sizes, chains=500, latent_dim=4)
    np.testing.assert_allclose(found.log_weights, -3.0, rtol=1e-6)
    np.testing.assert_allclose(effective_sample_size(found.log_weights), 500, rtol=1e-4)
    z = np.asarray(found.z)
    assert abs(z.mean()) < 3 / math.sqrt(z.size)
    assert abs((z**2).mean() - 1) < 3 * math.sqrt(2 / z.size)


def test_an_overflowing_trajectory_is_rejected():
    steep = lambda z, x: -(jnp.exp(z**2).sum(-1) ** 4)  # noqa: E731, infinite a few units from 0
    sizes = np.full((3, 1), 50.0, np.float32)
    start = jnp.asarray(np.zeros((4, 1, 2), np.float32))
    found = reverse_chains(jax.random.key(0), steep, None, sigmoid_schedule(3), sizes, start)
    np.testing.assert_array_equal(found.z, start)
    np.testing.assert_array_equal(found.acceptance, 0.0)
    np.testing.assert_allclose(found.log_weights, -16.0, rtol=1e-6)


def test_schedule():
    betas = sigmoid_schedule(10)
    assert betas.shape == (11,)
    assert (betas[0], betas[-1]) == (0.0, 1.0)
    sigmoid = lambda t: 1 / (1 + math.exp(-t))  # noqa: E731
    expected = (sigmoid(4 * (2 * 3 / 10 - 1)) - sigmoid(-4)) / (sigmoid(4) - sigmoid(-4))
    np.testing.assert_allclose(betas[3], expected, rtol=1e-12)
    np.testing.assert_allclose(betas, 1 - betas[::-1], atol=1e-15)


def test_bounds_and_sizes_of_known_weights():
    log_weights = np.log(np.array([[1.0, 2.0], [3.0, 2.0]], np.float32))
    np.testing.assert_allclose(reverse_bound(log_weights), np.log([1.5, 2.0]), rtol=1e-6)
    np.testing.assert_allclose(effective_sample_size(log_weights), [16 / 10, 2.0], rtol=1e-6)
    np.testing.assert_allclose(effective_sample_size(log_weights - 800.0), [16 / 10, 2.0], rtol=1e-4)


def test_gaussian_observation_is_the_likelihood():
    z = jax.random.normal(jax.random.key(0), (2, BATCH, LATENT))
    image = gaussian_observation(lambda state, z: (z @ state["w"]).reshape(-1, 2, 3), 0.3)
    given = (GIVEN[0], X.reshape(BATCH, 2, 3))
    expected = jax.jit(lambda z: gaussian_log_prob(z @ GIVEN[0]["w"], math.log(0.3), GIVEN[1]))(z)
    np.testing.assert_allclose(jax.jit(image)(z, given), expected, rtol=1e-5)


def test_works_on_binary_data():
    """A VAE's likelihood: one latent, so the integral is a sum over a grid."""
    w, b = jnp.asarray(R.standard_normal((1, 8)), jnp.float32), jnp.asarray(R.standard_normal(8), jnp.float32)
    x = jnp.asarray(R.randint(0, 2, (5, 8)), jnp.float32)
    bernoulli = lambda z, x: bernoulli_log_prob(z @ w + b, x)  # noqa: E731
    with jax.numpy_rank_promotion("allow"):
        grid = np.linspace(-9, 9, 4001)
        points = np.broadcast_to(grid.astype(np.float32)[:, None, None], (4001, 5, 1))
        values = np.asarray(jax.jit(bernoulli)(points, x))
        density = scipy.stats.norm.pdf(grid)[:, None] * np.exp(values.astype(np.float64))
        exact = np.log(density.sum(0) * (grid[1] - grid[0]))
        sizes = np.full((20, 5), 1.0, np.float32)
        found = forward_chains(
            jax.random.key(0), bernoulli, x, sigmoid_schedule(20), sizes, chains=100, latent_dim=1, leapfrog_steps=3
        )
    weights = np.exp(np.asarray(found.log_weights, np.float64) - exact)
    assert (abs(weights.mean(0) - 1) < 3.5 * weights.std(0) / 10).all()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (dict(betas=np.array([0.0, 0.5])), "must rise strictly from 0 to 1"),
        (dict(betas=np.array([0.0, 0.5, 0.5, 1.0])), "must rise strictly"),
        (dict(betas=np.array([0.0])), "betas are 1 values"),
        (dict(chains=0), "chains is 0"),
        (dict(latent_dim=0), "latent_dim is 0"),
        (dict(batch=0), "batch is 0"),
        (dict(leapfrog_steps=0), "leapfrog_steps is 0"),
        (dict(target=1.0), "target is 1.0"),
        (dict(x=(GIVEN[0], GIVEN[1].at[3, 0].set(jnp.nan))), "not finite at the first latents of example 3"),
        (dict(log_likelihood=lambda z, x: z.sum()), r"gives the shape \(\)"),
    ],
)
def test_refuses_bad_arguments(options, sentence):
    arguments = dict(log_likelihood=log_likelihood, x=GIVEN, betas=BETAS, chains=2, batch=BATCH, latent_dim=LATENT)
    with pytest.raises(UserError, match=sentence):
        tune_step_sizes(jax.random.key(0), **(arguments | options))


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        (np.full((399, BATCH), 0.1), "step_sizes has 399 rows, but 401 betas make 400"),
        (np.full((400, BATCH), 0.0), "step_sizes go from 0.0 to 0.0"),
        (np.full((400, BATCH), np.nan), "step_sizes go from nan"),
    ],
)
def test_refuses_bad_step_sizes(sizes, sentence):
    with pytest.raises(UserError, match=sentence):
        forward_chains(jax.random.key(0), log_likelihood, GIVEN, BETAS, jnp.asarray(sizes), chains=2, latent_dim=LATENT)


def test_refuses_starts_of_another_batch():
    with pytest.raises(UserError, match="z has 3 examples, but step_sizes 20"):
        inspect.unwrap(reverse_chains)(  # without the tests' type checks
            jax.random.key(0), log_likelihood, GIVEN, BETAS, jnp.full((400, BATCH), 0.1), jnp.zeros((2, 3, LATENT))
        )


@pytest.mark.parametrize("variance", [0.0, -1.0, math.inf, math.nan])
def test_refuses_a_bad_variance(variance):
    with pytest.raises(UserError, match="variance is"):
        gaussian_observation(lambda state, z: z, variance)


@pytest.mark.parametrize(("arguments", "sentence"), [((0,), "transitions is 0"), ((10, 0.0), "sharpness is 0.0")])
def test_refuses_bad_schedules(arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        sigmoid_schedule(*arguments)


def test_the_signatures_are_kept():
    names = list(inspect.signature(forward_chains).parameters)
    assert names[:5] == ["key", "log_likelihood", "x", "betas", "step_sizes"]
    assert Chains._fields == ("log_weights", "acceptance", "z")
