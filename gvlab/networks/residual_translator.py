"""The networks of CycleGAN: a residual generator of images from images, and a critic of patches; InstanceNorm in both.

Reference: Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017, section
7.2, and the authors' code (pytorch-CycleGAN-and-pix2pix, `resnet_9blocks` and `basic`).
"""

from __future__ import annotations

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.networks.layers import Conv, ConvTranspose, append_label, unrounded
from gvlab.networks.patches import judged

SMALLEST = 8
"""Pixels a side of an image: a quarter of it still has a neighbour to be mirrored at its edge."""


class ResidualTranslator(nn.Module):
    """A convolution 7x7, two 3x3 that halve the image, residual blocks, two transposed ones that double it again, and
    one 7x7; tanh.

    InstanceNorm and ReLU behind all of them but the last. What has stride 1 sees the image mirrored at its edges. Sides
    are halved rounding up, and cut where doubling gives a pixel more. The same in training and out of it.

    Attributes:
        channels: of the output.
        width: channels of the first layer; a quarter of the image has four times as many.
        blocks: residual ones; published are 9 for 256x256 pixels and 6 for 128x128.
    """

    channels: int
    width: int = 64
    blocks: int = 9

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
        down = partial(Conv, kernel_size=(3, 3), strides=(2, 2), kernel_init=init)
        up = partial(ConvTranspose, kernel_size=(3, 3), strides=(2, 2), kernel_init=init)
        plain = partial(nn.Conv, padding="VALID", kernel_init=init)
        h = nn.relu(instance_norm(plain(self.width, (7, 7))(mirrored(x, 3))))
        sizes = []
        for times in (2, 4):
            sizes.append(h.shape[1:3])
            h = nn.relu(instance_norm(down(times * self.width)(h)))
        for _ in range(self.blocks):
            inner = nn.relu(instance_norm(plain(h.shape[-1], (3, 3))(mirrored(h, 1))))
            h = h + instance_norm(plain(h.shape[-1], (3, 3))(mirrored(inner, 1)))
        for times in (2, 1):
            height, width = sizes.pop()
            h = nn.relu(instance_norm(up(times * self.width)(h)[:, :height, :width]))
        return nn.tanh(plain(self.channels, (7, 7))(mirrored(unrounded(h), 3)))


class InstancePatchDiscriminator(nn.Module):
    """`PatchDiscriminator` with InstanceNorm, and a bias everywhere, so that an image's verdict is its own.

    Attributes:
        width: channels of the first layer.
        layers: those of stride 2.
    """

    width: int = 64
    layers: int = 3

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch height width channel"],
        y: Float[Array, "batch classes"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, "batch rows columns"]:
        """Logits of "real" of every patch. The same in training and out of it."""
        return judged(append_label(x, y), self.width, self.layers, instance_norm, use_bias=True)


def instance_norm(
    x: Float[Array, "batch height width channel"], epsilon: float = 1e-5
) -> Float[Array, "batch height width channel"]:
    """Each channel of each image less its mean, over its deviation, without parameters.

    Reference: Ulyanov et al., "Instance Normalization: The Missing Ingredient for Fast Stylization", 2016, eq. 4.
    """
    pixels = x.reshape(x.shape[0], -1, x.shape[-1]).astype(jnp.promote_types(x.dtype, jnp.float32))
    apart = pixels - pixels.mean(1, keepdims=True)
    scaled = apart * jax.lax.rsqrt((apart**2).mean(1, keepdims=True) + epsilon)
    return scaled.reshape(x.shape).astype(x.dtype)


def mirrored(x: Float[Array, "batch height width channel"], by: int) -> Float[Array, "batch higher wider channel"]:
    """The image with so many pixels more at each edge, mirrored there, the edge itself once."""
    return jnp.pad(x, ((0, 0), (by, by), (by, by), (0, 0)), mode="reflect")
