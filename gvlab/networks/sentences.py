"""Recurrent networks of sentences, and what all networks of sentences have in common.

A decoder of sentences is given the latents and the sentence; the logits of each symbol are those by the latents and the
symbols before it. To write a sentence it is asked symbol by symbol: `begin` gives what it carries along, and `step` the
logits of the next symbol by the last one. Without latents ([batch, 0]) it is a language model.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gvlab.losses.sentences import END
from gvlab.networks.layers import append_label

Tokens = Int[Array, "batch length"]
Classes = Float[Array, "batch classes"] | None
_orthogonal = nn.initializers.orthogonal()


class GRU(nn.Module):
    """Gated recurrent units over inputs that are projected for all steps at once; only the state's product is left.

    Attributes:
        width: units.

    Reference: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014, eq. 5-8; the reset gate
    acts on the state's product, bias included, as cuDNN and PyTorch have it.
    """

    width: int

    def setup(self) -> None:
        self.kernel = self.param("kernel", _blocks, (self.width, 3 * self.width), jnp.float32)
        self.bias = self.param("bias", nn.initializers.zeros_init(), (3 * self.width,), jnp.float32)

    def __call__(
        self, h: Float[Array, "batch width"], projected: Float[Array, "batch length gates"]
    ) -> Float[Array, "batch length width"]:
        """All states, from the one before the first step."""
        kernel, bias = self.kernel, self.bias

        def one(h: Array, now: Array) -> tuple[Array, Array]:
            h = _gated(h, now, kernel, bias)
            return h, h

        return jnp.moveaxis(jax.lax.scan(one, h, jnp.moveaxis(projected, 1, 0))[1], 0, 1)

    def step(
        self, h: Float[Array, "batch width"], projected: Float[Array, "batch gates"]
    ) -> Float[Array, "batch width"]:
        """The next state."""
        return _gated(h, projected, self.kernel, self.bias)


def _blocks(key: Array, shape: tuple[int, int], dtype: Any = jnp.float32) -> Float[Array, "width gates"]:
    """An orthogonal matrix for each of the three gates, side by side."""
    keys = jax.random.split(key, 3)
    return jnp.concatenate([_orthogonal(key, (shape[0], shape[0]), dtype) for key in keys], axis=1)


def _gated(h: Array, projected: Array, kernel: Array, bias: Array) -> Float[Array, "batch width"]:
    width = h.shape[-1]
    product = h @ kernel + bias[None]
    gates = jax.nn.sigmoid(projected[:, : 2 * width] + product[:, : 2 * width])
    reset, update = gates[:, :width], gates[:, width:]
    new = jnp.tanh(projected[:, 2 * width :] + reset * product[:, 2 * width :])
    return update * h + (1 - update) * new


class GRUEncoder(nn.Module):
    """The state after a sentence's end, then the two heads.

    Attributes:
        latent_dim: length of the latent.
        levels: integers that a symbol may be.
        width: units.
        embedding: features of a symbol.
    """

    latent_dim: int
    levels: int
    width: int = 128
    embedding: int = 64

    @nn.compact
    def __call__(
        self, x: Tokens, y: Classes = None, *, train: bool
    ) -> tuple[Float[Array, "batch latent"], Float[Array, "batch latent"]]:
        """(mean, logvar) of q(z|x). The network is the same in training and out of it."""
        embedded = nn.Embed(self.levels, self.embedding, name="symbols")(x)
        start = jnp.zeros((x.shape[0], self.width), embedded.dtype)
        states = GRU(self.width, name="gru")(start, nn.Dense(3 * self.width, name="in")(embedded))
        last = jnp.minimum((x != END).sum(-1), x.shape[1] - 1)  # where the first end stands
        h = append_label(jnp.take_along_axis(states, last[:, None, None], axis=1)[:, 0], y)
        return nn.Dense(self.latent_dim, name="mean")(h), nn.Dense(self.latent_dim, name="logvar")(h)


class GRUDecoder(nn.Module):
    """The latents make the first state, and stand beside every symbol.

    Attributes:
        levels: integers that a symbol may be.
        width: units.
        embedding: features of a symbol.

    Reference: Bowman et al., "Generating Sentences from a Continuous Space", 2016, section 3; the latents beside every
    symbol as in He et al., "Lagging Inference Networks and Posterior Collapse in Variational Autoencoders", 2019.
    """

    levels: int
    width: int = 128
    embedding: int = 64

    def setup(self) -> None:
        small = nn.initializers.normal(0.02)
        self.symbols = nn.Embed(self.levels, self.embedding)
        self.first = self.param("first", small, (self.embedding,), jnp.float32)
        self.enter = nn.Dense(3 * self.width)
        self.beside = nn.Dense(3 * self.width, use_bias=False)
        self.start = nn.Dense(self.width)
        self.gru = GRU(self.width)
        self.out = nn.Dense(self.levels)

    def __call__(
        self, inputs: tuple[Float[Array, "batch latent"], Tokens], y: Classes = None, *, train: bool
    ) -> Float[Array, "batch length levels"]:
        """The logits of every symbol by the latents and those before it. The same in training and out of it."""
        z, x = inputs
        h, beside = self._of_latents(z, y)
        before = jnp.broadcast_to(self.first.astype(h.dtype), (x.shape[0], 1, self.embedding))
        embedded = jnp.concatenate([before, self.symbols(x[:, :-1]).astype(h.dtype)], axis=1)
        return self.out(self.gru(h, self.enter(embedded) + beside[:, None]))

    def begin(self, z: Float[Array, "batch latent"], y: Classes = None, *, train: bool) -> Any:
        """What `step` carries along before the first symbol."""
        return (jnp.int32(0), *self._of_latents(z, y))

    def step(
        self, inputs: tuple[Any, Int[Array, " batch"]], y: Classes = None, *, train: bool
    ) -> tuple[Any, Float[Array, "batch levels"]]:
        """(what is carried along, logits of the next symbol), by the last symbol, whatever it is before the first."""
        (position, h, beside), token = inputs
        embedded = jnp.where(position == 0, self.first[None], self.symbols(token))
        h = self.gru.step(h, self.enter(embedded.astype(h.dtype)) + beside)
        return (position + 1, h, beside), self.out(h)

    def _of_latents(self, z: Array, y: Classes) -> tuple[Float[Array, "batch width"], Float[Array, "batch gates"]]:
        """The first state, and what stands beside every symbol."""
        z = append_label(z, y)
        if z.shape[-1] == 0:  # of a language model
            return jnp.zeros((z.shape[0], self.width)), jnp.zeros((z.shape[0], 3 * self.width))
        return jnp.tanh(self.start(z)), self.beside(z)
