"""Intervals over seeds: against SciPy's own, and simulations with known truth."""

import inspect
import re
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from simulations import RECORDED, SIMULATED, SIMULATIONS, agree, normal, share_interval

from gvlab.statistics import mean_interval, wilson


def students(values):
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return np.mean(values) - half, np.mean(values) + half


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
@pytest.mark.parametrize("name", SIMULATED.DISTRIBUTIONS)
def test_intervals_hold_their_level_as_recorded(name, n):
    draw, truth = SIMULATED.DISTRIBUTIONS[name]
    x = draw(np.random.RandomState(n), SIMULATIONS, n)
    ends = SIMULATED.intervals(x, resamples=1000)["gvlab's"]
    expected = [mean_interval(row, resamples=1000) for row in x[:20].tolist()]
    np.testing.assert_allclose(ends[:20], expected, rtol=1e-9, atol=1e-12)
    covered = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
    (recorded,) = (
        row for row in RECORDED["coverage"] if (row["distribution"], row["n"], row["method"]) == (name, n, "gvlab's")
    )
    assert agree(covered, recorded)
    if not name.startswith("log-normal"):
        assert share_interval(covered)[1] >= 0.95


def test_the_documented_coverage_is_the_recorded_one():
    lines = re.findall(r"^ +(\d+)((?: +\d\d){16})$", inspect.getdoc(mean_interval), re.MULTILINE)
    documented = [[int(n), *map(int, cells.split())] for n, cells in lines]
    by = {(row["n"], row["distribution"], row["method"]): row["share"] for row in RECORDED["coverage"]}
    assert documented == [
        [n, *(round(100 * by[n, name, method]) for name in SIMULATED.DISTRIBUTIONS for method in SIMULATED.METHODS)]
        for n in (3, 5, 8, 16)
    ]


def test_intervals_of_failure_rates_hold_their_level():
    # Exactly: the probability of all counts whose interval holds the rate, on average over rates.
    counts, rates = np.arange(9), np.linspace(0.005, 0.995, 199)
    ends = np.array([wilson(int(k), 8) for k in counts])
    inside = (ends[:, :1] <= rates[None, :]) & (rates[None, :] <= ends[:, 1:])
    probability = stats.binom.pmf(counts[:, None], 8, rates[None, :])
    assert 0.94 < np.mean(np.sum(inside * probability, axis=0)) < 0.97
