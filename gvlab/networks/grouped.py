"""Convolution of channels in groups, in the form that is fast on the back-end.

GPUs and TPUs know it as it is. XLA:CPU takes the gradient to the kernel that automatic differentiation asks for (groups
of the batch) 12 to 80 times more slowly than what is written here, and even so has of each group only a view with gaps.
A loop that takes the groups out one after another is 1.2 to 1.7 times as fast as that, in all three faces
(`experiments/benchmarks/README.md` has the numbers), and compiles as one convolution, however many groups there are.
oneDNN, where it is in use, knows groups as they are.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab import onednn
from gvlab.networks.convolution import conv, conv_transpose, kernel_gradient
from gvlab.types import UserError

PACK = 16
"""Channels of a turn at least, where there are so many: with fewer XLA:CPU makes poor products, with more the zeros
between thin groups cost more than they gain."""

Images = Float[Array, "batch height width channel"]
Made = Float[Array, "batch height width features"]
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
    return jax.lax.platform_dependent(
        x, kernel, cpu=partial(in_turn, groups=groups), default=partial(as_grouped, groups=groups)
    )


def in_turn(x: Images, kernel: GroupedKernel, *, groups: int) -> Array:
    """A loop over the groups that is compiled once; thin ones in packs of several with 0 between them."""
    if onednn.takes(x, kernel):
        return _conv(x, kernel, groups)
    size = max(n for n in range(1, groups + 1) if groups % n == 0 and (n == 1 or n * kernel.shape[2] <= PACK))
    return _conv(x, _packed(kernel, groups // size, size), groups // size)


def as_grouped(x: Images, kernel: GroupedKernel, *, groups: int) -> Array:
    """XLA's own grouped convolution."""
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups
    )


def _packed(kernel: GroupedKernel, packs: int, size: int) -> Array:
    """The kernel [*, *, size * channels, features] of packs of so many groups, which stay apart."""
    height, width, channels, features = kernel.shape
    by_group = kernel.reshape(height, width, 1, channels, packs, size, -1)
    own = jnp.eye(size, dtype=kernel.dtype).reshape(1, 1, size, 1, 1, size, 1)
    return (by_group * own).reshape(height, width, size * channels, features)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _conv(x: Images, kernel: GroupedKernel, groups: int) -> Made:
    if onednn.takes(x, kernel):
        return onednn.down(x, kernel, (1, 1), groups)
    return _by_share(partial(conv, strides=(1, 1)), x, kernel, groups)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _adjoint(out: Made, kernel: GroupedKernel, groups: int) -> Images:
    """The gradient of <out, _conv(x, kernel)> with respect to x."""
    if onednn.takes(out, kernel):
        return onednn.up(out, kernel, (1, 1), out.shape[1:3], groups)
    return _by_share(partial(conv_transpose, strides=(1, 1)), out, kernel, groups)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _kernel_gradient(x: Images, out: Made, groups: int, size: tuple[int, int]) -> GroupedKernel:
    """The gradient of <out, _conv(x, kernel)> with respect to a kernel of the given (height, width)."""
    if onednn.takes(x, out):
        return onednn.kernel_gradient(x, out, (1, 1), size, groups)
    return _by_share(partial(kernel_gradient, strides=(1, 1), size=size), x, out, groups)


def _by_share(face: Callable[[Array, Array], Array], a: Array, b: Array, groups: int) -> Array:
    """`face` of each group's shares of the last axes, side by side on the last axis.

    A loop that slices shares out and puts them in their places is faster than one over shares that were brought
    together before.
    """
    a, b = (x.reshape(*x.shape[:-1], groups, -1) for x in (a, b))

    def of(group: int | Array) -> Array:
        return face(*(jax.lax.dynamic_index_in_dim(x, group, -2, keepdims=False) for x in (a, b)))

    one = jax.eval_shape(of, 0)
    out = jax.lax.fori_loop(
        0,
        groups,
        lambda group, out: jax.lax.dynamic_update_index_in_dim(out, of(group), group, -2),
        jnp.zeros((*one.shape[:-1], groups, one.shape[-1]), one.dtype),
    )
    return out.reshape(*one.shape[:-1], -1)


_conv.defvjp(
    lambda x, kernel, groups: (_conv(x, kernel, groups), (x, kernel)),
    lambda groups, saved, out: (
        _adjoint(out, saved[1], groups),
        _kernel_gradient(saved[0], out, groups, saved[1].shape[:2]),
    ),
)
_adjoint.defvjp(
    lambda out, kernel, groups: (_adjoint(out, kernel, groups), (out, kernel)),
    lambda groups, saved, x: (
        _conv(x, saved[1], groups),
        _kernel_gradient(x, saved[0], groups, saved[1].shape[:2]),
    ),
)
_kernel_gradient.defvjp(
    lambda x, out, groups, size: (_kernel_gradient(x, out, groups, size), (x, out)),
    lambda groups, size, saved, kernel: (
        _adjoint(saved[1], kernel, groups),
        _conv(saved[0], kernel, groups),
    ),
)
