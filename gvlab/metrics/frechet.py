"""The Fréchet distance between the Gaussians fitted to two sets of features.

On the features of the published Inception network, and of no other, this number is the FID. On pixels or on any other
network's features it is never called FID: name it after its features (`frechet_pixels`).

NumPy in float64 on the host: the result must not depend on JAX's default precision or on the back-end.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float64, Real

from gvlab.metrics._features import as_features, require_same_width
from gvlab.types import UserError


@dataclass(frozen=True, eq=False)
class Moments:
    """The sufficient statistics of a set of features, worth caching for the real data."""

    count: int
    mean: Float64[np.ndarray, " d"]
    covariance: Float64[np.ndarray, "d d"]
    """Unbiased: divided by count - 1."""


def moments(features: Real[np.ndarray | Array, "n d"]) -> Moments:
    """Count, mean and unbiased covariance of the rows.

    Args:
      features: shape [n, d], n >= 2, of any real dtype.

    Returns:
      Moments in float64: mean [d], covariance [d, d].

    Raises:
      UserError: if there are fewer than 2 rows, or a value is not finite.
    """
    x = as_features(features, "features")
    mean = x.mean(axis=0)
    centred = x - mean
    return Moments(len(x), mean, centred.T @ centred / (len(x) - 1))


def frechet_distance(a: Moments, b: Moments) -> float:
    """|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)), the squared Fréchet (2-Wasserstein) distance of two Gaussians.

    Covariances may be singular (fewer rows than features). The exact value is never negative; what rounding leaves
    below 0 (about 1e-15 of the traces, for two equal sets) is returned as 0.

    Args:
      a: moments of the first set.
      b: moments of the second set, of the same extractor.

    Returns:
      The distance, in squared units of the features; symmetric in `a` and `b`. It is biased upwards for small sets:
      compare only distances between sets of equal counts.

    Raises:
      UserError: if the widths differ, or a moment is not finite.

    References: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", 2017, eq. 6; Dowson & Landau, "The
    Fréchet Distance between Multivariate Normal Distributions", 1982, eq. 4.
    """
    require_same_width(a.mean.shape[0], b.mean.shape[0])
    for name, given in (("a", a), ("b", b)):
        if not (np.isfinite(given.mean).all() and np.isfinite(given.covariance).all()):
            raise UserError(f"The moments {name} hold NaN or infinity: compute them from finite features below 1e150.")
    # tr (A B)^(1/2) = tr (A^(1/2) B A^(1/2))^(1/2) = the sum of the singular values of A^(1/2) B^(1/2). Symmetric roots
    # stay real where scipy's sqrtm of the product A B turns complex or fails, and singular values, unlike roots
    # of eigenvalues, don't magnify rounding of 1e-16 to 1e-8 where A or B is singular.
    cross = np.linalg.svd(_root(a.covariance) @ _root(b.covariance), compute_uv=False).sum()
    shift = a.mean - b.mean
    distance = shift @ shift + np.trace(a.covariance) + np.trace(b.covariance) - 2.0 * cross
    return max(float(distance), 0.0)


def _root(covariance: Float64[np.ndarray, "d d"]) -> Float64[np.ndarray, "d d"]:
    """The symmetric root of a positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(covariance)
    # Eigenvalues below the rounding of the largest (the criterion of np.linalg.matrix_rank) are 0 in exact arithmetic.
    values = np.where(values > values[-1] * len(values) * np.finfo(np.float64).eps, values, 0.0)
    return (vectors * np.sqrt(values)) @ vectors.T
