"""VDVAE: a residual encoder, and a decoder whose every block draws maps of latents (Child 2021).

Reference: Child, "Very Deep VAEs Generalize Autoregressive Models and Can Outperform Them on Images", 2021, and its
published code (openai/vdvae ea35b490), whose names of layers are kept.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer
from jaxtyping import Array, Float

from gvlab.networks.ladders import (
    Descent,
    Layer,
    Normals,
    absolute_normals,
    descent_of,
    drawn_from_posterior,
    drawn_from_prior,
    split_noise,
)
from gvlab.networks.layers import Conv

Image = Float[Array, "rows _height _width _channel"]


def gelu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """x Phi(x), by the error function, as PyTorch has it.

    JAX's own is by its complement, which is nearer by some 5e-7 far below 0, but which XLA:CPU computes in three
    passes: a step of `mnist_vdvae` takes 1.02 to 1.08 times as long with it (`experiments/benchmarks/README.md`).
    """
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))  # in bfloat16 1 + erf has no digits left far below 0
    return (0.5 * wide * (1 + jax.lax.erf(wide * math.sqrt(0.5)))).astype(x.dtype)


def _uniform(share: float = 1.0) -> Initializer:
    """PyTorch's default for convolutions, Kaiming's uniform with a = sqrt 5, times the root of `share`."""
    return nn.initializers.variance_scaling(share / 3, "fan_in", "uniform")


class ResidualBlock(nn.Module):
    """c4(g(c3(g(c2(g(c1(g(x)))))))) with c1 and c4 of single pixels, c2 and c3 of 3x3, and g GELU.

    Attributes:
        features: channels of the output.
        hidden: channels within.
        spatial: whether c2 and c3 look at the pixels around.
        residual: whether x is added.
        share: of the variance of c4's first weights; 0: they are zero.
    """

    features: int
    hidden: int
    spatial: bool
    residual: bool = False
    share: float = 1.0

    @nn.compact
    def __call__(self, x: Image) -> Image:
        between = partial(Conv, kernel_size=(3, 3)) if self.spatial else nn.Dense
        last = _uniform(self.share) if self.share else nn.initializers.zeros_init()
        h = nn.Dense(self.hidden, kernel_init=_uniform(), name="c1")(gelu(x))
        h = between(self.hidden, kernel_init=_uniform(), name="c2")(gelu(h))
        h = between(self.hidden, kernel_init=_uniform(), name="c3")(gelu(h))
        h = nn.Dense(self.features, kernel_init=last, name="c4")(gelu(h))
        return x + h if self.residual else h


class TopDownBlock(nn.Module):
    """Draws a map of latents, from q where there is something to look at, and takes it in.

    Attributes:
        features: channels of x.
        hidden: channels within each of its three blocks.
        latents: channels of the map.
        spatial: as of `ResidualBlock`.
        share: of the variance of the first weights that add to x.
        normals: how numbers make distributions.
    """

    features: int
    hidden: int
    latents: int
    spatial: bool
    share: float
    normals: Normals

    @nn.compact
    def __call__(self, x: Image, noise: Image, seen: Image | None) -> tuple[Image, Layer]:
        """(x, the layer); `seen` is what the encoder found at this resolution, None for a sample."""
        block = partial(ResidualBlock, hidden=self.hidden, spatial=self.spatial)
        found = block(2 * self.latents + self.features, share=0.0, name="prior")(x)
        of_prior, added = _halves(found[..., : 2 * self.latents]), found[..., 2 * self.latents :]
        prior = self.normals.prior(*of_prior)
        noise = noise.astype(jnp.float32)
        if seen is None:
            layer = drawn_from_prior(*prior, noise)
        else:
            of_posterior = block(2 * self.latents, name="enc")(jnp.concatenate([x, seen], -1))
            posterior = self.normals.posterior(*of_prior, *_halves(of_posterior))
            layer = drawn_from_posterior(*posterior, *prior, noise)
        z = layer.z.astype(x.dtype)
        x = x + added + nn.Dense(self.features, kernel_init=_uniform(self.share), name="z_proj")(z)
        return block(self.features, residual=True, share=self.share, name="resnet")(x), layer


def _halves(numbers: Image) -> tuple[Image, Image]:
    """Means and log-deviations; of float32, whatever the network computes in, since a KL is a small difference."""
    mean, log_deviation = jnp.split(numbers.astype(jnp.float32), 2, axis=-1)
    return mean, log_deviation


class VDVAE(nn.Module):
    """A hierarchical VAE's network, of square images in [0, 1].

    Attributes:
        shape: (height, width, channels) of what the likelihood is of.
        parameters: numbers that it wants for every channel.
        encoder: its blocks, each (pixels a side, by how much it shrinks its maps at the end).
        decoder: its blocks, each (pixels a side, of which side the maps are that are enlarged into it; 0: of none).
        features: channels.
        latents: channels of a block's latents.
        bottleneck: channels within a block, as a share of `features`.
        bias_until: up to so many pixels a side a resolution begins with learned maps, and with zeros above.
        centre, deviation: the encoder sees (x - centre) / deviation.
        normals: how numbers make distributions.

    Reference: see the module; the published network of CIFAR-10 has 384 features and 16 latents.
    """

    shape: tuple[int, ...]
    parameters: int
    encoder: tuple[tuple[int, int], ...]
    decoder: tuple[tuple[int, int], ...]
    features: int = 384
    latents: int = 16
    bottleneck: float = 0.25
    bias_until: int = 64
    centre: float = 0.5
    deviation: float = 0.25
    normals: Normals = absolute_normals()

    @property
    def layers(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the maps of latents, from the top down."""
        return tuple((side, side, self.latents) for side, _ in self.decoder)

    def setup(self) -> None:
        hidden = int(self.features * self.bottleneck)
        self.in_conv = Conv(self.features, (3, 3), kernel_init=_uniform())
        self.enc_blocks: Sequence[Any] = [
            ResidualBlock(self.features, hidden, side > 2, residual=True, share=1 / len(self.encoder))
            for side, _ in self.encoder
        ]
        self.dec_blocks: Sequence[Any] = [
            TopDownBlock(self.features, hidden, self.latents, side > 2, 1 / len(self.decoder), self.normals)
            for side, _ in self.decoder
        ]
        zeros, ones = nn.initializers.zeros_init(), nn.initializers.ones_init()
        self.bias_xs = [
            self.param(f"bias_xs_{side}", zeros, (side, side, self.features), jnp.float32) for side in self._biased()
        ]
        self.gain = self.param("gain", ones, (self.features,), jnp.float32)
        self.bias = self.param("bias", zeros, (self.features,), jnp.float32)
        self.out_conv = nn.Dense(self.shape[-1] * self.parameters, kernel_init=_uniform())

    def __call__(
        self,
        x: Float[Array, "batch height width channel"],
        noise: Float[Array, "k batch total"],
        y: None = None,
        *,
        train: bool,
    ) -> Descent:
        """What draws of q by this noise say. The network is the same in training and out of it."""
        k = len(noise)
        seen = {side: jnp.tile(maps, (k, 1, 1, 1)) for side, maps in self._seen(x).items()}
        raw, layers = self._descend(noise.reshape(-1, noise.shape[-1]), seen)
        return descent_of(raw, layers, k)

    def generate(self, noise: Float[Array, "rows total"], y: None = None, *, train: bool) -> Image:
        """The likelihood's parameters, of draws of the prior by this noise."""
        return self._descend(noise, None)[0]

    def _biased(self) -> list[int]:
        return sorted({side for side, _ in self.decoder if side <= self.bias_until})

    def _seen(self, x: Image) -> dict[int, Image]:
        """By its pixels a side what the encoder last found at each resolution."""
        x = self.in_conv((x - self.centre) / self.deviation)
        seen = {x.shape[1]: x}
        for (_, rate), block in zip(self.encoder, self.enc_blocks, strict=True):
            x = block(x)
            x = nn.avg_pool(x, (rate, rate), (rate, rate)) if rate > 1 else x
            seen[x.shape[1]] = x
        return seen

    def _descend(self, noise: Float[Array, "rows total"], seen: dict[int, Image] | None) -> tuple[Image, list[Layer]]:
        rows = len(noise)
        biases = zip(self._biased(), self.bias_xs, strict=True)
        maps = {side: jnp.broadcast_to(bias, (rows, *bias.shape)) for side, bias in biases}
        layers, pieces = [], split_noise(noise, self.layers)
        for (side, source), block, piece in zip(self.decoder, self.dec_blocks, pieces, strict=True):
            x = maps.get(side)
            if x is None:
                x = jnp.zeros((rows, side, side, self.features), noise.dtype)
            if source:
                rate = side // source
                x = x + maps[source].repeat(rate, axis=1).repeat(rate, axis=2)
            maps[side], layer = block(x, piece, None if seen is None else seen[side])
            layers.append(layer)
        x = maps[self.decoder[-1][0]]
        return self.out_conv(x * self.gain[None, None, None] + self.bias[None, None, None]), layers
