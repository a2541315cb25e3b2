"""StyleGAN2's generator: a latent becomes a style, and every layer is modulated by it.

Reference: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, in the published PyTorch code
of StyleGAN2-ADA (Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data").
"""

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab import rng
from gvlab.networks.channels import by_channel
from gvlab.networks.equalized import EqualizedDense, leaky
from gvlab.networks.filtered import same_conv, up_conv
from gvlab.networks.modulated import modulated_conv
from gvlab.networks.resampling import upsample
from gvlab.networks.sizes import middle

FIRST = 4
"""Pixels a side of the first stage."""


def _normalised(x: Float[Array, "batch units"]) -> Float[Array, "batch units"]:
    """Of a mean square of 1."""
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + 1e-8)


class StyleMapping(nn.Module):
    """From latents, and an embedding of the class, each of a mean square of 1, over dense layers to styles.

    Attributes:
        units: of each layer, and of the embedding.
        layers: how many.
        multiplier: of their learning rate.
    """

    units: int
    layers: int
    multiplier: float = 0.01

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"] | None, y: Float[Array, "batch classes"] | None
    ) -> Float[Array, "batch units"]:
        """Styles of latents `z` and one-hot classes `y`, of which one may be None."""
        given = [] if z is None else [_normalised(z)]
        if y is not None:
            given.append(_normalised(EqualizedDense(self.units, name="embed")(y)))
        x = jnp.concatenate(given, axis=-1)
        for layer in range(self.layers):
            x = leaky(EqualizedDense(self.units, self.multiplier, name=f"fc{layer}")(x))
        return x


class SynthesisLayer(nn.Module):
    """A modulated convolution, noise for each pixel, a bias and leaky ReLU.

    In training with a stream "noise" the noise is drawn for each image; else it is the same for all, which is kept in
    the collection `noise`.

    Attributes:
        features: channels of the output.
        convolve: `same_conv`, or `up_conv` for images twice as large.
        axis_name: the mapped axis that the batch is spread over.
    """

    features: int
    convolve: Callable[[Array, Array], Array] = same_conv
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"], w: Float[Array, "batch units"], *, train: bool
    ) -> Float[Array, "batch out_height out_width features"]:
        styles = EqualizedDense(x.shape[-1], bias=1.0, name="affine")(w)
        # Not scaled: the demodulation takes any factor away.
        kernel = self.param("kernel", nn.initializers.normal(1.0), (3, 3, x.shape[-1], self.features), jnp.float32)
        x = modulated_conv(x, kernel, styles, self.convolve)
        strength = self.param("noise_strength", nn.initializers.zeros_init(), (), jnp.float32)
        x = x + strength * self._noise(x.shape, train).astype(x.dtype)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
        return leaky(x + by_channel(bias, x.shape))

    def _noise(self, shape: tuple[int, ...], train: bool) -> Float[Array, "batch_or_one height width one"]:
        constant = self.variable("noise", "constant", lambda: jax.random.normal(self.make_rng("params"), shape[1:3]))
        if train and self.has_rng("noise"):
            return rng.normal(self.make_rng("noise"), (*shape[:3], 1), self.axis_name)
        return constant.value[None, :, :, None]


class ToRGB(nn.Module):
    """A modulated convolution of single pixels, without demodulation, to the channels of an image."""

    channels: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"], w: Float[Array, "batch units"]
    ) -> Float[Array, "batch height width image_channel"]:
        styles = EqualizedDense(x.shape[-1], bias=1.0, name="affine")(w) / math.sqrt(x.shape[-1])
        kernel = self.param("kernel", nn.initializers.normal(1.0), (x.shape[-1], self.channels), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.channels,), jnp.float32)
        return (x * styles[:, None, None, :]) @ kernel + bias[None, None, None, :]


class Synthesis(nn.Module):
    """From a learned constant of 4x4 pixels over stages that double it; the image is the sum of those of all stages.

    Attributes:
        channels: of the images.
        widths: channels of each stage, from 4 pixels a side on.
        axis_name: the mapped axis that the batch is spread over.
    """

    channels: int
    widths: Sequence[int]
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, ws: Float[Array, "batch layers units"], *, train: bool
    ) -> Float[Array, "batch side side channel"]:
        """Images of styles: of each convolution its own, and behind the last of a stage that of the next for ToRGB."""
        constant = self.param("constant", nn.initializers.normal(1.0), (FIRST, FIRST, self.widths[0]), jnp.float32)
        x = jnp.broadcast_to(constant, (ws.shape[0], *constant.shape))
        image: Array
        for stage, features in enumerate(self.widths):
            name, layer = f"b{FIRST * 2**stage}", 2 * stage
            if stage:
                first = SynthesisLayer(features, up_conv, self.axis_name, name=f"{name}_conv0")
                x = first(x, ws[:, layer - 1], train=train)
            x = SynthesisLayer(features, axis_name=self.axis_name, name=f"{name}_conv1")(x, ws[:, layer], train=train)
            own = ToRGB(self.channels, name=f"{name}_torgb")(x, ws[:, layer + 1])
            image = upsample(image) + own if stage else own
        return image


class StyleGAN2Generator(nn.Module):
    """Latents to styles, which are mixed of two latents at random in training, and styles to images.

    The last stage may be larger than the images, whose middle is taken then (28x28 of 32x32).

    The published truncation, w' = mean of w + psi (w - mean of w) where images are drawn, is `models.truncation`. The
    FIDs of its papers are without it.

    Attributes:
        shape: (height, width, channels) of the images.
        widths: channels of each stage, from 4 pixels a side on.
        units: of a style.
        mapping_layers: from the latents to the styles.
        mixing: probability that a batch has other latents' styles from a random layer on.
        axis_name: the mapped axis that the batch is spread over.
    """

    shape: tuple[int, ...]
    widths: Sequence[int]
    units: int = 512
    mapping_layers: int = 8
    mixing: float = 0.9
    axis_name: str | None = None

    draws = True  # wants the stream "noise" in training
    styled = True  # has its two halves as the methods `styles` and `images`

    def setup(self) -> None:
        self.mapping = StyleMapping(self.units, self.mapping_layers)
        self.synthesis = Synthesis(self.shape[-1], self.widths, self.axis_name)

    def styles(
        self, z: Float[Array, "batch latent"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, "batch layers units"]:
        """The style of each layer, of latents `z` and, for a conditional network, one-hot classes `y`."""
        layers = 2 * len(self.widths)
        w = self.mapping(z, y)[:, None, :]
        if train and self.has_rng("noise"):
            of_latents, of_place, of_mixing = jax.random.split(self.make_rng("noise"), 3)
            latents = rng.normal(of_latents, z.shape, self.axis_name).astype(z.dtype)
            other = self.mapping(latents, y)[:, None, :]
            place = jax.random.randint(of_place, (), 1, layers)
            mixed = jax.random.uniform(of_mixing) < self.mixing
            w = jnp.where(mixed & (jnp.arange(layers)[None, :, None] >= place), other, w)
        return jnp.broadcast_to(w, (w.shape[0], layers, self.units))

    def images(
        self, ws: Float[Array, "batch layers units"], *, train: bool
    ) -> Float[Array, "batch height width channel"]:
        """Images, which no activation bounds, of the styles of all layers."""
        return middle(self.synthesis(ws, train=train), self.shape)

    def __call__(
        self, z: Float[Array, "batch latent"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, "batch height width channel"]:
        """Images, which no activation bounds, from latents `z` and, for a conditional network, one-hot classes `y`."""
        return self.images(self.styles(z, y, train=train), train=train)
