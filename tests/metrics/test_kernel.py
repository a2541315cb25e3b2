import inspect
import json
import tracemalloc
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from gvlab.metrics.kernel import gaussian_mmd2, polynomial_mmd2, polynomial_mmd2_blocks, polynomial_mmd2_subsets
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "arithmetic.json").read_text())["arithmetic"]["kid"]

DISTRIBUTIONS = json.loads((Path(__file__).parents[1] / "golden" / "distributions.json").read_text())["arithmetic"]


def normal(seed, *shape):
    return np.random.RandomState(seed).standard_normal(shape)


F1 = normal(10, 600, 12)
F2 = normal(12, 500, 12) @ (np.eye(12) + 0.3 * normal(13, 12, 12)) + 0.25


def twin(x, y, degree=3, gamma=None, coef=1.0):
    """Gretton 2012, eq. 3, term by term."""
    gamma = gamma or 1 / x.shape[1]
    kernel = lambda p, q: (gamma * p @ q + coef) ** degree  # noqa: E731
    xx = [kernel(p, q) for i, p in enumerate(x) for j, q in enumerate(x) if i != j]
    yy = [kernel(p, q) for i, p in enumerate(y) for j, q in enumerate(y) if i != j]
    return np.mean(xx) + np.mean(yy) - 2 * np.mean([kernel(p, q) for p in x for q in y])


def test_agrees_with_the_published_implementations():
    full = GOLDEN["F1[:500]_F2_single_full_subset_unbiased"][0]
    np.testing.assert_allclose(polynomial_mmd2(F1[:500], F2), full, rtol=1e-6)
    np.testing.assert_allclose(polynomial_mmd2(F2, F1[:500]), full, rtol=1e-6)
    np.testing.assert_allclose(
        polynomial_mmd2(F1[:500], F2, degree=2, gamma=0.5, coef=0.0), GOLDEN["degree2_gamma0.5_coef0"][0], rtol=1e-6
    )


def test_subsets_agree_with_torch_fidelity_seed_for_seed():
    found = polynomial_mmd2_subsets(F1, F2, subsets=50, size=100, seed=2020)
    np.testing.assert_allclose(found, GOLDEN["torch_fidelity_subsets50_size100_seed2020 [mean,std]"], rtol=1e-6)


@pytest.mark.parametrize(("degree", "gamma", "coef"), [(1, None, 1.0), (2, 0.3, 0.0), (3, None, 1.0), (5, 0.1, 2.0)])
def test_unequal_sets_agree_with_the_definition(degree, gamma, coef):
    x, y = normal(0, 7, 3), 1.5 * normal(1, 5, 3)
    found = polynomial_mmd2(x, y, degree, gamma, coef)
    np.testing.assert_allclose(found, twin(x, y, degree, gamma, coef), rtol=1e-12)


def test_tiles_do_not_change_the_result(monkeypatch):
    x, y = normal(2, 23, 4), normal(3, 17, 4) + 1.0
    whole = polynomial_mmd2(x, y)
    for tile in (1, 5, 23):
        monkeypatch.setattr("gvlab.metrics.kernel._TILE", tile)
        np.testing.assert_allclose(polynomial_mmd2(x, y), whole, rtol=1e-12)


def test_memory_is_that_of_a_tile(monkeypatch):
    monkeypatch.setattr("gvlab.metrics.kernel._TILE", 64)
    x, y = normal(4, 3000, 2), normal(5, 3000, 2)
    tracemalloc.start()
    polynomial_mmd2(x, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6  # one whole kernel matrix has 72e6 bytes


def test_unbiased_under_the_null():
    # Two sets of one distribution: the mean over independent pairs is 0 within 4 standard errors, and signs are mixed.
    estimates = np.array([polynomial_mmd2(normal(100 + i, 30, 4), normal(500 + i, 20, 4)) for i in range(300)])
    assert abs(estimates.mean()) < 4 * estimates.std(ddof=1) / np.sqrt(estimates.size)
    assert 0.2 < (estimates < 0).mean() < 0.8


def test_degree_one_estimates_the_distance_of_the_means():
    # k(x, y) = x.y + c: MMD^2 = |mean difference|^2, here 4 * 2^2 = 16.
    estimates = [
        polynomial_mmd2(normal(i, 50, 4), normal(1000 + i, 50, 4) + 2.0, degree=1, gamma=1.0) for i in range(200)
    ]
    assert abs(np.mean(estimates) - 16.0) < 4 * np.std(estimates, ddof=1) / np.sqrt(200)


def test_identical_sets_and_constant_sets():
    # The U-statistic of a set with itself leaves the diagonal out on one side only: below 0, by the known amount.
    kernel = (F1 @ F1.T / 12 + 1) ** 3
    n = len(F1)
    within = (kernel.sum() - np.trace(kernel)) / (n * (n - 1))
    np.testing.assert_allclose(polynomial_mmd2(F1, F1), 2 * within - 2 * kernel.mean(), rtol=1e-9)
    assert polynomial_mmd2(np.ones((5, 3)), np.ones((4, 3))) == pytest.approx(0.0, abs=1e-14)


def test_takes_jax_arrays_and_low_precision_in_float64():
    pixels = np.random.RandomState(6).randint(0, 256, (40, 9)).astype(np.uint8)
    a, b = pixels[:20], pixels[20:]
    assert polynomial_mmd2(jnp.asarray(a), jnp.asarray(b)) == polynomial_mmd2(a.astype(float), b.astype(float))


def test_subsets_depend_on_the_seed_alone():
    one = polynomial_mmd2_subsets(F1, F2, subsets=3, size=50, seed=1)
    assert one == polynomial_mmd2_subsets(F1, F2, subsets=3, size=50, seed=1)
    assert one != polynomial_mmd2_subsets(F1, F2, subsets=3, size=50, seed=2)
    # Subsets of everything are everything, in another order.
    mean, std = polynomial_mmd2_subsets(F1[:500], F2, subsets=2, size=500, seed=0)
    np.testing.assert_allclose(mean, polynomial_mmd2(F1[:500], F2), rtol=1e-12)
    assert std < 1e-12


@pytest.mark.parametrize(
    ("a", "b", "sentence"),
    [
        (F1[:1], F2, "a has 1 row"),
        (F1, F2[:1], "b has 1 row"),
        (F1, F2[:, :5], "12 and 5 features"),
        (F1[:, 0], F2, r"a has shape \(600,\)"),
        (F1, np.where(np.arange(6000).reshape(500, 12) == 40, np.nan, F2), r"b\[3, 4\] is nan"),
    ],
)
def test_refuses_sets_without_an_estimate(a, b, sentence):
    with pytest.raises(UserError, match=sentence):  # unwrapped: without the tests' type checks
        inspect.unwrap(polynomial_mmd2)(a, b)
    with pytest.raises(UserError, match=sentence):
        inspect.unwrap(polynomial_mmd2_subsets)(a, b, subsets=2, size=2, seed=0)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"size": 501}, "size is 501, but a subset has from 2 to 500"),
        ({"size": 1}, "size is 1,"),
        ({"size": 10, "subsets": 0}, "subsets is 0"),
    ],
)
def test_refuses_impossible_subsets(options, sentence):
    with pytest.raises(UserError, match=sentence):
        polynomial_mmd2_subsets(F1, F2, seed=0, **options)


def test_refuses_a_kernel_of_degree_zero():
    with pytest.raises(UserError, match="degree is 0"):
        polynomial_mmd2(F1, F2, degree=0)


def test_blocks_are_disjoint_and_have_the_mean_and_its_error():
    estimates = [polynomial_mmd2(F1[i : i + 120], F2[i : i + 120]) for i in (0, 120, 240, 360)]
    mean, error = polynomial_mmd2_blocks(F1, F2, size=120)
    np.testing.assert_allclose(mean, np.mean(estimates), rtol=1e-12)
    np.testing.assert_allclose(error, np.std(estimates, ddof=1) / 2, rtol=1e-12)


def test_blocks_are_unbiased_with_an_honest_error():
    # Degree 3 on one distribution: 0 within 4 standard errors, and the error is that of the mean.
    found = np.array([polynomial_mmd2_blocks(normal(i, 200, 3), normal(1000 + i, 200, 3), size=20) for i in range(100)])
    deviation = found[:, 0].std(ddof=1)
    assert abs(found[:, 0].mean()) < 4 * deviation / 10
    # The deviation of 100 values has a relative error of 7 %, the root of 100 mean variances of 10 values one of 2 %.
    np.testing.assert_allclose(np.sqrt(np.mean(found[:, 1] ** 2)), deviation, rtol=4 * 0.08)


@pytest.mark.parametrize(("size", "sentence"), [(251, "size is 251, but two blocks .* 2 to 250"), (1, "size is 1,")])
def test_refuses_fewer_than_two_blocks(size, sentence):
    with pytest.raises(UserError, match=sentence):
        polynomial_mmd2_blocks(F1, F2, size=size)


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_gaussian_kernel_agrees_with_the_published_cmmd():
    golden = DISTRIBUTIONS["cmmd"]
    np.testing.assert_allclose(1000 * gaussian_mmd2(unit(F1), unit(F2)), golden["unit_normalised_F1_F2"], rtol=1e-6)
    np.testing.assert_allclose(1000 * gaussian_mmd2(F1, F2), golden["raw_F1_F2"], rtol=1e-6)


@pytest.mark.parametrize("tile", [5, 1024])
def test_gaussian_kernel_is_the_definition(tile, monkeypatch):
    monkeypatch.setattr("gvlab.metrics.kernel._TILE", tile)
    x, y = normal(7, 23, 4), normal(8, 17, 4) + 1.0
    kernel = lambda p, q: np.mean([[np.exp(-np.sum((u - v) ** 2) / (2 * 0.7**2)) for v in q] for u in p])  # noqa: E731
    expected = kernel(x, x) + kernel(y, y) - 2 * kernel(x, y)
    np.testing.assert_allclose(gaussian_mmd2(x, y, bandwidth=0.7), expected, rtol=1e-12)
    np.testing.assert_allclose(gaussian_mmd2(1e6 + x, 1e6 + y, bandwidth=0.7), expected, rtol=1e-8)


def test_gaussian_kernel_of_points():
    # Two sets of equal points at distance r: 2 - 2 exp(-r^2 / (2 s^2)).
    a, b = np.zeros((3, 1)), np.full((2, 1), 3.0)
    np.testing.assert_allclose(gaussian_mmd2(a, b, bandwidth=2.0), 2 - 2 * np.exp(-9 / 8), rtol=1e-14)
    assert gaussian_mmd2(a, a + 1e3, bandwidth=2.0) == 2.0  # disjoint
    assert gaussian_mmd2(F1, F1) == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("bandwidth", [0.0, -1.0, np.inf, np.nan])
def test_refuses_a_kernel_without_length(bandwidth):
    with pytest.raises(UserError, match="bandwidth is"):
        gaussian_mmd2(F1, F2, bandwidth=bandwidth)


@pytest.mark.parametrize("measure", [gaussian_mmd2, polynomial_mmd2_blocks])
def test_the_other_estimates_refuse_what_is_no_set(measure):
    with pytest.raises(UserError, match="a has 1 row"):
        measure(F1[:1], F2)
    with pytest.raises(UserError, match="12 and 5 features"):
        measure(F1, F2[:, :5])
