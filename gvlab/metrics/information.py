"""Disentanglement by information: how much each latent tells of each factor of variation.

`codes` [n, codes] are what the encoder gives (for a VAE: the posterior mean), `factors` [n, factors] the integers that
the examples were made from. The definitions are those of Locatello et al., "Challenging Common Assumptions in the
Unsupervised Learning of Disentangled Representations", 2019, whose numbers these functions reproduce: scores depend on
the number of examples and of bins, so state both. Metrics that choose the factors themselves are in
`gvlab.metrics.interventions`.

NumPy in float64 on the host: the result must not depend on JAX's default precision or on the back-end.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Array, Float64, Int, Integer, Real

from gvlab.metrics._factors import as_factors, pair
from gvlab.types import UserError


def mutual_information(
    codes: Real[np.ndarray | Array, "n codes"], factors: Integer[np.ndarray | Array, "n factors"], bins: int = 20
) -> Float64[np.ndarray, "codes factors"]:
    """The mutual information of each code, cut into bins of equal width over its range, with each factor.

    Args:
        codes: shape [n, codes], n >= 2.
        factors: shape [n, factors], each with at least 2 values.
        bins: of each code, at least 2.

    Returns:
        Nats, of the empirical joint distribution, shape [codes, factors]. It is biased upwards by about
        (bins - 1)(values - 1) / 2n.

    Raises:
        UserError: for arrays that don't fit, values that are not finite or not integers, or a constant factor.

    Reference: Locatello et al. 2019, whose bins are 20.
    """
    x, y = pair(codes, factors, "factors")
    cut = histogram_bins(x, bins)
    levels = [np.unique(column, return_inverse=True)[1] for column in y.T]
    return np.array([[_information(code, level) for level in levels] for code in cut.T])


def factor_entropy(factors: Integer[np.ndarray | Array, "n factors"]) -> Float64[np.ndarray, " factors"]:
    """The entropy of each factor's empirical distribution, in nats, shape [factors].

    Args:
        factors: shape [n, factors], n >= 2, each with at least 2 values.

    Raises:
        UserError: for an array of another shape, values that are not integers, or a constant factor.
    """
    return np.array([_entropy(np.unique(column, return_counts=True)[1]) for column in as_factors(factors, "factors").T])


def mutual_information_gap(
    codes: Real[np.ndarray | Array, "n codes"], factors: Integer[np.ndarray | Array, "n factors"], bins: int = 20
) -> float:
    """MIG: between the two codes that know most of a factor, in units of its entropy, averaged over the factors.

    Args:
        codes: shape [n, codes], codes >= 2.
        factors: shape [n, factors].
        bins: of each code.

    Returns:
        From 0 to 1; 1 if each factor is known entirely by one code and not at all by any other.

    Raises:
        UserError: as `mutual_information`, and for a single code.

    Reference: Chen et al., "Isolating Sources of Disentanglement in VAEs", 2018, eq. 6.
    """
    information = mutual_information(codes, factors, bins)
    return float(np.mean(gap_of_top_two(information) / factor_entropy(factors)))


def modularity(
    codes: Real[np.ndarray | Array, "n codes"], factors: Integer[np.ndarray | Array, "n factors"], bins: int = 20
) -> float:
    """How little each code knows of factors other than its own, averaged over the codes.

    A code's score is 1 - sum over other factors of I^2 / (I_max^2 (factors - 1)); a code that knows nothing scores 0.

    Args:
        codes: shape [n, codes].
        factors: shape [n, factors], factors >= 2.
        bins: of each code.

    Returns:
        From 0 to 1. A code that copies another costs nothing: modularity doesn't ask for compactness.

    Raises:
        UserError: as `mutual_information`, and for a single factor.

    Reference: Ridgeway & Mozer, "Learning Deep Disentangled Embeddings with the F-Statistic Loss", 2018, section 3.
    """
    squares = mutual_information(codes, factors, bins) ** 2
    if squares.shape[1] < 2:
        raise UserError("There is 1 factor, but modularity compares at least 2: give more factors.")
    own = squares.max(axis=1)
    informed = own > 0.0
    others = (squares.sum(axis=1) - own)[informed] / (own[informed] * (squares.shape[1] - 1))
    return float((1.0 - others).sum() / len(own))


def histogram_bins(x: Float64[np.ndarray, "n d"], bins: int) -> Int[np.ndarray, "n d"]:
    """The number of the bin of each value, among bins of equal width from a column's smallest value to its largest."""
    if bins < 2:
        raise UserError(f"bins is {bins}, but at least 2 are needed.")
    columns = [np.digitize(column, np.histogram_bin_edges(column, bins)[:-1]) for column in x.T]
    return np.stack(columns, axis=1)


def _information(a: Int[np.ndarray, " n"], b: Int[np.ndarray, " n"]) -> float:
    """H(a) + H(b) - H(a, b) of the empirical distribution, in nats."""
    table = np.zeros((int(a.max()) + 1, int(b.max()) + 1), np.int64)
    np.add.at(table, (a, b), 1)
    return max(_entropy(table.sum(axis=1)) + _entropy(table.sum(axis=0)) - _entropy(table.ravel()), 0.0)


def _entropy(counts: Int[np.ndarray, " values"]) -> float:
    probability = counts[counts > 0] / counts.sum()
    return float(-np.sum(probability * np.log(probability)))


def gap_of_top_two(scores: Float64[np.ndarray, "codes factors"]) -> Float64[np.ndarray, " factors"]:
    if len(scores) < 2:
        raise UserError("There is 1 code, but a gap lies between two: give at least 2 codes.")
    ordered = np.sort(scores, axis=0)
    return ordered[-1] - ordered[-2]
