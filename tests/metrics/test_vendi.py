import inspect
import json
from pathlib import Path

import numpy as np
import pytest

from gvlab.metrics.vendi import vendi_score
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "distributions.json").read_text())["arithmetic"]["dgm_eval"]


def normal(seed, *shape):
    return np.random.RandomState(seed).standard_normal(shape)


F1 = normal(10, 600, 12)
F2 = normal(12, 500, 12) @ (np.eye(12) + 0.3 * normal(13, 12, 12)) + 0.25


def test_agrees_with_the_published_implementation():
    np.testing.assert_allclose(vendi_score(F1), GOLDEN["vendi_F1_linear"], rtol=1e-6)
    np.testing.assert_allclose(vendi_score(F2), GOLDEN["vendi_F2_linear"], rtol=1e-6)
    np.testing.assert_allclose(vendi_score(F1, order=2.0), GOLDEN["vendi_F1_q2"], rtol=1e-6)


@pytest.mark.parametrize("order", [0.5, 1.0, 2.0])
def test_counts_orthogonal_directions(order):
    np.testing.assert_allclose(vendi_score(np.repeat(np.eye(5), 7, axis=0), order), 5.0, rtol=1e-13)
    np.testing.assert_allclose(vendi_score(np.outer(np.arange(1.0, 9.0), normal(0, 6)), order), 1.0, rtol=1e-13)


def test_wide_and_tall_sets_take_the_same_eigenvalues():
    x = normal(1, 8, 30)
    padded = np.concatenate([x, x, x, x, x])  # 40 rows of 30 features: the other matrix, the same score
    np.testing.assert_allclose(vendi_score(padded), vendi_score(x), rtol=1e-12)


def test_orders_near_one_are_continuous_and_falling():
    np.testing.assert_allclose(vendi_score(F2, order=1 + 1e-7), vendi_score(F2), rtol=1e-6)
    scores = [vendi_score(F2, order=order) for order in (0.1, 0.5, 1.0, 2.0, 10.0)]
    assert scores == sorted(scores, reverse=True)


def test_lengths_do_not_matter():
    np.testing.assert_allclose(vendi_score(1e200 * F1), vendi_score(F1), rtol=1e-12)
    np.testing.assert_allclose(vendi_score(1e-200 * F1), vendi_score(F1), rtol=1e-12)


@pytest.mark.parametrize(
    ("features", "order", "sentence"),
    [
        (F1[:1], 1.0, "features has 1 row"),
        (F1[0], 1.0, r"features has shape \(12,\)"),
        (np.array([[1.0], [np.inf]]), 1.0, r"features\[1, 0\] is inf"),
        (np.array([[1.0], [0.0]]), 1.0, r"features\[1\] is all zeros"),
        (F1, 0.0, "order is 0.0"),
        (F1, np.inf, "order is inf"),
    ],
)
def test_refuses_what_has_no_score(features, order, sentence):
    with pytest.raises(UserError, match=sentence):  # unwrapped: without the tests' type checks
        inspect.unwrap(vendi_score)(features, order)
