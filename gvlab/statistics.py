"""Statistics over seeds: what several runs of one experiment say, and whether two experiments differ.

A seed that failed (diverged) has the value None. It enters no average and is counted: an experiment whose survivors are
good is not a good experiment, so read the failure rate beside the mean.

Everything is deterministic: resampling draws from a frozen generator with a fixed seed, so that the same values have
the same interval and p-value wherever a report is rebuilt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, inf, sqrt
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int

from gvlab.types import UserError

FEWEST = 3
"""Seeds below which there is no interval and no test."""
ALPHA = 0.05
"""The level of every test, and of a family of tests after Holm's correction."""
POWER = 0.8
"""The probability with which a difference that is there should be found."""
MOST_SEEDS = 1_000_000
"""A pair that would need more seeds than this counts as one that no number of seeds settles."""

_EXACT_PAIRS = 16  # 2^15 sums, about a millisecond
_FLIPS = 2 ** (_EXACT_PAIRS - 1) - 1  # beyond; with the observed one as many as there, so more pairs resolve no less
_LARGEST = 1e150  # squares of larger values overflow


@dataclass(frozen=True)
class Summary:
    """One measure of one experiment over its seeds. None where there are too few finished seeds."""

    n: int
    """Seeds that finished. All numbers down to `maximum` are of these alone."""
    total: int
    """All seeds, failed ones included."""
    mean: float | None
    sd: float | None
    """Standard deviation over seeds, ddof=1; from 2 seeds on."""
    median: float | None
    iqm: float | None
    """Interquartile mean, `interquartile_mean`."""
    low: float | None
    """Lower end of the interval of the mean, `mean_interval`; from 3 seeds on."""
    high: float | None
    """Upper end of the interval of the mean."""
    minimum: float | None
    maximum: float | None
    failures: int
    """Seeds without a value."""
    failure_low: float
    """Lower end of the interval of the probability that a seed fails, `wilson`."""
    failure_high: float
    """Upper end of the interval of the probability that a seed fails."""
    note: str | None
    """Why there is no interval, or why it has no width."""


@dataclass(frozen=True)
class Paired:
    """One measure of two experiments, seed by seed. Differences are first - second."""

    n: int
    """Pairs in which both seeds finished. All other numbers are of these alone."""
    left_out: int
    """Pairs in which at least one seed failed."""
    family: int
    """Tests that share Holm's correction, this one included."""
    difference: float | None
    """The mean difference."""
    sd: float | None
    """Standard deviation of the differences, ddof=1; from 2 pairs on."""
    low: float | None
    """Lower end of the interval of the mean difference, `mean_interval`; from 3 pairs on."""
    high: float | None
    """Upper end of the interval of the mean difference."""
    p: float | None
    """Of the two-sided sign-flip test, `sign_flip_test`; from 3 pairs on. Not corrected for other tests: see `holm`."""
    smallest_p: float | None
    """The smallest p-value that the test can give with n pairs. Where `family` times it is above 0.05, as with 5 or
    fewer pairs even for a test alone, it cannot be the first of its family to reach 0.05: see `fewest_pairs`."""
    superiority: float | None
    """Share of the pairs in which first > second, ties counted half."""
    detectable: float | None
    """The smallest true mean difference that n pairs find with probability 0.8 at 0.05 / `family`, if the true standard
    deviation is `sd`; None where n pairs find none whatever it is."""
    seeds_needed: int | None
    """Pairs with which a new comparison finds a true mean difference of `difference` with probability 0.8 at 0.05 /
    `family`, if the true standard deviation is `sd`; more than n if these n don't decide. None if the difference is 0,
    or if a million are too few. From 3 pairs on."""
    note: str | None
    """Which pairs are left out, and why a number is missing or weak."""


def summarise(values: Sequence[float | None], *, confidence: float = 0.95, resamples: int = 10_000) -> Summary:
    """One measure of one experiment over its seeds: location, spread, interval of the mean, failure rate.

    Args:
      values: one per seed; None for a seed that failed.
      confidence: of the two intervals.
      resamples: of the bootstrap, as in `mean_interval`.

    Returns:
      Summary of Python floats.

    Raises:
      UserError: without values, or for a value that is not finite, and as `mean_interval` and `wilson`.
    """
    x = np.array([v for v in _checked(values, "values") if v is not None], dtype=np.float64)
    n, failures = len(x), len(values) - len(x)
    failure_low, failure_high = wilson(failures, len(values), confidence)
    interval = mean_interval(x.tolist(), confidence=confidence, resamples=resamples) if n >= FEWEST else None
    note = None
    if interval is None:
        note = f"No interval: {n} of {len(values)} seed(s) finished, but at least {FEWEST} are needed."
    elif _constant(x):
        note = "All seeds have the same value: the interval has no width, and says nothing about further seeds."
    return Summary(
        n=n,
        total=len(values),
        mean=_mean(x) if n else None,
        sd=_deviation(x) if n > 1 else None,
        median=float(np.median(x)) if n else None,
        iqm=interquartile_mean(x.tolist()) if n else None,
        low=interval[0] if interval else None,
        high=interval[1] if interval else None,
        minimum=float(x.min()) if n else None,
        maximum=float(x.max()) if n else None,
        failures=failures,
        failure_low=failure_low,
        failure_high=failure_high,
        note=note,
    )


def paired(
    first: Sequence[float | None],
    second: Sequence[float | None],
    *,
    family: int = 1,
    confidence: float = 0.95,
    resamples: int = 10_000,
) -> Paired:
    """One measure of two experiments that were run with the same seeds: differences seed by seed.

    The same seed index means the same data order and evaluation latents in both, so the difference within a pair has
    less noise than either value. A pair with a failed seed is left out, so the difference is one *between runs that
    finished in both*: where failures are frequent, compare the failure rates first.

    `superiority` is that of pairs, P(first_k > second_k) + P(first_k = second_k) / 2 (Grissom & Kim), not the A of
    Vargha & Delaney over all n^2 combinations of seeds, which ignores the pairing.

    `detectable` and `seeds_needed` are for the level 0.05 / family, Holm's first step: a pair that reaches it is
    significant whatever the other p-values are. Later steps ask for less, so both are conservative. They take the power
    of Student's paired t test, by the noncentral t distribution, for that of the sign-flip test, at the level that the
    latter attains: its p-values are multiples of 2^(1-n), so that a test "at 0.05" of 7 pairs is one at 3/64, and one
    of 5 pairs finds nothing. Where only the smallest p-value will do, as for 6 pairs, the power is exactly the
    probability that all differences have the same sign. Measured with normal differences, the sign-flip test's power
    at the difference called detectable is 0.80 for 6 pairs, 0.78 for 7, 0.79 for 8 and 10, 0.80 for 12 and 16; that of
    a `verdict`, which asks the interval as well, is 0.80 for 6, 0.73 for 7, 0.75 for 8, 0.76 for 12 and 0.77 for 16. In
    a family it is less where few p-values will do: 0.80 for 10 pairs among 14 tests, 0.73 for 11, 0.76 for 12, 0.79 for
    16; the least found was 0.72, for 10 among 10 (`experiments/benchmarks/intervals.py`: 20,000 simulations each,
    standard error 0.003).

    Both take `sd`, an estimate, for the true standard deviation, and `seeds_needed` the observed difference, another
    one, for the true difference: of few pairs they are orders of magnitude, not plans. A pair that is undecided at
    0.05 / family needs more than its n pairs by definition, so the search begins at n + 1, even where n pairs of normal
    differences would have been likely to do.

    Args:
      first: one value per seed index; None for a seed that failed.
      second: likewise, with the same seed indices.
      family: the number of tests that share Holm's correction with this one, itself included, as they will be given to
        `holm`. Counting tests that are not made (None there) as well is conservative.
      confidence: of the interval of the mean difference.
      resamples: of the bootstrap, as in `mean_interval`.

    Returns:
      Paired of Python floats.

    Raises:
      UserError: without values, for different numbers of seeds, a value that is not finite, or a family below 1, and as
        `mean_interval`.

    References: Grissom & Kim, "Effect Sizes for Research", 2012 (superiority in dependent groups); Cohen, "Statistical
    Power Analysis for the Behavioral Sciences", 1988, chapter 2 (power).
    """
    if len(first) != len(second):
        raise UserError(
            f"first has {len(first)} seed(s) and second {len(second)}: give one value per seed index in each, "
            "None where it failed."
        )
    _check_family(family)
    both = zip(_checked(first, "first"), _checked(second, "second"), strict=True)
    pairs = np.array([pair for pair in both if None not in pair], dtype=np.float64).reshape(-1, 2)
    d = pairs[:, 0] - pairs[:, 1]
    n, left_out = len(d), len(first) - len(d)
    interval = mean_interval(d.tolist(), confidence=confidence, resamples=resamples) if n >= FEWEST else None
    difference, sd = (_mean(d) if n else None), (_deviation(d) if n > 1 else None)
    p = sign_flip_test(d.tolist()) if n >= FEWEST else None
    undecided = interval is None or p is None or family * p > ALPHA or interval[0] <= 0 <= interval[1]
    detectable = None if sd is None or not _rejecting(n, family) else sd * _detectable_effect(n, family)
    needed = None
    if difference is not None and sd is not None and n >= FEWEST:
        needed = _seeds_needed(difference, sd, family, above=n if undecided else 0)
    return Paired(
        n=n,
        left_out=left_out,
        family=family,
        difference=difference,
        sd=sd,
        low=interval[0] if interval else None,
        high=interval[1] if interval else None,
        p=p,
        smallest_p=_smallest_p(n) if n else None,
        superiority=float(np.mean(np.heaviside(d, 0.5))) if n else None,
        detectable=detectable,
        seeds_needed=needed,
        note=_note(d, left_out, family),
    )


def fewest_pairs(family: int = 1) -> int | None:
    """The fewest pairs with which a test can be the first of its family to reach 0.05 after Holm's correction.

    With n pairs the smallest p-value is 2^(1-n), which must be at most 0.05 / family: 6 pairs for one test, 8 for 6, 10
    for 14. With fewer in all tests of the family, none of them decides anything.

    Args:
      family: the number of tests that share the correction, at least 1.

    Returns:
      The number of pairs; None for a family of more than 1638 tests, for which `sign_flip_test` is too coarse.

    Raises:
      UserError: for a family below 1.
    """
    _check_family(family)
    return next((n for n in range(FEWEST, _EXACT_PAIRS + 1) if _rejecting(n, family)), None)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p-values of a family of tests, in the given order.

    Rejecting where the adjusted value is at most 0.05 makes a false rejection anywhere in the family with a
    probability of at most 0.05, whatever the dependence between the tests.

    Args:
      p_values: of the family; None for a test that was not made, which stays None and does not count.

    Returns:
      The adjusted values, each at least as large as its own, at most 1.

    Raises:
      UserError: for a value that is not from 0 to 1.

    Reference: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979.
    """
    for index, p in enumerate(p_values):
        if p is not None and not 0 <= p <= 1:
            raise UserError(f"p_values[{index}] is {p}, but a p-value is from 0 to 1: give None for a test not made.")
    ordered = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(ordered):
        largest = max(largest, min(1.0, (len(ordered) - rank) * p))
        adjusted[index] = largest
    return adjusted


def verdict(
    pair: Paired, adjusted_p: float | None, better: Literal["lower", "higher"] | None
) -> Literal["first", "second", "undecided"]:
    """Which of two experiments is better, if the seeds say so.

    One is called better only if the interval of the mean difference excludes 0 *and* the adjusted p-value is at most
    0.05. "undecided" does not mean that they are equal: `Paired.detectable` says what could have been found.

    Args:
      pair: from `paired`.
      adjusted_p: of this pair, from `holm` over all pairs that are reported together.
      better: the direction of the measure; None for one without, which decides nothing.

    Returns:
      "first", "second" or "undecided".

    Raises:
      UserError: for another direction.
    """
    if better not in ("lower", "higher", None):
        raise UserError(f"better is {better!r}, but must be 'lower', 'higher' or None.")
    if better is None or pair.low is None or pair.high is None or adjusted_p is None or adjusted_p > ALPHA:
        return "undecided"
    if pair.low <= 0 <= pair.high:
        return "undecided"
    return "first" if (pair.high < 0) == (better == "lower") else "second"


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

    _check_confidence(confidence)
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
    x = np.sort(_finite(values, "values"))
    if _constant(x):
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

    x = _finite(values, "values")
    n = len(x)
    _check_confidence(confidence)
    if n < FEWEST:
        raise UserError(f"values has {n} number(s), but an interval needs at least {FEWEST}: run more seeds.")
    if resamples < 1000:
        raise UserError(f"resamples is {resamples}, but must be at least 1000: the interval's ends are in the tails.")
    mean = _mean(x)
    if _constant(x):
        return mean, mean
    # Relative to the mean and to the scale: values with a mean far above their spread lose no digits.
    scale = float(np.abs(x - mean).max())
    d = (x - mean) / scale
    t = float(stdtrit(n - 1, (1 + confidence) / 2))
    low, high = _bca_interval(d, sqrt(n / (n - 1)) * t, resamples)
    student = t * _deviation(d) / sqrt(n)
    return mean + scale * min(low, -student), mean + scale * max(high, student)


def sign_flip_test(differences: Sequence[float]) -> float:
    """The two-sided p-value of the mean difference, if each difference were as likely with the other sign.

    That holds under the null hypothesis that the two experiments are exchangeable within a pair, whatever their
    distribution. Exact up to 16 pairs: the share of all 2^n sign patterns whose absolute mean is at least the observed
    one. Beyond, (b + 1) / (m + 1) over m = 32,767 random patterns, of which b are so: a valid p-value, too.

    Args:
      differences: at least one, finite.

    Returns:
      The p-value; at least 2^(1-n), or 2^-15 beyond 16 pairs: the observed pattern and its mirror image always count.

    Raises:
      UserError: without differences, or for one that is not finite.

    References: Fisher, "The Design of Experiments", 1935, section 21; Phipson & Smyth, "Permutation P-values Should
    Never Be Zero", 2010 (the Monte-Carlo form).
    """
    d = _finite(differences, "differences")
    # Patterns that tie with the observed one but for rounding count.
    threshold = abs(d.sum()) - 1e-12 * np.abs(d).sum()
    if len(d) > _EXACT_PAIRS:
        signs = 2.0 * np.random.RandomState(0).randint(2, size=(_FLIPS, len(d))) - 1.0
        return float((np.count_nonzero(np.abs(signs @ d) >= threshold) + 1) / (_FLIPS + 1))
    sums = d[:1]  # the first sign stays: the mirror image of a pattern has the same absolute mean
    for value in d[1:]:
        sums = np.concatenate([sums + value, sums - value])
    return float(np.mean(np.abs(sums) >= threshold))


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


def _smallest_p(n: int) -> float:
    return 2.0 ** (1 - min(n, _EXACT_PAIRS))


def _rejecting(n: int, family: int) -> int:
    """How many of the p-values that n pairs can have, all multiples of the smallest, are at most ALPHA / family."""
    return floor(ALPHA / (family * _smallest_p(n)))


def _power(n: int, effect: float, family: int) -> float:
    """Probability that n pairs reject at ALPHA / family, if the true mean is `effect` > 0 true standard deviations.

    Rejections for the wrong side, less than one in a thousand of the others at `POWER`, don't count.
    """
    from scipy.special import nctdtr, ndtr, stdtrit

    rejecting = _rejecting(n, family)
    if rejecting == 0:
        return 0.0
    if rejecting == 1 and n <= _EXACT_PAIRS:
        return float(ndtr(effect) ** n)  # the smallest p-value is that of equal signs
    t = float(stdtrit(n - 1, 1 - rejecting * _smallest_p(n) / 2))
    shift = min(sqrt(n) * effect, t + 5)  # where the power is above 0.99, and beyond which `nctdtr` becomes NaN
    return float(1 - nctdtr(n - 1, shift, t))


def _detectable_effect(n: int, family: int) -> float:
    """The true mean difference, in true standard deviations, that n pairs find with probability `POWER`."""
    from scipy.optimize import brentq

    return float(brentq(lambda effect: _power(n, effect, family) - POWER, 0.0, 10.0))


def _seeds_needed(difference: float, sd: float, family: int, above: int) -> int | None:
    """The smallest n > above whose power for this difference is at least `POWER`, by bisection."""
    if difference == 0:
        return None
    effect = abs(difference) / sd if sd else inf
    low, high = above, MOST_SEEDS
    if _power(high, effect, family) < POWER:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(middle, effect, family) >= POWER else (middle, high)
    return high


def _note(d: Float64[np.ndarray, " n"], left_out: int, family: int) -> str | None:
    n = len(d)
    sentences = []
    if left_out:
        sentences.append(f"{left_out} of {n + left_out} pair(s) are left out: a seed failed.")
    if n < FEWEST:
        sentences.append(f"No interval and no test: {n} pair(s) finished, but at least {FEWEST} are needed.")
    elif not _rejecting(n, family):
        # Once others have reached it, Holm's correction asks less of the rest, which may have lost more seeds.
        reach = f"be the first among {family} tests to reach" if family > 1 else "reach"
        could = fewest_pairs(family)
        sentences.append(
            f"{n} pairs cannot {reach} p = {ALPHA}" + (f"; {could} could." if could else ", nor could more.")
        )
    if n >= FEWEST and _constant(d):
        sentences.append("All differences are equal: the interval has no width.")
    return " ".join(sentences) or None


def _checked(values: Sequence[float | None], name: str) -> Sequence[float | None]:
    if len(values) == 0:
        raise UserError(f"{name} is empty: give one value per seed.")
    for index, value in enumerate(values):
        if value is not None and not abs(value) < _LARGEST:
            raise UserError(
                f"{name}[{index}] is {value}, but must be a finite number (below {_LARGEST:g}), or None for a "
                "seed that failed."
            )
    return values


def _finite(values: Sequence[float | None], name: str) -> Float64[np.ndarray, " n"]:
    if None in values:
        raise UserError(f"{name}[{values.index(None)}] is None, but must be a number: leave failed seeds out.")
    return np.array(_checked(values, name), dtype=np.float64)


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise UserError(f"confidence is {confidence}, but must be above 0 and below 1, such as 0.95.")


def _check_family(family: int) -> None:
    if family < 1:
        raise UserError(f"family is {family}, but must be at least 1: it counts the test itself.")


def _constant(x: Float64[np.ndarray, " n"]) -> bool:
    return bool(x.min() == x.max())


def _mean(x: Float64[np.ndarray, " n"]) -> float:
    """Exact for equal values, whose sum may be rounded."""
    return float(x[0]) if _constant(x) else float(x.mean())


def _deviation(x: Float64[np.ndarray, " n"]) -> float:
    return 0.0 if _constant(x) else float(x.std(ddof=1))
