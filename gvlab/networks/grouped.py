"""Convolution of channels in groups, in the form that is fast on the back-end.

XLA:CPU runs the gradients of a grouped convolution 12 to 80 times slower than those of one convolution for each group,
or of a single one whose kernel has the groups as blocks on its diagonal; GPUs and TPUs know the grouped one as it is.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.networks.convolution import conv
from gvlab.types import UserError

FEW = 8
"""Groups that a loop takes one by one; more compile for long, and are blocks of one kernel."""

Images = Float[Array, "batch height width channel"]
GroupedKernel = Float[Array, "kernel_height kernel_width channels_of_a_group features"]


def grouped_conv(x: Images, kernel: GroupedKernel, groups: int) -> Float[Array, "batch height width features"]:
    """The convolution with SAME padding and stride 1 that keeps groups of channels apart.

    The features of group g, the g-th of `groups` equal shares, are made of the g-th share of the channels alone.

    Args:
        x: images [batch, height, width, channel].
        kernel: [kernel_height, kernel_width, channel / groups, features].
        groups: how many shares; it divides the channels and the features.

    Returns:
        images [batch, height, width, features].

    Raises:
        UserError: if the shares would not be equal.

    Reference: Xie et al., "Aggregated Residual Transformations for Deep Neural Networks", 2017.
    """
    if x.shape[-1] != kernel.shape[2] * groups or kernel.shape[3] % groups:
        raise UserError(
            f"{x.shape[-1]} channels and {kernel.shape[3]} features cannot be shared equally among {groups} groups of "
            f"{kernel.shape[2]} channels: use widths that are multiples."
        )
    if groups == 1:
        return conv(x, kernel, (1, 1))
    on_cpu = one_by_one if groups <= FEW else as_blocks
    return jax.lax.platform_dependent(
        x, kernel, cpu=partial(on_cpu, groups=groups), default=partial(as_grouped, groups=groups)
    )


def one_by_one(x: Images, kernel: GroupedKernel, *, groups: int) -> Array:
    """A convolution for each group."""
    shares = zip(jnp.split(x, groups, axis=-1), jnp.split(kernel, groups, axis=-1), strict=True)
    return jnp.concatenate([conv(share, of_group, (1, 1)) for share, of_group in shares], axis=-1)


def as_blocks(x: Images, kernel: GroupedKernel, *, groups: int) -> Array:
    """One convolution of all channels, whose kernel is 0 outside of the groups."""
    height, width, channels, features = kernel.shape
    by_group = kernel.reshape(height, width, channels, groups, features // groups)
    blocks = jnp.einsum("hwcgf,ag->hwacgf", by_group, jnp.eye(groups, dtype=kernel.dtype))
    return conv(x, blocks.reshape(height, width, groups * channels, features), (1, 1))


def as_grouped(x: Images, kernel: GroupedKernel, *, groups: int) -> Array:
    """XLA's own grouped convolution."""
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups
    )
