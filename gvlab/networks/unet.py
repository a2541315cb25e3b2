"""A network from images to images of the same size, whose layers on the way down are shown to those on the way up."""

from __future__ import annotations

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.networks.layers import BatchNorm, Conv, ConvTranspose, Dropout, unrounded

MOST_CHANNELS = 8
"""Times the first layer's."""


class UNet(nn.Module):
    """Convolutions 4x4 that halve the image until a single pixel is left, at most eight times, and transposed ones that
    double it again, each beside what the way down had at that size; tanh.

    On the way down LeakyReLU(0.2), on the way up ReLU; channels double up to eight times the first's. BatchNorm
    everywhere but in the first layer, the last one and where the image is smallest, as in the published code. Sides are
    halved rounding up, and cut where doubling gives a pixel more. The first three layers on the way up have dropout, in
    training alone; the published generator keeps it when it is used, where it changes little (section 4).

    Attributes:
        channels: of the output.
        width: channels of the first layer.
        dropout: the share of units that are dropped.
        axis_name: the mapped axis over which the batch's statistics are averaged, and its dropout is shared.

    Reference: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017, section 6.1.1.
    """

    channels: int
    width: int = 64
    dropout: float = 0.5
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch height width channel"],
        y: Float[Array, "batch classes"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, "batch height width channels"]:
        """Images in [-1, 1]; `y` is not looked at."""
        init = nn.initializers.normal(0.02)
        down = partial(Conv, kernel_size=(4, 4), strides=(2, 2), kernel_init=init)
        up = partial(ConvTranspose, kernel_size=(4, 4), strides=(2, 2), kernel_init=init)
        norm = partial(BatchNorm, use_running_average=not train, momentum=0.9, epsilon=1e-5, axis_name=self.axis_name)
        drop = Dropout(self.dropout, deterministic=not train, axis_name=self.axis_name)
        levels = halvings(*x.shape[1:3])
        sizes, seen = [x.shape[1:3]], []
        h = x
        for level in range(levels):
            within = 0 < level < levels - 1
            h = down(self.width * min(2**level, MOST_CHANNELS), use_bias=not within)(
                h if level == 0 else nn.leaky_relu(h, 0.2)
            )
            h = norm()(h) if within else h
            seen.append(h)
            sizes.append(h.shape[1:3])
        h = seen.pop()
        for level in reversed(range(1, levels)):
            height, width = sizes[level]
            features = self.width * min(2 ** (level - 1), MOST_CHANNELS)
            h = norm()(up(features, use_bias=False)(nn.relu(h)))[:, :height, :width]
            if levels - 1 - level < 3:
                h = drop(h)
            h = jnp.concatenate([h, seen.pop()], axis=-1)
        height, width = sizes[0]
        return nn.tanh(up(self.channels)(unrounded(nn.relu(h))))[:, :height, :width]


def halvings(height: int, width: int, most: int = 8) -> int:
    """How often an image is halved, rounding up, until a single pixel is left; at most so many times."""
    count = 0
    while max(height, width) > 1 and count < most:
        height, width, count = -(-height // 2), -(-width // 2), count + 1
    return count
