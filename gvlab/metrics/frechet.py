"""The Fréchet distance between the Gaussians fitted to two sets of features.

On the features of the published Inception network, and of no other, this number is the FID. On pixels or on any other
network's features it is never called FID: name it after its features (`frechet_pixels`).

NumPy in float64 on the host: the result must not depend on JAX's default precision or on the back-end.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float64, Real

from gvlab.metrics._features import as_features, require_same_width
from gvlab.types import UserError

# Relative error of tr (A B)^(1/2), by a bound that is far from reached, below which the cheaper of two ways is taken.
_ROOT_ERROR = 1e-8


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


class RunningMoments(NamedTuple):
    """Moments of the rows seen so far; a pytree, so that it can be saved or sent as one.

    Rows enter relative to `shift`, the first row seen: features with a mean far above their spread lose no digits.
    """

    seen: int
    shift: Float64[np.ndarray, " d"]
    mean: Float64[np.ndarray, " d"]
    """Of the rows minus `shift`."""
    scatter: Float64[np.ndarray, "d d"]
    """The sum of the outer products of the rows minus their mean."""


def moments_init(width: int) -> RunningMoments:
    """The running moments of no rows of `width` features."""
    if width < 1:
        raise UserError(f"width is {width}, but there must be at least 1 feature.")
    return RunningMoments(0, np.zeros(width), np.zeros(width), np.zeros((width, width)))


def moments_update(state: RunningMoments, features: Real[np.ndarray | Array, "n d"]) -> RunningMoments:
    """The running moments after more rows.

    Args:
        state: from `moments_init`, or from an earlier update or merge. It is not changed.
        features: shape [n, d], n >= 1, of any real dtype.

    Returns:
        The moments of all rows together. How rows were grouped into updates matters only to the last digits.

    Raises:
        UserError: if the widths differ, or a value is not finite.
    """
    x = as_features(features, "features", at_least=1)
    require_same_width(state.shift.shape[0], x.shape[1])
    shift = x[0].copy()
    relative = x - shift[None, :]
    mean = relative.mean(axis=0)
    relative -= mean[None, :]
    return moments_merge(state, RunningMoments(len(x), shift, mean, relative.T @ relative))


def moments_merge(a: RunningMoments, b: RunningMoments) -> RunningMoments:
    """The running moments of the rows of both, for parts of a set that were seen by different processes.

    Reference: Chan, Golub & LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances",
    1979, eq. 2.1.
    """
    require_same_width(a.shift.shape[0], b.shift.shape[0])
    if a.seen == 0 or b.seen == 0:
        return b if a.seen == 0 else a
    seen = a.seen + b.seen
    # Shifts are rows of the data, and near each other: their difference is exact where that of two sums is not.
    difference = (b.shift - a.shift) + (b.mean - a.mean)
    mean = a.mean + difference * (b.seen / seen)
    scatter = a.scatter + b.scatter + np.outer(difference, difference) * (a.seen * b.seen / seen)
    return RunningMoments(seen, a.shift, mean, scatter)


def moments_compute(state: RunningMoments) -> Moments:
    """Count, mean and unbiased covariance of all rows seen.

    Raises:
        UserError: if there were fewer than 2 rows.
    """
    if state.seen < 2:
        raise UserError(f"There were {state.seen} row(s), but a covariance needs at least 2: give more examples.")
    return Moments(state.seen, state.shift + state.mean, state.scatter / (state.seen - 1))


def as_moments(given: Moments | Real[np.ndarray | Array, "n d"]) -> Moments:
    """Moments as they are, features as theirs."""
    return given if isinstance(given, Moments) else moments(given)


def frechet_distance(
    a: Moments | Real[np.ndarray | Array, "n d"], b: Moments | Real[np.ndarray | Array, "m d2"]
) -> float:
    """|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)), the squared Fréchet (2-Wasserstein) distance of two Gaussians.

    Covariances may be singular (fewer rows than features). The exact value is never negative; what rounding leaves
    below 0 (about 1e-15 of the traces, for two equal sets) is returned as 0.

    Args:
        a: the first set: features [n, d], n >= 2, or their moments, which are worth keeping of a set that is used
            again.
        b: the second set likewise, of the same extractor.

    Returns:
        The distance, in squared units of the features; symmetric in `a` and `b`. It is biased upwards for small sets:
        compare only distances between sets of equal counts.

    Raises:
        UserError: if the widths differ, a set has fewer than 2 rows, or a value is not finite.

    References: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", 2017, eq. 6; Dowson & Landau, "The
    Fréchet Distance between Multivariate Normal Distributions", 1982, eq. 4.

    Examples:
        >>> import numpy as np
        >>> from gvlab import metrics
        >>> a = np.random.default_rng(0).normal(size=(1000, 8))
        >>> round(metrics.frechet_distance(a, a + 1), 6)  # the means' squared distance; equal covariances
        8.0
    """
    a, b = as_moments(a), as_moments(b)
    require_same_width(a.mean.shape[0], b.mean.shape[0])
    for name, given in (("a", a), ("b", b)):
        if not (np.isfinite(given.mean).all() and np.isfinite(given.covariance).all()):
            raise UserError(f"The moments {name} hold NaN or infinity: compute them from finite features below 1e150.")
    return _distance(a, _factor(a.covariance), b, _factor(b.covariance))


def frechet_distance_ddof0(
    a: Moments | Real[np.ndarray | Array, "n d"], b: Moments | Real[np.ndarray | Array, "m d2"]
) -> float:
    """`frechet_distance` with the covariances divided by their counts, not by count - 1.

    Only for comparison with numbers of code that does so (the metrics of StyleGAN3 and its descendants).

    Args, Returns, Raises: as `frechet_distance`.
    """
    biased = (Moments(m.count, m.mean, m.covariance * ((m.count - 1) / m.count)) for m in map(as_moments, (a, b)))
    return frechet_distance(*biased)


def frechet_bias(reference: Moments, n: int, m: int) -> float:
    """The Fréchet distance of n and m rows of one and the same Gaussian, on average: what small sets add to it.

    Both means vary by tr(C) / n, and sample covariances by C_ij^2 + C_ii C_jj over n (Wishart). To second order the
    distance of two covariances near C, in the basis where C is diagonal with l_1, ..., l_d, is half the sum of the
    squares of their differences over l_i + l_j. Together, exact up to terms in 1 / n^2:

        (1 / n + 1 / m) (sum_i l_i + 1/2 sum_ij (1 + [i = j]) l_i l_j / (l_i + l_j))

    Args:
        reference: moments of the real set, whose covariance C stands for that of both.
        n: rows of the one set.
        m: rows of the other.

    Returns:
        The expected distance, in squared units of the features. Features that are not Gaussian have another one: by a
        fifth more or less, on the digits of MNIST.

    Reference: of the bias in 1 / N, Chong & Forsyth, "Effectively Unbiased FID and Inception Score and Where to Find
    Them", 2020, section 3.
    """
    spectrum = np.clip(np.linalg.eigvalsh(reference.covariance), 0.0, None)
    sums = np.add.outer(spectrum, spectrum)
    sums[sums == 0] = 1.0  # where both are 0, so is their product
    pairs = np.outer(spectrum, spectrum) / sums
    return float((1 / n + 1 / m) * (spectrum.sum() + 0.5 * (pairs.sum() + np.trace(pairs))))


def frechet_distance_infinity(
    features: Real[np.ndarray | Array, "n d"],
    reference: Moments | Real[np.ndarray | Array, "m d2"],
    *,
    smallest: int = 5000,
    seed: int,
) -> float:
    """The Fréchet distance that infinitely many rows of `features` would have: its bias is extrapolated away.

    The distance of N rows is linear in 1 / N to leading order. It is measured at 15 sizes, equally spaced from
    `smallest` to n, on rows drawn without replacement, afresh for each size; ordinary least squares gives the
    intercept.

    Args:
        features: of the generated set, shape [n, d].
        reference: the real set, features [m, d] or their moments, which is left as it is.
        smallest: the smallest size, at least 2 and below n. Below the number of features the distance is no longer
            linear in 1 / N, and the intercept is no estimate.
        seed: of NumPy's legacy generator, whose stream is frozen.

    Returns:
        The intercept, in squared units of the features. It is an estimate with noise, and can be negative.

    Raises:
        UserError: as `frechet_distance`, and for a `smallest` that is out of range.

    Reference: Chong & Forsyth, "Effectively Unbiased FID and Inception Score and Where to Find Them", 2020, section 4.
    """
    x, reference = as_features(features, "features"), as_moments(reference)
    require_same_width(x.shape[1], reference.mean.shape[0])
    if not 2 <= smallest < len(x):
        raise UserError(f"smallest is {smallest}, but must be from 2 to {len(x) - 1}, below the number of rows.")
    random = np.random.RandomState(seed)
    factor = _factor(reference.covariance)
    sizes = np.linspace(smallest, len(x), 15).astype(int)
    distances = []
    for size in sizes:
        part = moments(x[random.permutation(len(x))[:size]])
        distances.append(_distance(part, _factor(part.covariance), reference, factor))
    inverse = 1.0 / sizes
    centred = inverse - inverse.mean()
    slope = centred @ np.array(distances) / (centred @ centred)
    return float(np.mean(distances) - slope * inverse.mean())


def _distance(
    a: Moments, factor_a: Float64[np.ndarray, "d r"], b: Moments, factor_b: Float64[np.ndarray, "d s"]
) -> float:
    # With A = F F' and B = G G', tr (A B)^(1/2) is the sum of the singular values of F' G, for any factors F and G.
    cross = _nuclear_norm(factor_a.T @ factor_b)
    shift = a.mean - b.mean
    distance = shift @ shift + np.trace(a.covariance) + np.trace(b.covariance) - 2.0 * cross
    return max(float(distance), 0.0)


def _factor(covariance: Float64[np.ndarray, "d d"]) -> Float64[np.ndarray, "d rank"]:
    """F with F F' = covariance and as many columns as its rank: Cholesky's, with pivots, which needs no full rank.

    Ten times faster than the symmetric root, and as exact: F is trimmed where the remainder is rounding.
    """
    from scipy.linalg import lapack

    packed, pivots, rank, _ = lapack.dpstrf(covariance, lower=1)
    factor = np.zeros_like(covariance)
    factor[pivots - 1] = np.tril(packed)
    # A matrix without variance has a pivot of 0, which LAPACK counts.
    return factor[:, : rank if covariance.any() else 0]


def _nuclear_norm(matrix: Float64[np.ndarray, "r s"]) -> float:
    """The sum of the singular values."""
    if 0 in matrix.shape:
        return 0.0
    # The roots of the eigenvalues of M' M are the singular values at a third of the cost, but an error of eps
    # times the largest eigenvalue is one of that / (2 root) in a small root. Taken where these add up to little.
    gram = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    squares = np.linalg.eigvalsh(gram)
    if squares[0] > 0:
        roots = np.sqrt(squares)
        error = np.finfo(np.float64).eps * squares[-1] * np.sum(0.5 / roots)
        if error <= _ROOT_ERROR * roots.sum():
            return float(roots.sum())
    return float(np.linalg.svd(matrix, compute_uv=False).sum())
