"""The Vendi score: the effective number of different examples in one set."""

import numpy as np
from jaxtyping import Array, Real

from gvlab.metrics._features import as_features
from gvlab.types import UserError


def vendi_score(features: Real[np.ndarray | Array, "n d"], order: float = 1.0) -> float:
    """exp of the Rényi entropy of the eigenvalues of K / n, K_ij = the cosine of the rows i and j.

    It needs no reference set, and so measures diversity alone: noise scores well.

    Args:
        features: shape [n, d], n >= 2, no row all zeros.
        order: of the entropy, above 0 and finite. 1 is Shannon's; a higher order gives rare directions less weight.

    Returns:
        From 1, where all rows are parallel, to min(n, d), where they spread equally over orthogonal directions.

    Raises:
        UserError: for fewer than 2 rows, values that are not finite, a row of zeros, or an order that is out of range.

    References: Friedman & Dieng, "The Vendi Score: A Diversity Evaluation Metric for Machine Learning", 2023, eq. 2;
    Pasarkar & Dieng, "Cousins of the Vendi Score", 2024, eq. 3 (orders other than 1).
    """
    x = as_features(features, "features")
    if not 0 < order < np.inf:
        raise UserError(f"order is {order}, but the order of the entropy is a finite number above 0.")
    largest = np.abs(x).max(axis=1)
    if not largest.all():
        raise UserError(f"features[{int(largest.argmin())}] is all zeros, and has no direction: leave such rows out.")
    x = x / largest[:, None]  # first, so that squares neither overflow nor vanish
    x /= np.sqrt(np.square(x).sum(axis=1))[:, None]
    # K = X X' and X' X have the same eigenvalues above 0.
    weights = np.linalg.eigvalsh(x.T @ x if len(x) >= x.shape[1] else x @ x.T) / len(x)
    weights = weights[weights > len(weights) * np.finfo(np.float64).eps]
    if order == 1.0:
        return float(np.exp(-np.sum(weights * np.log(weights))))
    return float(np.sum(weights**order) ** (1.0 / (1.0 - order)))
