"""Precision and recall as a curve: for each exchange rate of one for the other, the best that can be had of both."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float64, Int, Real

from gvlab.metrics._features import as_features, require_same_width
from gvlab.types import UserError


class PRDCurve(NamedTuple):
    """Pairs of precision and recall, one pair an angle, each from 0 to 1."""

    precision: Float64[np.ndarray, " angles"]
    recall: Float64[np.ndarray, " angles"]


def prd_curve(
    generated: Real[np.ndarray | Array, " bins"], real: Real[np.ndarray | Array, " bins2"], angles: int = 1001
) -> PRDCurve:
    """The PRD curve of two histograms: precision(t) = sum_i min(t real_i, generated_i), recall(t) = precision(t) / t.

    Args:
        generated: the generated set's share of each bin, shape [bins], summing to 1.
        real: the real set's share of each bin, shape [bins], summing to 1.
        angles: how many slopes t, the tangents of equally spaced angles between 0 and a right angle; at least 3.

    Returns:
        The curve, each array of shape [angles], by rising slope: from recall alone to precision alone.

    Raises:
        UserError: for histograms of different lengths or that don't sum to 1, or fewer than 3 angles.

    Reference: Sajjadi et al., "Assessing Generative Models via Precision and Recall", 2018, eq. 4 and algorithm 1.
    """
    if angles < 3:
        raise UserError(f"angles is {angles}, but a curve has at least 3.")
    p, q = _as_histogram(real, "real"), _as_histogram(generated, "generated")
    if len(p) != len(q):
        raise UserError(f"The histograms have {len(q)} and {len(p)} bins: count both sets in the same bins.")
    # The published code's distance from angles whose tangents are 0 and infinite.
    slopes = np.tan(np.linspace(1e-10, np.pi / 2 - 1e-10, angles))
    precision = np.minimum(slopes[:, None] * p[None, :], q[None, :]).sum(axis=1)
    # Rounding of the sums may pass 1.
    return PRDCurve(np.clip(precision, 0.0, 1.0), np.clip(precision / slopes, 0.0, 1.0))


def prd_curve_from_features(
    generated: Real[np.ndarray | Array, "n d"],
    real: Real[np.ndarray | Array, "m d2"],
    *,
    clusters: int = 20,
    runs: int = 10,
    angles: int = 1001,
    seed: int,
) -> PRDCurve:
    """The PRD curve of two sets of features, whose bins are k-means clusters of both sets together.

    Precision and recall are averaged over `runs` clusterings (scikit-learn's MiniBatchKMeans, the best of 10 starts).

    Args:
        generated: features of the generated set, shape [n, d], n >= 2.
        real: features of the real set, shape [n, d]. Sets of different sizes would pull the clusters to the larger.
        clusters: how many bins, from 2 to 2 n.
        runs: how many clusterings, at least 1.
        angles: as for `prd_curve`.
        seed: run i clusters with the seed `seed + i`. Numbers for a seed may change with scikit-learn's version.

    Returns:
        The mean curve, each array of shape [angles].

    Raises:
        UserError: for sets of different sizes or widths, fewer than 2 rows, values that are not finite, or options that
            are out of range.

    Reference: Sajjadi et al., "Assessing Generative Models via Precision and Recall", 2018, section 3.3.
    """
    from sklearn.cluster import MiniBatchKMeans

    x, y = as_features(generated, "generated"), as_features(real, "real")
    require_same_width(x.shape[1], y.shape[1])
    if len(x) != len(y):
        raise UserError(f"generated has {len(x)} rows and real {len(y)}: PRD compares sets of equal size, so cut one.")
    union = np.concatenate([x, y])
    if not 2 <= clusters <= len(union):
        raise UserError(f"clusters is {clusters}, but {len(union)} rows make from 2 to {len(union)} clusters.")
    if runs < 1:
        raise UserError(f"runs is {runs}, but must be at least 1.")
    curves = []
    for run in range(runs):
        labels = MiniBatchKMeans(n_clusters=clusters, n_init=10, random_state=seed + run).fit(union).labels_
        shares_x, shares_y = (_shares(part, clusters) for part in (labels[: len(x)], labels[len(x) :]))
        curves.append(prd_curve(shares_x, shares_y, angles))
    return PRDCurve(
        np.mean([curve.precision for curve in curves], axis=0), np.mean([curve.recall for curve in curves], axis=0)
    )


def prd_f_scores(curve: PRDCurve, beta: float = 8.0) -> tuple[float, float]:
    """(max F_beta, max F_1/beta) over the curve: two numbers for a table, F8 for recall and F1/8 for precision.

    F_beta = (1 + beta^2) precision recall / (beta^2 precision + recall).

    Args:
        curve: from `prd_curve` or `prd_curve_from_features`.
        beta: how many times more recall weighs than precision; above 1.

    Raises:
        UserError: if beta is not above 1.

    Reference: Sajjadi et al., "Assessing Generative Models via Precision and Recall", 2018, section 4.1.
    """
    if not 1 < beta < np.inf:
        raise UserError(f"beta is {beta}, but must be a finite number above 1.")
    return _best_f(curve, beta), _best_f(curve, 1.0 / beta)


def _best_f(curve: PRDCurve, beta: float) -> float:
    # 1e-10, as in the published code: F is 0, not 0 / 0, where both are 0.
    denominator = beta**2 * curve.precision + curve.recall + 1e-10
    return float(np.max((1 + beta**2) * curve.precision * curve.recall / denominator))


def _shares(labels: Int[np.ndarray, " n"], bins: int) -> Float64[np.ndarray, " bins"]:
    return np.bincount(labels, minlength=bins) / len(labels)


def _as_histogram(shares: Real[np.ndarray | Array, "..."], name: str) -> Float64[np.ndarray, " bins"]:
    array = np.asarray(shares, np.float64)
    if array.ndim != 1 or array.size == 0:
        raise UserError(f"{name} has shape {array.shape}, but a histogram is one row of shares.")
    if not (np.isfinite(array).all() and (array >= 0).all() and abs(array.sum() - 1.0) <= 1e-3):
        raise UserError(f"{name} sums to {array.sum():.6g}: the shares of a histogram are at least 0 and sum to 1.")
    return array
