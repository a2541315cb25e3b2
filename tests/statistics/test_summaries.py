"""Statistics of one experiment's seeds, and what no statistic takes: against NumPy's and SciPy's own."""

import inspect
import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats
from simulations import normal

from gvlab.statistics import (
    fewest_pairs,
    holm,
    interquartile_mean,
    mean_interval,
    paired,
    sign_flip_test,
    summarise,
    wilson,
)
from gvlab.types import UserError

# One experiment


def test_a_summary_is_numpys():
    values = [3.0, None, 1.5, 2.0, None, 7.0, 4.0]
    x = np.array([v for v in values if v is not None])
    found = summarise(values)
    assert (found.n, found.total, found.failures) == (5, 7, 2)
    expected = [x.mean(), x.std(ddof=1), np.median(x), 1.5, 7.0]
    np.testing.assert_allclose([found.mean, found.sd, found.median, found.minimum, found.maximum], expected, rtol=1e-14)
    assert (found.low, found.high) == mean_interval(x.tolist())
    assert found.iqm == interquartile_mean(x.tolist())
    assert (found.failure_low, found.failure_high) == wilson(2, 7)
    assert found.note is None
    assert found.low < found.mean < found.high


@pytest.mark.parametrize("values", [[1.0, None, 2, 4.5], [None], [2.0, 2.0, 2.0], [1.0]])
def test_results_are_json(values):
    for found in (summarise(values), paired(values, values[::-1])):
        assert json.loads(json.dumps(asdict(found), allow_nan=False)) == asdict(found)


def test_the_same_values_have_the_same_interval():
    values = normal(1, 9).tolist()
    assert summarise(values) == summarise(values)
    assert summarise(values, confidence=0.8).low > summarise(values).low


def test_fewer_than_three_seeds_have_no_interval():
    two = summarise([1.0, None, 3.0])
    assert (two.mean, two.n, two.low, two.high) == (2.0, 2, None, None)
    assert two.sd == pytest.approx(np.sqrt(2))
    assert two.note == "No interval: 2 of 3 seed(s) finished, but at least 3 are needed."
    one = summarise([4.0])
    assert (one.mean, one.sd, one.median, one.iqm, one.minimum, one.maximum) == (4.0, None, 4.0, 4.0, 4.0, 4.0)
    none = summarise([None, None])
    assert (none.n, none.failures, none.failure_high) == (0, 2, 1.0)
    assert {none.mean, none.sd, none.median, none.iqm, none.low, none.high, none.minimum, none.maximum} == {None}


@pytest.mark.parametrize("value", [0.0, 0.1, -1e100, 1 / 3])
def test_equal_values_are_exact(value):
    found = summarise([value] * 7)
    assert found.mean == found.low == found.high == found.iqm == found.median == value
    assert found.sd == 0.0
    assert "no width" in found.note


@pytest.mark.parametrize("n", [4, 8, 12, 40])
def test_the_interquartile_mean_is_the_trimmed_mean(n):
    x = normal(n, n)
    np.testing.assert_allclose(interquartile_mean(x.tolist()), stats.trim_mean(x, 0.25), rtol=1e-13)


@pytest.mark.parametrize("n", range(1, 12))
def test_the_interquartile_mean_counts_parts_of_values(n):
    # Each value four times: the quartiles then fall between values.
    x = normal(n, n)
    np.testing.assert_allclose(interquartile_mean(x.tolist()), stats.trim_mean(np.repeat(x, 4), 0.25), rtol=1e-13)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(("failures", "total"), [(0, 8), (1, 8), (8, 8), (3, 7), (0, 1), (1, 1), (50, 1000)])
def test_the_failure_rates_interval_is_scipys(failures, total, confidence):
    expected = stats.binomtest(failures, total).proportion_ci(confidence, method="wilson")
    np.testing.assert_allclose(wilson(failures, total, confidence), expected, rtol=1e-12, atol=1e-15)


# Wrong input


@pytest.mark.parametrize("function", [summarise, interquartile_mean, mean_interval, sign_flip_test])
@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([], r"is empty"),
        ([1.0, float("nan"), 2.0], r"\[1\] is nan"),
        ([float("inf"), 1.0, 2.0], r"\[0\] is inf"),
        ([1.0, 2.0, -1e151], r"\[2\] is -1e\+151"),
    ],
)
def test_refuses_values_that_are_no_numbers(function, values, sentence):
    with pytest.raises(UserError, match=sentence):
        function(values)


@pytest.mark.parametrize("function", [interquartile_mean, mean_interval, sign_flip_test])
def test_refuses_failed_seeds_where_they_have_no_meaning(function):
    with pytest.raises(UserError, match=r"\[1\] is None"):
        inspect.unwrap(function)([1.0, None, 2.0])


def test_refuses_parameters_out_of_range():
    values = [1.0, 2.0, 3.0]
    for confidence in (0.0, 1.0, 95.0, float("nan")):
        with pytest.raises(UserError, match=f"confidence is {confidence}"):
            summarise(values, confidence=confidence)
    with pytest.raises(UserError, match="resamples is 999"):
        summarise(values, resamples=999)
    with pytest.raises(UserError, match=r"values has 2 number\(s\)"):
        mean_interval([1.0, 2.0])
    with pytest.raises(UserError, match=r"first has 3 seed\(s\) and second 2"):
        paired(values, [1.0, None])
    with pytest.raises(UserError, match=r"second\[2\] is nan"):
        paired(values, [1.0, None, float("nan")])
    for wrong in (0, -3):
        with pytest.raises(UserError, match=f"family is {wrong}, but must be at least 1"):
            paired(values, values, family=wrong)
        with pytest.raises(UserError, match=f"family is {wrong}, but must be at least 1"):
            fewest_pairs(wrong)
    for failures, total in ((-1, 3), (4, 3), (0, 0)):
        with pytest.raises(UserError, match=f"{failures} failure"):
            wilson(failures, total)
    for p in (-0.1, 1.1, float("nan")):
        with pytest.raises(UserError, match=rf"p_values\[1\] is {p}"):
            holm([None, p])
