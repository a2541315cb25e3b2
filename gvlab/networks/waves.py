"""Networks of waves: convolutions along time, WaveGAN's phase shuffle, and WaveGAN.

Reference: Donahue, McAuley & Puckette, "Adversarial Audio Synthesis", 2019, appendix D, and the authors' code.
"""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer
from jaxtyping import Array, Float

from gvlab.networks.convolution import conv, conv_transpose
from gvlab.networks.layers import append_label, unrounded
from gvlab.types import UserError

KERNEL = 25
"""Samples that a convolution sees."""


def conv1d(
    x: Float[Array, "batch samples channel"], kernel: Float[Array, "taps channel features"], stride: int
) -> Float[Array, "batch fewer features"]:
    """The strided convolution along time with SAME padding: `conv` on images of one row.

    Can be differentiated in reverse any number of times; not in forward mode.

    Args:
        x: waves [batch, samples, channel]; the stride divides the samples.
        kernel: [taps, channel, features].
        stride: by how much the samples become fewer.

    Returns:
        [batch, samples / stride, features].
    """
    return conv(x[:, None], kernel[None], (1, stride))[:, 0]


def conv1d_transpose(
    x: Float[Array, "batch samples channel"], kernel: Float[Array, "taps features channel"], stride: int
) -> Float[Array, "batch more features"]:
    """The adjoint of `conv1d`, which makes `stride` times as many samples.

    Can be differentiated in reverse any number of times; not in forward mode.

    Args:
        x: [batch, samples, channel].
        kernel: [taps, features, channel], that of the convolution whose adjoint it is.
        stride: by how much the samples become more.

    Returns:
        [batch, samples * stride, features].
    """
    return conv_transpose(x[:, None], kernel[None], (1, stride))[:, 0]


class Conv1D(nn.Module):
    """`conv1d` as a layer with a bias.

    Attributes:
        features: channels of the output.
        stride: by how much the samples become fewer.
        taps: of the kernel.
        kernel_init: makes [taps, channel, features].
    """

    features: int
    stride: int = 1
    taps: int = KERNEL
    kernel_init: Initializer = nn.initializers.glorot_uniform()

    @nn.compact
    def __call__(self, x: Float[Array, "batch samples channel"]) -> Float[Array, "batch fewer features"]:
        kernel = self.param("kernel", self.kernel_init, (self.taps, x.shape[-1], self.features), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
        return conv1d(x, kernel, self.stride) + bias[None, None, :]


class Conv1DTranspose(nn.Module):
    """`conv1d_transpose` as a layer with a bias.

    Attributes:
        features: channels of the output.
        stride: by how much the samples become more.
        taps: of the kernel.
        kernel_init: makes [taps, features, channel].
    """

    features: int
    stride: int = 1
    taps: int = KERNEL
    kernel_init: Initializer = nn.initializers.glorot_uniform(in_axis=-1, out_axis=-2)

    @nn.compact
    def __call__(self, x: Float[Array, "batch samples channel"]) -> Float[Array, "batch more features"]:
        kernel = self.param("kernel", self.kernel_init, (self.taps, self.features, x.shape[-1]), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
        return conv1d_transpose(x, kernel, self.stride) + bias[None, None, :]


def shifted(x: Float[Array, "batch samples channel"], shift: Array | int) -> Float[Array, "batch samples channel"]:
    """The samples moved on by `shift`, which may be negative; what is missing is reflected at the end it is missing at.

    Args:
        x: [batch, samples, channel].
        shift: by how many samples, fewer than there are.
    """
    samples = x.shape[1]
    places = jnp.abs(jnp.arange(samples) - shift)
    return jnp.take(x, samples - 1 - jnp.abs(samples - 1 - places), axis=1)


class PhaseShuffle(nn.Module):
    """In training moves all waves of a batch by the same whole number of samples, drawn anew at each pass.

    Without it a discriminator tells generated waves by the phase that transposed convolutions leave at their stride.
    The state of its random numbers is a collection, moved on as singular vectors are by spectral normalisation: what a
    term judges again after a pass is judged under the shift of that pass, where the published code draws another.

    Attributes:
        most: by how many samples at most, in both directions.

    Reference: Donahue et al. 2019, section 3.3.
    """

    most: int = 2

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch samples channel"], *, train: bool
    ) -> Float[Array, "batch samples channel"]:
        state = self.variable("phases", "key", lambda: jax.random.key_data(self.make_rng("params")))
        if not train or self.most == 0:
            return x
        key, drawn = jax.random.split(jax.random.wrap_key_data(state.value))
        if self.is_mutable_collection("phases") and not self.is_initializing():
            state.value = jax.random.key_data(key)
        return shifted(x, jax.random.randint(drawn, (), -self.most, self.most + 1))


def wavegan_strides(samples: int) -> tuple[int, ...]:
    """Of WaveGAN's layers: 4, and 2 or 4 at the end, between 4 to 16 steps and the samples.

    Raises:
        UserError: there are none for so many samples.
    """
    for layers in range(1, 6):
        if samples % 4**layers == 0 and (4 <= samples // 4**layers < 16 or (layers == 5 and samples == 16 * 4**5)):
            return (4,) * layers
    if samples in (32_768, 65_536):
        return (*(4,) * 5, samples // 16_384)
    raise UserError(
        f"WaveGAN cannot make waves of {samples} samples: give 4 to 15 times a power of 4 up to 1024 (as 2048, 4096 "
        "and 8192 are), 16384, 32768 or 65536."
    )


class WaveGANGenerator(nn.Module):
    """Projects the latent to a short sequence, then makes it longer by transposed convolutions; ReLU, no normalisation.

    Attributes:
        shape: (samples, channels) of the waves.
        width: channels before the last layer (d in the paper).
        filter: taps of a last convolution, trained with the others, that filters the waves; 0: none. 512 are
            published.
    """

    shape: tuple[int, ...]
    width: int = 64
    filter: int = 0

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, "batch samples channel"]:
        """Waves in [-1, 1] from latents `z` and, for a conditional network, one-hot classes `y`."""
        samples, channels = self.shape
        strides = wavegan_strides(samples)
        features = self.width * 2 ** (len(strides) - 1)
        steps = samples // math.prod(strides)
        x = nn.Dense(steps * features, kernel_init=nn.initializers.glorot_uniform())(append_label(z, y))
        x = nn.relu(x.reshape(-1, steps, features))
        for stride in strides[:-1]:
            features //= 2
            x = nn.relu(Conv1DTranspose(features, stride)(x))
        x = jnp.tanh(Conv1DTranspose(channels, strides[-1])(x))
        if self.filter:
            kernel = self.param("filter", nn.initializers.glorot_uniform(), (self.filter, channels, channels))
            x = jnp.clip(conv1d(x, kernel, 1), -1, 1)
        return x


class WaveGANDiscriminator(nn.Module):
    """The generator's mirror: LeakyReLU(0.2), and a phase shuffle after every convolution but the last.

    Attributes:
        width: channels after the first layer; every further one doubles them.
        shuffle: by how many samples the phase shuffle moves waves at most; 0: not at all.
    """

    width: int = 64
    shuffle: int = 2

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch samples channel"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, " batch"]:
        """Logits of "real" for waves `x` in [-1, 1] and, for a conditional network, one-hot classes `y`."""
        strides = wavegan_strides(x.shape[1])
        x = append_label(x, y)
        for layer, stride in enumerate(strides):
            x = nn.leaky_relu(Conv1D(self.width * 2**layer, stride)(x), 0.2)
            if self.shuffle and layer < len(strides) - 1:
                x = PhaseShuffle(self.shuffle)(x, train=train)
        return nn.Dense(1, kernel_init=nn.initializers.glorot_uniform())(unrounded(x.reshape(len(x), -1)))[:, 0]
