"""Correlation of latents among themselves, without any factors."""

from __future__ import annotations

import numpy as np
from jaxtyping import Array, Real

from gvlab.metrics._factors import require_variation
from gvlab.metrics._features import as_features


def gaussian_total_correlation(codes: Real[np.ndarray | Array, "n codes"]) -> float:
    """KL of the normal distribution fitted to the codes from the product of its marginals, in nats.

    Args:
        codes: shape [n, codes], n >= 2.

    Returns:
        0 if the codes are uncorrelated. Infinity if one is a linear function of others.

    Raises:
        UserError: for another shape, values that are not finite, or a constant code.

    Reference: Locatello et al. 2019.
    """
    x = as_features(codes, "codes")
    require_variation(x, "codes")
    correlation = np.atleast_2d(np.corrcoef(x, rowvar=False))
    # log |diag| - log |covariance| = -log |correlation|, which is free of the codes' scales.
    return float(-0.5 * np.linalg.slogdet(correlation)[1]) + 0.0


def gaussian_wasserstein_correlation(codes: Real[np.ndarray | Array, "n codes"]) -> float:
    """Squared 2-Wasserstein distance of the fitted normal distribution from the product of its marginals.

    Args:
        codes: shape [n, codes], n >= 2.

    Returns:
        In squared units of the codes; 0 if they are uncorrelated. Divided by the sum of their variances it has no unit.

    Raises:
        UserError: for another shape, or values that are not finite.

    Reference: Locatello et al. 2019.
    """
    covariance = np.atleast_2d(np.cov(as_features(codes, "codes"), rowvar=False))
    root = np.sqrt(np.diag(covariance))
    # tr (C D)^(1/2) = tr (D^(1/2) C D^(1/2))^(1/2): of a symmetric matrix, so its eigenvalues are real.
    values = np.linalg.eigvalsh(root[:, None] * covariance * root[None])
    return float(2.0 * np.trace(covariance) - 2.0 * np.sqrt(np.maximum(values, 0.0)).sum())
