"""The resizes that published metrics were computed with: they differ, and a distance on features differs with them.

Each is linear and separable, so it is a matrix per axis, made in float64 on the host while tracing.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, Int64, Real

from gvlab.types import UserError

Size = tuple[int, int]


def resize_tensorflow1(
    images: Real[Array, "batch height width channel"], size: Size
) -> Float[Array, "batch out_height out_width channel"]:
    """Bilinear as TensorFlow 1's `resize_bilinear`: output pixel i lies at i * in / out, so the picture shifts.

    Args:
        images: [batch, height, width, channel], of any real dtype.
        size: (out_height, out_width).

    Returns:
        [batch, out_height, out_width, channel], float32 for integers, on the scale of `images`.

    Raises:
        UserError: if a size is below 1.
    """
    return _resample(images, size, _tensorflow1)


def resize_bilinear(
    images: Real[Array, "batch height width channel"], size: Size
) -> Float[Array, "batch out_height out_width channel"]:
    """Bilinear between pixel centres, without antialiasing: PyTorch's `interpolate(..., align_corners=False)`.

    Args:
        images: [batch, height, width, channel], of any real dtype.
        size: (out_height, out_width).

    Returns:
        [batch, out_height, out_width, channel], float32 for integers, on the scale of `images`.

    Raises:
        UserError: if a size is below 1.
    """
    return _resample(images, size, _half_pixel)


def resize_bicubic(
    images: Real[Array, "batch height width channel"], size: Size
) -> Float[Array, "batch out_height out_width channel"]:
    """Bicubic (a = -1/2) between pixel centres, widened for downscaling: Pillow's `BICUBIC` on floating-point images.

    It overshoots at edges: clip where a range matters.

    Args:
        images: [batch, height, width, channel], of any real dtype.
        size: (out_height, out_width).

    Returns:
        [batch, out_height, out_width, channel], float32 for integers, on the scale of `images`.

    Raises:
        UserError: if a size is below 1.

    Reference: Parmar, Zhang & Zhu, "On Aliased Resizing and Surprising Subtleties in GAN Evaluation", 2022.
    """
    return _resample(images, size, _bicubic)


def _resample(
    images: Real[Array, "batch height width channel"],
    size: Size,
    matrix: Callable[[int, int], Float64[np.ndarray, "out in"]],
) -> Float[Array, "batch out_height out_width channel"]:
    if min(*size, *images.shape[1:3]) < 1:
        raise UserError(f"Images of {images.shape[1:3]} pixels cannot be resized to {size}: give at least 1 pixel.")
    x = images.astype(jnp.result_type(float, images))
    for axis, (old, new) in enumerate(zip(images.shape[1:3], size, strict=True), start=1):
        if old != new:
            # In full precision: a TPU's and a GPU's default product would keep 8 to 11 bits of each intensity.
            x = jnp.tensordot(jnp.asarray(matrix(old, new), x.dtype), x, (1, axis), precision=jax.lax.Precision.HIGHEST)
            x = jnp.moveaxis(x, 0, axis)
    return x


def _tensorflow1(old: int, new: int) -> Float64[np.ndarray, "out in"]:
    # TensorFlow's positions are float32, and rounding moves some across a pixel's border; so the rounding is kept.
    positions = np.arange(new, dtype=np.float32) * np.float32(old / new)
    return _linear(positions.astype(np.float64), old)


def _half_pixel(old: int, new: int) -> Float64[np.ndarray, "out in"]:
    return _linear(np.maximum((np.arange(new) + 0.5) * (old / new) - 0.5, 0.0), old)


def _linear(positions: Float64[np.ndarray, " out"], old: int) -> Float64[np.ndarray, "out in"]:
    """Linear interpolation at positions in units of input pixels; beyond the last pixel, that pixel."""
    lower: Int64[np.ndarray, " out"] = np.floor(positions).astype(np.int64)
    weights = np.zeros((len(positions), old))
    rows = np.arange(len(positions))
    weights[rows, lower] = 1.0 - (positions - lower)
    weights[rows, np.minimum(lower + 1, old - 1)] += positions - lower
    return weights


def _bicubic(old: int, new: int) -> Float64[np.ndarray, "out in"]:
    stretch = max(old / new, 1.0)
    centres = (np.arange(new) + 0.5) * (old / new)
    distance = np.abs(np.arange(old)[None, :] + 0.5 - centres[:, None]) / stretch
    # Keys' kernel with a = -1/2; Pillow's support of 2 pixels is where it vanishes by itself.
    near = (1.5 * distance - 2.5) * distance**2 + 1.0
    far = ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
    weights = np.where(distance < 1.0, near, np.where(distance < 2.0, far, 0.0))
    return weights / weights.sum(axis=1, keepdims=True)
