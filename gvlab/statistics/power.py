"""How large a difference so many seeds could find, and how many would settle one."""

from __future__ import annotations

from math import inf, sqrt

from gvlab.statistics.significance import EXACT_PAIRS, count_rejecting, smallest_p

POWER = 0.8
"""The probability with which a difference that is there should be found."""


MOST_SEEDS = 1_000_000
"""A pair that would need more seeds than this counts as one that no number of seeds settles."""


def _power(n: int, effect: float, family: int) -> float:
    """Probability that n pairs reject at ALPHA / family, if the true mean is `effect` > 0 true standard deviations.

    Rejections for the wrong side, less than one in a thousand of the others at `POWER`, don't count.
    """
    from scipy.special import nctdtr, ndtr, stdtrit

    rejecting = count_rejecting(n, family)
    if rejecting == 0:
        return 0.0
    if rejecting == 1 and n <= EXACT_PAIRS:
        return float(ndtr(effect) ** n)  # the smallest p-value is that of equal signs
    t = float(stdtrit(n - 1, 1 - rejecting * smallest_p(n) / 2))
    shift = min(sqrt(n) * effect, t + 5)  # where the power is above 0.99, and beyond which `nctdtr` becomes NaN
    return float(1 - nctdtr(n - 1, shift, t))


def detectable_effect(n: int, family: int) -> float:
    """The true mean difference, in true standard deviations, that n pairs find with probability `POWER`."""
    from scipy.optimize import brentq

    return float(brentq(lambda effect: _power(n, effect, family) - POWER, 0.0, 10.0))


def seeds_needed(difference: float, sd: float, family: int, above: int) -> int | None:
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
