"""Two experiments: differences, permutation tests, Holm's adjustment and verdicts."""

import inspect
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats
from simulations import SIMULATED, SIMULATIONS, normal, share_interval

from gvlab.statistics import holm, paired, sign_flip_test, summarise, verdict
from gvlab.types import UserError


def patterns(magnitudes):
    """All sign patterns whose first sign stays: the others are their mirror images, with the same p-values."""
    return np.array([(1, *signs) for signs in product([1, -1], repeat=len(magnitudes) - 1)]) * magnitudes


def test_a_pair_is_a_summary_of_the_differences():
    first, second = [3.0, 1.0, None, 4.0, 2.0, 9.0, 4.0], [2.0, 1.0, 5.0, None, 7.0, 1.0, 3.0]
    d = [1.0, 0.0, -5.0, 8.0, 1.0]
    found, alone = paired(first, second), summarise(d)
    assert (found.n, found.left_out) == (5, 2)
    assert (found.difference, found.sd, found.low, found.high) == (alone.mean, alone.sd, alone.low, alone.high)
    assert found.p == sign_flip_test(d)
    assert found.superiority == (3 + 0.5) / 5
    assert found.note == "2 of 7 pair(s) are left out: a seed failed. 5 pairs cannot reach p = 0.05; 6 could."


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


@pytest.mark.parametrize("shift", [0.1, 0.3, 0.5, 0.8])
def test_many_pairs_are_tested_by_random_flips(shift):
    d = normal(6, 17) + shift
    exact = np.mean(np.abs(patterns(d).sum(axis=1)) >= abs(d.sum()) - 1e-12)
    found = sign_flip_test(d.tolist())
    assert abs(found - exact) < 4 * np.sqrt(exact * (1 - exact) / 32_767)
    assert sign_flip_test(d.tolist()) == found


def test_the_smallest_p_of_random_flips():
    far = paired((100.0 + normal(7, 17)).tolist(), [0.0] * 17)
    assert far.p == far.smallest_p == 2.0**-15


@pytest.mark.parametrize("n", [3, 5, 6, 8, 10])
def test_the_test_holds_every_level_exactly(n):
    # Under the null hypothesis the magnitudes may be anything and all their sign patterns are equally likely: the
    # p-values of these are 1, 2, ... smallest ones, each once, so that a share of exactly floor(a 2^(n-1)) / 2^(n-1) is
    # at most a.
    magnitudes = np.abs(np.random.RandomState(n).standard_t(2, n))
    found = [sign_flip_test(d) for d in patterns(magnitudes).tolist()]
    assert sorted(found) == [k / 2 ** (n - 1) for k in range(1, 2 ** (n - 1) + 1)]
    assert sign_flip_test((-magnitudes).tolist()) == found[0]


def test_ties_make_the_test_conservative():
    found = np.array([sign_flip_test(d) for d in patterns(np.array([0.0, 1, 1, 1, 2, 2, 3, 3])).tolist()])
    levels = np.arange(1, 129) / 128
    assert np.all(np.mean(found[None, :] <= levels[:, None], axis=1) <= levels)


@pytest.mark.parametrize(("better", "count"), [(0, 6), (1, 3)])
def test_holm_holds_the_level_of_the_whole_family(better, count):
    # All pairs of four experiments in ten seeds that share their noise, of which the last `better` differ from the
    # rest: the probability of a wrong rejection anywhere among the pairs that don't differ.
    noise = normal(8, SIMULATIONS, 1, 10) + normal(9, SIMULATIONS, 4, 10)
    noise[:, 4 - better :] += 5.0
    pairs = list(combinations(range(4), 2))
    null = [k for k, (_, b) in enumerate(pairs) if b < 4 - better]
    assert len(null) == count
    raw = np.stack([SIMULATED.p_values(noise[:, a] - noise[:, b]) for a, b in pairs], axis=1)
    assert raw[0].tolist() == [sign_flip_test((noise[0, a] - noise[0, b]).tolist()) for a, b in pairs]
    adjusted = np.array([holm(row) for row in raw.tolist()])
    others = np.setdiff1d(range(6), null)
    assert share_interval(np.any(adjusted[:, null] <= 0.05, axis=1))[0] <= 0.05
    assert share_interval(np.any(raw[:, null] <= 0.05, axis=1))[0] > 0.05  # so there was something to correct
    assert np.mean(np.all(adjusted[:, others] <= 0.05, axis=1)) > 0.95


def test_holm_holds_the_level_of_independent_tests_exactly():
    # Two tests of 8 pairs: 3 of the 128 p-values are at most 0.025, and 6 at most 0.05.
    values = (np.arange(1, 129) / 128).tolist()
    rejected = sum(min(holm(pair)) <= 0.05 for pair in product(values, repeat=2))
    assert rejected == 128**2 - 125**2 < 0.05 * 128**2 < 128**2 - 122**2


@pytest.mark.parametrize("name", SIMULATED.DISTRIBUTIONS)
def test_verdicts_are_wrong_no_more_often_than_the_test(name):
    first, second = SIMULATED.DISTRIBUTIONS[name][0](np.random.RandomState(11), 2, 8)
    found = [paired(d, [0.0] * 8, resamples=1000) for d in patterns(first - second).tolist()]
    wrong = [pair for pair in found if verdict(pair, pair.p, "lower") != "undecided"]
    assert len(wrong) <= sum(pair.p <= 0.05 for pair in found) == 6  # of 128


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
