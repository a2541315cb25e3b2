"""Intervals of means and of rates."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from jaxtyping import Float64, Int

from gvlab.statistics.values import FEWEST, check_confidence, deviation_of, finite, is_constant, mean_of
from gvlab.types import UserError


def wilson(failures: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of Wilson for a probability, here that a seed fails.

    It is sensible at the ends, where the usual one has no width: no failure in 8 seeds leaves 0 to 0.32.

    Args:
        failures: from 0 to total.
        total: all seeds, at least 1.
        confidence: above 0 and below 1.

    Returns:
        (low, high), from 0 to 1.

    Raises:
        UserError: for numbers out of range.

    Reference: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.
    """
    from scipy.special import ndtri

    check_confidence(confidence)
    if not 0 <= failures <= total or total < 1:
        raise UserError(f"{failures} failure(s) of {total} seed(s) make no rate: give 0 <= failures <= total >= 1.")
    z = float(ndtri((1 + confidence) / 2))
    centre = (failures + z**2 / 2) / (total + z**2)
    half = z / (total + z**2) * sqrt(failures * (total - failures) / total + z**2 / 4)
    # At the ends the two terms cancel but for rounding.
    low = 0.0 if failures == 0 else centre - half
    high = 1.0 if failures == total else centre + half
    return low, high


def interquartile_mean(values: Sequence[float]) -> float:
    """The mean of the middle half of the values: less sensitive to outliers than the mean, less noisy than the median.

    The sorted values are n equal blocks on [0, n], and the mean is that over [n/4, 3n/4]: a value on a quartile counts
    by the part of it that is inside. For n divisible by 4 this is the 25 % trimmed mean.

    Args:
        values: at least one, finite, in any order.

    Returns:
        The mean, in units of the values.

    Raises:
        UserError: without values, or for a value that is not finite.

    Reference: Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", 2021, sec. 4.3.
    """
    x = np.sort(finite(values, "values"))
    if is_constant(x):
        return float(x[0])
    left = np.arange(len(x))
    inside = np.minimum(left + 1, 0.75 * len(x)) - np.maximum(left, 0.25 * len(x))
    return float(np.average(x, weights=np.maximum(inside, 0.0)))


def mean_interval(values: Sequence[float], *, confidence: float = 0.95, resamples: int = 10_000) -> tuple[float, float]:
    """A bootstrap interval of the mean that holds its level for as few values as there are seeds.

    Efron's bias-corrected and accelerated interval (BCa) corrects for skewness, but is too narrow for small n, for two
    reasons: the bootstrap's standard error is too small by sqrt((n - 1) / n), and it stands for a normal quantile
    where Student's belongs. Its levels are therefore expanded as Hesterberg proposes for the percentile interval: the
    normal quantile z in Efron's formula becomes sqrt(n / (n - 1)) t_(n-1). No such interval can reach beyond the
    smallest and the largest value, though, between which the true mean of a symmetric distribution lies with
    probability 1 - 2^(1-n) only: 0.75 for n = 3, 0.94 for n = 5. So each end is the farther one of the expanded
    BCa interval and of Student's t interval. For n = 3 and 4 that is Student's; for larger n the bootstrap
    widens it, most on the side of the long tail.

    Measured coverage of the true mean at confidence 0.95, in per cent, by the plain BCa interval, the expanded one,
    Student's, and this one (`experiments/benchmarks/intervals.py`: 20,000 simulations each, standard error at most 0.4;
    the number behind log-normal is the standard deviation of the logarithm):

       n   normal           Student's t, 3 df  log-normal, 0.5  log-normal, 1
       3   73  75  95  95   71  75  96  96     70  72  92  92   62  64  84  84
       5   83  92  95  96   82  91  96  97     81  90  92  93   75  83  82  85
       8   88  94  95  96   85  92  96  96     87  93  92  94   80  87  83  88
      16   92  95  95  96   88  91  96  96     91  94  93  95   86  89  86  91

    For normal values it is 7 % wider than Student's for n = 5, 8 % for n = 8 and 4 % for n = 16. A strongly skewed
    distribution defeats every interval of so few values: its mean lies in a tail that they seldom show.

    Args:
        values: at least 3, finite. If all are equal, so are the ends.
        confidence: above 0 and below 1.
        resamples: of the bootstrap, at least 1000: the ends are quantiles deep in the tails.

    Returns:
        (low, high), in units of the values.

    Raises:
        UserError: for fewer than 3 values, a value that is not finite, or a parameter out of range.

    References: Efron, "Better Bootstrap Confidence Intervals", 1987; Efron & Tibshirani, "An Introduction to the
    Bootstrap", 1993, eq. 14.9 to 14.15 (BCa with the jackknife's acceleration); Hesterberg, "What Teachers Should Know
    About the Bootstrap", 2015 (expanded levels; his R package `resample` applies them to BCa likewise).
    """
    from scipy.special import stdtrit

    x = finite(values, "values")
    n = len(x)
    check_confidence(confidence)
    if n < FEWEST:
        raise UserError(f"values has {n} number(s), but an interval needs at least {FEWEST}: run more seeds.")
    if resamples < 1000:
        raise UserError(f"resamples is {resamples}, but must be at least 1000: the interval's ends are in the tails.")
    mean = mean_of(x)
    if is_constant(x):
        return mean, mean
    # Relative to the mean and to the scale: values with a mean far above their spread lose no digits.
    scale = float(np.abs(x - mean).max())
    d = (x - mean) / scale
    t = float(stdtrit(n - 1, (1 + confidence) / 2))
    low, high = _bca_interval(d, sqrt(n / (n - 1)) * t, resamples)
    student = t * deviation_of(d) / sqrt(n)
    return mean + scale * min(low, -student), mean + scale * max(high, student)


def _bca_interval(d: Float64[np.ndarray, " n"], z: float, resamples: int) -> tuple[float, float]:
    """Efron's interval at the normal quantiles -z and z, for the mean of values whose mean is 0."""
    from scipy.special import ndtr, ndtri

    means = d[_resamples(len(d), resamples)].mean(axis=1)
    tied = np.abs(means) < 1e-12  # among few values many resamples have the observed mean, but for rounding
    bias = float(ndtri(np.mean(np.where(tied, 0.5, means < 0))))
    acceleration = float(np.sum(d**3) / (6 * np.sum(d**2) ** 1.5))
    levels = []
    for w in (bias - z, bias + z):
        # Where the denominator reaches 0 the level has reached its end, which only confidence above 0.99 can bring.
        bounded = acceleration * w < 1
        levels.append(float(ndtr(bias + w / (1 - acceleration * w))) if bounded else float(w > 0))
    low, high = np.quantile(means, levels)
    return float(low), float(high)


def _resamples(n: int, count: int) -> Int[np.ndarray, "count n"]:
    return np.random.RandomState(0).randint(n, size=(count, n))
