"""What is seen of an image: linear maps of images in [0, 1], whose adjoints JAX derives."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from gvlab.types import UserError

Shape = tuple[int, int, int]
GREY = (0.299, 0.587, 0.114)
"""Of red, green and blue (ITU-R BT.601)."""


class Operator(NamedTuple):
    """A linear map A of one image [height, width, channel]."""

    apply: Callable[[Array], Array]
    """x [height, width, channel] -> A x, of any shape."""
    shape: Shape
    """Of x."""
    seen: np.ndarray | None = None
    """Which numbers of A x are measured, where some are always 0; None: all."""

    @property
    def measured_shape(self) -> tuple[int, ...]:
        """Of A x."""
        return jax.eval_shape(self.apply, jax.ShapeDtypeStruct(self.shape, jnp.float32)).shape

    @property
    def measurements(self) -> int:
        """How many numbers are measured."""
        return math.prod(self.measured_shape) if self.seen is None else int(self.seen.sum())

    def adjoint(self, y: Float[Array, "..."]) -> Float[Array, "height width channel"]:
        """A^T y."""
        example = jax.ShapeDtypeStruct(self.shape, y.dtype)
        (x,) = jax.linear_transpose(self.apply, example)(y)
        return x

    def observed(
        self, key: Array, x: Float[Array, "n height width channel"], noise: float
    ) -> Float[Array, "n *measured"]:
        """A x + noise e with standard normal e, where something is measured."""
        y = jax.vmap(self.apply)(x)
        e = jax.random.normal(key, y.shape, y.dtype)
        return y + noise * (e if self.seen is None else e * jnp.asarray(self.seen, y.dtype)[None])


def mask(shape: Shape, kept: Bool[np.ndarray, "height width"]) -> Operator:
    """The kept pixels, and 0 elsewhere.

    Args:
        shape: of the images.
        kept: which pixels are seen.

    Raises:
        UserError: no pixel is, or `kept` is of another size.
    """
    if kept.shape != shape[:2]:
        raise UserError(f"The mask has {kept.shape} pixels, but the images {shape[:2]}: give one of that size.")
    if not kept.any():
        raise UserError("The mask hides every pixel, so that nothing is seen: hide fewer.")
    seen = np.broadcast_to(kept[..., None], shape)
    weights = jnp.asarray(seen, jnp.float32)
    return Operator(lambda x: x * weights.astype(x.dtype), shape, np.array(seen))


def random_mask(shape: Shape, share: float, seed: int) -> Operator:
    """`mask` of a share of the pixels, drawn from the seed."""
    return mask(shape, np.random.default_rng(seed).uniform(size=shape[:2]) < share)


def block(shape: Shape, size: int) -> Operator:
    """`mask` of all but a square in the middle, `size` pixels a side.

    Raises:
        UserError: it hides all.
    """
    kept = np.ones(shape[:2], bool)
    top, left = (max(0, (side - size) // 2) for side in shape[:2])
    kept[top : top + size, left : left + size] = False
    if not kept.any():
        raise UserError(f"Block.size is {size}, which hides images of {shape[0]}x{shape[1]} pixels whole: use less.")
    return mask(shape, kept)


def half(shape: Shape) -> Operator:
    """`mask` of the upper half."""
    return mask(shape, np.repeat(np.arange(shape[0])[:, None] < shape[0] // 2, shape[1], axis=1))


def downsample(shape: Shape, factor: int) -> Operator:
    """Means over squares of `factor` x `factor` pixels.

    Raises:
        UserError: height or width is no multiple.
    """
    height, width, channels = shape
    if factor < 1 or height % factor or width % factor:
        raise UserError(f"The factor {factor} does not divide images of {height}x{width} pixels: use a divisor.")
    squares = (height // factor, factor, width // factor, factor, channels)
    return Operator(lambda x: x.reshape(squares).mean((1, 3)), shape)


def blur(shape: Shape, sigma: float, radius: int | None = None) -> Operator:
    """A Gaussian of standard deviation `sigma` pixels, its taps with the sum 1; beyond the border all is 0.

    Args:
        shape: of the images.
        sigma: above 0.
        radius: of the window, in pixels; None: 3 sigma, rounded up.

    Raises:
        UserError: sigma is not positive, or more than a side of the images.
    """
    if not 0 < sigma <= max(shape[:2]):
        raise UserError(f"sigma is {sigma}, but must be above 0 and at most {max(shape[:2])} pixels, the images' side.")
    radius = math.ceil(3 * sigma) if radius is None else radius
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    taps /= taps.sum()
    height, width = shape[:2]

    def along(x: Array, size: int, axis: int) -> Array:
        margins = [(radius, radius) if a == axis else (0, 0) for a in range(3)]
        padded = jnp.pad(x, margins)
        shifted = (float(tap) * jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i, tap in enumerate(taps))
        return sum(shifted, start=jnp.zeros_like(x))

    return Operator(lambda x: along(along(x, height, 0), width, 1), shape)


def grey(shape: Shape) -> Operator:
    """Luminance [height, width], 0.299 red + 0.587 green + 0.114 blue.

    Raises:
        UserError: the images have not three channels.
    """
    if shape[2] != 3:
        raise UserError(f"Grey is made of red, green and blue, but the images have {shape[2]} channel(s): use another.")
    return Operator(lambda x: x @ jnp.asarray(GREY, x.dtype), shape)


def identity(shape: Shape) -> Operator:
    """All of the image: what is left to remove is noise."""
    return Operator(lambda x: x, shape)


def matrix(shape: Shape, rows: Float[np.ndarray, "m n"]) -> Operator:
    """Products with the rows of a matrix, of the raveled image.

    Raises:
        UserError: the rows have another length than an image has numbers.
    """
    if rows.ndim != 2 or rows.shape[1] != math.prod(shape):
        raise UserError(
            f"The matrix has the shape {rows.shape}, but images of {shape} have {math.prod(shape)} numbers: give a row "
            "of so many for each measurement."
        )
    return Operator(lambda x: jnp.asarray(rows.astype(x.dtype)) @ x.ravel(), shape)


def projection(shape: Shape, measurements: int, seed: int) -> Operator:
    """`measurements` products with rows of independent N(0, 1 / measurements), made in float64 from the seed.

    Raises:
        UserError: there is none, or more than an image has numbers.

    Reference: Bora et al., "Compressed Sensing using Generative Models", 2017, theorem 1.1.
    """
    numbers = math.prod(shape)
    if not 1 <= measurements <= numbers:
        raise UserError(
            f"The number of measurements is {measurements}, but must be from 1 to {numbers}, which an image has."
        )
    rows = np.random.default_rng(seed).normal(size=(measurements, numbers)) / math.sqrt(measurements)
    return matrix(shape, rows)
