"""The sliced Wasserstein distance: optimal transport on the line, averaged over directions."""

import numpy as np
from jaxtyping import Array, Float64, Real

from gvlab.metrics._features import as_features, require_same_width
from gvlab.types import UserError


def sliced_wasserstein2(
    a: Real[np.ndarray | Array, "n d"],
    b: Real[np.ndarray | Array, "m d2"],
    projections: Real[np.ndarray | Array, "d3 p"],
) -> float:
    """The root of the mean over the projections of W_2^2 between the projected sets.

    Args:
        a: the first set, shape [n, d], n >= 2.
        b: the second set, shape [m, d], m >= 2; m may differ from n.
        projections: directions as columns of unit length, shape [d, p]: see `random_projections`.

    Returns:
        The distance, in units of the features; symmetric in `a` and `b`, 0 for equal sets in any order.

    Raises:
        UserError: for fewer than 2 rows, values that are not finite, different widths, or columns not of unit length.

    Reference: Bonneel et al., "Sliced and Radon Wasserstein Barycenters of Measures", 2015, eq. 8.
    """
    x, y = as_features(a, "a"), as_features(b, "b")
    directions = as_features(projections, "projections", at_least=1)
    require_same_width(x.shape[1], y.shape[1])
    require_same_width(x.shape[1], directions.shape[0])
    lengths = np.linalg.norm(directions, axis=0)
    worst = int(np.abs(lengths - 1.0).argmax())
    if abs(lengths[worst] - 1.0) > 1e-5:
        raise UserError(f"projections[:, {worst}] has length {lengths[worst]:.6g}: scale each column to length 1.")
    rows_x, rows_y, weights = _coupling(len(x), len(y))
    difference = np.sort(x @ directions, axis=0)[rows_x] - np.sort(y @ directions, axis=0)[rows_y]
    return float(np.sqrt(np.mean(weights @ np.square(difference))))


def random_projections(width: int, count: int, *, seed: int) -> Float64[np.ndarray, "width count"]:
    """`count` independent directions, uniform on the sphere, as columns of unit length.

    Args:
        width: the number of features, at least 1.
        count: how many directions, at least 1. The standard error of the squared distance falls with its root.
        seed: of NumPy's legacy generator, whose stream is frozen.
    """
    if width < 1 or count < 1:
        raise UserError(f"width is {width} and count is {count}, but both must be at least 1.")
    directions = np.random.RandomState(seed).standard_normal((width, count))
    return directions / np.linalg.norm(directions, axis=0)[None, :]


def sliced_wasserstein2_gaussian(a: Real[np.ndarray | Array, "n d"], b: Real[np.ndarray | Array, "m d2"]) -> float:
    """What `sliced_wasserstein2` tends to for many weakly dependent features: no projections are drawn.

    A projection of many features is nearly Gaussian, so only means and second moments stay:
    (|mean_a - mean_b|^2 + (s_a - s_b)^2)^(1/2) / d^(1/2), where s^2 is the mean of |x - mean|^2.

    Args:
        a: the first set, shape [n, d], n >= 2.
        b: the second set, shape [m, d], m >= 2.

    Returns:
        The approximate distance, in units of the features.

    Raises:
        UserError: for fewer than 2 rows, values that are not finite, or different widths.

    Reference: Nadjahi et al., "Fast Approximation of the Sliced-Wasserstein Distance Using Concentration of Random
    Projections", 2021, eq. 13.
    """
    x, y = as_features(a, "a"), as_features(b, "b")
    require_same_width(x.shape[1], y.shape[1])
    shift = x.mean(axis=0) - y.mean(axis=0)
    spreads = np.sqrt(x.var(axis=0).sum()) - np.sqrt(y.var(axis=0).sum())
    return float(np.sqrt((shift @ shift + spreads**2) / x.shape[1]))


def _coupling(n: int, m: int) -> tuple[np.ndarray, np.ndarray, Float64[np.ndarray, " pieces"]]:
    """The optimal plan between n and m sorted points on the line: ranks in both sets, and the mass that they exchange.

    In whole numbers: the first set's quantile function steps at multiples of m, the second's at multiples of n.
    """
    steps = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    return (steps - 1) // m, (steps - 1) // n, np.diff(steps, prepend=0) / (n * m)
