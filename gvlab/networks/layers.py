"""Layers that the networks share: the two convolutions, BatchNorm, the class condition."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer
from jaxtyping import Array, Float

from gvlab import rng as streams
from gvlab.networks.convolution import conv, conv_transpose
from gvlab.types import UserError

# The fan-in of a transposed convolution is its kernel's last axis (see `conv_transpose` for the layout). This is
# `nn.ConvTranspose`'s own default distribution, in the other layout.
default_kernel_init = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal", in_axis=-1, out_axis=-2)


def append_label(
    x: Float[Array, "batch *shape channel"], y: Float[Array, "batch classes"] | None
) -> Float[Array, "batch *shape channel_and_classes"]:
    """Appends the condition to the last axis: to vectors as it is, to images as constant feature maps.

    Args:
        x: vectors [batch, features] or images [batch, height, width, channel].
        y: one-hot classes [batch, classes]; None for an unconditional network.

    Returns:
        `x` with `classes` more entries on the last axis; `x` itself where `y` is None.

    Reference: Mirza & Osindero, "Conditional Generative Adversarial Nets", 2014, section 3.2.
    """
    if y is None:
        return x
    maps = y.reshape(y.shape[0], *(1,) * (x.ndim - 2), y.shape[1])
    maps = jnp.broadcast_to(maps, (*x.shape[:-1], y.shape[1]))
    return jnp.concatenate([x, maps], axis=-1)


def unrounded(x: Float[Array, "*batch unit"]) -> Float[Array, "*batch unit"]:
    """What a last layer is given, so that it computes in float32 at least: logits, whose differences count, are kept
    as they come where all before them is of bfloat16 (`InBfloat16`)."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def refuse_single_values(x: Float[Array, "*batch feature"], axis_name: str | None) -> None:
    """Raises `UserError` if a batch, on all devices of the axis together, has one value per feature."""
    devices = jax.lax.psum(1, axis_name) if axis_name else 1
    if math.prod(x.shape[:-1]) * devices == 1:
        raise UserError(
            "BatchNorm has one value per feature to normalise, since a batch of 1 is trained on, and would "
            "give 0 whatever the value: use a batch_size of at least 2, or networks without BatchNorm."
        )


class BatchNorm(nn.BatchNorm):
    """Flax's BatchNorm, which refuses in training what it would make 0 of: one value per feature.

    Of one example the mean is the value itself, so every input would give the same output, and what lies before the
    layer would learn nothing. PyTorch refuses it, too.
    """

    def __call__(
        self, x: Float[Array, "*batch feature"], use_running_average: bool | None = None, **options: Any
    ) -> Float[Array, "*batch feature"]:
        """As Flax's. Raises `UserError` where a step of training would normalise one value per feature."""
        training = not nn.merge_param("use_running_average", self.use_running_average, use_running_average)
        if training and not self.is_initializing():
            refuse_single_values(x, self.axis_name)
        return super().__call__(x, use_running_average, **options)


class Dropout(nn.Dropout):
    """Flax's, and over a mapped axis the same units of the global batch as on one device: with one key for all devices,
    each takes its share of what is drawn.

    Attributes:
        axis_name: the mapped axis over which the batch is shared.
    """

    axis_name: str | None = None

    def __call__(
        self, inputs: Float[Array, "*shape"], deterministic: bool | None = None, rng: Array | None = None
    ) -> Float[Array, "*shape"]:
        """The inputs, of which `rate` are dropped and the others grow by as much, unless `deterministic`."""
        if self.axis_name is None or self.is_initializing() or self.deterministic or self.rate == 0:
            return super().__call__(inputs, deterministic, rng)
        kept = streams.uniform(self.make_rng(self.rng_collection), inputs.shape, self.axis_name) < 1 - self.rate
        return jnp.where(kept, inputs / (1 - self.rate), jnp.zeros_like(inputs))


class Conv(nn.Module):
    """`conv` as a layer: Keras' and Flax's strided SAME convolution, with gradients that are fast on CPU too.

    Attributes:
        features: channels of the output.
        kernel_size: height and width of the kernel.
        strides: by how much the height and the width shrink.
        use_bias: whether to add a bias to every channel.
        kernel_init: makes [kernel_height, kernel_width, channel, features].
        bias_init: makes [features].
    """

    features: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.lecun_normal()
    bias_init: Initializer = nn.initializers.zeros_init()

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"]
    ) -> Float[Array, "batch out_height out_width features"]:
        kernel = self.param("kernel", self.kernel_init, (*self.kernel_size, x.shape[-1], self.features), jnp.float32)
        return _add_bias(self, conv(*_of_one_type(x, kernel), self.strides))


class ConvTranspose(nn.Module):
    """`conv_transpose` as a layer, with Keras' kernel layout and SAME padding.

    Attributes:
        features: channels of the output.
        kernel_size: height and width of the kernel.
        strides: by how much the height and the width grow.
        use_bias: whether to add a bias to every channel.
        kernel_init: makes [kernel_height, kernel_width, features, channel]. One that looks at the fan must be told
            `in_axis=-1, out_axis=-2`; by default LeCun's normal, so told.
        bias_init: makes [features].
    """

    features: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    use_bias: bool = True
    kernel_init: Initializer = default_kernel_init
    bias_init: Initializer = nn.initializers.zeros_init()

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"]
    ) -> Float[Array, "batch out_height out_width features"]:
        kernel = self.param("kernel", self.kernel_init, (*self.kernel_size, self.features, x.shape[-1]), jnp.float32)
        return _add_bias(self, conv_transpose(*_of_one_type(x, kernel), self.strides))


def _of_one_type(x: Array, kernel: Array) -> tuple[Array, Array]:
    """Both in the more exact type of the two, as dense layers compute: a last layer is given what is `unrounded`."""
    dtype = jnp.promote_types(x.dtype, kernel.dtype)
    return x.astype(dtype), kernel.astype(dtype)


def _add_bias(layer: Conv | ConvTranspose, x: Float[Array, "*shape features"]) -> Float[Array, "*shape features"]:
    if not layer.use_bias:
        return x
    return x + layer.param("bias", layer.bias_init, (layer.features,), jnp.float32)[None, None, None, :]
