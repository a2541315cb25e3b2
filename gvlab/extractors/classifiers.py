"""Small classifiers whose features stand in for Inception's where images are small: `(features, logits)` of images.

The Fréchet distance on these features is never called FID.
"""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.audio import log_bands
from gvlab.extractors.resize import resize_bilinear

Images = Float[Array, "batch _ _ _"]  # height, width and channels, which change from layer to layer
Classified = tuple[Float[Array, "batch features"], Float[Array, "batch classes"]]

_PRECISION = jax.lax.Precision.HIGHEST  # the same features on every back-end


class LeNet5(nn.Module):
    """LeNet-5 with maximum pools: images in [0, 1], of any size and resized to 32x32, to 84 features and logits.

    `train` is there because every network has it, and changes nothing.

    Attributes:
        classes: how many logits.
        activation: after every layer but the last; the original's is a tanh.

    Reference: LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998, section II.B.
    """

    classes: int = 10
    activation: Callable[[Array], Array] = nn.relu

    @nn.compact
    def __call__(self, x: Images, *, train: bool) -> Classified:
        conv = partial(nn.Conv, kernel_size=(5, 5), padding="VALID", precision=_PRECISION)
        x = resize_bilinear(x, (32, 32))
        x = nn.max_pool(self.activation(conv(6, name="c1")(x)), (2, 2), (2, 2))
        x = nn.max_pool(self.activation(conv(16, name="c3")(x)), (2, 2), (2, 2))
        # 5x5 convolutions on 5x5 pixels: a dense layer, which XLA:CPU runs many times faster.
        x = self.activation(nn.Dense(120, precision=_PRECISION, name="c5")(x.reshape(x.shape[0], 400)))
        features = self.activation(nn.Dense(84, precision=_PRECISION, name="f6")(x))
        return features, nn.Dense(self.classes, precision=_PRECISION, name="f7")(features)


class SpectrumMLP(nn.Module):
    """Two dense layers on the logarithms of a sound's power in bands: waves in [-1, 1] to 64 features and logits.

    `train` is there because every network has it, and changes nothing.

    Attributes:
        classes: how many logits.
        samples: of a sound.
    """

    classes: int = 10
    samples: int = 2048

    @nn.compact
    def __call__(self, x: Float[Array, "batch samples channel"], *, train: bool) -> Classified:
        dense = partial(nn.Dense, precision=_PRECISION)
        bands = (log_bands(x.mean(-1)) + 6) / 6  # from silence at about -1 to a loud band at about 2
        x = nn.relu(dense(64, name="f1")(bands.reshape(len(x), -1)))
        features = nn.relu(dense(64, name="f2")(x))
        return features, dense(self.classes, name="f3")(features)


class SpectrumConv(nn.Module):
    """Three strided convolutions on the logarithms of a sound's power in bands, averaged over time, and a dense layer:
    waves in [-1, 1] to 64 features and logits.

    `train` is there because every network has it, and changes nothing.

    Attributes:
        classes: how many logits.
        samples: of a sound.
    """

    classes: int = 10
    samples: int = 8192

    @nn.compact
    def __call__(self, x: Float[Array, "batch samples channel"], *, train: bool) -> Classified:
        x = ((log_bands(x.mean(-1)) + 6) / 6)[..., None]
        for number, width in enumerate((16, 32, 64), start=1):
            conv = nn.Conv(width, (3, 3), (2, 2), precision=_PRECISION, name=f"c{number}")
            x = nn.relu(conv(x))
        x = x.mean(1).reshape(len(x), -1)
        features = nn.relu(nn.Dense(64, precision=_PRECISION, name="f4")(x))
        return features, nn.Dense(self.classes, precision=_PRECISION, name="f5")(features)


class CifarResNet(nn.Module):
    """The residual network for small images: images in [0, 1] to 64 features (a mean over pixels) and logits.

    Attributes:
        blocks: residual blocks in each of the three stages; the network has 6 blocks + 2 layers.
        classes: how many logits.
        mean: of each channel of the training images, subtracted first; by default ImageNet's.
        std: of each channel, divided by.
        axis_name: the mapped axis over which the batch's statistics are averaged.

    Reference: He et al., "Deep Residual Learning for Image Recognition", 2016, section 4.2, with shortcuts of option A.
    """

    blocks: int
    classes: int = 10
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Images, *, train: bool) -> Classified:
        mean, std = jnp.array(self.mean, x.dtype), jnp.array(self.std, x.dtype)
        x = (x - mean[None, None, None, :]) / std[None, None, None, :]
        norm = partial(_norm, train=train, axis_name=self.axis_name)
        x = nn.relu(norm("bn1")(_conv3x3(16, name="conv1")(x)))
        for stage, width in enumerate((16, 32, 64), start=1):
            for block in range(self.blocks):
                stride = 2 if stage > 1 and block == 0 else 1
                x = _Residual(width, stride, self.axis_name, name=f"layer{stage}_{block}")(x, train=train)
        features = x.mean((1, 2))
        return features, nn.Dense(
            self.classes, kernel_init=nn.initializers.he_normal(), precision=_PRECISION, name="linear"
        )(features)


ResNet20 = partial(CifarResNet, 3)
"""`CifarResNet` of 20 layers: 269,722 parameters for 10 classes."""


class _Residual(nn.Module):
    """x + f(x), f of two convolutions; where the image shrinks, x is subsampled and padded with channels of zeros."""

    features: int
    stride: int
    axis_name: str | None

    @nn.compact
    def __call__(self, x: Images, *, train: bool) -> Images:
        norm = partial(_norm, train=train, axis_name=self.axis_name)
        y = nn.relu(norm("bn1")(_conv3x3(self.features, self.stride, name="conv1")(x)))
        y = norm("bn2")(_conv3x3(self.features, name="conv2")(y))
        new = (self.features - x.shape[-1]) // 2
        shortcut = jnp.pad(x[:, :: self.stride, :: self.stride], ((0, 0), (0, 0), (0, 0), (new, new)))
        return nn.relu(y + shortcut)


def _conv3x3(features: int, stride: int = 1, *, name: str) -> nn.Conv:
    init = nn.initializers.he_normal()
    return nn.Conv(features, (3, 3), stride, 1, use_bias=False, kernel_init=init, precision=_PRECISION, name=name)


def _norm(name: str, *, train: bool, axis_name: str | None) -> nn.BatchNorm:
    return nn.BatchNorm(not train, momentum=0.9, epsilon=1e-5, axis_name=axis_name, name=name)
