"""Whether Markov chains have mixed: the potential scale reduction, and the effective sample size.

NumPy in float64 on the host: the result must not depend on JAX's default precision or on the back-end.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Array, Float64, Real

from gvlab.types import UserError


def split_r_hat(draws: Real[np.ndarray | Array, "draws chains *quantities"]) -> Float64[np.ndarray, "*quantities"]:
    """The root of the variance of all draws over that within half chains: near 1 where the chains have mixed.

    Args:
        draws: in their order, at least 4 of each chain.

    Returns:
        Of each quantity; NaN where it never moves.

    Raises:
        UserError: for fewer draws.

    Reference: Gelman et al., "Bayesian Data Analysis", 3rd ed., 2013, section 11.4.
    """
    halves = _halves(draws)
    n = halves.shape[0]
    within = halves.var(axis=0, ddof=1).mean(axis=0)
    between = n * halves.mean(axis=0).var(axis=0, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.sqrt(((n - 1) / n * within + between / n) / within))


def effective_sample_size(
    draws: Real[np.ndarray | Array, "draws chains *quantities"],
) -> Float64[np.ndarray, "*quantities"]:
    """How many independent draws would give a mean of the same variance: all draws over the autocorrelation time.

    Autocorrelations are of half chains together, and added up in pairs until one is negative; the pairs' sums are made
    not to rise.

    Args:
        draws: in their order, at least 4 of each chain.

    Returns:
        Of each quantity, at most draws x log10(draws) as in Stan; NaN where it never moves.

    Raises:
        UserError: for fewer draws.

    Reference: Geyer, "Practical Markov Chain Monte Carlo", 1992, section 3.3; Vehtari et al., "Rank-Normalization,
    Folding, and Localization", 2021, eq. 10 to 13.
    """
    halves = _halves(draws)
    n, chains = halves.shape[:2]
    centred = halves - halves.mean(axis=0)
    spectrum = np.fft.rfft(centred, n=2 * n, axis=0)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, n=2 * n, axis=0)[:n].mean(axis=1) / n
    within = covariance[0] * n / (n - 1)
    total = within * (n - 1) / n + (halves.mean(axis=0).var(axis=0, ddof=1) if chains > 1 else 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = 1 - (within - covariance) / total
    correlation[0] = 1.0
    pairs = correlation[: n - n % 2].reshape(-1, 2, *correlation.shape[1:]).sum(axis=1)
    negative = pairs < 0
    counted = ~np.logical_or.accumulate(negative, axis=0)
    time = 2 * np.where(counted, np.minimum.accumulate(pairs, axis=0), 0.0).sum(axis=0) - 1
    count = n * chains
    size = count / np.maximum(time, 1 / np.log10(count))
    return np.where(total > 0, size, np.nan)


def _halves(draws: Real[np.ndarray | Array, "..."]) -> Float64[np.ndarray, "half twice *quantities"]:
    x = np.asarray(draws, np.float64)
    if x.ndim < 2 or x.shape[0] < 4:
        raise UserError(f"The draws have the shape {x.shape}, but at least 4 of each chain are wanted: draw more.")
    half = x.shape[0] // 2
    return np.concatenate([x[:half], x[half : 2 * half]], axis=1)
