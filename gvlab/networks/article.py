"""The four networks of the Keras article that this project grew out of: a GAN's and an autoencoder's.

They were drawn for 16x16 images; other sizes that are divisible by 4 change the spatial base (7x7 for 28x28, 8x8 for
32x32) and nothing else. Three things differ from the article: the discriminator gives a logit, the encoder has heads
for a mean and a log-variance, and the decoder's output is raw. What the article leaves to Keras is as in Keras:
Glorot's uniform initializer, and BatchNorm with momentum 0.99 (but 0.8 in the generator's dense part), epsilon 1e-3.
"""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.networks.layers import BatchNorm, Conv, ConvTranspose, append_label, unrounded
from gvlab.networks.sizes import nearest_sizes
from gvlab.types import UserError

_glorot = nn.initializers.glorot_uniform()
_Dense = partial(nn.Dense, kernel_init=_glorot)
_Conv = partial(Conv, kernel_init=_glorot)
# Glorot's fan is the sum of both sides, so the layout of the transposed convolution's kernel makes no difference to it.
_ConvTranspose = partial(ConvTranspose, kernel_init=_glorot)
_BatchNorm = partial(BatchNorm, momentum=0.99, epsilon=1e-3)


def _spatial_base(shape: tuple[int, ...]) -> tuple[int, int]:
    """A quarter of the height and of the width: the size before two doublings."""
    if len(shape) != 3 or min(shape) < 1:
        raise UserError(
            f"The article's networks cannot make images of shape {shape}: give (height, width, channels) with a height "
            "and a width divisible by 4."
        )
    if shape[0] % 4 or shape[1] % 4:
        sizes = nearest_sizes(shape[0], shape[1], lambda height, width: not (height % 4 or width % 4))
        raise UserError(
            f"The article's networks cannot make images of shape {shape}: a height and a width must be divisible by 4, "
            f"so the nearest sizes that work are {sizes}."
        )
    return shape[0] // 4, shape[1] // 4


class ArticleGenerator(nn.Module):
    """Six dense layers, then three transposed convolutions; ReLU, then BatchNorm.

    Attributes:
        shape: (height, width, channels) of the images.
        axis_name: the mapped axis over which the batch's statistics are averaged.
    """

    shape: tuple[int, ...]
    axis_name: str | None = None

    def __post_init__(self):
        _spatial_base(self.shape)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, "batch height width channel"]:
        """Images in [-1, 1] from latents `z` and, for a conditional network, one-hot classes `y`."""
        height, width = _spatial_base(self.shape)
        norm = partial(_BatchNorm, use_running_average=not train, axis_name=self.axis_name)
        x = append_label(z, y)
        for features in (128, 128, 256, 512, 1024, height * width * 256):
            x = norm(momentum=0.8)(nn.relu(_Dense(features)(x)))
        x = x.reshape(-1, height, width, 256)
        x = norm()(nn.relu(_ConvTranspose(128, (5, 5), (1, 1), use_bias=False)(x)))
        x = norm()(nn.relu(_ConvTranspose(64, (5, 5), (2, 2), use_bias=False)(x)))
        return jnp.tanh(_ConvTranspose(self.shape[-1], (5, 5), (2, 2))(x))


class ArticleDiscriminator(nn.Module):
    """Three strided convolutions with ReLU, then BatchNorm; one dense logit.

    Attributes:
        axis_name: the mapped axis over which the batch's statistics are averaged.
    """

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
        norm = partial(_BatchNorm, use_running_average=not train, axis_name=self.axis_name)
        x = append_label(x, y)
        for features in (64, 128, 256):
            x = norm()(nn.relu(_Conv(features, (5, 5), (2, 2), use_bias=False)(x)))
        return _Dense(1)(unrounded(x.reshape(x.shape[0], -1)))[:, 0]


class ArticleEncoder(nn.Module):
    """Two strided convolutions and a dense layer with ReLU; heads for the mean and the log-variance.

    Attributes:
        latent_dim: length of the latent.
    """

    latent_dim: int

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch height width channel"],
        y: Float[Array, "batch classes"] | None = None,
        *,
        train: bool,
    ) -> tuple[Float[Array, "batch latent"], Float[Array, "batch latent"]]:
        """(mean, logvar) of q(z|x), or of q(z|x, y). The network is the same in training and out of it."""
        x = append_label(x, y)
        for features in (32, 64):
            x = nn.relu(_Conv(features, (3, 3), (2, 2), use_bias=False)(x))
        x = nn.relu(_Dense(128)(x.reshape(x.shape[0], -1)))
        return _Dense(self.latent_dim, name="mean")(x), _Dense(self.latent_dim, name="logvar")(x)


class ArticleDecoder(nn.Module):
    """A dense layer and two transposed convolutions with ReLU; a 3x3 convolution to the likelihood's parameters.

    Attributes:
        shape: (height, width, channels) of the images.
        parameters: how many numbers the likelihood wants for every channel of every pixel.
    """

    shape: tuple[int, ...]
    parameters: int = 1

    def __post_init__(self):
        _spatial_base(self.shape)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, "batch height width channel_times_parameters"]:
        """The likelihood's raw parameters from latents `z`. The network is the same in training and out of it."""
        height, width = _spatial_base(self.shape)
        x = nn.relu(_Dense(128 * height * width)(append_label(z, y)))
        x = x.reshape(-1, height, width, 128)
        for features in (64, 32):
            x = nn.relu(_ConvTranspose(features, (5, 5), (2, 2), use_bias=False)(x))
        return _Conv(self.shape[-1] * self.parameters, (3, 3))(x)
