"""The networks of R3GAN: residual blocks of grouped convolutions, without normalisation.

Reference: Huang, Gokaslan, Kuleshov & Tompkin, "The GAN is dead; long live the GAN! A Modern Baseline GAN", 2024, and
its published code: no activation after a sum, none at the end, biases in the activations alone.
"""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.networks.channels import by_channel
from gvlab.networks.grouped import grouped_conv
from gvlab.networks.layers import unrounded
from gvlab.networks.pointwise import Pointwise
from gvlab.networks.resampling import downsample, upsample
from gvlab.networks.sizes import bordered, middle
from gvlab.types import UserError

LEAK = 0.2
GAIN = math.sqrt(2 / (1 + LEAK**2))
"""Of a leaky ReLU's weights, so that it keeps the variance."""


def stages(shape: tuple[int, ...]) -> int:
    """How many stages there are for images of that shape: until a shorter side of at most 4 pixels is doubled to it.

    Raises:
        UserError: for what is no image of at least 5 pixels a side.
    """
    if len(shape) != 3 or min(shape[:2]) < 5:
        raise UserError(f"R3GAN makes images of at least 5x5 pixels, not of shape {shape}: use MLP, or larger images.")
    return math.ceil(math.log2(min(shape[:2]) / 4)) + 1


def _first(shape: tuple[int, ...], doublings: int) -> tuple[int, int]:
    """Height and width of the first stage, which doubled are at least those of the images."""
    return -(-shape[0] // 2**doublings), -(-shape[1] // 2**doublings)


def _normal(gain: float, fan_in: int) -> nn.initializers.Initializer:
    return nn.initializers.normal(gain / math.sqrt(fan_in))


class BiasedActivation(nn.Module):
    """Leaky ReLU of x plus a bias for each channel."""

    @nn.compact
    def __call__(self, x: Float[Array, "*batch channel"]) -> Float[Array, "*batch channel"]:
        bias = self.param("bias", nn.initializers.zeros_init(), (x.shape[-1],), jnp.float32)
        return nn.leaky_relu(x + by_channel(bias, x.shape), LEAK)


class GroupedConv(nn.Module):
    """A 3x3 convolution in groups, without a bias."""

    features: int
    groups: int
    gain: float

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channel"]) -> Float[Array, "batch height width features"]:
        channels = x.shape[-1] // self.groups
        kernel = self.param("kernel", _normal(self.gain, 9 * channels), (3, 3, channels, self.features), jnp.float32)
        return grouped_conv(x, kernel, self.groups)


class ResidualBlock(nn.Module):
    """x + C3(a(C2(a(C1 x)))), with C1 and C3 of single pixels, C2 in groups, and C3 = 0 before training.

    Attributes:
        groups: of C2.
        blocks: of the whole network, whose fourth root divides the deviation of the first weights of each.
        expansion: how many times wider it is within.
    """

    groups: int
    blocks: int
    expansion: int = 2

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channel"]) -> Float[Array, "batch height width channel"]:
        channels, inner = x.shape[-1], x.shape[-1] * self.expansion
        gain = GAIN * self.blocks**-0.25
        h = Pointwise(inner, kernel_init=_normal(gain, channels), name="C1")(x)
        h = GroupedConv(inner, self.groups, gain, name="C2")(BiasedActivation(name="a1")(h))
        h = BiasedActivation(name="a2")(h)
        return x + Pointwise(channels, kernel_init=nn.initializers.zeros_init(), name="C3")(h)


def _pointwise(x: Array, features: int, name: str) -> Array:
    """A convolution of single pixels without a bias; the parent is the module that calls it."""
    return Pointwise(features, kernel_init=_normal(1.0, x.shape[-1]), name=name)(x)


class R3GANGenerator(nn.Module):
    """From a learned basis of small images, weighted by the latent, over stages that double it.

    The last stage may be larger than the images, whose middle is taken then (28x28 of 32x32).

    Attributes:
        shape: (height, width, channels) of the images.
        widths: channels of each stage, from the smallest images on.
        groups: of each stage's blocks.
        blocks: in each stage.
        embedding: length of the vector that a class is given beside the latent.
    """

    shape: tuple[int, ...]
    widths: Sequence[int]
    groups: Sequence[int]
    blocks: Sequence[int]
    embedding: int = 64

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, "batch height width channel"]:
        """Images, which no activation bounds, from latents `z` and, for a conditional network, one-hot classes `y`."""
        if y is not None:
            z = jnp.concatenate([z, _pointwise(y, self.embedding, "label")], axis=-1)
        height, width = _first(self.shape, len(self.widths) - 1)
        basis = self.param("basis", nn.initializers.normal(1.0), (height, width, self.widths[0]), jnp.float32)
        x = basis[None] * _pointwise(z, self.widths[0], "weights")[:, None, None, :]
        for stage, (features, groups, blocks) in enumerate(zip(self.widths, self.groups, self.blocks, strict=True)):
            if stage:
                if features != x.shape[-1]:
                    x = _pointwise(x, features, f"up{stage}")
                x = upsample(x)
            for block in range(blocks):
                x = ResidualBlock(groups, sum(self.blocks), name=f"stage{stage}_block{block}")(x)
        return middle(_pointwise(x, self.shape[-1], "image"), self.shape)


class R3GANDiscriminator(nn.Module):
    """The generator's mirror; of a conditional network the logit is the product with an embedding of the class.

    Images smaller than the generator's last stage get a border of -1, the darkest value.

    Attributes:
        widths: channels of each stage, from the largest images on.
        groups: of each stage's blocks.
        blocks: in each stage.
    """

    widths: Sequence[int]
    groups: Sequence[int]
    blocks: Sequence[int]

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch height width channel"],
        y: Float[Array, "batch classes"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, " batch"]:
        """Logits of "real" for images `x` in [-1, 1] and, for a conditional network, one-hot classes `y`."""
        doublings = len(self.widths) - 1
        small = _first(x.shape[1:], doublings)
        x = bordered(x, *(side * 2**doublings for side in small))
        x = _pointwise(x, self.widths[0], "extraction")
        for stage, (groups, blocks) in enumerate(zip(self.groups, self.blocks, strict=True)):
            for block in range(blocks):
                x = ResidualBlock(groups, sum(self.blocks), name=f"stage{stage}_block{block}")(x)
            if stage < doublings:
                x = downsample(x)
                if self.widths[stage + 1] != x.shape[-1]:
                    x = _pointwise(x, self.widths[stage + 1], f"down{stage}")
        basis = self.param("basis", _normal(1.0, math.prod(small)), (*small, x.shape[-1]), jnp.float32)
        x = unrounded(jnp.einsum("bhwc,hwc->bc", x, basis))
        if y is None:
            return _pointwise(x, 1, "logit")[:, 0]
        embedding = nn.Dense(
            self.widths[-1], use_bias=False, name="embedding",
            kernel_init=nn.initializers.normal(1 / math.sqrt(self.widths[-1] * y.shape[-1])),
        )  # fmt: skip
        return jnp.sum(_pointwise(x, self.widths[-1], "logit") * embedding(y), axis=-1)
