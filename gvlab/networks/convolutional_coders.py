"""Encoder and decoder of the literature on disentanglement: strided convolutions, and a dense layer before the latents.

References: Burgess et al., "Understanding disentangling in beta-VAE", 2018; Locatello et al., "Challenging Common
Assumptions in the Unsupervised Learning of Disentangled Representations", 2019, table 1.
"""

import math

import flax.linen as nn
from jaxtyping import Array, Float

from gvlab.networks.layers import Conv, ConvTranspose, append_label


class ConvolutionalEncoder(nn.Module):
    """Convolutions with stride 2 and a dense layer, all with ReLU; heads for the mean and the log-variance.

    For 64x64x1 and 10 latents it has disentanglement_lib's 309,204 parameters.

    Attributes:
        latent_dim: length of the latent.
        channels, kernels: of the convolutions, from the image on.
        hidden: units of the dense layer.
    """

    latent_dim: int
    channels: tuple[int, ...] = (32, 32, 64, 64)
    kernels: tuple[int, ...] = (4, 4, 2, 2)
    hidden: int = 256

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch height width channel"],
        y: Float[Array, "batch classes"] | None = None,
        *,
        train: bool,
    ) -> tuple[Float[Array, "batch latent"], Float[Array, "batch latent"]]:
        """(mean, logvar) of q(z|x), or of q(z|x, y). The network is the same in training and out of it."""
        h = append_label(x, y)
        for channels, kernel in zip(self.channels, self.kernels, strict=True):
            h = nn.relu(Conv(channels, (kernel, kernel), (2, 2))(h))
        h = nn.relu(nn.Dense(self.hidden)(h.reshape(h.shape[0], -1)))
        return nn.Dense(self.latent_dim, name="mean")(h), nn.Dense(self.latent_dim, name="logvar")(h)


class ConvolutionalDecoder(nn.Module):
    """The mirror image of `ConvolutionalEncoder`, with kernels of 4x4 throughout; 381,313 parameters for the same.

    Attributes:
        shape: (height, width, channels) of the images.
        parameters: how many numbers the likelihood wants for every channel of every pixel.
        channels, hidden: as of `ConvolutionalEncoder`.
    """

    shape: tuple[int, ...]
    parameters: int = 1
    channels: tuple[int, ...] = (32, 32, 64, 64)
    hidden: int = 256

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, "batch height width raw"]:
        """[batch, *shape[:-1], shape[-1] * parameters]. The network is the same in training and out of it."""
        factor = 2 ** len(self.channels)
        small = (self.shape[0] // factor, self.shape[1] // factor, self.channels[-1])
        h = nn.relu(nn.Dense(self.hidden)(append_label(z, y)))
        h = nn.relu(nn.Dense(math.prod(small))(h)).reshape(-1, *small)
        for channels in self.channels[-2::-1]:
            h = nn.relu(ConvTranspose(channels, (4, 4), (2, 2))(h))
        return ConvTranspose(self.shape[-1] * self.parameters, (4, 4), (2, 2))(h)
