"""Critics of what autoencoders make: one that judges patches, and one whose features say how alike images are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import flax.linen as nn
from jaxtyping import Array, Float

from gvlab.networks.layers import BatchNorm, Conv, append_label, unrounded


class PatchDiscriminator(nn.Module):
    """Convolutions 4x4 with LeakyReLU(0.2), whose every output judges one patch of an image: PatchGAN.

    `layers` of stride 2, the first without BatchNorm, one of stride 1, and one to the logits; channels double up to
    eight times the first's. A patch has 16, 34 and 70 pixels a side with 1, 2 and 3 layers, and images smaller than
    that are seen whole by every output. Sides are halved rounding up, where the published code, which pads less, loses
    a row and a column in each of the last two layers.

    Attributes:
        width: channels of the first layer.
        layers: those of stride 2.
        axis_name: the mapped axis over which the batch's statistics are averaged.

    Reference: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017, section 3.2.2; as
    in Esser et al., "Taming Transformers for High-Resolution Image Synthesis", 2021.
    """

    width: int = 64
    layers: int = 3
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch height width channel"],
        y: Float[Array, "batch classes"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, "batch rows columns"]:
        """Logits of "real" of every patch."""
        norm = partial(BatchNorm, use_running_average=not train, momentum=0.9, epsilon=1e-5, axis_name=self.axis_name)
        return judged(append_label(x, y), self.width, self.layers, lambda h: norm()(h), use_bias=False)


def judged(
    x: Float[Array, "batch height width channel"],
    width: int,
    layers: int,
    normalised: Callable[[Array], Array],
    *,
    use_bias: bool,
) -> Float[Array, "batch rows columns"]:
    """The convolutions of a `PatchDiscriminator`, within a compact call; biases only where `use_bias`, or where nothing
    is normalised behind them."""
    conv = partial(Conv, kernel_size=(4, 4), kernel_init=nn.initializers.normal(0.02))
    h = nn.leaky_relu(conv(width, strides=(2, 2))(x), 0.2)
    for level in range(1, layers + 1):
        stride = 2 if level < layers else 1
        h = conv(width * min(2**level, 8), strides=(stride, stride), use_bias=use_bias)(h)
        h = nn.leaky_relu(normalised(h), 0.2)
    return conv(1)(unrounded(h))[..., 0]


class SimilarityDiscriminator(nn.Module):
    """Four convolutions 5x5, three of them with stride 2, and two dense layers; the last convolution's maps are
    features by which images are alike.

    Attributes:
        width: channels of the first layer; 4 and 8 times as many in the others.
        units: of the dense layer.
        axis_name: the mapped axis over which the batch's statistics are averaged.

    Reference: Larsen et al., "Autoencoding beyond pixels using a learned similarity metric", 2016, table 1, whose
    numbers are 32 and 512.
    """

    width: int = 32
    units: int = 512
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch height width channel"],
        y: Float[Array, "batch classes"] | None = None,
        *,
        train: bool,
    ) -> tuple[Float[Array, " batch"], Float[Array, "batch features"]]:
        """(logits of "real", features)."""
        norm = partial(BatchNorm, use_running_average=not train, momentum=0.9, epsilon=1e-5, axis_name=self.axis_name)
        h = nn.relu(Conv(self.width, (5, 5))(append_label(x, y)))
        for times in (4, 8, 8):
            features = norm()(Conv(times * self.width, (5, 5), (2, 2), use_bias=False)(h))
            h = nn.relu(features)
        h = nn.relu(norm()(nn.Dense(self.units, use_bias=False)(h.reshape(h.shape[0], -1))))
        return nn.Dense(1)(unrounded(h))[:, 0], features.reshape(features.shape[0], -1)
