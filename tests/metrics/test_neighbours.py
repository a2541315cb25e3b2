import inspect
import json
from pathlib import Path

import numpy as np
import pytest

from gvlab.metrics.neighbours import authenticity, memorisation_rate, nearest_distance, nearest_neighbours
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "distributions.json").read_text())["arithmetic"]


def normal(seed, *shape):
    return np.random.RandomState(seed).standard_normal(shape)


F1 = normal(10, 600, 12)
F2 = normal(12, 500, 12) @ (np.eye(12) + 0.3 * normal(13, 12, 12)) + 0.25


def test_neighbours_are_those_of_the_definition():
    distances = np.sqrt(np.square(F2[:, None, :] - F1[None, :, :]).sum(2))
    found = nearest_neighbours(F2, F1, 3)
    np.testing.assert_array_equal(found.indices, np.argsort(distances, axis=1)[:, :3])
    np.testing.assert_allclose(found.distances, np.sort(distances, axis=1)[:, :3], rtol=1e-12)


def test_copies_are_at_distance_zero():
    found = nearest_neighbours(F1[[7, 3]], F1)
    np.testing.assert_array_equal(found.indices, [[7], [3]])
    np.testing.assert_array_equal(found.distances, 0.0)
    one = nearest_neighbours(F1[:1], F1[1:2])  # one query, one point
    np.testing.assert_allclose(one.distances, [[np.linalg.norm(F1[0] - F1[1])]], rtol=1e-12)


def test_memorisation_counts_near_copies():
    training = np.array([[0.0, 0.0], [1.0, 0.0], [10.0, 0.0], [10.0, 0.0]])
    # Ratios 0, 1/4, 1 (half way), 0 (a copy of what occurs twice, which counts once), and 1/10 beside it.
    generated = np.array([[0.0, 0.0], [0.2, 0.0], [0.5, 0.0], [10.0, 0.0], [11.0, 0.0]])
    assert memorisation_rate(generated, training) == 0.8
    assert memorisation_rate(generated, training, threshold=0.25) == pytest.approx(0.6)  # strictly below
    assert memorisation_rate(F1 + 1e-9 * normal(0, 600, 12), F1) == 1.0
    assert memorisation_rate(F2, F1) < 0.01


def test_copies_of_examples_that_repeat_are_copies():
    """Near copies too, though their nearest and second nearest are one example twice."""
    twice = np.repeat(F1, 2, axis=0)
    assert memorisation_rate(F1 + 1e-9, twice) == memorisation_rate(F1, twice) == 1.0
    assert memorisation_rate(F2, twice) == memorisation_rate(F2, F1)
    with pytest.raises(UserError, match="training holds one example, repeated"):
        memorisation_rate(F1, np.ones((3, 12)))


def test_authenticity_agrees_with_the_published_implementation():
    expected = GOLDEN["dgm_eval"]["authpct_train_F1_gen_F2"]  # a share of 500, in float32
    np.testing.assert_allclose(100 * authenticity(F2, F1), expected, rtol=1e-6)


def test_authenticity_of_copies_and_of_strangers():
    assert authenticity(F1, F1) == 0.0
    assert authenticity(F1[:5] + 100.0, F1) == 1.0
    assert authenticity(np.zeros((3, 2)), np.ones((4, 2))) == 1.0  # the training set repeats: own distance 0
    assert authenticity(np.ones((3, 2)), np.ones((4, 2))) == 0.0  # 0 < 0 is not authentic


def test_authenticity_of_one_distribution_on_the_line():
    # Gaps between points of a Poisson process are exponential. The nearest to g is at min(left, right); its own nearest
    # is across g, at left + right, or beyond it, at the next gap.
    left, right, beyond = np.random.RandomState(0).exponential(size=(3, 100_000))
    authentic = np.minimum(left + right, beyond) < np.minimum(left, right)
    shares = np.array([authenticity(normal(i, 200, 1), normal(1000 + i, 2000, 1)) for i in range(20)])
    error = np.hypot(shares.std(ddof=1) / np.sqrt(20), authentic.std() / np.sqrt(100_000))
    assert abs(shares.mean() - authentic.mean()) < 4 * error


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: inspect.unwrap(nearest_neighbours)(F1[:, :3], F2), "3 and 12 features"),
        (lambda: inspect.unwrap(nearest_neighbours)(F1[0], F2), r"queries has shape \(12,\)"),
        (lambda: inspect.unwrap(nearest_neighbours)(F1[:0], F2), "queries has 0 row"),
        (lambda: nearest_neighbours(F1, F2, 501), "k is 501, but 500 points"),
        (lambda: nearest_neighbours(F1, F2, 0), "k is 0,"),
        (lambda: nearest_neighbours(np.full((2, 12), np.inf), F2), r"queries\[0, 0\] is inf"),
        (lambda: memorisation_rate(F1, F2[:1]), "training has 1 row"),
        (lambda: memorisation_rate(F1, F2, 0.0), "threshold is 0.0,"),
        (lambda: memorisation_rate(F1, F2, 1.5), "threshold is 1.5,"),
        (lambda: authenticity(F1, F2[:1]), "training has 1 row"),
        (lambda: inspect.unwrap(authenticity)(F1[:, :3], F2), "3 and 12 features"),
    ],
)
def test_refuses_what_has_no_neighbours(call, sentence):
    with pytest.raises(UserError, match=sentence):
        call()


def test_the_nearest_distance_is_that_to_others():
    points = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 4.5]])
    assert nearest_distance(points) == pytest.approx((5 + 0.5 + 0.5) / 3)
    assert nearest_distance(points[:1], points[1:]) == 5
    assert nearest_distance(np.ones((4, 2))) == 0
    with pytest.raises(UserError, match="queries has 1 row"):
        nearest_distance(points[:1])
