"""The squared maximum mean discrepancy between two sets of features, under polynomial and Gaussian kernels.

On the features of the published Inception network, and of no other, the cubic kernel's number is the KID. On pixels or
on any other network's features it is never called KID: name it after its features (`kernel_pixels`).

NumPy in float64 on the host: the result must not depend on JAX's default precision or on the back-end.
"""

import math

import numpy as np
from jaxtyping import Array, Float64, Real

from gvlab.metrics._features import as_features, require_same_width
from gvlab.types import UserError

# Kernel values are made and summed in square tiles of this many rows: 8 MiB at a time whatever the number of examples.
_TILE = 1024


def polynomial_mmd2(
    a: Real[np.ndarray | Array, "n d"],
    b: Real[np.ndarray | Array, "m d2"],
    degree: int = 3,
    gamma: float | None = None,
    coef: float = 1.0,
) -> float:
    """The unbiased estimate of MMD^2 under k(x, y) = (gamma x.y + coef)^degree.

    Args:
        a: features of the first set, shape [n, d], n >= 2.
        b: features of the second set, shape [m, d], m >= 2.
        degree: the kernel's exponent, at least 1.
        gamma: the kernel's scale; 1 / d if None.
        coef: the kernel's constant.

    Returns:
        The estimate, symmetric in `a` and `b`. Being unbiased it is negative about as often as positive for two sets of
        one distribution.

    Raises:
        UserError: for fewer than 2 rows, values that are not finite, different widths, or a degree below 1.

    References: Gretton et al., "A Kernel Two-Sample Test", 2012, eq. 3; Bińkowski et al., "Demystifying MMD GANs",
    2018, eq. 4 (the kernel: degree 3, gamma 1 / d, coef 1).
    """
    if degree < 1:
        raise UserError(f"degree is {degree}, but the exponent of a polynomial kernel is at least 1.")
    x, y = as_features(a, "a"), as_features(b, "b")
    require_same_width(x.shape[1], y.shape[1])
    return _mmd2(x, y, degree, 1.0 / x.shape[1] if gamma is None else gamma, coef)


def polynomial_mmd2_subsets(
    a: Real[np.ndarray | Array, "n d"],
    b: Real[np.ndarray | Array, "m d2"],
    *,
    subsets: int = 100,
    size: int = 1000,
    seed: int,
) -> tuple[float, float]:
    """The mean and standard deviation of `polynomial_mmd2` (cubic kernel) over random subsets of both sets.

    The recipe, and so the number for a seed, is torch-fidelity's: from NumPy's RandomState(seed), for each subset, the
    rows of `a` and then the rows of `b`, both without replacement.

    Args:
        a: features of the first set, shape [n, d], n >= size.
        b: features of the second set, shape [m, d], m >= size.
        subsets: how many pairs of subsets, at least 1.
        size: rows of a subset, at least 2.
        seed: of NumPy's legacy generator, whose stream is frozen.

    Returns:
        (mean, std). The standard deviation over subsets (divisor `subsets`) is not a standard error: subsets overlap.

    Raises:
        UserError: as `polynomial_mmd2`, and for sets smaller than `size`, or too small a `size` or `subsets`.

    Reference: Bińkowski et al., "Demystifying MMD GANs", 2018, section 4 and appendix D.
    """
    x, y = as_features(a, "a"), as_features(b, "b")
    require_same_width(x.shape[1], y.shape[1])
    if subsets < 1:
        raise UserError(f"subsets is {subsets}, but must be at least 1.")
    smaller = min(len(x), len(y))
    if not 2 <= size <= smaller:
        raise UserError(f"size is {size}, but a subset has from 2 to {smaller} rows, as many as the smaller set.")
    random = np.random.RandomState(seed)
    gamma = 1.0 / x.shape[1]
    estimates = []
    for _ in range(subsets):
        rows_x = random.choice(len(x), size, replace=False)
        rows_y = random.choice(len(y), size, replace=False)
        estimates.append(_mmd2(x[rows_x], y[rows_y], degree=3, gamma=gamma, coef=1.0))
    return float(np.mean(estimates)), float(np.std(estimates))


def polynomial_mmd2_blocks(
    a: Real[np.ndarray | Array, "n d"], b: Real[np.ndarray | Array, "m d2"], *, size: int = 1000
) -> tuple[float, float]:
    """The mean of `polynomial_mmd2` (cubic kernel) over disjoint blocks of both sets, with its standard error.

    Block i holds rows i * size to (i + 1) * size of each set; rows beyond the last whole block of the smaller set are
    left out. Every pair of rows is used at most once, so blocks are independent where rows are: shuffle ordered sets.

    Args:
        a: features of the first set, shape [n, d], n >= 2 * size.
        b: features of the second set, shape [m, d], m >= 2 * size.
        size: rows of a block, at least 2.

    Returns:
        (mean, standard error of the mean). The mean is unbiased.

    Raises:
        UserError: as `polynomial_mmd2`, and where there are not two blocks.

    References: Zaremba, Gretton & Blaschko, "B-tests: Low Variance Kernel Two-Sample Tests", 2013, eq. 5;
    Bińkowski et al., "Demystifying MMD GANs", 2018, section 4.
    """
    x, y = as_features(a, "a"), as_features(b, "b")
    require_same_width(x.shape[1], y.shape[1])
    smaller = min(len(x), len(y))
    if not 2 <= size <= smaller // 2:
        raise UserError(f"size is {size}, but two blocks of the smaller set have from 2 to {smaller // 2} rows each.")
    gamma = 1.0 / x.shape[1]
    starts = range(0, smaller - size + 1, size)
    estimates = [_mmd2(x[i : i + size], y[i : i + size], degree=3, gamma=gamma, coef=1.0) for i in starts]
    return float(np.mean(estimates)), float(np.std(estimates, ddof=1) / np.sqrt(len(estimates)))


def gaussian_mmd2(
    a: Real[np.ndarray | Array, "n d"], b: Real[np.ndarray | Array, "m d2"], *, bandwidth: float = 10.0
) -> float:
    """The biased estimate of MMD^2 under k(x, y) = exp(-|x - y|^2 / (2 bandwidth^2)): all pairs, i = j included.

    1000 times this number, with bandwidth 10, on the published CLIP network's embeddings scaled to unit length, is the
    CMMD. On other features it is not.

    Args:
        a: features of the first set, shape [n, d], n >= 2.
        b: features of the second set, shape [m, d], m >= 2.
        bandwidth: the kernel's length, in units of the features.

    Returns:
        The estimate: at least 0 but for rounding, 0 for identical sets, symmetric in `a` and `b`.

    Raises:
        UserError: for fewer than 2 rows, values that are not finite, different widths, or a bandwidth not above 0.

    Reference: Jayasumana et al., "Rethinking FID: Towards a Better Evaluation Metric for Image Generation", 2024,
    eq. 4.
    """
    if not 0 < bandwidth < math.inf:
        raise UserError(f"bandwidth is {bandwidth}, but the length of a kernel is a finite number above 0.")
    x, y = as_features(a, "a"), as_features(b, "b")
    require_same_width(x.shape[1], y.shape[1])
    # Distances don't change, but their rounding does, when features far from 0 are moved near it.
    centre = 0.5 * (x.mean(axis=0) + y.mean(axis=0))[None, :]
    x, y = (x - centre) / bandwidth, (y - centre) / bandwidth
    within = _gaussian_mean(x, x) + _gaussian_mean(y, y)
    return within - 2.0 * _gaussian_mean(x, y)


def _gaussian_mean(x: Float64[np.ndarray, "n d"], y: Float64[np.ndarray, "m d"]) -> float:
    """The mean of exp(-|x_i - y_j|^2 / 2) over all i and j."""
    sums = []
    for rows in _tiles(x):
        for columns in _tiles(y):
            exponent = rows @ columns.T
            exponent -= 0.5 * np.square(rows).sum(axis=1)[:, None]
            exponent -= 0.5 * np.square(columns).sum(axis=1)[None, :]
            sums.append(np.exp(exponent, out=exponent).sum())
    return math.fsum(sums) / (len(x) * len(y))


def _mmd2(
    x: Float64[np.ndarray, "n d"], y: Float64[np.ndarray, "m d"], degree: int, gamma: float, coef: float
) -> float:
    n, m = len(x), len(y)
    within_x = _sum_within(x, degree, gamma, coef) / (n * (n - 1))
    within_y = _sum_within(y, degree, gamma, coef) / (m * (m - 1))
    between = math.fsum(
        _kernel(rows, columns, degree, gamma, coef).sum() for rows in _tiles(x) for columns in _tiles(y)
    )
    return within_x + within_y - 2.0 * between / (n * m)


def _sum_within(x: Float64[np.ndarray, "n d"], degree: int, gamma: float, coef: float) -> float:
    """The sum of k(x_i, x_j) over i != j."""
    tiles = _tiles(x)
    sums = []
    for i, rows in enumerate(tiles):
        diagonal_tile = _kernel(rows, rows, degree, gamma, coef)
        np.fill_diagonal(diagonal_tile, 0.0)
        sums.append(diagonal_tile.sum())
        # The kernel is symmetric: each tile right of the diagonal stands for its mirror image too.
        sums.extend(2.0 * _kernel(rows, columns, degree, gamma, coef).sum() for columns in tiles[i + 1 :])
    return math.fsum(sums)


def _tiles(x: Float64[np.ndarray, "n d"]) -> list[Float64[np.ndarray, "rows d"]]:
    return [x[start : start + _TILE] for start in range(0, len(x), _TILE)]


def _kernel(
    rows: Float64[np.ndarray, "r d"], columns: Float64[np.ndarray, "c d"], degree: int, gamma: float, coef: float
) -> Float64[np.ndarray, "r c"]:
    base = rows @ columns.T
    base *= gamma
    base += coef
    power = base.copy()
    for _ in range(degree - 1):  # several times faster than `base**degree`, which calls pow for each element
        power *= base
    return power
