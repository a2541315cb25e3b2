"""StyleGAN2's discriminators, and both networks by the published rule of widths.

Reference: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, in the published PyTorch code
of StyleGAN2-ADA (Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data").
"""

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.networks.equalized import EqualizedConv, EqualizedDense, leaky
from gvlab.networks.filtered import down_conv
from gvlab.networks.layers import unrounded
from gvlab.networks.minibatch import minibatch_stddev
from gvlab.networks.resampling import downsample
from gvlab.networks.sizes import bordered, side_for
from gvlab.networks.stylegan2 import FIRST, StyleGAN2Generator, StyleMapping

Maps = Float[Array, "batch height width channel"]
Image = Float[Array, "batch height width colour"]
Halved = tuple[Float[Array, "batch half_height half_width next_channel"], Float[Array, "batch *half colour"] | None]


def _entered(
    x: Maps | None, image: Image | None, features: int, name: str
) -> Float[Array, "batch height width features"]:
    """What a stage begins with: the maps so far, and those of an image where it has one; the caller is the parent."""
    if image is None:
        assert x is not None
        return x
    own = leaky(EqualizedConv(features, 1, name=name)(image))
    return own if x is None else x + own


def _halved(x: Maps, features: int, next_features: int) -> Float[Array, "batch half_height half_width next_channel"]:
    """Two convolutions, of which the second one halves; the caller is the parent."""
    x = leaky(EqualizedConv(features, name="conv0")(x))
    return leaky(EqualizedConv(next_features, convolve=down_conv, name="conv1")(x))


class OrigBlock(nn.Module):
    """A stage of two convolutions; the image enters the first one alone.

    Attributes:
        features: channels of its input, and of its first convolution.
        next_features: channels of its output, of half the size.
    """

    features: int
    next_features: int

    @nn.compact
    def __call__(self, x: Maps | None, image: Image | None) -> Halved:
        """(maps, None), of maps, or of an image."""
        x = _entered(x, image, self.features, "fromrgb")
        return _halved(x, self.features, self.next_features), None


class ResnetBlock(nn.Module):
    """As `OrigBlock`, with a convolution of single pixels round both others; the sum is divided by the root of 2."""

    features: int
    next_features: int

    @nn.compact
    def __call__(self, x: Maps | None, image: Image | None) -> Halved:
        x = _entered(x, image, self.features, "fromrgb")
        skip = EqualizedConv(self.next_features, 1, down_conv, use_bias=False, name="skip")(x)
        return (skip + _halved(x, self.features, self.next_features)) * math.sqrt(0.5), None


class SkipBlock(nn.Module):
    """As `OrigBlock`, but the image enters each stage, at its size."""

    features: int
    next_features: int

    @nn.compact
    def __call__(self, x: Maps | None, image: Image | None) -> Halved:
        """(maps, image of half the size), of maps and an image; of the image alone in the first stage."""
        assert image is not None
        x = _entered(x, image, self.features, "fromrgb")
        return _halved(x, self.features, self.next_features), downsample(image)


BLOCKS = {"orig": OrigBlock, "resnet": ResnetBlock, "skip": SkipBlock}
"""By the names of the published code."""


class StyleGAN2Discriminator(nn.Module):
    """Stages that halve the images, their deviation in groups of the batch, and a head.

    Of a conditional network the logit is the product with a style of the class. Images smaller than the first stage
    get a border of -1, the darkest value.

    Its standard deviation couples the images of a batch: slopes are those of the sum of all logits then, as they are
    in the published code.

    Attributes:
        widths: channels of each stage, from the largest images on, the last those of 4 pixels a side.
        block: makes the stages, given the channels of its input and its output, and `name`.
        mapping_layers: from the classes to their styles.
        group: images of which the deviation is taken.
        axis_name: the mapped axis that the batch is spread over.
    """

    widths: Sequence[int]
    block: Callable[..., nn.Module] = ResnetBlock
    mapping_layers: int = 8
    group: int = 4
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"], y: Float[Array, "batch classes"] | None = None, *,
        train: bool,
    ) -> Float[Array, " batch"]:  # fmt: skip
        """Logits of "real" for images `x` in [-1, 1] and, for a conditional network, one-hot classes `y`."""
        side = FIRST * 2 ** (len(self.widths) - 1)
        maps, image = None, bordered(x, side, side)
        for stage, (features, following) in enumerate(zip(self.widths[:-1], self.widths[1:], strict=True)):
            maps, image = self.block(features, following, name=f"b{side >> stage}")(maps, image)
        last = self.widths[-1]
        # Only a train step knows the axis.
        axis_name = self.axis_name if train and not self.is_initializing() else None
        maps = minibatch_stddev(_entered(maps, image, last, "b4_fromrgb"), self.group, axis_name=axis_name)
        maps = leaky(EqualizedConv(last, name="b4_conv")(maps))
        h = unrounded(leaky(EqualizedDense(last, name="b4_fc")(maps.reshape(len(x), -1))))
        if y is None:
            return EqualizedDense(1, name="b4_out")(h)[:, 0]
        style = StyleMapping(last, self.mapping_layers, name="mapping")(None, y)
        return jnp.sum(EqualizedDense(last, name="b4_out")(h) * style, axis=-1) / math.sqrt(last)


def stylegan2_networks(
    shape: tuple[int, ...],
    width: int = 512,
    *,
    full_until: int = 64,
    mapping_layers: int = 8,
    architecture: str = "resnet",
    mixing: float = 0.9,
    group: int = 4,
    axis_name: str | None = None,
) -> tuple[StyleGAN2Generator, StyleGAN2Discriminator]:
    """StyleGAN2, for images of 16, 32, 64, 128 and 256 pixels a side.

    Args:
        shape: (height, width, channels) of the images, up to 7 pixels a side fewer than that.
        width: channels of the coarse stages, and units of a style.
        full_until: pixels a side of the finest stage with all of these channels; each finer one has half of the last
            one's. Published are 64, and 32 in StyleGAN2-ADA's configurations for up to 256 pixels.
        mapping_layers: of the generator; the discriminator has 8 from the classes on, as in the published code.
        architecture: of the discriminator, one of `orig`, `resnet` and `skip`.
        mixing: probability of mixed styles.
        group: images of which the discriminator is told the deviation.
        axis_name: the mapped axis that the batch is spread over.

    Raises:
        UserError: for other sizes.
    """
    largest = side_for("StyleGAN2", shape, (16, 32, 64, 128, 256))
    stages = [FIRST * 2**stage for stage in range(int(math.log2(largest // FIRST)) + 1)]
    widths = tuple(max(width * full_until // max(side, full_until), 1) for side in stages)
    return (
        StyleGAN2Generator(shape, widths, width, mapping_layers, mixing, axis_name),
        StyleGAN2Discriminator(widths[::-1], BLOCKS[architecture], group=group, axis_name=axis_name),
    )
