"""Strided convolution and its adjoint, each with the gradients that XLA runs fast on every back-end.

A strided SAME convolution C(k) has three faces: C(k) itself, from a large image to a small one; its adjoint C(k)^T, the
transposed convolution, from small to large; and the gradient to k, given a large image and a small one. The gradients
of each are the other two, and all three are defined so: derivatives of any order, such as R1's of the second, are made
of them alone.

Automatic differentiation would say the same with dilated convolutions, which XLA:CPU runs slowly: the kernel gradient
of `lax.conv_transpose` some 30 times slower than that of the convolution it is the adjoint of. And a convolution whose
output is smaller than its kernel (5x5 to 4x4 pixels) leaves XLA:CPU's fast path and runs some 40 times slower than as a
matrix product (`experiments/benchmarks/README.md` has the table). Inside `cond` and `scan` only a convolution whose
axes are in the order of `_DIMENSIONS` is on that path: any other runs 30 to 100 times slower there.

Where `gvlab.onednn` is in use, all of this is said to XLA:CPU as one foreign function for each face.
"""

import functools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gvlab import onednn

Strides = tuple[int, int]
Large = Float[Array, "batch height width channel"]
Small = Float[Array, "batch small_height small_width features"]
Kernel = Float[Array, "kernel_height kernel_width channel features"]

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv(x: Large, kernel: Kernel, strides: Strides) -> Small:
    """The strided convolution with SAME padding (a cross-correlation, as everywhere in deep learning).

    Can be differentiated in reverse any number of times; not in forward mode.

    Args:
        x: images [batch, height, width, channel].
        kernel: [kernel_height, kernel_width, channel, features].
        strides: by how much the height and the width shrink.

    Returns:
        images [batch, ceil(height / strides[0]), ceil(width / strides[1]), features].
    """
    return _down(x, kernel, strides)


def conv_transpose(
    x: Float[Array, "batch height width channel"],
    kernel: Float[Array, "kernel_height kernel_width features channel"],
    strides: Strides,
) -> Float[Array, "batch out_height out_width features"]:
    """The transposed convolution with SAME padding: `strides` times the height and width of `x`.

    With C(k) the linear map `image -> conv(image, k, strides)`, this is its adjoint:
    `<conv_transpose(x, k), image> = <x, C(k) image>` for every image. So `kernel` has the layout HWIO *of that
    convolution*, [kernel_height, kernel_width, features, channel], which is the layout of Keras' `Conv2DTranspose`.
    `nn.ConvTranspose` gives the same numbers with the kernel `kernel[::-1, ::-1].swapaxes(2, 3)`.

    Can be differentiated in reverse any number of times; not in forward mode.

    Args:
        x: images [batch, height, width, channel].
        kernel: [kernel_height, kernel_width, features, channel].
        strides: by how much the height and the width grow.

    Returns:
        images [batch, height * strides[0], width * strides[1], features].

    Reference: Dumoulin & Visin, "A guide to convolution arithmetic for deep learning", 2016, chapter 4.
    """
    return _adjoint(x, kernel, strides, (x.shape[1] * strides[0], x.shape[2] * strides[1]))


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _adjoint(small: Small, kernel: Kernel, strides: Strides, size: tuple[int, int]) -> Large:
    """The adjoint of `conv` on images of the given (height, width), which the strides need not divide."""
    return _up(small, kernel, strides, size)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def kernel_gradient(large: Large, small: Small, strides: Strides, size: tuple[int, int]) -> Kernel:
    """The gradient of <small, conv(large, kernel)> with respect to a kernel of the given (height, width)."""
    return jax.lax.platform_dependent(
        large,
        small,
        cpu=partial(
            onednn.kernel_gradient if onednn.takes(large, small) else _kernel_gradient_in_order,
            strides=strides,
            size=size,
        ),
        default=partial(_kernel_gradient_as_xla, strides=strides, size=size),
    )


conv.defvjp(
    lambda x, kernel, strides: (conv(x, kernel, strides), (x, kernel)),
    lambda strides, saved, small: (
        _adjoint(small, saved[1], strides, saved[0].shape[1:3]),
        kernel_gradient(saved[0], small, strides, saved[1].shape[:2]),
    ),
)
_adjoint.defvjp(
    lambda small, kernel, strides, size: (_adjoint(small, kernel, strides, size), (small, kernel)),
    lambda strides, size, saved, large: (
        conv(large, saved[1], strides),
        kernel_gradient(large, saved[0], strides, saved[1].shape[:2]),
    ),
)
kernel_gradient.defvjp(
    lambda large, small, strides, size: (kernel_gradient(large, small, strides, size), (large, small)),
    lambda strides, size, saved, kernel: (
        _adjoint(saved[1], kernel, strides, saved[0].shape[1:3]),
        conv(saved[0], kernel, strides),
    ),
)


def _down(large: Large, kernel: Kernel, strides: Strides) -> Small:
    """The convolution with SAME padding."""
    if onednn.takes(large, kernel):
        return jax.lax.platform_dependent(
            large,
            kernel,
            cpu=partial(onednn.down, strides=strides),
            default=partial(_down_as_xla, strides=strides),
        )
    padding = jax.lax.padtype_to_pads(large.shape[1:3], kernel.shape[:2], strides, "SAME")
    return _convolve(large, kernel, strides, padding)


def _down_as_xla(large: Large, kernel: Kernel, strides: Strides) -> Small:
    return jax.lax.conv_general_dilated(large, kernel, strides, "SAME", dimension_numbers=_DIMENSIONS)


def _kernel_gradient_as_xla(large: Large, small: Small, *, strides: Strides, size: tuple[int, int]) -> Kernel:
    kernel = jax.ShapeDtypeStruct((*size, large.shape[-1], small.shape[-1]), large.dtype)
    (gradient,) = jax.linear_transpose(lambda kernel: _down_as_xla(large, kernel, strides), kernel)(small)
    return gradient


def _kernel_gradient_in_order(large: Large, small: Small, *, strides: Strides, size: tuple[int, int]) -> Kernel:
    """A convolution with the pixels of `small` as those of its kernel, summed over the batch.

    XLA:CPU brings it into this order of axes itself, but only outside `cond` and `scan`, within which it runs another
    order some 50 times slower.
    """
    before = [low for low, _ in jax.lax.padtype_to_pads(large.shape[1:3], size, strides, "SAME")]
    sides = zip(before, size, strides, large.shape[1:3], small.shape[1:3], strict=True)
    gradient = jax.lax.conv_general_dilated(
        large.transpose(3, 1, 2, 0),
        small.transpose(1, 2, 0, 3),
        (1, 1),
        [(low, kernel + (pixels - 1) * stride - of - low) for low, kernel, stride, of, pixels in sides],
        rhs_dilation=strides,
        dimension_numbers=_DIMENSIONS,
    )
    return gradient.transpose(1, 2, 0, 3)


def _convolve(x: Array, kernel: Array, strides: Strides, padding: Sequence[tuple[int, int]]) -> Array:
    """A convolution with explicit padding, in the form that is fast for its size."""
    sizes = zip(x.shape[1:3], kernel.shape[:2], strides, padding, strict=True)
    out = [(size + sum(pad) - window) // stride + 1 for size, window, stride, pad in sizes]
    as_xla = partial(
        jax.lax.conv_general_dilated, window_strides=strides, padding=padding, dimension_numbers=_DIMENSIONS
    )
    if out[0] >= kernel.shape[0] and out[1] >= kernel.shape[1]:
        return as_xla(x, kernel)
    as_product = partial(_convolve_by_product, strides=strides, padding=padding, out=(out[0], out[1]))
    return jax.lax.platform_dependent(x, kernel, cpu=as_product, default=as_xla)


def _convolve_by_product(
    x: Array, kernel: Array, *, strides: Strides, padding: Sequence[tuple[int, int]], out: tuple[int, int]
) -> Array:
    """One matrix product of the image's patches, written out, with the kernel."""
    height, width = kernel.shape[:2]
    padded = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    last = (out[0] - 1) * strides[0] + 1, (out[1] - 1) * strides[1] + 1
    patches = [
        padded[:, top : top + last[0] : strides[0], left : left + last[1] : strides[1]]
        for top in range(height)
        for left in range(width)
    ]
    product = jnp.concatenate(patches, axis=-1).reshape(-1, height * width * x.shape[-1]) @ kernel.reshape(
        -1, kernel.shape[-1]
    )
    return product.reshape(x.shape[0], *out, kernel.shape[-1])


def _up(small: Small, kernel: Kernel, strides: Strides, size: tuple[int, int]) -> Large:
    """The adjoint of `_down` on images of the given (height, width)."""
    return jax.lax.platform_dependent(
        small,
        kernel,
        cpu=partial(
            onednn.up if onednn.takes(small, kernel) else _up_by_phases,
            strides=strides,
            size=size,
        ),
        default=partial(_up_as_xla, strides=strides, size=size),
    )


def _up_as_xla(small: Small, kernel: Kernel, *, strides: Strides, size: tuple[int, int]) -> Large:
    """One convolution with a dilated input, which cuDNN and the TPU know as what it is."""
    large = jax.ShapeDtypeStruct((small.shape[0], *size, kernel.shape[2]), small.dtype)
    (out,) = jax.linear_transpose(lambda large: _down_as_xla(large, kernel, strides), large)(small)
    return out


class _Phase(NamedTuple):
    """Along one axis: which kernel entries reach the outputs q * stride + phase, and the padding they need."""

    taps: slice
    padding: tuple[int, int]


def _phases(size: int, small: int, kernel: int, stride: int) -> list[_Phase | None]:
    """One phase per remainder of the output position; None where the kernel is too short to reach it."""
    before = max((small - 1) * stride + kernel - size, 0) // 2  # SAME padding before the large image
    count = -(-size // stride)
    phases: list[_Phase | None] = []
    for remainder in range(stride):
        first = (remainder + before) % stride  # entries first, first + stride, ...
        number = len(range(first, kernel, stride))
        # Output q * stride + remainder takes small pixels q + shift, q + shift - 1, ... with entries in that order.
        shift = (remainder + before) // stride
        needed = (number - 1 - shift, count - 1 + shift - (small - 1))
        phases.append(_Phase(slice(first, kernel, stride), needed) if number else None)
    return phases


def _up_by_phases(small: Small, kernel: Kernel, *, strides: Strides, size: tuple[int, int]) -> Large:
    """The outputs of each phase of the strides on the undilated image; the phases are then interleaved.

    Every product is one that counts: a convolution with dilated input multiplies stride^2 - 1 zeros for each.
    """
    rows = _phases(size[0], small.shape[1], kernel.shape[0], strides[0])
    columns = _phases(size[1], small.shape[2], kernel.shape[1], strides[1])
    counts = -(-size[0] // strides[0]), -(-size[1] // strides[1])
    # Few channels make a poor matrix product in a convolution, but all kernel entries together a good one.
    few = math.prod(kernel.shape[:3]) <= 2 * kernel.shape[3]
    phase = _phase_by_products(small, kernel) if few else _phase_by_convolution(small, kernel)
    empty = jnp.zeros((small.shape[0], *counts, kernel.shape[2]), small.dtype)

    def filled(row: _Phase | None, column: _Phase | None) -> Array:
        return empty if row is None or column is None else phase(row, column)

    interleaved = jnp.stack([jnp.stack([filled(r, c) for c in columns], axis=3) for r in rows], axis=2)
    whole = interleaved.reshape(small.shape[0], counts[0] * strides[0], counts[1] * strides[1], kernel.shape[2])
    return whole[:, : size[0], : size[1]]


def _phase_by_convolution(small: Small, kernel: Kernel) -> Callable[[_Phase, _Phase], Array]:
    """One dense convolution for each phase."""

    def phase(row: _Phase, column: _Phase) -> Array:
        taps = kernel[row.taps, column.taps][::-1, ::-1].swapaxes(2, 3)
        padding = (row.padding, column.padding)
        return _convolve(small, taps, (1, 1), padding)

    return phase


def _phase_by_products(small: Small, kernel: Kernel) -> Callable[[_Phase, _Phase], Array]:
    """One matrix product for the entries of all phases; each phase adds its own up, every one moved to its place."""
    products = jnp.tensordot(small, kernel, axes=(3, 3))  # [batch, height, width, *kernel_size, channel]

    def phase(row: _Phase, column: _Phase) -> Array:
        own = products[:, :, :, row.taps, column.taps]
        number = own.shape[3:5]

        def moved(tap: tuple[int, ...]) -> Array:
            margins = [
                (before - (n - 1) + i, after - i, 0)
                for (before, after), n, i in zip((row.padding, column.padding), number, tap, strict=True)
            ]
            return jax.lax.pad(own[:, :, :, *tap], jnp.zeros((), own.dtype), [(0, 0, 0), *margins, (0, 0, 0)])

        return functools.reduce(jnp.add, map(moved, np.ndindex(*number)))

    return phase
