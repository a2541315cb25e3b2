"""Images twice as large and half as large, by the filter [1, 3, 3, 1] / 8 along each axis.

Written as shifted sums: as a convolution, each channel would be a group of its own, which XLA:CPU runs slowly.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.types import UserError


def upsample(x: Float[Array, "batch height width channel"]) -> Float[Array, "batch twice_height twice_width channel"]:
    """Twice the height and width; each new pixel is 3/4 of the nearer and 1/4 of the farther old one along each axis.

    Beyond the border there are zeros. It is `upsample2d` of StyleGAN2 with that filter, and R3GAN's interpolation.

    Args:
        x: images [batch, height, width, channel].

    Returns:
        images [batch, 2 height, 2 width, channel].

    Reference: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020.
    """
    return _twice(_twice(x, 1), 2)


def downsample(x: Float[Array, "batch height width channel"]) -> Float[Array, "batch half_height half_width channel"]:
    """Half the height and width, both even: (1, 3, 3, 1) / 8 of four pixels along each axis, zeros beyond the border.

    It is `downsample2d` of StyleGAN2 with that filter, a quarter of the adjoint of `upsample`.

    Args:
        x: images [batch, height, width, channel].

    Returns:
        images [batch, height / 2, width / 2, channel].

    Raises:
        UserError: if a side is odd.

    Reference: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020.
    """
    if x.shape[1] % 2 or x.shape[2] % 2:
        raise UserError(f"Images of {x.shape[1]}x{x.shape[2]} pixels cannot be halved: both sides must be even.")
    return _half(_half(x, 1), 2)


def _shifted(x: Array, by: int, axis: int) -> Array:
    """The neighbour before (by = 1) or after (by = -1) each entry of the axis, and 0 beyond its ends."""
    size = x.shape[axis]
    padding = [(0, 0)] * x.ndim
    padding[axis] = (max(by, 0), max(-by, 0))
    start = max(-by, 0)
    return jax.lax.slice_in_dim(jnp.pad(x, padding), start, start + size, axis=axis)


def _twice(x: Array, axis: int) -> Array:
    near = 0.75 * x
    pairs = jnp.stack([near + 0.25 * _shifted(x, 1, axis), near + 0.25 * _shifted(x, -1, axis)], axis=axis + 1)
    return pairs.reshape(*x.shape[:axis], 2 * x.shape[axis], *x.shape[axis + 1 :])


def _half(x: Array, axis: int) -> Array:
    pairs = x.reshape(*x.shape[:axis], x.shape[axis] // 2, 2, *x.shape[axis + 1 :])
    first, second = (jax.lax.index_in_dim(pairs, i, axis + 1, keepdims=False) for i in range(2))
    return 0.375 * (first + second) + 0.125 * (_shifted(second, 1, axis) + _shifted(first, -1, axis))
