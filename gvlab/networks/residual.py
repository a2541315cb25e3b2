"""Residual networks of SNGAN, SAGAN and BigGAN: blocks, the generator of the first two, the discriminator of all.

References: Miyato, Kataoka, Koyama & Yoshida, "Spectral Normalization for Generative Adversarial Networks", 2018,
tables 4 and 5; Miyato & Koyama, "cGANs with Projection Discriminator", 2018; Zhang, Goodfellow, Metaxas & Odena,
"Self-Attention Generative Adversarial Networks", 2019. Sizes are those of mimicry, and where said of StudioGAN.

A class reaches the generator by conditional BatchNorm and the discriminator by its projection. Maps are doubled by
repeating pixels, as in the authors' own code (mimicry interpolates bilinearly), and halved by their mean.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from flax.typing import Initializer
from jaxtyping import Array, Float

from gvlab.networks.attention import SelfAttention
from gvlab.networks.conditional import ConditionalBatchNorm, ProjectionHead
from gvlab.networks.layers import Conv
from gvlab.networks.sizes import bordered, middle, side_for
from gvlab.networks.spectral_norm import EPSILON, SpectralConv, SpectralDense, SpectralEmbed
from gvlab.types import Judged

MakesLayer = Callable[..., nn.Module]

GLOROT = nn.initializers.variance_scaling(1.0, "fan_avg", "uniform")
GLOROT_BEFORE_RELU = nn.initializers.variance_scaling(2.0, "fan_avg", "uniform")
"""With a gain of sqrt 2: for the 3x3 convolutions of the blocks."""


class Layers(NamedTuple):
    """What makes the layers of a network, each given its features first."""

    dense: MakesLayer
    conv: MakesLayer
    embed: MakesLayer


def plain(train: bool) -> Layers:
    """Layers with their weights as they are, in training or not."""
    return Layers(nn.Dense, partial(Conv, kernel_size=(3, 3)), partial(nn.Dense, use_bias=False))


def spectral(train: bool, epsilon: float = EPSILON) -> Layers:
    """Layers whose weights are divided by their spectral norm.

    Args:
        train: whether a pass advances the power iteration, where the collection `spectral` is mutable.
        epsilon: least length of a vector of that iteration.
    """
    given: dict[str, Any] = {"train": train, "epsilon": epsilon}
    return Layers(
        partial(SpectralDense, **given),
        partial(SpectralConv, kernel_size=(3, 3), **given),
        partial(SpectralEmbed, **given),
    )


def doubled(x: Float[Array, "batch height width channel"]) -> Float[Array, "batch twice_height twice_width channel"]:
    """Each pixel four times, as 2x2 pixels."""
    return x.repeat(2, axis=1).repeat(2, axis=2)


def halved(x: Float[Array, "batch height width channel"]) -> Float[Array, "batch half_height half_width channel"]:
    """The mean of each 2x2 pixels."""
    return nn.avg_pool(x, (2, 2), (2, 2))


class UpBlock(nn.Module):
    """C2(r(n2(C1(twice r(n1(x)))))) + twice S(x): 3x3 convolutions C, norms n, ReLU r, S of single pixels.

    Attributes:
        features: channels of the output.
        dense: makes S.
        conv: makes C1 and C2.
        norm: makes n1 and n2, which are given the condition.
    """

    features: int
    dense: MakesLayer
    conv: MakesLayer
    norm: MakesLayer

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"], condition: Float[Array, "batch units"] | None
    ) -> Float[Array, "batch twice_height twice_width features"]:
        h = nn.relu(self.norm(name="n1")(x, condition))
        h = self.conv(self.features, name="C1")(doubled(h))
        h = nn.relu(self.norm(name="n2")(h, condition))
        # S commutes with the doubling, and costs a quarter before it.
        return self.conv(self.features, name="C2")(h) + doubled(self.dense(self.features, name="S")(x))


class ImageBlock(nn.Module):
    """half C2(r(C1(x))) + S(half x): a discriminator's first block, which has no ReLU before the image.

    Attributes:
        features: channels within and of the output.
        dense: makes S.
        conv: makes C1 and C2.
    """

    features: int
    dense: MakesLayer
    conv: MakesLayer

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"]
    ) -> Float[Array, "batch half_height half_width features"]:
        h = nn.relu(self.conv(self.features, name="C1")(x))
        return halved(self.conv(self.features, name="C2")(h)) + self.dense(self.features, name="S")(halved(x))


class DownBlock(nn.Module):
    """C2(r(C1(r(x)))) + S(x), both then shrunk by the stride; S is the identity where nothing changes.

    Attributes:
        features: channels of the output.
        hidden: channels between C1 and C2.
        stride: by how much the height and the width shrink: 1 or 2.
        dense: makes S.
        conv: makes C1 and C2.
    """

    features: int
    hidden: int
    stride: int
    dense: MakesLayer
    conv: MakesLayer

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"]
    ) -> Float[Array, "batch out_height out_width features"]:
        h = self.conv(self.hidden, name="C1")(nn.relu(x))
        h = self.conv(self.features, name="C2")(nn.relu(h))
        if self.stride == 2:
            h, x = halved(h), halved(x)  # S commutes with the mean
        elif x.shape[-1] == self.features:
            return h + x
        return h + self.dense(self.features, name="S")(x)


class ResidualGenerator(nn.Module):
    """The latent as maps of `first` x `first` pixels, then a block for each further width, which doubles them.

    The class is the condition of the blocks' BatchNorm. The images may be smaller than what the last block makes, whose
    middle is taken then (28x28 of 32x32).

    Attributes:
        shape: (height, width, channels) of the images.
        first: pixels a side of the first maps.
        widths: channels of the first maps and after each block.
        attention: after which block, counted from 1, the pixels attend to each other; None for after none.
        layers: `plain` or `spectral`, of `train`.
        epsilon: of BatchNorm.
        axis_name: the mapped axis over which the batch's statistics are averaged.
    """

    shape: tuple[int, ...]
    first: int
    widths: Sequence[int]
    attention: int | None = None
    layers: Callable[[bool], Layers] = plain
    epsilon: float = 1e-4
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, "batch height width channel"]:
        """Images in [-1, 1] from latents `z` and, for a conditional network, one-hot classes `y`."""
        layers = self.layers(train)
        dense = partial(layers.dense, kernel_init=GLOROT)
        conv = partial(layers.conv, kernel_init=GLOROT_BEFORE_RELU)
        norm = partial(ConditionalBatchNorm, train, epsilon=self.epsilon, axis_name=self.axis_name)
        x = dense(self.first**2 * self.widths[0], name="first")(z)
        x = x.reshape(-1, self.first, self.first, self.widths[0])
        for block, features in enumerate(self.widths[1:], 1):
            x = UpBlock(features, dense, conv, norm, name=f"block{block}")(x, y)
            if block == self.attention:
                x = SelfAttention(dense, name="attention")(x)
        x = nn.relu(norm(name="norm")(x))
        x = conv(self.shape[-1], kernel_init=GLOROT, name="image")(x)
        return middle(jnp.tanh(x), self.shape)


class ResidualDiscriminator(nn.Module):
    """Residual blocks, of which the first ones halve, then the head, that of projection by default.

    Images smaller than `side` get a border of -1, the darkest value.

    Attributes:
        side: pixels a side of the images that it judges.
        widths: channels after each block.
        hidden: channels within each block; the first block has its width within.
        halvings: how many blocks, the first ones, halve the maps.
        attention: after which block, counted from 1, the pixels attend to each other; None for after none.
        layers: `plain` or `spectral`, of `train`.
        dense_init: makes the weights of the layers of vectors and of single pixels, and the classes' vectors.
        conv_init: makes the kernels.
        head: makes what judges the last maps, given what makes its layers and its table of classes, and `name`.
    """

    side: int
    widths: Sequence[int]
    hidden: Sequence[int]
    halvings: int
    attention: int | None = None
    layers: Callable[[bool], Layers] = spectral
    dense_init: Initializer = GLOROT
    conv_init: Initializer = GLOROT_BEFORE_RELU
    head: MakesLayer = ProjectionHead

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch height width channel"],
        y: Float[Array, "batch classes"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, " batch"] | Judged:
        """Logits of "real" for images `x` in [-1, 1] and, for a conditional network, one-hot classes `y`; or what
        another head says."""
        layers = self.layers(train)
        dense, embed = (partial(layer, kernel_init=self.dense_init) for layer in (layers.dense, layers.embed))
        conv = partial(layers.conv, kernel_init=self.conv_init)
        x = bordered(x, self.side, self.side)
        for block, (features, hidden) in enumerate(zip(self.widths, self.hidden, strict=True), 1):
            if block == 1:
                x = ImageBlock(features, dense, conv, name="block1")(x)
            else:
                stride = 2 if block <= self.halvings else 1
                x = DownBlock(features, hidden, stride, dense, conv, name=f"block{block}")(x)
            if block == self.attention:
                x = SelfAttention(dense, name="attention")(x)
        return self.head(dense, embed, name="head")(x, y)


class Layout(NamedTuple):
    """Of the networks for images of one size; widths in units."""

    first: int
    """Pixels a side of the generator's first maps."""
    generator: tuple[int, ...]
    discriminator: tuple[int, ...]
    halvings: int
    """Blocks, or stages, of the discriminator that halve."""


LAYOUTS = {
    32: Layout(4, (4, 4, 4, 4), (2, 2, 2, 2), 2),
    48: Layout(6, (8, 4, 2, 1), (1, 2, 4, 8, 16), 4),
    64: Layout(4, (16, 8, 4, 2, 1), (1, 2, 4, 8, 16), 5),
}
"""SNGAN's, by the images' side."""


def scaled(units: Sequence[int], width: int) -> tuple[int, ...]:
    """Channels: so many times the width each."""
    return tuple(width * unit for unit in units)


def sngan_networks(
    shape: tuple[int, ...], width: int = 64, axis_name: str | None = None
) -> tuple[ResidualGenerator, ResidualDiscriminator]:
    """SNGAN of mimicry, for images of 32, 48 and 64 pixels a side; with classes cGAN-PD.

    Args:
        shape: (height, width, channels) of the images, up to 7 pixels a side fewer than that.
        width: channels of the generator's last block at 48 and 64 pixels, a quarter of all blocks' at 32; 64 is
            the published one.
        axis_name: the mapped axis over which the batch's statistics are averaged.

    Raises:
        UserError: for other sizes.
    """
    side = side_for("SNGAN", shape, tuple(LAYOUTS))
    layout = LAYOUTS[side]
    judged = scaled(layout.discriminator, width)
    generator = ResidualGenerator(
        shape, layout.first, scaled(layout.generator, width), epsilon=1e-5, axis_name=axis_name
    )
    # A block is as wide within as before it.
    return generator, ResidualDiscriminator(side, judged, (judged[0], *judged[:-1]), layout.halvings)


def studiogan_sngan_networks(
    shape: tuple[int, ...], width: int = 64, axis_name: str | None = None
) -> tuple[ResidualGenerator, ResidualDiscriminator]:
    """SNGAN of StudioGAN, for images of 32 and 64 pixels a side.

    It differs from mimicry's in the discriminator at 64 pixels, whose blocks are as wide within as after them and of
    which the last does not halve, and in BatchNorm's epsilon.

    Args:
        shape: (height, width, channels) of the images, up to 7 pixels a side fewer than that.
        width: as of `sngan_networks`.
        axis_name: the mapped axis over which the batch's statistics are averaged.

    Raises:
        UserError: for other sizes.
    """
    side = side_for("StudioGAN's SNGAN", shape, (32, 64))
    layout = LAYOUTS[side]
    judged = scaled(layout.discriminator, width)
    generator = ResidualGenerator(shape, layout.first, scaled(layout.generator, width), axis_name=axis_name)
    return generator, ResidualDiscriminator(side, judged, judged, min(layout.halvings, 4))


def sagan_networks(
    shape: tuple[int, ...], width: int = 64, axis_name: str | None = None
) -> tuple[ResidualGenerator, ResidualDiscriminator]:
    """SAGAN of mimicry, for images of 32 pixels a side: SNGAN's with attention, and both spectrally normalised.

    The pixels attend to each other after the second block of each network: at 16x16 and at 8x8 pixels.

    Args:
        shape: (height, width, channels) of the images, up to 7 pixels a side fewer than that.
        width: a quarter of the generator's channels, half of the discriminator's; 64 is the published one.
        axis_name: the mapped axis over which the batch's statistics are averaged.

    Raises:
        UserError: for other sizes.
    """
    side = side_for("SAGAN", shape, (32,))
    layout = LAYOUTS[side]
    judged = scaled(layout.discriminator, width)
    generator = ResidualGenerator(
        shape, layout.first, scaled(layout.generator, width), 2, spectral, epsilon=1e-5, axis_name=axis_name
    )
    return generator, ResidualDiscriminator(side, judged, judged, layout.halvings, attention=2)
