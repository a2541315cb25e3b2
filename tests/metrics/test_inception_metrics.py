import inspect
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from gvlab.metrics.inception import inception_score, inception_score_shuffled
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "distributions.json").read_text())["arithmetic"]["isc"]
LOGITS = 3 * np.random.RandomState(20).standard_normal((1000, 10))


@pytest.mark.parametrize("splits", [1, 7, 10])
def test_agrees_with_the_published_implementation(splits):
    expected = GOLDEN["splits1" if splits == 1 else f"splits{splits}_noshuffle"]
    np.testing.assert_allclose(inception_score(LOGITS, splits), expected, rtol=1e-6)


def test_shuffling_agrees_with_torch_fidelity_seed_for_seed():
    found = inception_score_shuffled(LOGITS, seed=2020)
    np.testing.assert_allclose(found, GOLDEN["splits10_shuffle_seed2020"], rtol=1e-6)
    assert found != inception_score_shuffled(LOGITS, seed=2021)


def test_dropping_the_remainder_is_a_shorter_set():
    expected = GOLDEN["dgm_eval_splits7_noshuffle (drops remainder)"]
    np.testing.assert_allclose(inception_score(LOGITS[: 1000 // 7 * 7], 7), expected, rtol=1e-6)


def test_closed_forms():
    sure = 1000.0 * np.eye(4)  # each class once, without doubt: exp(log 4)
    np.testing.assert_allclose(inception_score(np.tile(sure, (5, 1)), 5), (4.0, 0.0), rtol=1e-14)
    assert inception_score(np.tile(sure[:1], (20, 1)), 2) == (1.0, 0.0)  # one class only
    assert inception_score(np.zeros((20, 4)), 2) == (1.0, 0.0)  # no idea
    # Half the rows sure of one class, half with no idea among two: KL from (3/4, 1/4).
    half = np.array([[500.0, 0.0], [3.0, 3.0]])
    expected = np.exp(0.5 * np.log(4 / 3) + 0.5 * (0.5 * np.log(2 / 3) + 0.5 * np.log(2)))
    np.testing.assert_allclose(inception_score(half, 1), (expected, 0.0), rtol=1e-14)


def test_constants_and_precision_do_not_matter():
    shift = 1e3 * np.random.RandomState(1).standard_normal((1000, 1))
    np.testing.assert_allclose(inception_score(LOGITS + shift), inception_score(LOGITS), rtol=1e-9)
    small = LOGITS.astype(np.float32)
    assert inception_score(jnp.asarray(small)) == inception_score(small.astype(float))


@pytest.mark.parametrize("measure", [inception_score, lambda *a: inception_score_shuffled(*a, seed=0)])
@pytest.mark.parametrize(
    ("logits", "splits", "sentence"),
    [
        (LOGITS[:1], 1, "logits has 1 row"),
        (LOGITS, 0, "splits is 0"),
        (LOGITS[:5], 6, "splits is 6, but 5 rows"),
        (np.where(np.arange(20).reshape(2, 10) == 13, np.nan, LOGITS[:2]), 1, r"logits\[1, 3\] is nan"),
    ],
)
def test_refuses_what_has_no_score(measure, logits, splits, sentence):
    with pytest.raises(UserError, match=sentence):
        measure(logits, splits)


def test_refuses_a_single_vector():
    with pytest.raises(UserError, match=r"logits has shape \(10,\)"):  # unwrapped: without the tests' type checks
        inspect.unwrap(inception_score)(LOGITS[0])
