"""Precision, recall, density and coverage: what share of one set lies within the other's balls of nearest neighbours.

Distances are Euclidean. Comparisons of them are exact in float64 on every back-end, ties included, and no matrix of
distances is ever held.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32, Float64, Int, Int32, Real, UInt8

from gvlab.metrics import _pairs
from gvlab.metrics._features import as_rows, require_same_width
from gvlab.types import UserError


class PRDC(NamedTuple):
    """Four shares of two sets, each from 0 to 1, but for density, which may exceed 1."""

    precision: float
    """Generated examples that lie in any real example's ball: is what is generated realistic?"""
    recall: float
    """Real examples that lie in any generated example's ball: is what is real generated?"""
    density: float
    """Real examples' balls that a generated example lies in, on average, divided by k."""
    coverage: float
    """Real examples whose balls hold any generated example."""


class PrecisionRecall(NamedTuple):
    """Two shares, each from 0 to 1."""

    precision: float
    """Generated examples that lie in any real example's ball: is what is generated realistic?"""
    recall: float
    """Real examples that lie in any generated example's ball: is what is real generated?"""


def prdc(real: Real[np.ndarray | Array, "n d"], generated: Real[np.ndarray | Array, "m d2"], k: int = 5) -> PRDC:
    """Precision, recall, density and coverage with open balls (strict <), as by the package `prdc`.

    An example's ball reaches to its k-th nearest other example of its own set. With equal sizes and distributions
    density is about 1 and coverage about 1 - 2^-k; precision and recall suffer from outliers, whose balls are large.

    Args:
        real: features of the real set, shape [n, d], n > k.
        generated: features of the generated set, shape [m, d], m > k.
        k: which neighbour sets the radius, at least 1.

    Returns:
        PRDC.

    Raises:
        UserError: for sets of k rows or fewer, values that are not finite, different widths, or a k below 1.

    Reference: Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", 2020, eq. 1 to 4.

    Examples:
        >>> import numpy as np
        >>> from gvlab import metrics
        >>> real = np.random.default_rng(0).normal(size=(1000, 8))
        >>> metrics.prdc(real, real[:100], k=5).precision  # copies lie inside the data, and leave most of it unreached
        1.0
        >>> metrics.prdc(real, real + 100)
        PRDC(precision=0.0, recall=0.0, density=0.0, coverage=0.0)
    """
    return _measure(real, generated, k, np.less)


def improved_precision_recall(
    real: Real[np.ndarray | Array, "n d"], generated: Real[np.ndarray | Array, "m d2"], k: int = 3
) -> PrecisionRecall:
    """Precision and recall with closed balls (<=), as by torch-fidelity and the paper's code.

    Differs from `prdc` by the default k, and where distances tie: where examples repeat.

    Args, Raises: as `prdc`.

    Returns:
        PrecisionRecall.

    Reference: Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models", 2019, eq. 1
    and 2.
    """
    found = _measure(real, generated, k, np.less_equal)
    return PrecisionRecall(found.precision, found.recall)


def _measure(
    real: Real[np.ndarray | Array, "..."], generated: Real[np.ndarray | Array, "..."], k: int, inside: Callable
) -> PRDC:
    """`inside(squared distance, squared radius)` says whether a point lies in a ball."""
    x, y = as_rows(real, "real"), as_rows(generated, "generated")
    require_same_width(x.shape[1], y.shape[1])
    smaller = min(len(x), len(y))
    if not 1 <= k < smaller:
        raise UserError(f"k is {k}, but must be from 1 to {smaller - 1}, below the number of rows of the smaller set.")
    # A row that occurs w times is handled once, and counted w times.
    (x, weight_x), (y, weight_y) = _pairs.distinct(x), _pairs.distinct(y)
    balls, recalled, covered = _count(x, weight_x, _radii(x, weight_x, k), y, _radii(y, weight_y, k), inside)
    n, m = int(weight_x.sum()), int(weight_y.sum())
    return PRDC(
        precision=float(weight_y[balls > 0].sum() / m),
        recall=float(weight_x[recalled].sum() / n),
        density=float((weight_y @ balls) / (k * m)),
        coverage=float(weight_x[covered].sum() / n),
    )


def _radii(x: Float[np.ndarray, "n d"], weight: Int[np.ndarray, " n"], k: int) -> Float64[np.ndarray, " n"]:
    """The squared distance from each row to its k-th nearest other row, where a row counts as often as it occurs."""
    if len(x) == 1:
        return np.zeros(1)
    indices, squares = _pairs.nearest_others(x, min(k, len(x) - 1))
    seen = (weight - 1)[:, None] + np.cumsum(weight[indices], axis=1)
    kth = np.argmax(seen >= k, axis=1)
    radii = np.take_along_axis(squares, kth[:, None], axis=1)[:, 0]
    return np.where(weight > k, 0.0, radii)


def _count(
    x: Float[np.ndarray, "n d"],
    weight_x: Int[np.ndarray, " n"],
    radii_x: Float64[np.ndarray, " n"],
    y: Float[np.ndarray, "m d"],
    radii_y: Float64[np.ndarray, " m"],
    inside: Callable,
) -> tuple[Int[np.ndarray, " m"], Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """For each y the number of balls of x it is in; for each x whether a ball of y has it, and whether its has a y."""
    where, size = _pairs.frame(x, y), _pairs.tile_size(x, y)
    load_x, load_y = _pairs.loader(x, where, size), _pairs.loader(y, where, size)
    balls, recalled, covered = np.zeros(len(y), np.int64), np.zeros(len(x), bool), np.zeros(len(x), bool)

    def on_device(values: np.ndarray, start: int, dtype: type) -> Array:
        filled: np.ndarray = np.zeros(size, dtype)
        filled[: len(values) - start] = values[start : start + size]
        return jnp.asarray(filled)

    scaled_x, scaled_y = radii_x * where.scale**2, radii_y * where.scale**2
    for row in range(0, len(x), size):
        tile_x, here = load_x(row), slice(row, row + size)
        reach_x, times = on_device(scaled_x, row, np.float32), on_device(weight_x, row, np.int32)
        for column in range(0, len(y), size):
            there = slice(column, column + size)
            reach_y = on_device(scaled_y, column, np.float32)
            screened = _screen(tile_x, reach_x, times, load_y(column), reach_y)
            added, is_recalled, is_covered, near = (np.asarray(part) for part in screened)
            balls[there] += added[: len(y) - column]
            recalled[here] |= is_recalled[: len(x) - row]
            covered[here] |= is_covered[: len(x) - row]

            flat = np.flatnonzero(near)
            which = near.ravel()[flat]
            rows, columns = flat // size + row, flat % size + column
            squares = _pairs.squared_distances(x, y, rows, columns)
            in_x = (which & 1 > 0) & inside(squares, radii_x[rows])
            in_y = (which & 2 > 0) & inside(squares, radii_y[columns])
            np.add.at(balls, columns[in_x], weight_x[rows[in_x]])
            covered[rows[in_x]] = True
            recalled[rows[in_y]] = True
    return balls, recalled, covered


@jax.jit
def _screen(
    x: _pairs.Tile,
    reach_x: Float32[Array, " t"],
    times: Int32[Array, " t"],
    y: _pairs.Tile,
    reach_y: Float32[Array, " u"],
) -> tuple[Int32[Array, " u"], Bool[Array, " t"], Bool[Array, " t"], UInt8[Array, "t u"]]:
    """What is certain of `_count`, and where it is not: 1 for the ball of x, 2 for the ball of y, 3 for both."""
    lower, upper = _pairs.squared_bounds(x, y)
    in_x, in_y = upper < reach_x[:, None], upper < reach_y[None, :]
    near_x, near_y = (lower <= reach_x[:, None]) & ~in_x, (lower <= reach_y[None, :]) & ~in_y
    balls = jnp.sum(jnp.where(in_x, times[:, None], 0), axis=0)
    near = near_x.astype(jnp.uint8) | (near_y.astype(jnp.uint8) << 1)
    return balls, in_y.any(axis=1), in_x.any(axis=1), near
