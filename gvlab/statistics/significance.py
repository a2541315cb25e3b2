"""The exact sign-flip test, and Holm's correction of a family of tests."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor

import numpy as np

from gvlab.statistics.values import ALPHA, FEWEST, check_family, finite
from gvlab.types import UserError

EXACT_PAIRS = 16  # 2^15 sums, about a millisecond


_FLIPS = 2 ** (EXACT_PAIRS - 1) - 1  # beyond; with the observed one as many as there, so more pairs resolve no less


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
    check_family(family)
    return next((n for n in range(FEWEST, EXACT_PAIRS + 1) if count_rejecting(n, family)), None)


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

    Examples:
        >>> from gvlab import statistics
        >>> statistics.sign_flip_test([1.2, 0.8, 2.0, 0.3, 1.1, 0.9])  # the smallest p that six pairs can give
        0.03125
    """
    d = finite(differences, "differences")
    # Patterns that tie with the observed one but for rounding count.
    threshold = abs(d.sum()) - 1e-12 * np.abs(d).sum()
    if len(d) > EXACT_PAIRS:
        signs = 2.0 * np.random.RandomState(0).randint(2, size=(_FLIPS, len(d))) - 1.0
        return float((np.count_nonzero(np.abs(signs @ d) >= threshold) + 1) / (_FLIPS + 1))
    sums = d[:1]  # the first sign stays: the mirror image of a pattern has the same absolute mean
    for value in d[1:]:
        sums = np.concatenate([sums + value, sums - value])
    return float(np.mean(np.abs(sums) >= threshold))


def smallest_p(n: int) -> float:
    return 2.0 ** (1 - min(n, EXACT_PAIRS))


def count_rejecting(n: int, family: int) -> int:
    """How many of the p-values that n pairs can have, all multiples of the smallest, are at most ALPHA / family."""
    return floor(ALPHA / (family * smallest_p(n)))
