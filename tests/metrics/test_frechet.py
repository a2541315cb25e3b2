import inspect
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from gvlab.metrics.frechet import (
    Moments,
    frechet_bias,
    frechet_distance,
    frechet_distance_ddof0,
    frechet_distance_infinity,
    moments,
    moments_compute,
    moments_init,
    moments_merge,
    moments_update,
)
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "arithmetic.json").read_text())["arithmetic"]["fid"]


def normal(seed, *shape):
    return np.random.RandomState(seed).standard_normal(shape)


F1 = normal(10, 600, 12)
F2 = normal(12, 500, 12) @ (np.eye(12) + 0.3 * normal(13, 12, 12)) + 0.25
H1 = np.maximum(normal(14, 40, 64), 0)
H2 = np.maximum(0.8 * normal(15, 50, 64) + 0.1, 0)


def distance(a, b):
    return frechet_distance(moments(a), moments(b))


@pytest.mark.parametrize("implementation", ["torch_fidelity", "pytorch_fid_sqrtm", "clean_fid", "dgm_eval_efficient"])
@pytest.mark.parametrize(("pair", "a", "b"), [("F1_F2", F1, F2), ("H1_H2_rank_deficient", H1, H2)])
def test_agrees_with_the_published_implementations(implementation, pair, a, b):
    np.testing.assert_allclose(distance(a, b), GOLDEN[pair][implementation], rtol=1e-6)
    np.testing.assert_allclose(distance(b, a), GOLDEN[pair][implementation], rtol=1e-6)


@pytest.mark.parametrize("x", [F1, H1, 1e6 + F1, normal(0, 50, 1), np.ones((5, 3))])
def test_identical_sets_are_at_distance_zero(x):
    found = distance(x, x)
    assert 0.0 <= found <= 1e-13 * max(1.0, np.trace(moments(x).covariance))


def test_moments_are_numpys():
    found = moments(F2.astype(np.float32))
    exact = F2.astype(np.float32).astype(np.float64)
    assert found.count == 500
    assert found.mean.dtype == found.covariance.dtype == np.float64
    np.testing.assert_allclose(found.mean, exact.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(exact, rowvar=False), rtol=1e-12, atol=1e-15)


def test_moments_of_jax_arrays_and_bytes():
    pixels = np.random.RandomState(1).randint(0, 256, (20, 5)).astype(np.uint8)
    np.testing.assert_array_equal(moments(jnp.asarray(pixels)).covariance, moments(pixels.astype(float)).covariance)


def test_one_dimension_has_the_closed_form():
    # (mean difference)^2 + (difference of standard deviations)^2
    a, b = normal(2, 300, 1), 3.0 * normal(3, 200, 1) + 5.0
    expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    np.testing.assert_allclose(distance(a, b), expected, rtol=1e-12)


def test_commuting_covariances_have_the_closed_form():
    rotation = scipy.linalg.qr(normal(4, 6, 6))[0]
    variances_a, variances_b = np.arange(6.0), np.array([4.0, 0.0, 1.0, 9.0, 0.0, 2.0])
    shift = np.arange(6.0)
    a = Moments(10, np.zeros(6), rotation @ np.diag(variances_a) @ rotation.T)
    b = Moments(10, shift, rotation @ np.diag(variances_b) @ rotation.T)
    expected = shift @ shift + np.sum((np.sqrt(variances_a) - np.sqrt(variances_b)) ** 2)
    np.testing.assert_allclose(frechet_distance(a, b), expected, rtol=1e-12)


def test_disjoint_supports_do_not_overlap():
    # Covariances on orthogonal subspaces: tr (A B)^(1/2) = 0, exactly the sum of the traces and the shift.
    a, b = np.zeros((30, 8)), np.zeros((30, 8))
    a[:, :4], b[:, 4:] = normal(5, 30, 4), normal(6, 30, 4)
    ma, mb = moments(a), moments(b)
    expected = np.sum((ma.mean - mb.mean) ** 2) + np.trace(ma.covariance) + np.trace(mb.covariance)
    np.testing.assert_allclose(frechet_distance(ma, mb), expected, rtol=1e-12)


def test_degenerate_sets_stay_real():
    constant = np.full((7, 12), 3.0)
    covariance = moments(F1)
    expected = np.sum((covariance.mean - 3.0) ** 2) + np.trace(covariance.covariance)
    np.testing.assert_allclose(distance(F1, constant), expected, rtol=1e-12)
    assert distance(constant, constant - 1.0) == pytest.approx(12.0, rel=1e-14)
    two_rows = distance(normal(7, 2, 200), normal(8, 2, 200))  # rank 1 of 200
    assert np.isfinite(two_rows)
    assert two_rows > 0


def test_wide_spectra_keep_their_digits():
    # Condition number 1e12 against a scaled copy: tr((1 - s)^2 A) exactly.
    values = np.logspace(-8, 4, 40)
    rotation = scipy.linalg.qr(normal(9, 40, 40))[0]
    covariance = (rotation * values) @ rotation.T
    a, b = Moments(99, np.zeros(40), covariance), Moments(99, np.zeros(40), 1.21 * covariance)
    np.testing.assert_allclose(frechet_distance(a, b), 0.01 * values.sum(), rtol=1e-10)


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        (np.zeros((1, 4)), r"features has 1 row"),
        (np.zeros((0, 4)), r"features has 0 row"),
        (np.zeros(4), r"features has shape \(4,\)"),
        (np.zeros((4, 2, 2)), r"features has shape \(4, 2, 2\)"),
        (np.zeros((4, 0)), r"features has shape \(4, 0\)"),
        (np.array([[0.0, 1.0], [np.nan, 2.0]]), r"features\[1, 0\] is nan"),
        (np.array([[0.0, 1.0], [2.0, -np.inf]]), r"features\[1, 1\] is -inf"),
    ],
)
def test_refuses_features_without_moments(features, sentence):
    with pytest.raises(UserError, match=sentence):  # unwrapped: without the tests' type checks
        inspect.unwrap(moments)(features)


def test_refuses_moments_that_cannot_be_compared():
    with pytest.raises(UserError, match="12 and 64 features"):
        distance(F1, H1)
    broken = Moments(10, np.zeros(12), np.full((12, 12), np.nan))
    with pytest.raises(UserError, match="moments b hold NaN"):
        frechet_distance(moments(F1), broken)


@pytest.mark.parametrize(("pair", "a", "b"), [("F1_F2", F1, F2), ("H1_H2_rank_deficient", H1, H2)])
def test_ddof0_agrees_with_the_published_formula(pair, a, b):
    expected = GOLDEN[pair]["formula_of_stylegan3_metric_utils_ddof0"]
    np.testing.assert_allclose(frechet_distance_ddof0(moments(a), moments(b)), expected, rtol=1e-6)


def by_roots(a, b):
    """The distance by symmetric roots and singular values, each at its most exact."""

    def root(covariance):
        values, vectors = np.linalg.eigh(covariance)
        return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T

    cross = np.linalg.svd(root(a.covariance) @ root(b.covariance), compute_uv=False).sum()
    return np.sum((a.mean - b.mean) ** 2) + np.trace(a.covariance) + np.trace(b.covariance) - 2 * cross


@pytest.mark.parametrize("decay", [0.0, 1.0, 4.0])
def test_the_cheaper_way_is_taken_only_where_it_is_exact(decay):
    # Spectra from flat (the roots of eigenvalues will do) to a condition number of 1e16 (only singular values will).
    scales = np.arange(1.0, 101.0) ** -decay
    a, b = moments(normal(20, 400, 100) * scales), moments(normal(21, 300, 100) @ normal(22, 100, 100) * scales)
    np.testing.assert_allclose(frechet_distance(a, b), by_roots(a, b), rtol=1e-9)


def streamed(x, sizes):
    state, start = moments_init(x.shape[1]), 0
    for size in sizes:
        state = moments_update(state, x[start : start + size])
        start += size
    assert start == len(x)
    return state


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6, 1e9])
@pytest.mark.parametrize("sizes", [[500], [1, 499], [250, 250], [7] * 71 + [3], [1] * 500])
def test_streamed_moments_are_exact_for_features_with_a_big_mean(sizes, offset):
    x = F2 + offset
    found = moments_compute(streamed(x, sizes))
    exact = x.astype(np.longdouble)
    centred = exact - exact.mean(0)
    covariance = (centred.T @ centred / 499).astype(np.float64)
    assert found.count == 500
    np.testing.assert_allclose(found.mean, exact.mean(0).astype(np.float64), rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-12, atol=1e-12 * np.diag(covariance).min())


@pytest.mark.parametrize("cut", [0, 1, 123, 500])
def test_merged_moments_are_those_of_the_whole(cut):
    x = F2 + 1e6
    parts = [streamed(part, [len(part)] if len(part) else []) for part in (x[:cut], x[cut:])]
    whole = moments_compute(streamed(x, [500]))
    for merged in (moments_merge(*parts), moments_merge(*reversed(parts))):
        found = moments_compute(merged)
        assert found.count == 500
        np.testing.assert_allclose(found.mean, whole.mean, rtol=1e-15)
        np.testing.assert_allclose(found.covariance, whole.covariance, rtol=1e-12, atol=1e-13)


def test_running_moments_are_values():
    state = streamed(F1, [300, 300])
    leaves, tree = jax.tree.flatten(state)
    again = jax.tree.unflatten(tree, leaves)
    before = moments_compute(state)
    moments_update(again, F1)
    np.testing.assert_array_equal(moments_compute(state).covariance, before.covariance)
    pixels = np.random.RandomState(1).randint(0, 256, (20, 5)).astype(np.uint8)
    found = moments_compute(streamed(jnp.asarray(pixels), [20]))
    np.testing.assert_allclose(found.covariance, np.cov(pixels.astype(float), rowvar=False), rtol=1e-12)


def test_running_moments_refuse_what_they_cannot_hold():
    with pytest.raises(UserError, match="were 0 row"):
        moments_compute(moments_init(3))
    with pytest.raises(UserError, match="were 1 row"):
        moments_compute(moments_update(moments_init(3), np.ones((1, 3))))
    with pytest.raises(UserError, match="3 and 4 features"):
        moments_update(moments_init(3), np.ones((2, 4)))
    with pytest.raises(UserError, match="3 and 4 features"):
        moments_merge(moments_init(3), moments_init(4))
    with pytest.raises(UserError, match=r"features\[0, 1\] is nan"):
        moments_update(moments_init(2), np.array([[0.0, np.nan]]))
    with pytest.raises(UserError, match="width is 0"):
        moments_init(0)


def test_infinity_takes_the_bias_away():
    # The distance of N rows to the moments of their own distribution is about d (d + 5) / (4 N), and 0 at infinity.
    reference = Moments(10**9, np.zeros(4), np.eye(4))
    sets = [normal(100 + i, 3000, 4) for i in range(40)]
    plain = np.array([frechet_distance(moments(x[:600]), reference) for x in sets])
    free = np.array([frechet_distance_infinity(x, reference, smallest=200, seed=0) for x in sets])
    error = free.std(ddof=1) / np.sqrt(len(free))
    assert abs(free.mean()) < 4 * error
    assert plain.mean() > 4 * error
    assert (free < 0).any()


def test_infinity_is_the_intercept_of_the_published_recipe():
    x, reference = normal(30, 400, 5), moments(normal(31, 300, 5) + 0.5)
    random = np.random.RandomState(7)
    sizes = np.linspace(50, 400, 15).astype("int32")
    distances = [frechet_distance(moments(x[random.permutation(400)[:n]]), reference) for n in sizes]
    intercept = np.polyfit(1 / sizes, distances, 1)[1]
    found = frechet_distance_infinity(x, reference, smallest=50, seed=7)
    np.testing.assert_allclose(found, intercept, rtol=1e-9)
    assert found != frechet_distance_infinity(x, reference, smallest=50, seed=8)


def test_infinity_refuses_too_few_rows():
    with pytest.raises(UserError, match="smallest is 5000, but must be from 2 to 599"):
        frechet_distance_infinity(F1, moments(F1), seed=0)
    with pytest.raises(UserError, match="smallest is 1,"):
        frechet_distance_infinity(F1, moments(F1), smallest=1, seed=0)
    with pytest.raises(UserError, match="12 and 64 features"):
        frechet_distance_infinity(F1, moments(H1), smallest=10, seed=0)


@pytest.mark.parametrize(("n", "m"), [(200, 300), (100, 2000)])
def test_the_bias_is_the_mean_distance_of_samples_of_one_gaussian(n, m):
    random = np.random.RandomState(0)
    mixing = random.standard_normal((6, 6)) * np.array([3.0, 1.0, 1.0, 0.3, 0.1, 0.0])
    drawn = [
        distance(random.standard_normal((n, 6)) @ mixing.T, random.standard_normal((m, 6)) @ mixing.T)
        for _ in range(400)
    ]
    expected = frechet_bias(Moments(1000, np.zeros(6), mixing @ mixing.T), n, m)
    error = np.std(drawn) / 20
    assert abs(np.mean(drawn) - expected) < 3 * error + 2 * expected / n  # the rest is of the order 1 / n^2
    assert error < 0.05 * expected


def test_the_bias_has_a_closed_form_where_all_features_vary_alike():
    d = 5
    of_identity = frechet_bias(Moments(2, np.zeros(d), np.eye(d)), 100, 400)
    np.testing.assert_allclose(of_identity, (1 / 100 + 1 / 400) * d * (d + 5) / 4, rtol=1e-12)
    assert frechet_bias(Moments(2, np.zeros(d), np.zeros((d, d))), 100, 400) == 0.0
