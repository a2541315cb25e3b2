"""The deep convolutional GAN.

Reference: Radford, Metz & Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks", 2016. Weights are drawn from N(0, 0.02) and BatchNorm's scales, as in the authors' code, from
N(1, 0.02); BatchNorm's momentum 0.9 and epsilon 1e-5 are those of that code too.
"""

from collections.abc import Callable, Sequence
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.networks.layers import BatchNorm, Conv, ConvTranspose, append_label, unrounded
from gvlab.networks.sizes import nearest_sizes
from gvlab.networks.spectral_norm import SpectralConv, SpectralDense
from gvlab.types import PRNGKey, UserError


def _scale_init(key: PRNGKey, shape: Sequence[int], dtype=jnp.float32) -> Float[Array, "..."]:
    return 1 + 0.02 * jax.random.normal(key, shape, dtype)


_weight_init = nn.initializers.normal(0.02)
_he_init = nn.initializers.variance_scaling(2 / (1 + 0.2**2), "fan_in", "normal")
"""Keeps the variance through a LeakyReLU(0.2), which no BatchNorm restores."""
_BatchNorm = partial(BatchNorm, momentum=0.9, epsilon=1e-5, scale_init=_scale_init)


def _resamplings(shape: tuple[int, ...]) -> int:
    """How many times both sides are halved: until the shorter one is 4, 5, 6 or 7 pixels.

    Raises:
        UserError: it never is, or the longer side cannot be halved so often; with the nearest sizes that work.
    """
    if len(shape) != 3:
        raise UserError(f"A DCGAN cannot make images of shape {shape}: give (height, width, channels).")
    halvings = _halvings(*shape[:2])
    if halvings == 0:
        sizes = nearest_sizes(shape[0], shape[1], lambda height, width: _halvings(height, width) > 0)
        raise UserError(
            f"A DCGAN cannot make images of shape {shape}: it doubles a small image whose shorter side is 4, 5, 6 or 7 "
            f"pixels, at least once, so the nearest sizes that work are {sizes}."
        )
    return halvings


def _halvings(height: int, width: int) -> int:
    """As `_resamplings` says; 0 where it cannot be."""
    halvings = 0
    while min(height, width) > 7 and height % 2 == width % 2 == 0:
        height, width, halvings = height // 2, width // 2, halvings + 1
    return halvings if 4 <= min(height, width) <= 7 else 0


class DCGANGenerator(nn.Module):
    """Projects the latent to a small image, then doubles it by 5x5 transposed convolutions; BatchNorm, then ReLU.

    The project layer makes an image of height/2^n x width/2^n with `width` 2^(n-1) channels, where n is the number of
    doublings, the same for both sides: the shorter one begins with 4 to 7 pixels. Every transposed convolution but the
    last halves the channels. `width=128` at 64x64 pixels is the paper's.

    Attributes:
        shape: (height, width, channels) of the images.
        width: channels before the last layer.
        axis_name: the mapped axis over which the batch's statistics are averaged.
    """

    shape: tuple[int, ...]
    width: int = 64
    axis_name: str | None = None

    def __post_init__(self):
        _resamplings(self.shape)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, "batch height width channel"]:
        """Images in [-1, 1] from latents `z` and, for a conditional network, one-hot classes `y`."""
        doublings = _resamplings(self.shape)
        height, width = (side // 2**doublings for side in self.shape[:2])
        features = self.width * 2 ** (doublings - 1)
        norm = partial(_BatchNorm, use_running_average=not train, axis_name=self.axis_name)
        # BatchNorm's own shift makes a bias before it idle.
        x = nn.Dense(height * width * features, use_bias=False, kernel_init=_weight_init)(append_label(z, y))
        x = nn.relu(norm()(x.reshape(-1, height, width, features)))
        for _ in range(doublings - 1):
            features //= 2
            x = ConvTranspose(features, (5, 5), (2, 2), use_bias=False, kernel_init=_weight_init)(x)
            x = nn.relu(norm()(x))
        return jnp.tanh(ConvTranspose(self.shape[-1], (5, 5), (2, 2), kernel_init=_weight_init)(x))


class DCGANDiscriminator(nn.Module):
    """The generator's mirror: halves the image by 5x5 convolutions; BatchNorm (not on the first), then LeakyReLU(0.2).

    It takes the sizes that `DCGANGenerator` makes; another is a `UserError` when the module is first applied.

    Attributes:
        width: channels after the first layer; every further one doubles them.
        axis_name: the mapped axis over which the batch's statistics are averaged.
    """

    width: int = 64
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch height width channel"],
        y: Float[Array, "batch classes"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, " batch"]:
        """Logits of "real" for images `x` in [-1, 1] and, for a conditional network, one-hot classes `y`."""
        halvings = _resamplings(x.shape[1:])
        conv = partial(Conv, kernel_size=(5, 5), strides=(2, 2), kernel_init=_weight_init)
        norm = partial(_BatchNorm, use_running_average=not train, axis_name=self.axis_name)
        x = nn.leaky_relu(conv(self.width)(append_label(x, y)), 0.2)
        for level in range(1, halvings):
            x = nn.leaky_relu(norm()(conv(self.width * 2**level, use_bias=False)(x)), 0.2)
        return nn.Dense(1, kernel_init=_weight_init)(unrounded(x.reshape(x.shape[0], -1)))[:, 0]


def _halved(
    x: Float[Array, "batch height width channel"],
    y: Float[Array, "batch classes"] | None,
    width: int,
    conv: Callable[..., nn.Module],
    dense: Callable[..., nn.Module],
) -> Float[Array, " batch"]:
    """Logits, by layers that need nothing between them; the parent is the module that calls it."""
    halvings, x = _resamplings(x.shape[1:]), append_label(x, y)
    for level in range(halvings):
        x = nn.leaky_relu(conv(width * 2**level, (5, 5), (2, 2))(x), 0.2)
    return dense(1)(unrounded(x.reshape(x.shape[0], -1)))[:, 0]


class PlainDCGANDiscriminator(nn.Module):
    """`DCGANDiscriminator` without BatchNorm and with biases: each example for itself, as penalties on slopes want it.

    Attributes:
        width: channels after the first layer; every further one doubles them.
    """

    width: int = 64

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch height width channel"],
        y: Float[Array, "batch classes"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, " batch"]:
        """Logits of "real" for images `x` in [-1, 1]. The network is the same in training and out of it."""
        return _halved(x, y, self.width, partial(Conv, kernel_init=_he_init), nn.Dense)


class SpectralDCGANDiscriminator(nn.Module):
    """`PlainDCGANDiscriminator` with spectral normalisation of every layer.

    Attributes:
        width: channels after the first layer; every further one doubles them.

    Reference: Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018.
    """

    width: int = 64

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch height width channel"],
        y: Float[Array, "batch classes"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, " batch"]:
        """Logits of "real" for images `x` in [-1, 1]; in training the singular vectors are moved on."""
        layers = (partial(layer, train=train) for layer in (SpectralConv, SpectralDense))
        return _halved(x, y, self.width, *layers)
