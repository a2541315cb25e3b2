import inspect
import json
from pathlib import Path

import numpy as np
import pytest

from gvlab.metrics.prd import prd_curve, prd_curve_from_features, prd_f_scores
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "distributions.json").read_text())["arithmetic"]["prd"]
GENERATED, REAL = np.array(GOLDEN["eval_dist"]), np.array(GOLDEN["ref_dist"])


def normal(seed, *shape):
    return np.random.RandomState(seed).standard_normal(shape)


def test_agrees_with_the_published_implementation():
    curve = prd_curve(GENERATED, REAL, angles=11)
    np.testing.assert_allclose(curve.precision, GOLDEN["num_angles_11"]["precision"], rtol=1e-6)
    np.testing.assert_allclose(curve.recall, GOLDEN["num_angles_11"]["recall"], rtol=1e-6)
    np.testing.assert_allclose(prd_f_scores(curve), GOLDEN["num_angles_11"]["F8_F1over8"], rtol=1e-6)
    np.testing.assert_allclose(
        prd_f_scores(prd_curve(GENERATED, REAL)), GOLDEN["num_angles_1001_F8_F1over8"], rtol=1e-6
    )


def test_the_ends_of_the_curve_are_masses_of_supports():
    curve = prd_curve(GENERATED, REAL)
    np.testing.assert_allclose(curve.recall[0], REAL[GENERATED > 0].sum(), rtol=1e-9)
    np.testing.assert_allclose(curve.precision[-1], GENERATED[REAL > 0].sum(), rtol=1e-9)
    swapped = prd_curve(REAL, GENERATED)
    np.testing.assert_allclose(swapped.precision, curve.recall[::-1], rtol=1e-5, atol=1e-9)


def test_identical_and_disjoint_histograms():
    same = prd_curve(GENERATED, GENERATED)
    assert max(np.minimum(same.precision, same.recall)) == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(prd_f_scores(same), (1.0, 1.0), atol=1e-9)
    disjoint = prd_curve(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert disjoint.precision.max() == disjoint.recall.max() == 0.0
    assert prd_f_scores(disjoint) == (0.0, 0.0)


BLOBS = 100.0 * np.arange(4)[:, None] * np.ones((1, 3))


def blobs(which, seed):
    return BLOBS[np.array(which)] + normal(seed, len(which), 3)


def test_features_in_blobs_have_the_curve_of_their_shares():
    # As many clusters as blobs: the histograms are known whatever the seed.
    generated = blobs([0] * 60 + [1] * 30 + [2] * 10, 1)
    real = blobs([1] * 25 + [2] * 25 + [3] * 50, 2)
    found = prd_curve_from_features(generated, real, clusters=4, runs=2, seed=0)
    expected = prd_curve(np.array([0.6, 0.3, 0.1, 0.0]), np.array([0.0, 0.25, 0.25, 0.5]))
    np.testing.assert_allclose(found.precision, expected.precision, rtol=1e-9)
    np.testing.assert_allclose(found.recall, expected.recall, rtol=1e-9)


def test_lost_modes_cost_recall_and_noise_costs_precision():
    real = blobs([0, 1, 2, 3] * 30, 3)
    lost, noisy = blobs([0, 1] * 60, 4), np.concatenate([blobs([0, 1, 2, 3] * 15, 5), 1e4 * normal(6, 60, 3)])
    f8_lost, f18_lost = prd_f_scores(prd_curve_from_features(lost, real, clusters=8, runs=2, seed=0))
    f8_noisy, f18_noisy = prd_f_scores(prd_curve_from_features(noisy, real, clusters=8, runs=2, seed=0))
    assert f8_lost < f18_lost
    assert f8_noisy > f18_noisy


def test_the_seed_alone_decides_and_runs_are_averaged():
    x, y = normal(7, 80, 4), normal(8, 80, 4) + 0.5
    one = prd_curve_from_features(x, y, clusters=5, runs=2, angles=51, seed=3)
    again = prd_curve_from_features(x, y, clusters=5, runs=2, angles=51, seed=3)
    np.testing.assert_array_equal(one.precision, again.precision)
    singles = [prd_curve_from_features(x, y, clusters=5, runs=1, angles=51, seed=seed) for seed in (3, 4)]
    np.testing.assert_allclose(one.recall, np.mean([curve.recall for curve in singles], axis=0), rtol=1e-12)


X = normal(9, 30, 3)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: prd_curve(GENERATED, REAL, angles=2), "angles is 2"),
        (lambda: prd_curve(GENERATED, REAL[:4] / 0.75), "have 5 and 4 bins"),
        (lambda: prd_curve(GENERATED, REAL * 2), "real sums to 2"),
        (lambda: prd_curve(np.array([1.5, -0.5]), np.array([0.5, 0.5])), "generated sums to 1"),
        (lambda: prd_curve(np.array([np.nan, 1.0]), np.array([0.5, 0.5])), "generated sums to nan"),
        (lambda: inspect.unwrap(prd_curve)(np.eye(2), REAL), r"generated has shape \(2, 2\)"),
        (lambda: prd_curve_from_features(X, X[:20], seed=0), "generated has 30 rows and real 20"),
        (lambda: prd_curve_from_features(X, X[:, :2], seed=0), "3 and 2 features"),
        (lambda: prd_curve_from_features(X[:1], X[:1], seed=0), "generated has 1 row"),
        (lambda: prd_curve_from_features(X, X, clusters=61, seed=0), "clusters is 61, but 60 rows"),
        (lambda: prd_curve_from_features(X, X, clusters=1, seed=0), "clusters is 1,"),
        (lambda: prd_curve_from_features(X, X, runs=0, seed=0), "runs is 0"),
        (lambda: prd_f_scores(prd_curve(GENERATED, REAL), beta=1.0), "beta is 1.0"),
    ],
)
def test_refuses_what_has_no_curve(call, sentence):
    with pytest.raises(UserError, match=sentence):
        call()
