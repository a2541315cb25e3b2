"""Convolutional networks of sentences as rows of probabilities: all symbols at once, with no order of writing.

Reference: Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, section 5.4 and appendix, and the authors'
code (`gan_language.py`).
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.networks.layers import append_label, unrounded
from gvlab.networks.waves import Conv1D

TAPS = 5
"""Symbols that a convolution of a block sees."""


class SentenceGenerator(nn.Module):
    """A dense layer, residual blocks along the sentence, and the probabilities of each symbol.

    With a temperature they are those of a draw: Gumbel noise is added to the logits, which are divided by the
    temperature, and forwards the row is the one-hot symbol that was drawn (straight-through). The noise is made of the
    last `length * levels` numbers of z, so that a sentence is a function of z.

    Attributes:
        shape: (length, levels) of a sentence.
        width: channels.
        blocks: residual blocks.
        temperature: of the draw; None: there is none, and the row is the softmax itself.
    """

    shape: tuple[int, ...]
    width: int = 512
    blocks: int = 5
    temperature: float | Array | None = None

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, "batch length levels"]:
        """Rows of probabilities, each of the symbol at its place. The same in training and out of it."""
        length, levels = self.shape
        numbers = z.shape[-1] - (0 if self.temperature is None else length * levels)
        z, noise = z[:, :numbers], z[:, numbers:]
        h = nn.Dense(length * self.width)(append_label(z, y)).reshape(-1, length, self.width)
        for _ in range(self.blocks):
            h = SentenceBlock()(h)
        logits = Conv1D(levels, taps=1)(unrounded(h))
        if self.temperature is None:
            return jax.nn.softmax(logits)
        soft = jax.nn.softmax((logits + gumbel(noise.reshape(logits.shape))) / self.temperature)
        hard = jax.nn.one_hot(soft.argmax(-1), levels, dtype=soft.dtype)
        return soft + jax.lax.stop_gradient(hard - soft)


class SentenceDiscriminator(nn.Module):
    """A convolution of one tap, residual blocks along the sentence, and a dense layer of all.

    Attributes:
        width: channels.
        blocks: residual blocks.
    """

    width: int = 512
    blocks: int = 5

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch length levels"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, " batch"]:
        """Logits of "real" for rows of probabilities. The same in training and out of it."""
        h = Conv1D(self.width, taps=1)(append_label(x, y))
        for _ in range(self.blocks):
            h = SentenceBlock()(h)
        return nn.Dense(1)(unrounded(h.reshape(len(x), -1)))[:, 0]


class SentenceBlock(nn.Module):
    """h + 0.3 conv(ReLU(conv(ReLU(h)))): both with 5 taps."""

    @nn.compact
    def __call__(self, h: Float[Array, "batch length channel"]) -> Float[Array, "batch length channel"]:
        channels = h.shape[-1]
        inner = Conv1D(channels, taps=TAPS)(nn.relu(h))
        return h + 0.3 * Conv1D(channels, taps=TAPS)(nn.relu(inner))


def gumbel(normal: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Standard Gumbel numbers of standard normal ones: -ln(-ln(Phi(x)))."""
    return -jnp.log(-jax.scipy.stats.norm.logcdf(normal))
