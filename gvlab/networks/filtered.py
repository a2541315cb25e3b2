"""Convolutions that change the size of images behind or before the filter [1, 3, 3, 1] / 8 along each axis.

Reference: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, and its published code
(`conv2d_resample`).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.networks.convolution import conv, conv_transpose
from gvlab.networks.resampling import downsample
from gvlab.types import UserError


def same_conv(
    x: Float[Array, "batch height width channel"], kernel: Float[Array, "rows columns channel features"]
) -> Float[Array, "batch height width features"]:
    """The convolution that keeps the size, with zeros beyond the border."""
    return x @ kernel[0, 0] if kernel.shape[:2] == (1, 1) else conv(x, kernel, (1, 1))


def up_conv(
    x: Float[Array, "batch height width channel"], kernel: Float[Array, "three three channel features"]
) -> Float[Array, "batch twice_height twice_width features"]:
    """Twice the height and width: zeros between the pixels, a true convolution (not a correlation), then the filter.

    Args:
        x: images [batch, height, width, channel].
        kernel: [3, 3, channel, features], a pixel's influence on those round it: `same_conv` would want it flipped.

    Returns:
        images [batch, 2 height, 2 width, features].

    Reference: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, and its published code.
    """
    # The transposed convolution is one row and column longer than twice the size, which SAME would cut off.
    longer = conv_transpose(jnp.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0))), kernel.swapaxes(2, 3), (2, 2))
    return 4 * _filtered(longer, (1, 0))


def down_conv(
    x: Float[Array, "batch height width channel"], kernel: Float[Array, "rows columns channel features"]
) -> Float[Array, "batch half_height half_width features"]:
    """Half the height and width: the filter, then every second place of a convolution (a correlation, as elsewhere).

    Args:
        x: images [batch, height, width, channel] with even sides.
        kernel: [3, 3, channel, features] or [1, 1, channel, features].

    Returns:
        images [batch, height / 2, width / 2, features].

    Raises:
        UserError: if a side is odd.

    Reference: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, and its published code.
    """
    if kernel.shape[:2] == (1, 1):
        return downsample(x) @ kernel[0, 0]
    height, width = x.shape[1:3]
    if height % 2 or width % 2:
        raise UserError(f"Images of {height}x{width} pixels cannot be halved: both sides must be even.")
    # Of an even side SAME pads the end alone: a row and a column more than the published code has are cut off again.
    return conv(_filtered(x, (2, 3)), kernel, (2, 2))[:, : height // 2, : width // 2]


def _filtered(x: Array, padding: tuple[int, int]) -> Array:
    """[1, 3, 3, 1] / 8 along both axes, with so many zeros before and behind each.

    As shifted sums: as a convolution, each channel would be a group of its own, which XLA:CPU runs slowly.
    """
    for axis in (1, 2):
        widths = [(0, 0)] * x.ndim
        widths[axis] = padding
        padded, size = jnp.pad(x, widths), x.shape[axis] + sum(padding) - 3
        a, b, c, d = (jax.lax.slice_in_dim(padded, start, start + size, axis=axis) for start in range(4))
        x = 0.125 * (a + d) + 0.375 * (b + c)
    return x
