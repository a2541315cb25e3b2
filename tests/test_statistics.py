"""Statistics over seeds: against SciPy's own, closed forms, and simulations with known truth."""

import inspect
import json
from dataclasses import asdict, replace
from itertools import combinations, product
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from gvlab.statistics import (
    holm,
    interquartile_mean,
    mean_interval,
    paired,
    sign_flip_test,
    summarise,
    verdict,
    wilson,
)
from gvlab.types import UserError

# In simulations 1000 resamples stand for the 10,000 of reports, and a share is judged by the exact binomial interval
# of this confidence: with fewer than 30 such judgements in the file, a sound build fails one in 300 times at most, had
# the seeds not been fixed.
SIMULATIONS = 1500
CERTAINTY = 0.9999


def normal(seed, *shape):
    return np.random.RandomState(seed).standard_normal(shape)


def share_interval(hits, total):
    """All probabilities that the count is compatible with, by Clopper & Pearson."""
    found = stats.binomtest(int(hits), total).proportion_ci(CERTAINTY, method="exact")
    return found.low, found.high


def coverage(draw, truth, interval):
    """The binomial interval of the probability that `interval` holds the truth."""
    hits = 0
    for x in draw:
        low, high = interval(x.tolist())
        hits += low <= truth <= high
    return share_interval(hits, len(draw))


def by_resampling(values):
    return mean_interval(values, resamples=1000)


def students(values):
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return np.mean(values) - half, np.mean(values) + half


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


# The interval


@pytest.mark.parametrize("seed", range(4))
def test_the_interval_is_scipys_bca_at_expanded_levels(seed):
    # A long tail, on whose side BCa is the farther, and so many values that no resample ties with their mean. SciPy is
    # given the same resamples, and asked for the confidence that has the expanded quantile.
    n = 24
    x = np.exp(1.2 * normal(seed, n))
    means = x[np.random.RandomState(0).randint(n, size=(10_000, n))].mean(axis=1)
    quantile = np.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1)
    expected = stats.bootstrap(
        (x,),
        np.mean,
        n_resamples=0,
        bootstrap_result=SimpleNamespace(bootstrap_distribution=means),
        confidence_level=2 * stats.norm.cdf(quantile) - 1,
        method="BCa",
    ).confidence_interval
    low, high = mean_interval(x.tolist())
    assert expected.high > students(x)[1]
    np.testing.assert_allclose(high, expected.high, rtol=1e-9)
    np.testing.assert_allclose(low, min(expected.low, students(x)[0]), rtol=1e-9)


@pytest.mark.parametrize("n", [3, 4])
def test_the_interval_of_few_values_is_students(n):
    for x in (normal(n, n), np.exp(3 * normal(n, n)), np.eye(n)[0]):
        np.testing.assert_allclose(mean_interval(x.tolist()), students(x), rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1.0, 1e140])
def test_the_interval_moves_with_the_values(scale):
    x = np.round(1024 * normal(2, 10)) / 1024  # so that moving rounds nothing
    low, high = mean_interval(x.tolist())
    np.testing.assert_allclose(mean_interval((scale * x).tolist()), (scale * low, scale * high), rtol=1e-12)
    moved = mean_interval((x + 2.0**20).tolist())
    np.testing.assert_allclose(np.subtract(moved, 2.0**20), (low, high), rtol=1e-8)


def test_extreme_confidence_stays_finite():
    # At this confidence Efron's formula has a pole inside the reach of three values.
    low, high = mean_interval([0.0, 0.0, 1.0], confidence=0.9999)
    assert -np.inf < low < 0 < 1 < high < np.inf


@pytest.mark.parametrize("n", [3, 5, 8, 16])
def test_intervals_of_normal_values_hold_their_level(n):
    low, high = coverage(normal(n, SIMULATIONS, n) + 3.0, 3.0, by_resampling)
    assert high >= 0.95
    assert low <= 0.96


@pytest.mark.parametrize(("n", "measured"), [(3, 0.92), (5, 0.93), (8, 0.94), (16, 0.95)])
def test_intervals_of_skewed_values_hold_what_the_documentation_says(n, measured):
    low, high = coverage(np.exp(0.5 * normal(10 + n, SIMULATIONS, n)), np.exp(0.125), by_resampling)
    assert low <= measured <= high


def test_intervals_of_failure_rates_hold_their_level():
    # Exactly: the probability of all counts whose interval holds the rate, on average over rates.
    counts, rates = np.arange(9), np.linspace(0.005, 0.995, 199)
    ends = np.array([wilson(int(k), 8) for k in counts])
    inside = (ends[:, :1] <= rates[None, :]) & (rates[None, :] <= ends[:, 1:])
    probability = stats.binom.pmf(counts[:, None], 8, rates[None, :])
    assert 0.94 < np.mean(np.sum(inside * probability, axis=0)) < 0.97


# Two experiments


def test_a_pair_is_a_summary_of_the_differences():
    first, second = [3.0, 1.0, None, 4.0, 2.0, 9.0, 4.0], [2.0, 1.0, 5.0, None, 7.0, 1.0, 3.0]
    d = [1.0, 0.0, -5.0, 8.0, 1.0]
    found, alone = paired(first, second), summarise(d)
    assert (found.n, found.left_out) == (5, 2)
    assert (found.difference, found.sd, found.low, found.high) == (alone.mean, alone.sd, alone.low, alone.high)
    assert found.p == sign_flip_test(d)
    assert found.superiority == (3 + 0.5) / 5
    assert found.note.startswith("2 of 7 pair(s) are left out: a seed failed. 5 pairs decide nothing")


def test_exchanging_the_experiments_changes_the_sign_alone():
    first, second = normal(3, 10).tolist(), (normal(4, 10) + 0.5).tolist()
    one, other = paired(first, second), paired(second, first)
    assert (one.difference, one.sd, one.p) == (-other.difference, other.sd, other.p)
    assert (one.detectable, one.seeds_needed) == (other.detectable, other.seeds_needed)
    assert one.superiority == 1 - other.superiority
    # The bootstrap's quantiles are of the same resamples, mirrored.
    np.testing.assert_allclose((one.low, one.high), (-other.high, -other.low), rtol=1e-9)


def test_the_same_runs_do_not_differ():
    found = paired([1.0, 2.0, 3.0, 5.0, 4.0, 6.0], [1.0, 2.0, 3.0, 5.0, 4.0, 6.0])
    assert (found.difference, found.sd, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 0.0, 1.0)
    assert (found.superiority, found.seeds_needed, found.detectable) == (0.5, None, 0.0)
    assert verdict(found, found.p, "lower") == "undecided"


def test_fewer_than_three_pairs_have_no_inference():
    found = paired([1.0, None, 2.0], [2.0, 3.0, 4.0])
    assert (found.n, found.difference, found.smallest_p) == (2, -1.5, 0.5)
    assert {found.low, found.high, found.p, found.detectable, found.seeds_needed} == {None}
    assert found.note.endswith("No interval and no test: 2 pair(s) finished, but at least 3 are needed.")
    assert verdict(found, found.p, "lower") == "undecided"
    empty = paired([None], [1.0])
    assert (empty.n, empty.left_out) == (0, 1)
    assert {empty.difference, empty.sd, empty.p, empty.smallest_p, empty.superiority, empty.seeds_needed} == {None}


@pytest.mark.parametrize("n", [3, 5, 8, 12])
@pytest.mark.parametrize("rounding", [0, 3])  # with and without ties
def test_the_test_is_scipys_permutation_test(n, rounding):
    d = np.round(normal(n, n) + 0.5, rounding)
    expected = stats.permutation_test(
        (d,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    ).pvalue
    np.testing.assert_allclose(sign_flip_test(d.tolist()), expected, rtol=1e-12)


def test_the_test_counts_ties_in_spite_of_rounding():
    d = [0.1, 0.2, 0.3, -0.6]  # sums to 0 but for rounding, as its mirror image does
    assert sign_flip_test(d) == 1.0
    assert sign_flip_test([0.1, 0.2, 0.3]) == 0.25


def test_many_pairs_are_tested_by_random_flips():
    d = normal(6, 17) + 0.4
    flips = np.array(list(product([1.0, -1.0], repeat=16))) @ d[1:]
    exact = np.mean(np.abs(flips + d[0]) >= abs(d.sum()) - 1e-12)
    found = sign_flip_test(d.tolist())
    assert abs(found - exact) < 4 * np.sqrt(exact * (1 - exact) / 19_999)
    assert sign_flip_test(d.tolist()) == found
    far = paired((100.0 + normal(7, 17)).tolist(), [0.0] * 17)
    assert far.p == far.smallest_p == 1 / 20_000


@pytest.mark.parametrize(("n", "level"), [(5, 0.0), (6, 1 / 32), (8, 6 / 128), (17, 0.05)])
def test_the_test_holds_its_level(n, level):
    # Long-tailed, but symmetric; no other property is needed. Exactly attained, but for the random flips.
    draws = np.random.RandomState(n).standard_t(2, (SIMULATIONS if n < 17 else 300, n))
    rejected = sum(sign_flip_test(d.tolist()) <= 0.05 for d in draws)
    low, high = share_interval(rejected, len(draws))
    assert low <= level <= high


@pytest.mark.parametrize(("better", "count"), [(0, 6), (1, 3)])
def test_holm_holds_the_level_of_the_whole_family(better, count):
    # All pairs of four experiments in ten seeds that share their noise, of which the last `better` differ from the
    # rest: the probability of a wrong rejection anywhere among the pairs that don't differ.
    noise = normal(8, SIMULATIONS, 1, 10) + normal(9, SIMULATIONS, 4, 10)
    noise[:, 4 - better :] += 5.0
    pairs = list(combinations(range(4), 2))
    null = [k for k, (_, b) in enumerate(pairs) if b < 4 - better]
    assert len(null) == count
    wrong, found, naive = 0, 0, 0
    for values in noise:
        raw = [sign_flip_test((values[a] - values[b]).tolist()) for a, b in pairs]
        adjusted = holm(raw)
        wrong += any(adjusted[k] <= 0.05 for k in null)
        naive += any(raw[k] <= 0.05 for k in null)
        found += all(adjusted[k] <= 0.05 for k in range(6) if k not in null)
    assert share_interval(wrong, SIMULATIONS)[0] <= 0.05
    assert share_interval(naive, SIMULATIONS)[0] > 0.05  # so there was something to correct
    assert found > 0.95 * SIMULATIONS


def test_verdicts_are_seldom_wrong():
    first, second = normal(11, SIMULATIONS, 8), normal(12, SIMULATIONS, 8)
    wrong = 0
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        found = paired(a, b, resamples=1000)
        wrong += verdict(found, found.p, "lower") != "undecided"
    assert share_interval(wrong, SIMULATIONS)[0] <= 0.05


@pytest.mark.parametrize(("n", "measured"), [(6, 0.72), (8, 0.79), (12, 0.80)])
def test_the_detectable_difference_is_found_as_often_as_documented(n, measured):
    unit = np.arange(n) / np.std(np.arange(n), ddof=1)  # a standard deviation of 1, the true one below
    effect = paired(unit.tolist(), [0.0] * n, resamples=1000).detectable
    found = sum(sign_flip_test(d.tolist()) <= 0.05 for d in normal(20 + n, SIMULATIONS, n) + effect)
    low, high = share_interval(found, SIMULATIONS)
    assert low <= measured <= high


def test_the_seeds_needed_are_those_that_detect_the_difference():
    # For n seeds that exactly detect the difference, n is the answer; for a little less, n + 1.
    for n in (6, 8, 20, 300):
        unit = np.arange(n) - np.mean(np.arange(n))
        unit /= np.std(unit, ddof=1)
        effect = paired(unit.tolist(), [0.0] * n, resamples=1000).detectable
        for factor, expected in ((1.0001, n), (0.9999, n + 1)):
            found = paired((unit + factor * effect).tolist(), [0.0] * n, resamples=1000)
            assert found.seeds_needed == expected


def test_the_power_is_that_of_the_published_tables():
    # Cohen 1988: a paired t test at 0.05 finds an effect of 0.5 with probability 0.8 in 34 pairs, one of 0.2 in 199.
    for effect, expected in ((0.5, 34), (0.2, 199), (0.8, 15)):
        d = np.array([-1.0, 1.0] * 10) / np.std([-1.0, 1.0] * 10, ddof=1) + effect
        assert paired(d.tolist(), [0.0] * 20, resamples=1000).seeds_needed == expected


def test_the_ends_of_seeds_needed():
    def needed(d):
        return paired(d, [0.0] * len(d), resamples=1000).seeds_needed

    assert needed([1.0, 1.0, 1.0]) == 6  # fewer cannot reach 0.05
    assert needed([100.0, 101.0, 102.0]) == 6
    assert needed([1.0, -1.0, 1e-5]) is None
    assert needed([1.0, -1.0, 0.0]) is None


def test_three_to_five_pairs_decide_nothing():
    found = paired([1.0, 1.1, 1.2, 1.3, 1.4], [9.0, 9.1, 9.3, 9.2, 9.0])
    assert found.high < 0
    assert found.p == found.smallest_p == 1 / 16
    assert found.detectable is None
    assert verdict(found, found.p, "lower") == "undecided"
    assert found.note == "5 pairs decide nothing: their smallest possible p-value is 0.0625."


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, None, 0.4]) == [0.8, None, 0.8]
    assert holm([0.9, 0.8, 0.02]) == pytest.approx([1.0, 1.0, 0.06])
    assert holm([]) == []
    assert holm([None]) == [None]


def test_a_verdict_needs_both_the_interval_and_the_test():
    clear = paired((normal(13, 8) - 9.0).tolist(), normal(14, 8).tolist())
    assert verdict(clear, 0.05, "lower") == "first"
    assert verdict(clear, 0.05, "higher") == "second"
    assert verdict(clear, 0.051, "lower") == "undecided"
    assert verdict(clear, 0.01, None) == "undecided"
    assert verdict(replace(clear, high=0.0), 0.01, "lower") == "undecided"
    mirrored = replace(clear, low=-clear.high, high=-clear.low)
    assert verdict(mirrored, 0.01, "lower") == "second"
    assert verdict(mirrored, 0.01, "higher") == "first"
    with pytest.raises(UserError, match="better is 'less'"):
        inspect.unwrap(verdict)(clear, 0.01, "less")


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
    for failures, total in ((-1, 3), (4, 3), (0, 0)):
        with pytest.raises(UserError, match=f"{failures} failure"):
            wilson(failures, total)
    for p in (-0.1, 1.1, float("nan")):
        with pytest.raises(UserError, match=rf"p_values\[1\] is {p}"):
            holm([None, p])
