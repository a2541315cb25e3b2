"""The networks of BigGAN-deep: bottleneck blocks, all latents and the class' vector in every one of them.

Reference: Brock, Donahue & Simonyan, "Large Scale GAN Training for High Fidelity Natural Image Synthesis", 2019,
appendix B and figure 16, and the first author's BigGAN-PyTorch; sizes are those of StudioGAN, whose own variant of the
blocks is here, too.
"""

from collections.abc import Callable, Sequence
from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.networks.attention import SelfAttention
from gvlab.networks.biggan import FIRST, ORTHOGONAL, embedded
from gvlab.networks.conditional import ConditionalBatchNorm, ProjectionHead
from gvlab.networks.residual import Layers, Layout, MakesLayer, doubled, halved, scaled, spectral
from gvlab.networks.sizes import bordered, middle, side_for
from gvlab.types import Judged

NARROWING = 4
"""How many times fewer channels a block has within."""


def _within(channels: int) -> int:
    return max(1, channels // NARROWING)


class BottleneckUpBlock(nn.Module):
    """D4(a4(C3(a3(C2(times a2(D1(a1(x)))))))) + times skip(x), with a the ReLU of a conditional norm.

    D are convolutions of single pixels, C of 3x3. The skip keeps the first channels.

    Attributes:
        features: channels of the output, at most those of the input.
        factor: by how much the height and the width grow: 1 or 2.
        dense: makes D1 and D4.
        conv: makes C2 and C3.
        norm: makes the norms, which are given the condition.
    """

    features: int
    factor: int
    dense: MakesLayer
    conv: MakesLayer
    norm: MakesLayer

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"], condition: Float[Array, "batch units"]
    ) -> Float[Array, "batch out_height out_width features"]:
        def active(name: str, maps: Array) -> Array:
            return nn.relu(self.norm(name=name)(maps, condition))

        hidden = _within(x.shape[-1])
        h = active("n2", self.dense(hidden, name="D1")(active("n1", x)))
        x = self.skip(x)
        if self.factor == 2:
            h, x = doubled(h), doubled(x)
        h = self.conv(hidden, name="C2")(h)
        h = self.conv(hidden, name="C3")(active("n3", h))
        return self.dense(self.features, name="D4")(active("n4", h)) + x

    def skip(self, x: Float[Array, "batch height width channel"]) -> Float[Array, "batch height width features"]:
        return x[..., : self.features]


class StudioGANUpBlock(BottleneckUpBlock):
    """StudioGAN's: the skip is a convolution of single pixels."""

    def skip(self, x: Float[Array, "batch height width channel"]) -> Float[Array, "batch height width features"]:
        return self.dense(self.features, name="S")(x)


class BottleneckDownBlock(nn.Module):
    """D4(half r(C3(r(C2(r(D1(r(x)))))))) + skip(half x): D of single pixels, C of 3x3, and r is ReLU.

    The skip is the identity beside a convolution of single pixels, which makes the channels that are missing.

    Attributes:
        features: channels of the output, at least those of the input.
        stride: by how much the height and the width shrink: 1 or 2.
        dense: makes D1, D4 and the skip's.
        conv: makes C2 and C3.
    """

    features: int
    stride: int
    dense: MakesLayer
    conv: MakesLayer

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"]
    ) -> Float[Array, "batch out_height out_width features"]:
        hidden = _within(self.features)
        h = self.dense(hidden, name="D1")(nn.relu(x))
        h = self.conv(hidden, name="C2")(nn.relu(h))
        h = self.conv(hidden, name="C3")(nn.relu(h))
        return self.dense(self.features, name="D4")(self.active(h)) + self.skip(self.shrunk(x))

    def shrunk(
        self, x: Float[Array, "batch height width channel"]
    ) -> Float[Array, "batch out_height out_width channel"]:
        return halved(x) if self.stride == 2 else x

    def active(
        self, h: Float[Array, "batch height width channel"]
    ) -> Float[Array, "batch out_height out_width channel"]:
        return self.shrunk(nn.relu(h))

    def skip(self, x: Float[Array, "batch height width channel"]) -> Float[Array, "batch height width features"]:
        missing = self.features - x.shape[-1]
        return jnp.concatenate([x, self.dense(missing, name="S")(x)], axis=-1) if missing else x


class StudioGANDownBlock(BottleneckDownBlock):
    """StudioGAN's: halved before the last ReLU, and the skip a convolution of single pixels unless nothing changes."""

    def active(
        self, h: Float[Array, "batch height width channel"]
    ) -> Float[Array, "batch out_height out_width channel"]:
        return nn.relu(self.shrunk(h))

    def skip(self, x: Float[Array, "batch height width channel"]) -> Float[Array, "batch height width features"]:
        changed = self.stride == 2 or x.shape[-1] != self.features
        return self.dense(self.features, name="S")(x) if changed else x


class BigGANDeepGenerator(nn.Module):
    """Stages of blocks, whose last one doubles the maps; the latent beside the class' vector is every one's condition.

    Without classes, which is not published, the latent alone is the condition. The images may be smaller than what the
    last stage makes, whose middle is taken then (28x28 of 32x32).

    Attributes:
        shape: (height, width, channels) of the images.
        widths: channels of the first maps and after each stage.
        attention: after which stage, counted from 1, the pixels attend to each other; None for after none.
        depth: blocks of a stage.
        embedding: length of the class' vector.
        block: of which kind the blocks are.
        layers: `plain` or `spectral`, of `train`; the conditions' layers are of them, the class' vectors aren't.
        epsilon: of BatchNorm.
        axis_name: the mapped axis over which the batch's statistics are averaged.
    """

    shape: tuple[int, ...]
    widths: Sequence[int]
    attention: int | None
    depth: int = 2
    embedding: int = 128
    block: type[BottleneckUpBlock] = BottleneckUpBlock
    layers: Callable[[bool], Layers] = spectral
    epsilon: float = 1e-4
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, "batch height width channel"]:
        """Images in [-1, 1] from latents `z` and, for a conditional network, one-hot classes `y`."""
        layers = self.layers(train)
        dense, conv = (partial(layer, kernel_init=ORTHOGONAL) for layer in (layers.dense, layers.conv))
        norm = partial(ConditionalBatchNorm, train, dense, epsilon=self.epsilon, axis_name=self.axis_name)
        condition = z if y is None else jnp.concatenate([embedded(y, self.embedding), z], axis=-1)
        x = dense(FIRST**2 * self.widths[0], name="first")(condition).reshape(-1, FIRST, FIRST, self.widths[0])
        for stage, features in enumerate(self.widths[1:], 1):
            for n in range(1, self.depth + 1):
                channels = x.shape[-1] if n == 1 else features
                factor = 2 if n == self.depth else 1
                x = self.block(channels, factor, dense, conv, norm, name=f"stage{stage}_block{n}")(x, condition)
            if stage == self.attention:
                x = SelfAttention(dense, name="attention")(x)
        x = nn.relu(norm(name="norm")(x))
        return middle(jnp.tanh(conv(self.shape[-1], name="image")(x)), self.shape)


class BigGANDeepDiscriminator(nn.Module):
    """A 3x3 convolution, stages of blocks, of which the first stages halve the maps, then the head.

    Images smaller than `side` get a border of -1, the darkest value.

    Attributes:
        side: pixels a side of the images that it judges.
        widths: channels before the first stage and after each.
        halvings: how many stages, the first ones, halve the maps, by their first block.
        attention: after which stage, counted from 1, the pixels attend to each other; None for after none.
        depth: blocks of a stage.
        block: of which kind the blocks are.
        layers: `plain` or `spectral`, of `train`.
        head: makes what judges the last maps, as of `ResidualDiscriminator`.
    """

    side: int
    widths: Sequence[int]
    halvings: int
    attention: int | None
    depth: int = 2
    block: type[BottleneckDownBlock] = BottleneckDownBlock
    layers: Callable[[bool], Layers] = spectral
    head: Callable[..., nn.Module] = ProjectionHead

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
        dense, conv, embed = (partial(layer, kernel_init=ORTHOGONAL) for layer in self.layers(train))
        x = conv(self.widths[0], name="first")(bordered(x, self.side, self.side))
        for stage, features in enumerate(self.widths[1:], 1):
            for n in range(1, self.depth + 1):
                stride = 2 if n == 1 and stage <= self.halvings else 1
                x = self.block(features, stride, dense, conv, name=f"stage{stage}_block{n}")(x)
            if stage == self.attention:
                x = SelfAttention(dense, name="attention")(x)
        return self.head(dense, embed, name="head")(x, y)


LAYOUTS = {
    32: Layout(FIRST, (4, 4, 4, 4), (4, 4, 4, 4), 2),
    64: Layout(FIRST, (16, 8, 4, 2, 1), (1, 2, 4, 8, 16), 4),
}


def biggan_deep_networks(
    shape: tuple[int, ...], width: int = 128, axis_name: str | None = None
) -> tuple[BigGANDeepGenerator, BigGANDeepDiscriminator]:
    """BigGAN-deep, for images of 32 and 64 pixels a side, with attention at half of the side.

    Args:
        shape: (height, width, channels) of the images, up to 7 pixels a side fewer than that.
        width: a quarter of the channels at 32 pixels, those of the generator's last stage at 64; 128 is the published
            one.
        axis_name: the mapped axis over which the batch's statistics are averaged.

    Raises:
        UserError: for other sizes.
    """
    side = side_for("BigGANDeep", shape, tuple(LAYOUTS))
    layout = LAYOUTS[side]
    made = scaled(layout.generator, width)
    return (
        BigGANDeepGenerator(shape, made, attention=len(made) - 2, axis_name=axis_name),
        BigGANDeepDiscriminator(side, scaled(layout.discriminator, width), layout.halvings, attention=1),
    )


def studiogan_biggan_deep_networks(
    shape: tuple[int, ...], width: int = 128, axis_name: str | None = None
) -> tuple[BigGANDeepGenerator, BigGANDeepDiscriminator]:
    """StudioGAN's variant of BigGAN-deep, whose skips are convolutions, for the same images.

    Its discriminator begins, at 32 pixels too, with as many channels as `width`.

    Args:
        shape: (height, width, channels) of the images, up to 7 pixels a side fewer than that.
        width: as of `biggan_deep_networks`.
        axis_name: the mapped axis over which the batch's statistics are averaged.

    Raises:
        UserError: for other sizes.
    """
    generator, discriminator = biggan_deep_networks(shape, width, axis_name)
    widths = (width, *discriminator.widths[1:])
    return generator.clone(block=StudioGANUpBlock), discriminator.clone(widths=widths, block=StudioGANDownBlock)
