"""Encoders and decoders with features at several positions between them, of which each is quantised: those of Sonnet's
VQ-VAE on images, and fully connected ones.
"""

import math

import flax.linen as nn
from jaxtyping import Array, Float

from gvlab.networks.layers import Conv, ConvTranspose, append_label


class CodeEncoder(nn.Module):
    """Convolutions 4x4 with stride 2, one 3x3, residual blocks, and one 1x1 to the features that are quantised.

    With Sonnet's numbers on 32x32x3, which are the defaults, it has 372,416 parameters.

    Attributes:
        features: of each position.
        width: channels; the first convolution has half of them where there are several.
        residual_width: channels within a residual block.
        blocks: residual blocks.
        downsamplings: convolutions with stride 2.

    Reference: van den Oord et al., "Neural Discrete Representation Learning", 2017, section 4.1; the sizes of
    dm-sonnet's `vqvae_example`, whose images are moved by -1/2 as well.
    """

    features: int = 64
    width: int = 128
    residual_width: int = 32
    blocks: int = 2
    downsamplings: int = 2

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch height width channel"],
        y: Float[Array, "batch classes"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, "batch small_height small_width features"]:
        """Features of images in [0, 1]. The network is the same in training and out of it."""
        h = append_label(x - 0.5, y)
        for channels in downsampled(self.width, self.downsamplings):
            h = nn.relu(Conv(channels, (4, 4), (2, 2))(h))
        h = Conv(self.width, (3, 3))(h)
        h = ResidualBlocks(self.width, self.residual_width, self.blocks)(h)
        return Conv(self.features, (1, 1))(h)


class CodeDecoder(nn.Module):
    """The mirror image of `CodeEncoder`; with its defaults and 32x32x3 it has 290,307 parameters.

    Attributes:
        shape: of one example, (height, width, channels).
        parameters: of each channel of a pixel, as the likelihood wants them.
        width, residual_width, blocks, downsamplings: as of `CodeEncoder`.
    """

    shape: tuple[int, ...]
    parameters: int = 1
    width: int = 128
    residual_width: int = 32
    blocks: int = 2
    downsamplings: int = 2

    @nn.compact
    def __call__(
        self,
        z: Float[Array, "batch small_height small_width features"],
        y: Float[Array, "batch classes"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, "batch height width raw"]:
        """[batch, *shape[:-1], shape[-1] * parameters]. The network is the same in training and out of it."""
        h = Conv(self.width, (3, 3))(append_label(z, y))
        h = ResidualBlocks(self.width, self.residual_width, self.blocks)(h)
        for channels in downsampled(self.width, self.downsamplings)[-2::-1]:
            h = nn.relu(ConvTranspose(channels, (4, 4), (2, 2))(h))
        return ConvTranspose(self.shape[-1] * self.parameters, (4, 4), (2, 2))(h)


class CodeMLPEncoder(nn.Module):
    """Dense layers with ReLU to the features of all positions.

    Attributes:
        positions: how many.
        features: of each position.
        hidden: widths of the hidden layers.
    """

    positions: int
    features: int
    hidden: tuple[int, ...] = (200, 200)

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *shape"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, "batch positions features"]:
        """The network is the same in training and out of it."""
        h = append_label(x.reshape(x.shape[0], -1), y)
        for width in self.hidden:
            h = nn.relu(nn.Dense(width)(h))
        return nn.Dense(self.positions * self.features)(h).reshape(-1, self.positions, self.features)


class CodeMLPDecoder(nn.Module):
    """Dense layers with ReLU from the codes of all positions.

    Attributes:
        shape: of one example.
        parameters: of each number in it, as the likelihood wants them.
        hidden: widths of the hidden layers.
    """

    shape: tuple[int, ...]
    parameters: int = 1
    hidden: tuple[int, ...] = (200, 200)

    @nn.compact
    def __call__(
        self,
        z: Float[Array, "batch positions features"],
        y: Float[Array, "batch classes"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, "batch *raw_shape"]:
        """[batch, *shape[:-1], shape[-1] * parameters]. The network is the same in training and out of it."""
        h = append_label(z.reshape(z.shape[0], -1), y)
        for width in self.hidden:
            h = nn.relu(nn.Dense(width)(h))
        h = nn.Dense(math.prod(self.shape) * self.parameters)(h)
        return h.reshape(-1, *self.shape[:-1], self.shape[-1] * self.parameters)


class ResidualBlocks(nn.Module):
    """h + 1x1(ReLU(3x3(ReLU(h)))), several times, and a last ReLU.

    Attributes:
        width: channels.
        residual_width: channels between the two convolutions.
        blocks: how many.
    """

    width: int
    residual_width: int
    blocks: int

    @nn.compact
    def __call__(self, h: Float[Array, "batch height width channel"]) -> Float[Array, "batch height width channel"]:
        for _ in range(self.blocks):
            inner = nn.relu(Conv(self.residual_width, (3, 3))(nn.relu(h)))
            h = h + Conv(self.width, (1, 1))(inner)
        return nn.relu(h)


def downsampled(width: int, downsamplings: int) -> tuple[int, ...]:
    """Channels of the convolutions with stride 2, from the image on."""
    return (width,) if downsamplings == 1 else (width // 2, *(width,) * (downsamplings - 1))
