"""NVAE's cells in a descent through layers of latents: residual, with BatchNorm, swish and squeeze-and-excitation.

Reference: Vahdat & Kautz, "NVAE: A Deep Hierarchical Variational Autoencoder", 2020, figures 2 and 3. Of the paper
there are the cells and the residual normals here, and its spectral regularisation in `models.weight_terms`; its KL
balancing and flows are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from gvlab.networks.grouped import grouped_conv
from gvlab.networks.ladders import Layer, Normals, drawn_from_posterior, drawn_from_prior, residual_normals
from gvlab.networks.layers import BatchNorm, Conv
from gvlab.networks.vdvae import VDVAE, Image

SCALE = 0.1
"""Of what a cell adds, as in the published code."""
SQUEEZED = 16
"""Channels for one of a squeeze, of which there are 4 at least."""


class _Normed(nn.Module):
    """BatchNorm, by the batch where its statistics may change and by the running ones elsewhere: so a pass that keeps
    statistics is one of training, and no cell need be told."""

    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Image) -> Image:
        running = not self.is_mutable_collection("batch_stats")
        norm = BatchNorm(running, momentum=0.95, epsilon=1e-5, axis_name=self.axis_name, name="norm")
        return norm(x)


class SqueezeExcitation(nn.Module):
    """Each channel times a number between 0 and 1, which two dense layers make of the means of all channels.

    Reference: Hu et al., "Squeeze-and-Excitation Networks", 2018, section 3; the widths of NVAE's code.
    """

    @nn.compact
    def __call__(self, x: Image) -> Image:
        means = x.mean(axis=(1, 2))
        h = nn.relu(nn.Dense(max(x.shape[-1] // SQUEEZED, 4), name="squeeze")(means))
        return x * nn.sigmoid(nn.Dense(x.shape[-1], name="excite")(h))[:, None, None, :]


class DepthwiseConv(nn.Module):
    """A 5x5 convolution of each channel by itself."""

    @nn.compact
    def __call__(self, x: Image) -> Image:
        init = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal")
        kernel = self.param("kernel", init, (5, 5, 1, x.shape[-1]), jnp.float32)
        return grouped_conv(x, kernel.astype(x.dtype), x.shape[-1])


class EncoderCell(nn.Module):
    """x + 0.1 SE(3x3(swish(BN(3x3(swish(BN(x))))))).

    Attributes:
        features: channels of x.
        axis_name: the mapped axis over which the batch's statistics are averaged.
    """

    features: int
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Image) -> Image:
        h = x
        for number in (1, 2):
            h = nn.swish(_Normed(self.axis_name, name=f"bn{number}")(h))
            h = Conv(self.features, (3, 3), name=f"conv{number}")(h)
        return x + SCALE * SqueezeExcitation(name="se")(h)


class DecoderCell(nn.Module):
    """x + 0.1 SE(BN(1x1(swish(BN(5x5 by channel(swish(BN(1x1(BN(x)))))))))), with many channels in between.

    Attributes:
        features: channels of x.
        expansion: by how many times there are more of them in between.
        axis_name: the mapped axis over which the batch's statistics are averaged.
    """

    features: int
    expansion: int = 6
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Image) -> Image:
        norm = partial(_Normed, self.axis_name)
        h = nn.Dense(self.expansion * self.features, use_bias=False, name="expand")(norm(name="bn0")(x))
        h = DepthwiseConv(name="depthwise")(nn.swish(norm(name="bn1")(h)))
        h = nn.Dense(self.features, use_bias=False, name="project")(nn.swish(norm(name="bn2")(h)))
        return x + SCALE * SqueezeExcitation(name="se")(norm(name="bn3")(h))


class LatentCell(nn.Module):
    """Draws a map of latents, from q where there is something to look at, takes it in, and ends with a `DecoderCell`.

    All its distributions begin as the same one, since what makes their numbers begins with zeros, as in VDVAE: without,
    large numbers of one layer made larger ones of the next, and a KL of millions of nats.

    Attributes:
        features: channels of x.
        latents: channels of the map.
        expansion, axis_name: as of `DecoderCell`.
        normals: how numbers make distributions.
    """

    features: int
    latents: int
    expansion: int
    normals: Normals
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Image, noise: Image, seen: Image | None) -> tuple[Image, Layer]:
        """(x, the layer); `seen` is what the encoder found at this resolution, None for a sample."""
        zeros = nn.initializers.zeros_init()
        of_prior = _halves(nn.Dense(2 * self.latents, kernel_init=zeros, name="prior")(nn.elu(x)))
        prior = self.normals.prior(*of_prior)
        noise = noise.astype(jnp.float32)
        if seen is None:
            layer = drawn_from_prior(*prior, noise)
        else:
            both = x + nn.Dense(self.features, name="combine")(seen)
            of_posterior = _halves(Conv(2 * self.latents, (3, 3), kernel_init=zeros, name="posterior")(both))
            layer = drawn_from_posterior(*self.normals.posterior(*of_prior, *of_posterior), *prior, noise)
        z = layer.z.astype(x.dtype)
        x = nn.Dense(self.features, name="take_in")(jnp.concatenate([x, z], axis=-1))
        return DecoderCell(self.features, self.expansion, self.axis_name, name="cell")(x), layer


def _halves(numbers: Image) -> tuple[Image, Image]:
    """Means and log-deviations, of float32."""
    mean, log_deviation = jnp.split(numbers.astype(jnp.float32), 2, axis=-1)
    return mean, log_deviation


class NVAE(VDVAE):
    """A hierarchical VAE's network of NVAE's cells, of square images in [0, 1].

    They stand where `VDVAE` has its blocks: so the top of the latents is one pixel, where the paper's is a map, and
    resolutions are halved by means and doubled by repetition.

    Attributes:
        shape, parameters, encoder, decoder, features, latents, bias_until, centre, deviation: as of `VDVAE`.
        expansion: as of `DecoderCell`.
        axis_name: the mapped axis over which the batch's statistics are averaged.
        normals: how numbers make distributions.
    """

    normals: Normals = residual_normals()
    expansion: int = 6
    axis_name: str | None = None

    def setup(self) -> None:
        self.in_conv = Conv(self.features, (3, 3))
        self.enc_blocks: Sequence[Any] = [EncoderCell(self.features, self.axis_name) for _ in self.encoder]
        self.dec_blocks: Sequence[Any] = [
            LatentCell(self.features, self.latents, self.expansion, self.normals, self.axis_name) for _ in self.decoder
        ]
        zeros, ones = nn.initializers.zeros_init(), nn.initializers.ones_init()
        self.bias_xs = [
            self.param(f"bias_xs_{side}", zeros, (side, side, self.features), jnp.float32) for side in self._biased()
        ]
        self.gain = self.param("gain", ones, (self.features,), jnp.float32)
        self.bias = self.param("bias", zeros, (self.features,), jnp.float32)
        self.out_conv = nn.Dense(self.shape[-1] * self.parameters)
