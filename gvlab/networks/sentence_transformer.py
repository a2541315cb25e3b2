"""Transformers of sentences; their decoder writes with what it has attended to kept from step to step."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from gvlab.losses.sentences import END
from gvlab.networks.layers import append_label
from gvlab.networks.sentences import Classes, Tokens

_small = nn.initializers.normal(0.02)


class AttentionBlock(nn.Module):
    """Attention, then layers of four times the width, each behind a layer norm and beside a shortcut.

    Attributes:
        width: of the features; a multiple of `heads`.
        heads: of the attention.

    Reference: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019, section 2.3.
    """

    width: int
    heads: int

    def setup(self) -> None:
        self.before_attention, self.before_wide = nn.LayerNorm(), nn.LayerNorm()
        self.attend, self.attended = nn.Dense(3 * self.width), nn.Dense(self.width)
        self.wide, self.narrow = nn.Dense(4 * self.width), nn.Dense(self.width)

    def __call__(
        self, h: Float[Array, "batch length width"], seen: Bool[Array, "#batch #length length"]
    ) -> Float[Array, "batch length width"]:
        """The next features, of positions that look at those they may see."""
        q, k, v = self._heads(h)
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(q.shape[-1])
        weights = nn.softmax(jnp.where(seen[:, None], scores, -jnp.inf))
        return self._rest(h, jnp.einsum("bhqk,bkhd->bqhd", weights, v).reshape(h.shape))

    def step(
        self, h: Float[Array, "batch width"], keys: Array, values: Array, position: Int[Array, ""]
    ) -> tuple[Float[Array, "batch width"], Array, Array]:
        """The next features of one position by it and those before, whose keys and values [batch, length, heads, ...]
        are kept; and these with its own."""
        q, k, v = self._heads(h[:, None])
        keys, values = keys.at[:, position].set(k[:, 0]), values.at[:, position].set(v[:, 0])
        scores = jnp.einsum("bhd,bkhd->bhk", q[:, 0], keys) / math.sqrt(q.shape[-1])
        weights = nn.softmax(jnp.where((jnp.arange(keys.shape[1]) <= position)[None, None], scores, -jnp.inf))
        return self._rest(h, jnp.einsum("bhk,bkhd->bhd", weights, values).reshape(h.shape)), keys, values

    def _heads(self, h: Array) -> tuple[Array, Array, Array]:
        batch, length, width = h.shape
        together = self.attend(self.before_attention(h)).reshape(batch, length, 3, self.heads, width // self.heads)
        return together[:, :, 0], together[:, :, 1], together[:, :, 2]

    def _rest(self, h: Array, attended: Array) -> Array:
        h = h + self.attended(attended)
        return h + self.narrow(nn.gelu(self.wide(self.before_wide(h))))


class TransformerEncoder(nn.Module):
    """All symbols of a sentence see each other; their mean, then the two heads.

    Attributes:
        latent_dim: length of the latent.
        levels: integers that a symbol may be.
        width: of the features; a multiple of `heads`.
        blocks: how many.
        heads: of the attention.
    """

    latent_dim: int
    levels: int
    width: int = 64
    blocks: int = 2
    heads: int = 4

    @nn.compact
    def __call__(
        self, x: Tokens, y: Classes = None, *, train: bool
    ) -> tuple[Float[Array, "batch latent"], Float[Array, "batch latent"]]:
        """(mean, logvar) of q(z|x). The network is the same in training and out of it."""
        places = self.param("places", _small, (x.shape[1], self.width), jnp.float32)
        h = nn.Embed(self.levels, self.width, embedding_init=_small, name="symbols")(x) + places[None]
        counted = jnp.arange(x.shape[1])[None] <= (x != END).sum(-1)[:, None]  # up to the first end
        for block in range(self.blocks):
            h = AttentionBlock(self.width, self.heads, name=f"block_{block}")(h, counted[:, None])
        h = jnp.where(counted[..., None], nn.LayerNorm()(h), 0.0).sum(1) / counted.sum(-1)[:, None]
        h = append_label(h, y)
        return nn.Dense(self.latent_dim, name="mean")(h), nn.Dense(self.latent_dim, name="logvar")(h)


class TransformerDecoder(nn.Module):
    """A causal transformer at whose every position the latents are added; its input is shifted by one.

    All symbols are equally likely in the beginning: the last layer's kernel is zero.

    Attributes:
        levels: integers that a symbol may be.
        length: of a row.
        width: of the features; a multiple of `heads`.
        blocks: how many.
        heads: of the attention.

    Reference: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019, section 2.3.
    """

    levels: int
    length: int
    width: int = 64
    blocks: int = 2
    heads: int = 4

    def setup(self) -> None:
        self.symbols = nn.Embed(self.levels, self.width, embedding_init=_small)
        self.first = self.param("first", _small, (self.width,), jnp.float32)
        self.places = self.param("places", _small, (self.length, self.width), jnp.float32)
        self.beside = nn.Dense(self.width, use_bias=False)
        self.block = [AttentionBlock(self.width, self.heads) for _ in range(self.blocks)]
        self.norm = nn.LayerNorm()
        self.out = nn.Dense(self.levels, kernel_init=nn.initializers.zeros_init())

    def __call__(
        self, inputs: tuple[Float[Array, "batch latent"], Tokens], y: Classes = None, *, train: bool
    ) -> Float[Array, "batch length levels"]:
        """The logits of every symbol by the latents and those before it. The same in training and out of it."""
        z, x = inputs
        before = jnp.broadcast_to(self.first, (x.shape[0], 1, self.width))
        h = jnp.concatenate([before, self.symbols(x[:, :-1])], axis=1) + self.places[None]
        h = h + self._beside(z, y)[:, None]
        causal = jnp.tril(jnp.ones((self.length, self.length), bool))[None]
        for block in self.block:
            h = block(h, causal)
        return self.out(self.norm(h))

    def begin(self, z: Float[Array, "batch latent"], y: Classes = None, *, train: bool) -> Any:
        """What `step` carries along before the first symbol."""
        kept = jnp.zeros((self.blocks, 2, z.shape[0], self.length, self.heads, self.width // self.heads))
        return jnp.int32(0), kept, self._beside(z, y)

    def step(
        self, inputs: tuple[Any, Int[Array, " batch"]], y: Classes = None, *, train: bool
    ) -> tuple[Any, Float[Array, "batch levels"]]:
        """(what is carried along, logits of the next symbol), by the last symbol, whatever it is before the first."""
        (position, kept, beside), token = inputs
        h = jnp.where(position == 0, self.first[None], self.symbols(token)) + self.places[position][None] + beside
        new = []
        for number, block in enumerate(self.block):
            h, keys, values = block.step(h, kept[number, 0], kept[number, 1], position)
            new.append(jnp.stack([keys, values]))
        return (position + 1, jnp.stack(new), beside), self.out(self.norm(h))

    def _beside(self, z: Array, y: Classes) -> Float[Array, "batch width"]:
        z = append_label(z, y)
        return self.beside(z) if z.shape[-1] else jnp.zeros((z.shape[0], self.width))
