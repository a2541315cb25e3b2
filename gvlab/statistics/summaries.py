"""Seeds of one experiment summarised, pairs of experiments judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64

from gvlab.statistics.intervals import interquartile_mean, mean_interval, wilson
from gvlab.statistics.power import detectable_effect, seeds_needed
from gvlab.statistics.significance import count_rejecting, fewest_pairs, sign_flip_test, smallest_p
from gvlab.statistics.values import ALPHA, FEWEST, check_family, checked, deviation_of, is_constant, mean_of
from gvlab.types import UserError


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

    Examples:
        >>> from gvlab import statistics
        >>> summary = statistics.summarise([50.1, 52.4, 49.2, None])  # the fourth seed diverged
        >>> summary.n, summary.failures, round(summary.mean, 2)
        (3, 1, 50.57)
        >>> print(f"{summary.low:.1f} to {summary.high:.1f}")
        46.5 to 54.7
    """
    x = np.array([v for v in checked(values, "values") if v is not None], dtype=np.float64)
    n, failures = len(x), len(values) - len(x)
    failure_low, failure_high = wilson(failures, len(values), confidence)
    interval = mean_interval(x.tolist(), confidence=confidence, resamples=resamples) if n >= FEWEST else None
    note = None
    if interval is None:
        note = f"No interval: {n} of {len(values)} seed(s) finished, but at least {FEWEST} are needed."
    elif is_constant(x):
        note = "All seeds have the same value: the interval has no width, and says nothing about further seeds."
    return Summary(
        n=n,
        total=len(values),
        mean=mean_of(x) if n else None,
        sd=deviation_of(x) if n > 1 else None,
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
        family: the number of tests that share Holm's correction with this one, itself included, as they will be given
            to `holm`. Counting tests that are not made (None there) as well is conservative.
        confidence: of the interval of the mean difference.
        resamples: of the bootstrap, as in `mean_interval`.

    Returns:
        Paired of Python floats.

    Raises:
        UserError: without values, for different numbers of seeds, a value that is not finite, or a family below 1, and
            as `mean_interval`.

    References: Grissom & Kim, "Effect Sizes for Research", 2012 (superiority in dependent groups); Cohen, "Statistical
    Power Analysis for the Behavioral Sciences", 1988, chapter 2 (power).
    """
    if len(first) != len(second):
        raise UserError(
            f"first has {len(first)} seed(s) and second {len(second)}: give one value per seed index in each, "
            "None where it failed."
        )
    check_family(family)
    both = zip(checked(first, "first"), checked(second, "second"), strict=True)
    pairs = np.array([pair for pair in both if None not in pair], dtype=np.float64).reshape(-1, 2)
    d = pairs[:, 0] - pairs[:, 1]
    n, left_out = len(d), len(first) - len(d)
    interval = mean_interval(d.tolist(), confidence=confidence, resamples=resamples) if n >= FEWEST else None
    difference, sd = (mean_of(d) if n else None), (deviation_of(d) if n > 1 else None)
    p = sign_flip_test(d.tolist()) if n >= FEWEST else None
    undecided = interval is None or p is None or family * p > ALPHA or interval[0] <= 0 <= interval[1]
    detectable = None if sd is None or not count_rejecting(n, family) else sd * detectable_effect(n, family)
    needed = None
    if difference is not None and sd is not None and n >= FEWEST:
        needed = seeds_needed(difference, sd, family, above=n if undecided else 0)
    return Paired(
        n=n,
        left_out=left_out,
        family=family,
        difference=difference,
        sd=sd,
        low=interval[0] if interval else None,
        high=interval[1] if interval else None,
        p=p,
        smallest_p=smallest_p(n) if n else None,
        superiority=float(np.mean(np.heaviside(d, 0.5))) if n else None,
        detectable=detectable,
        seeds_needed=needed,
        note=_note(d, left_out, family),
    )


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


def _note(d: Float64[np.ndarray, " n"], left_out: int, family: int) -> str | None:
    n = len(d)
    sentences = []
    if left_out:
        sentences.append(f"{left_out} of {n + left_out} pair(s) are left out: a seed failed.")
    if n < FEWEST:
        sentences.append(f"No interval and no test: {n} pair(s) finished, but at least {FEWEST} are needed.")
    elif not count_rejecting(n, family):
        # Once others have reached it, Holm's correction asks less of the rest, which may have lost more seeds.
        reach = f"be the first among {family} tests to reach" if family > 1 else "reach"
        could = fewest_pairs(family)
        sentences.append(
            f"{n} pairs cannot {reach} p = {ALPHA}" + (f"; {could} could." if could else ", nor could more.")
        )
    if n >= FEWEST and is_constant(d):
        sentences.append("All differences are equal: the interval has no width.")
    return " ".join(sentences) or None
