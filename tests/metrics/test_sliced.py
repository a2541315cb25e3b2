import inspect
import json
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize

from gvlab.metrics.sliced import random_projections, sliced_wasserstein2, sliced_wasserstein2_gaussian
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "distributions.json").read_text())["arithmetic"]


def normal(seed, *shape):
    return np.random.RandomState(seed).standard_normal(shape)


F1 = normal(10, 600, 12)
F2 = normal(12, 500, 12) @ (np.eye(12) + 0.3 * normal(13, 12, 12)) + 0.25
PROJECTIONS = normal(18, 12, 50) / np.linalg.norm(normal(18, 12, 50), axis=0)


def test_agrees_with_the_published_implementation():
    expected = GOLDEN["pot"]["sliced_w2_F1[:500]_F2_given_projections"]
    np.testing.assert_allclose(sliced_wasserstein2(F1[:500], F2, PROJECTIONS), expected, rtol=1e-6)
    axes = GOLDEN["pot"]["max_1d_w2_per_coordinate_F1[:500]_F2"]  # W_2^2 on single coordinates
    for axis, squared in enumerate(axes):
        found = sliced_wasserstein2(F1[:500], F2, np.eye(12)[:, axis : axis + 1])
        np.testing.assert_allclose(found**2, squared, rtol=1e-6)


def test_the_gaussian_approximation_agrees_with_the_published_implementation():
    expected = GOLDEN["dgm_eval"]["sw_approx_F1_F2"]
    np.testing.assert_allclose(sliced_wasserstein2_gaussian(F1, F2), expected, rtol=1e-6)


def test_unequal_sets_are_coupled_optimally():
    # The linear program over all plans between 7 and 5 points of equal weight.
    x, y = normal(0, 7, 1), 2 * normal(1, 5, 1) + 1
    cost = (x - y.T) ** 2
    rows = np.kron(np.eye(7), np.ones(5))
    columns = np.kron(np.ones(7), np.eye(5))
    plan = scipy.optimize.linprog(
        cost.ravel(), A_eq=np.concatenate([rows, columns]), b_eq=[1 / 7] * 7 + [1 / 5] * 5, bounds=(0, None)
    )
    np.testing.assert_allclose(sliced_wasserstein2(x, y, np.ones((1, 1))) ** 2, plan.fun, rtol=1e-7)
    # Repeating rows changes no distribution.
    np.testing.assert_allclose(
        sliced_wasserstein2(F1, F2, PROJECTIONS),
        sliced_wasserstein2(np.repeat(F1, 2, 0), np.repeat(F2, 3, 0), PROJECTIONS),
        rtol=1e-12,
    )


def test_identical_sets_in_another_order_and_translates():
    assert sliced_wasserstein2(F1, F1[::-1], PROJECTIONS) == pytest.approx(0.0, abs=1e-14)
    shift = normal(2, 12)
    expected = np.sqrt(np.mean((shift @ PROJECTIONS) ** 2))
    np.testing.assert_allclose(sliced_wasserstein2(F1, F1 + shift[None, :], PROJECTIONS), expected, rtol=1e-12)
    assert sliced_wasserstein2(F1, F2, PROJECTIONS) == sliced_wasserstein2(F2, F1, PROJECTIONS)
    assert sliced_wasserstein2_gaussian(F1, F1[::-1]) == pytest.approx(0.0, abs=1e-14)


def test_random_projections_are_uniform_directions():
    directions = random_projections(5, 4000, seed=3)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=0), 1.0, rtol=1e-14)
    np.testing.assert_array_equal(directions, random_projections(5, 4000, seed=3))
    # Second moments are I / d; the variance of u_i u_j is at most that of u_i^2, 2 (d - 1) / (d^2 (d + 2)).
    error = np.sqrt(2 * 4 / (25 * 7) / 4000)
    assert np.abs(directions @ directions.T / 4000 - np.eye(5) / 5).max() < 5 * error


def test_many_projections_of_many_features_tend_to_the_approximation():
    x, y = normal(4, 400, 300), 1.5 * normal(5, 400, 300) + 0.3
    found = sliced_wasserstein2(x, y, random_projections(300, 400, seed=0))
    # Nadjahi 2021: exact as d grows; at d = 300, with 400 points on each line, a few percent.
    np.testing.assert_allclose(found, sliced_wasserstein2_gaussian(x, y), rtol=0.05)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda f: f(F1[:1], F2, PROJECTIONS), "a has 1 row"),
        (lambda f: f(F1, F2[:, :5], PROJECTIONS), "12 and 5 features"),
        (lambda f: f(F1[:, :5], F2[:, :5], PROJECTIONS), "5 and 12 features"),
        (lambda f: f(F1, F2 * np.nan, PROJECTIONS), r"b\[0, 0\] is nan"),
        (lambda f: f(F1, F2, PROJECTIONS[:, 0]), r"projections has shape \(12,\)"),
        (lambda f: f(F1, F2, np.concatenate([PROJECTIONS, 2 * PROJECTIONS], 1)), r"projections\[:, \d+\] has length 2"),
    ],
)
def test_refuses_what_cannot_be_projected(call, sentence):
    with pytest.raises(UserError, match=sentence):  # unwrapped: without the tests' type checks
        call(inspect.unwrap(sliced_wasserstein2))


def test_refuses_no_projections_and_unequal_widths():
    with pytest.raises(UserError, match="count is 0"):
        random_projections(3, 0, seed=0)
    with pytest.raises(UserError, match="12 and 5 features"):
        sliced_wasserstein2_gaussian(F1, F2[:, :5])
