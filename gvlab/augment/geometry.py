"""The geometric part of adaptive augmentation: all of its transformations are one matrix, and images are sampled once.

Coordinates are (x, y, 1) in pixels from the middle of an image, x to the right and y downwards. A matrix takes a place
of the new image to the place of the old one that is seen there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from gvlab import rng
from gvlab.augment import wavelets
from gvlab.augment.base import EXACT, Draw, Number, Shape, Transform, draw_gated
from gvlab.types import PRNGKey, PyTree

LARGEST_SHIFT = 0.125
"""By whole pixels, of a side."""
SCALE_DEVIATION = 0.2
"""In octaves; of the ratio of the sides, too."""
SHIFT_DEVIATION = 0.125
"""By parts of pixels, of a side."""

Matrices = Float[Array, "n 3 3"]


def _matrices(*rows: tuple[Array | float, ...]) -> Matrices:
    """Of entries that are numbers, or arrays [n]."""
    entries = jnp.broadcast_arrays(*(jnp.asarray(entry) for row in rows for entry in row))
    return jnp.stack(entries, axis=-1).reshape(-1, len(rows), len(rows[0]))


def _scaling(x: Array, y: Array | float) -> Matrices:
    return _matrices((x, 0.0, 0.0), (0.0, y, 0.0), (0.0, 0.0, 1.0))


def _rotation(angle: Float[Array, " n"]) -> Matrices:
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return _matrices((cos, -sin, 0.0), (sin, cos, 0.0), (0.0, 0.0, 1.0))


def _shift(x: Float[Array, " n"], y: Float[Array, " n"]) -> Matrices:
    return _matrices((1.0, 0.0, x), (0.0, 1.0, y), (0.0, 0.0, 1.0))


def _xflip(u: Array, sides: Array) -> Matrices:
    return _scaling(1 - 2 * jnp.floor(2 * u), 1.0)


def _rotate90(u: Array, sides: Array) -> Matrices:
    return _rotation(jnp.pi / 2 * jnp.floor(4 * u))


def _xint(u: Array, sides: Array) -> Matrices:
    x, y = jnp.round((2 * u - 1) * LARGEST_SHIFT * sides[None]).T
    return _shift(-x, -y)


def _scale(normal: Array, sides: Array) -> Matrices:
    smaller = jnp.exp2(-SCALE_DEVIATION * normal)
    return _scaling(smaller, smaller)


def _rotate(u: Array, sides: Array) -> Matrices:
    return _rotation(jnp.pi * (2 * u - 1))


def _aniso(normal: Array, sides: Array) -> Matrices:
    narrower = jnp.exp2(-SCALE_DEVIATION * normal)
    return _scaling(narrower, 1 / narrower)


def _xfrac(normal: Array, sides: Array) -> Matrices:
    x, y = (SHIFT_DEVIATION * normal * sides[None]).T
    return _shift(-x, -y)


def _as_it_is(probability: Number) -> Number:
    return probability


def _of_two(probability: Number) -> Number:
    """Of each of two, so that at least one of them is done with the probability."""
    return 1 - jnp.sqrt(1 - jnp.clip(probability, 0, 1))


class _Part(NamedTuple):
    multiplier: str
    draw: Draw
    numbers: tuple[int, ...]
    matrix: Callable[[Array, Array], Matrices]
    probability: Callable[[Number], Number] = _as_it_is


PARTS = {
    "xflip": _Part("xflip", rng.uniform, (), _xflip),
    "rotate90": _Part("rotate90", rng.uniform, (), _rotate90),
    "xint": _Part("xint", rng.uniform, (2,), _xint),
    "scale": _Part("scale", rng.normal, (), _scale),
    "rotate_before": _Part("rotate", rng.uniform, (), _rotate, _of_two),
    "aniso": _Part("aniso", rng.normal, (), _aniso),
    "rotate_after": _Part("rotate", rng.uniform, (), _rotate, _of_two),
    "xfrac": _Part("xfrac", rng.normal, (2,), _xfrac),
}
"""In the order in which they are done to images."""


def geometry(multipliers: dict[str, Number]) -> Transform:
    """ADA's pixel blitting and general geometric transformations, those that have a multiplier.

    Args:
        multipliers: of the probabilities, by name: xflip, rotate90, xint, scale, rotate, aniso, xfrac.
    """
    parts = {name: part for name, part in PARTS.items() if part.multiplier in multipliers}

    def draw(key: PRNGKey, n: int, shape: Shape, axis_name: str | None) -> PyTree:
        return draw_gated({name: (part.draw, part.numbers) for name, part in parts.items()}, key, n, axis_name)

    def apply(draws: PyTree, x: Array, p: Number) -> Array:
        sides = jnp.array([x.shape[2], x.shape[1]], x.dtype)
        places = jnp.eye(3, dtype=x.dtype)[None]
        for name, part in parts.items():
            done = draws[name].chance < part.probability(multipliers[part.multiplier] * p)
            matrix = jnp.where(done[:, None, None], part.matrix(draws[name].value, sides), jnp.eye(3)[None])
            places = jnp.matmul(places, matrix.astype(x.dtype), precision=EXACT)
        return warp(x, places)

    return Transform("geometry", draw, apply)


def warp(
    x: Float[Array, "n height width channel"], places: Float[Array, "n 3 3"]
) -> Float[Array, "n height width channel"]:
    """Images whose pixels are those of the old ones at the places that the matrices name.

    The images are mirrored at their borders, over and over no more than once, and made twice as large by a wavelet's
    low-pass filter; in between pixels are interpolated, beyond the mirrored ones there are zeros, and the result is
    made smaller by the same filter. The published code pads as far as the batch needs, within 1 in 100,000 of this one,
    which pads as far as can be.

    Args:
        x: images [n, height, width, channel].
        places: matrices [n, 3, 3], see above.

    Reference: Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, appendix B.
    """
    height, width = x.shape[1:3]
    large = _along_sides(x, wavelets.enlargement(height), wavelets.enlargement(width))
    sampled = _sampled(large, places, height + 2 * wavelets.MARGIN, width + 2 * wavelets.MARGIN)
    return _along_sides(sampled, wavelets.reduction(height), wavelets.reduction(width))


def _along_sides(x: Array, of_rows: np.ndarray, of_columns: np.ndarray) -> Array:
    x = jnp.einsum("rh,nhwc->nrwc", jnp.asarray(of_rows, x.dtype), x, precision=EXACT)
    return jnp.einsum("sw,nrwc->nrsc", jnp.asarray(of_columns, x.dtype), x, precision=EXACT)


def _sampled(large: Array, places: Array, height: int, width: int) -> Array:
    """[n, 2 height, 2 width, channel] of images that are twice too large and have a ring of zeros around them."""
    rows, columns = (size - 2 for size in large.shape[1:3])
    # A pixel of the larger image is at twice the place, and half a pixel off.
    x = (jnp.arange(2 * width) + 1 - width).astype(large.dtype)
    y = (jnp.arange(2 * height) + 1 - height).astype(large.dtype)

    def coordinate(row: Num[Array, "n 3"], size: int) -> Array:
        """From -1, in the ring, to `size`, on its other side."""
        a, b, shift = (number[:, None, None] for number in row.T)
        found = a * x[None, None, :] + b * y[None, :, None] + 2 * shift + (size / 2 - 1)
        return jnp.clip(found, -1, size)

    across, down = coordinate(places[:, 0], columns), coordinate(places[:, 1], rows)
    left, top = (jnp.minimum(jnp.floor(c), size - 1) for c, size in ((across, columns), (down, rows)))
    right_share, lower_share = (across - left)[..., None], (down - top)[..., None]

    def window(image: Array, top: Array, left: Array) -> Array:
        return jax.lax.dynamic_slice(image, (top, left, jnp.int32(0)), (2, 2, image.shape[-1]))

    of_image = jax.vmap(jax.vmap(window, (None, 0, 0)), (None, 0, 0))
    four = jax.vmap(of_image)(large, top.astype(jnp.int32) + 1, left.astype(jnp.int32) + 1)
    lefts, rights = four[..., 0, :], four[..., 1, :]
    pairs = lefts + right_share[..., None, :] * (rights - lefts)
    uppers, lowers = pairs[..., 0, :], pairs[..., 1, :]
    return uppers + lower_share * (lowers - uppers)
