import inspect
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from gvlab.metrics import Moments, frechet_distance, moments
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
