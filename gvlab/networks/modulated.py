"""Convolutions whose weights depend on the example, by a factor for each channel."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.networks.filtered import same_conv

EPSILON = 1e-8


def modulated_conv(
    x: Float[Array, "batch height width channel"],
    kernel: Float[Array, "rows columns channel features"],
    styles: Float[Array, "batch channel"],
    convolve: Callable[[Array, Array], Array] = same_conv,
) -> Float[Array, "batch out_height out_width features"]:
    """The convolution with the kernel k s / ||k s||, where s are the styles and the norm is that of a feature.

    The channels are scaled before the convolution and the features behind it, which is the same: a kernel for each
    example would make each a group of a convolution, which XLA:CPU runs slowly.

    Args:
        x: images [batch, height, width, channel].
        kernel: k, [rows, columns, channel, features].
        styles: s, [batch, channel].
        convolve: (images, kernel) -> images, linear in both: `up_conv` for images twice as large.

    Returns:
        images [batch, *, *, features].

    Reference: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, eq. 1 and 3.
    """
    squared = jnp.square(styles) @ jnp.square(kernel).sum((0, 1))
    x = convolve(x * styles[:, None, None, :], kernel)
    return x * jax.lax.rsqrt(squared + EPSILON)[:, None, None, :]
