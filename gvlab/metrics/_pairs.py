"""Distances between all pairs of rows, without a matrix of them: screened on the device, settled on the host.

What the measures of pairs ask of a distance is whether it is below another. On the device, tile after tile, a float32
matrix product answers that for nearly all pairs, because its error has a bound; the few pairs inside the bound are
measured again in float64, term by term. So answers are those of float64 on every back-end, at float32's speed, and a
tie is a tie: equal rows are at distance 0, and equal pairs at equal distances, which |x|^2 + |y|^2 - 2 x.y alone, in
any precision, would not give.
"""

import functools
import hashlib
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32, Float64, Int, Int32

from gvlab.types import UserError

# Rows and columns of a tile. On the host 4 MiB of float32, which the caches hold: with 16 MiB a tile took four times
# as long per pair. An accelerator wants more work for each call.
_HOST_TILE = 1024
_DEVICE_TILE = 4096
# Float64 values that are made at a time when pairs are settled: 16 MiB.
_SETTLED = 2**21
# The squared norm of the rows that fill the last tile up: far from everything (the others' are at most the width).
_FAR = 1e30


class Tile(NamedTuple):
    """Some rows of a set on the device, centred and scaled to a largest value of 1."""

    rows: Float32[Array, "t d"]
    norms: Float32[Array, " t"]
    """Squared lengths of the rows."""
    numbers: Int32[Array, " t"]
    """Indices of the rows in their set."""


class Frame(NamedTuple):
    """The common coordinates of two sets, near 0, where float32 has the most digits."""

    centre: Float64[np.ndarray, " d"]
    scale: float
    """A power of two, so that scaling is exact."""


def frame(*sets: Float[np.ndarray, "_ d"]) -> Frame:
    """The frame in which all rows of the sets have values between -1 and 1.

    Its centre is a median, of a thousand rows of each set: one row far away would pull a mean, and then nearly all rows
    would be far from it, their distances uncertain in float32, and each pair have to be settled.
    """
    low = np.min([x.min(axis=0) for x in sets], axis=0).astype(np.float64)
    high = np.max([x.max(axis=0) for x in sets], axis=0).astype(np.float64)
    centre = np.median(np.concatenate([x[:: -(-len(x) // 1000)] for x in sets]), axis=0).astype(np.float64)
    if any(x.dtype == np.float32 for x in sets):
        centre = centre.astype(np.float32).astype(np.float64)  # any centre will do that is the same for both
    reach = float(np.max(np.maximum(high - centre, centre - low)))
    if reach > 1e36:
        raise UserError(f"The features spread over {reach:.1e}, but distances need a spread below 1e36: scale them.")
    return Frame(centre, 2.0 ** -float(np.ceil(np.log2(max(reach, 1e-36)))))


def tile_size(*sets: Float[np.ndarray, "_ d"]) -> int:
    """Rows of a tile: no more than the power of two that holds the larger set (few shapes, few compilations)."""
    largest = _HOST_TILE if jax.default_backend() == "cpu" else _DEVICE_TILE
    return min(largest, 1 << (max(len(x) for x in sets) - 1).bit_length())


def loader(x: Float[np.ndarray, "n d"], where: Frame, size: int) -> Callable[[int], Tile]:
    """A function from the index of a first row to the tile that begins there, filled up to `size` rows."""
    # Float32 rows are moved in float32: the difference of the two is rounded once, relative to itself.
    centre = (where.centre * where.scale).astype(x.dtype)[None, :]
    scale = x.dtype.type(where.scale)

    def moved(start: int) -> Float32[np.ndarray, "t d"]:
        return (x[start : start + size] * scale - centre).astype(np.float32)

    def norms_of(start: int) -> Float32[np.ndarray, " t"]:
        rows = moved(start)
        return np.einsum("nd,nd->n", rows, rows, dtype=np.float64).astype(np.float32)

    norms = np.concatenate([norms_of(start) for start in range(0, len(x), size)])

    def load(start: int) -> Tile:
        rows = moved(start)
        missing = size - len(rows)
        return Tile(
            jnp.asarray(np.pad(rows, ((0, missing), (0, 0))) if missing else rows),
            jnp.asarray(np.pad(norms[start : start + size], (0, missing), constant_values=_FAR)),
            jnp.arange(start, start + size, dtype=jnp.int32),
        )

    # On an accelerator every tile stays. The host would hold the whole set a second time.
    return load if jax.default_backend() == "cpu" else functools.cache(load)


def squared_bounds(x: Tile, y: Tile) -> tuple[Float32[Array, "t u"], Float32[Array, "t u"]]:
    """Lower and upper bounds of the scaled squared distances between the rows of two tiles, for use under `jax.jit`.

    With u = 2^-24 the product x.y is off by at most d u |x| |y|, in any order of summation (Higham, "Accuracy and
    Stability of Numerical Algorithms", 2002, eq. 3.7), and so 2 x.y by d u (|x|^2 + |y|^2). The 16 stand for the
    roundings of the rows, the norms, the sums and what the bounds are compared with; 1e-30 for products that vanish.
    """
    squares = x.norms[:, None] + y.norms[None, :]
    distances = squares - 2.0 * jnp.matmul(x.rows, y.rows.T, precision=jax.lax.Precision.HIGHEST)
    slack = squares * ((x.rows.shape[1] + 16) * 2.0**-24) + 1e-30
    return distances - slack, distances + slack


def squared_distances(
    x: Float[np.ndarray, "n d"],
    y: Float[np.ndarray, "m d"],
    rows: Int[np.ndarray, " p"],
    columns: Int[np.ndarray, " p"],
) -> Float64[np.ndarray, " p"]:
    """|x[rows] - y[columns]|^2 in float64, a number that depends on the two rows' values and on nothing else."""
    found = np.empty(len(rows))
    step = max(1, _SETTLED // x.shape[1])
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        difference = np.subtract(x[rows[part]], y[columns[part]], dtype=np.float64)
        # NumPy sums the contiguous axis pairwise, in an order that depends only on its length.
        found[part] = np.square(difference, out=difference).sum(axis=1)
    return found


def nearest(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"], k: int
) -> tuple[Int[np.ndarray, "n k"], Float64[np.ndarray, "n k"]]:
    """For each row of x the k nearest rows of y: indices and squared distances, ascending; of ties the first index."""
    where, size = frame(x, y), tile_size(x, y)
    load_x, load_y = loader(x, where, size), loader(y, where, size)

    def load_query(start: int) -> Tile:
        tile = load_x(start)
        return tile._replace(numbers=~tile.numbers)  # negative, and so nobody's number in y

    return _nearest(x, y, k, load_query, load_y, size)


def nearest_others(x: Float[np.ndarray, "n d"], k: int) -> tuple[Int[np.ndarray, "n k"], Float64[np.ndarray, "n k"]]:
    """For each row the k nearest of the other rows: indices and squared distances, as by `nearest`."""
    size = tile_size(x)
    load = loader(x, frame(x), size)
    return _nearest(x, x, k, load, load, size)


def distinct(x: Float[np.ndarray, "n d"]) -> tuple[Float[np.ndarray, "m d"], Int[np.ndarray, " m"]]:
    """The different rows in their first order, and how often each occurs.

    A generator that has collapsed repeats a few rows: all its distances would tie, and every pair have to be settled.
    """
    numbers: dict[bytes, int] = {}
    firsts: list[int] = []
    counts: list[int] = []
    for i, row in enumerate(x):
        digest = hashlib.blake2b((row + 0).tobytes(), digest_size=16).digest()  # -0.0 + 0 is 0.0
        number = numbers.setdefault(digest, len(firsts))
        if number == len(firsts):
            firsts.append(i)
            counts.append(0)
        counts[number] += 1
    return (x if len(firsts) == len(x) else x[firsts]), np.array(counts)


def _nearest(
    x: Float[np.ndarray, "n d"],
    y: Float[np.ndarray, "m d"],
    k: int,
    load_x: Callable[[int], Tile],
    load_y: Callable[[int], Tile],
    size: int,
) -> tuple[Int[np.ndarray, "n k"], Float64[np.ndarray, "n k"]]:
    indices, squares = np.empty((len(x), k), np.int64), np.empty((len(x), k))
    for start in range(0, len(x), size):
        queries, stop = load_x(start), min(start + size, len(x))
        best = jnp.full((size, k), jnp.inf, jnp.float32)
        pairs: list[tuple[np.ndarray, np.ndarray]] = []
        for column in range(0, len(y), size):
            candidates, best = _candidates(queries, load_y(column), best)
            # Several times faster than np.nonzero with two axes.
            rows, columns = np.divmod(np.flatnonzero(np.asarray(candidates)[: stop - start]), size)
            kept = columns < len(y) - column
            pairs.append((rows[kept] + start, columns[kept] + column))
        rows, columns = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        distances = squared_distances(x, y, rows, columns)
        order = np.lexsort((columns, distances, rows))
        # The first k of each row: every row has at least k candidates.
        firsts = np.searchsorted(rows[order], np.arange(start, stop))
        chosen = order[firsts[:, None] + np.arange(k)[None, :]]
        indices[start:stop], squares[start:stop] = columns[chosen], distances[chosen]
    return indices, squares


@jax.jit
def _candidates(x: Tile, y: Tile, best: Float32[Array, "t k"]) -> tuple[Bool[Array, "t u"], Float32[Array, "t k"]]:
    """Pairs that may be among the k nearest of their row so far, and upper bounds of the k smallest distances."""
    lower, upper = squared_bounds(x, y)
    itself = x.numbers[:, None] == y.numbers[None, :]
    lower, upper = jnp.where(itself, jnp.inf, lower), jnp.where(itself, jnp.inf, upper)
    # The k smallest of the minima of groups bound the k smallest of all from above, at a small part of a sort's cost.
    minima = upper.reshape(len(upper), min(64, upper.shape[1]), -1).min(axis=2)
    best = -jax.lax.top_k(-jnp.concatenate([best, minima], axis=1), best.shape[1])[0]
    return lower <= best[:, -1:], best
