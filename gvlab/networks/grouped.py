"""Convolution of channels in groups, in the form that is fast on the back-end.

GPUs and TPUs know it as it is. XLA:CPU takes the gradient to the kernel that automatic differentiation asks for (groups
of the batch) 12 to 80 times more slowly than what is written here, and products of few channels poorly; a convolution
for each group runs fastest, but each of them compiles for a twentieth of a second
(`experiments/benchmarks/README.md` has the numbers).
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.networks.convolution import conv
from gvlab.types import UserError

FEW = 8
"""Groups that a loop takes one by one; more would compile for long, and go in packs."""
PACK = 32
"""Channels of which XLA:CPU makes a good matrix product, and with which the zeros of a pack cost little."""
_DIMENSIONS = ("NHWC", "HWIO", "NHWC")

Images = Float[Array, "batch height width channel"]
Made = Float[Array, "batch height width features"]
GroupedKernel = Float[Array, "kernel_height kernel_width channels_of_a_group features"]
Padding = tuple[tuple[int, int], ...]


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
    on_cpu = one_by_one if groups <= FEW else in_packs
    return jax.lax.platform_dependent(
        x, kernel, cpu=partial(on_cpu, groups=groups), default=partial(as_grouped, groups=groups)
    )


def one_by_one(x: Images, kernel: GroupedKernel, *, groups: int) -> Array:
    """A convolution for each group."""
    shares = zip(jnp.split(x, groups, axis=-1), jnp.split(kernel, groups, axis=-1), strict=True)
    return jnp.concatenate([conv(share, of_group, (1, 1)) for share, of_group in shares], axis=-1)


def in_packs(x: Images, kernel: GroupedKernel, *, groups: int) -> Array:
    """XLA's grouped convolution of fewer groups, packs of ours with 0 between them, and so are all of its gradients."""
    size = max(n for n in range(1, groups + 1) if groups % n == 0 and (n == 1 or n * kernel.shape[2] <= PACK))
    packed = _packed(kernel, groups // size, size)
    padding = tuple(((length - 1) // 2, length // 2) for length in kernel.shape[:2])
    return _conv(x, packed, groups // size, padding)


def as_grouped(x: Images, kernel: GroupedKernel, *, groups: int) -> Array:
    """XLA's own grouped convolution."""
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=_DIMENSIONS, feature_group_count=groups
    )


def _packed(kernel: GroupedKernel, packs: int, size: int) -> Array:
    """The kernel [*, *, size * channels, features] of packs of so many groups, which stay apart."""
    height, width, channels, features = kernel.shape
    by_group = kernel.reshape(height, width, 1, channels, packs, size, -1)
    own = jnp.eye(size, dtype=kernel.dtype).reshape(1, 1, size, 1, 1, size, 1)
    return (by_group * own).reshape(height, width, size * channels, features)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _conv(x: Images, kernel: GroupedKernel, groups: int, padding: Padding) -> Array:
    """A grouped convolution with so many zeros beyond each border."""
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), padding, dimension_numbers=_DIMENSIONS, feature_group_count=groups
    )


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _kernel_gradient(x: Images, out: Made, groups: int, padding: Padding) -> Array:
    """The gradient of <out, _conv(x, kernel)> with respect to the kernel.

    It is a grouped convolution, too: with the pixels of `out` as those of its kernel, summed over the batch.
    """
    batch, height, width, _ = x.shape
    by_group = x.reshape(batch, height, width, groups, -1).transpose(4, 1, 2, 3, 0)
    images = by_group.reshape(-1, height, width, groups * batch)
    found = jax.lax.conv_general_dilated(
        images, out.transpose(1, 2, 0, 3), (1, 1), padding, dimension_numbers=_DIMENSIONS, feature_group_count=groups
    )
    return found.transpose(1, 2, 0, 3)


def _mirrored(kernel: GroupedKernel, groups: int) -> Array:
    """The kernel of the adjoint."""
    height, width, channels, _ = kernel.shape
    by_group = kernel[::-1, ::-1].reshape(height, width, channels, groups, -1)
    return by_group.swapaxes(2, 4).reshape(height, width, -1, groups * channels)


def _adjoint(out: Made, kernel: GroupedKernel, groups: int, padding: Padding) -> Array:
    """The gradient of <out, _conv(x, kernel)> with respect to x."""
    return _conv(out, _mirrored(kernel, groups), groups, tuple((after, before) for before, after in padding))


_conv.defvjp(
    lambda x, kernel, groups, padding: (_conv(x, kernel, groups, padding), (x, kernel)),
    lambda groups, padding, saved, out: (
        _adjoint(out, saved[1], groups, padding),
        _kernel_gradient(saved[0], out, groups, padding),
    ),
)
_kernel_gradient.defvjp(
    lambda x, out, groups, padding: (_kernel_gradient(x, out, groups, padding), (x, out)),
    lambda groups, padding, saved, kernel: (
        _adjoint(saved[1], kernel, groups, padding),
        _conv(saved[0], kernel, groups, padding),
    ),
)
