"""How many seeds it takes to tell two experiments apart."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from simulations import RECORDED, SIMULATED, SIMULATIONS, agree, normal, share_interval

from gvlab.statistics import fewest_pairs, holm, paired, sign_flip_test, verdict


@pytest.mark.parametrize(("family", "n"), [(1, 6), (1, 7), (1, 8), (1, 12), (14, 10), (14, 11), (14, 12)])
def test_the_detectable_difference_is_found_as_often_as_recorded(family, n):
    unit = np.arange(n) / np.std(np.arange(n), ddof=1)  # a standard deviation of 1, the true one below
    effect = paired(unit.tolist(), [0.0] * n, family=family, resamples=1000).detectable
    d = normal(20 + n, SIMULATIONS, n) + effect
    p = SIMULATED.p_values(d)
    assert p[:20].tolist() == [sign_flip_test(row) for row in d[:20].tolist()]
    (recorded,) = (row for row in RECORDED["power"] if (row["family"], row["n"]) == (family, n))
    assert recorded["effect"] == pytest.approx(effect, rel=1e-9)
    assert agree(family * p <= 0.05, recorded["test"])
    if n == fewest_pairs(family):  # exactly, by Φ(effect)^n
        low, high = share_interval(family * p <= 0.05)
        assert low <= 0.8 <= high


@pytest.mark.parametrize("family", [1, 6, 14])
def test_the_seeds_needed_are_those_that_detect_the_difference(family):
    # For n seeds that exactly detect the difference, n is the answer; for a little less, n + 1.
    for n in (fewest_pairs(family), 12, 20, 300):
        unit = np.arange(n) - np.mean(np.arange(n))
        unit /= np.std(unit, ddof=1)
        effect = paired(unit.tolist(), [0.0] * n, family=family, resamples=1000).detectable
        for factor, expected in ((1.0001, n), (0.9999, n + 1)):
            found = paired((unit + factor * effect).tolist(), [0.0] * n, family=family, resamples=1000)
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
    assert found.note == "5 pairs cannot reach p = 0.05; 6 could."


def test_a_family_asks_for_more_pairs():
    first, second = (10.0 + normal(15, 8)).tolist(), normal(16, 8).tolist()
    alone, among = paired(first, second), paired(first, second, family=14)
    assert (alone.family, alone.note, alone.seeds_needed) == (1, None, 6)
    assert (among.family, among.detectable, among.seeds_needed) == (14, None, 10)
    assert among.note == "8 pairs cannot be the first among 14 tests to reach p = 0.05; 10 could."
    assert paired(first, second, family=2).detectable > alone.detectable
    assert replace(among, family=1, detectable=alone.detectable, seeds_needed=6, note=None) == alone


@pytest.mark.parametrize(("family", "fewest"), [(1, 6), (2, 7), (6, 8), (7, 9), (10, 9), (14, 10), (1638, 16)])
def test_the_fewest_pairs_reach_the_level_and_no_fewer_do(family, fewest):
    assert fewest_pairs(family) == fewest
    for n in (fewest, fewest - 1):
        found = paired([1.0] * n, [0.0] * n, family=family)
        assert (holm([found.p, *[1.0] * (family - 1)])[0] <= 0.05) == (n == fewest)
        assert (found.detectable is None) == (n < fewest)
        assert ("cannot" in found.note) == (n < fewest)
        assert found.seeds_needed == fewest


def test_a_family_can_be_too_large_for_any_number_of_pairs():
    assert fewest_pairs(1639) is None
    found = paired([2.0, 3.0, 4.0] * 6, [0.0] * 18, family=1639)
    assert (found.detectable, found.seeds_needed) == (None, None)
    assert found.note == "18 pairs cannot be the first among 1639 tests to reach p = 0.05, nor could more."


def test_five_experiments_far_apart_are_told_how_many_seeds_they_lack():
    values = normal(17, 5, 8) + 10.0 * np.arange(5)[:, None]
    pairs = [paired(a, b, family=10) for a, b in combinations(values.tolist(), 2)]
    adjusted = holm([pair.p for pair in pairs])
    assert {verdict(pair, p, "lower") for pair, p in zip(pairs, adjusted, strict=True)} == {"undecided"}
    assert {pair.seeds_needed for pair in pairs} == {9}
    assert {pair.note for pair in pairs} == {"8 pairs cannot be the first among 10 tests to reach p = 0.05; 9 could."}


@pytest.mark.parametrize(
    ("d", "family", "normal_ones"),
    [
        ([1.0] * 5 + [-0.001] * 3, 1, 8),  # p = 1/16
        ([1.0] * 8 + [-0.001] * 2, 10, 10),  # p = 1/128
        ([1.0] * 11 + [-1.0], 1, 7),  # p = 13/2048, but the interval holds 0
    ],
)
def test_an_undecided_pair_needs_more_seeds_even_if_normal_differences_would_not(d, family, normal_ones):
    found = paired(d, [0.0] * len(d), family=family)
    assert verdict(found, min(1.0, family * found.p), "higher") == "undecided"
    assert found.seeds_needed == len(d) + 1 > normal_ones
    # As many normal ones, of this mean and spread, as a pair is told that is decided.
    spread = np.resize([1.0, -1.0], 40)
    likewise = found.difference + found.sd * spread / np.std(spread, ddof=1)
    assert paired(likewise.tolist(), [0.0] * 40, family=family).seeds_needed == normal_ones


@pytest.mark.parametrize("family", [1, 3, 14])
def test_no_undecided_pair_is_told_that_its_seeds_would_do(family):
    # Differences of every kind that the power, which is that of normal ones, may misjudge; some with failed seeds.
    random = np.random.RandomState(family)
    undecided, corrected = 0, 0
    for _ in range(30):
        n, size = random.randint(3, 14), random.choice([0.0, 1.0, 3.0])
        x = np.stack([random.standard_normal((family, n)), random.standard_t(2, (family, n))])
        x = np.concatenate([x, np.exp(x[:1]), np.round(x[:1]), 0.001 * x[:1] + (x[1:] > 0)])[random.randint(5)] + size
        x = np.where(random.random_sample(x.shape) < 0.05, np.nan, x)
        values = [[None if np.isnan(v) else v for v in row] for row in x.tolist()]
        pairs = [paired(row, [0.0] * n, family=family, resamples=1000) for row in values]
        for pair, p in zip(pairs, holm([pair.p for pair in pairs]), strict=True):
            if verdict(pair, p, "higher") == "undecided":
                undecided += 1
                corrected += pair.p is not None and pair.p <= 0.05
                assert pair.seeds_needed is None or pair.seeds_needed > pair.n
    assert undecided > 10
    assert corrected > 5 or family == 1
