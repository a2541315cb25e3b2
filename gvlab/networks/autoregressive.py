"""Networks of integer codes: the logits of each code by those before it, in one pass for given codes.

All begin with codes that are equally likely: the last layers' kernels are zero.
"""

import math

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gvlab.types import UserError

Codes = Int[Array, "batch positions"]
Logits = Float[Array, "batch positions levels"]


class CausalTransformer(nn.Module):
    """A transformer whose positions attend to themselves and to those before them; its input is shifted by one.

    Layer norms stand before attention and the layers of four times the width, as in GPT-2.

    Attributes:
        levels: of the codes, which are 0, 1, ..., levels - 1.
        width: of the features; a multiple of `heads`.
        blocks: how many.
        heads: of the attention.

    Reference: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019, section 2.3.
    """

    levels: int
    width: int = 64
    blocks: int = 2
    heads: int = 4

    @nn.compact
    def __call__(self, codes: Codes, y: None = None, *, train: bool) -> Logits:
        """The logits of every code, by those before it."""
        batch, positions = codes.shape
        small = nn.initializers.normal(0.02)
        embedded = nn.Embed(self.levels, self.width, embedding_init=small, name="codes")(codes)
        first = self.param("first", small, (self.width,), jnp.float32)
        places = self.param("places", small, (positions, self.width), jnp.float32)
        before = jnp.broadcast_to(first[None, None], (batch, 1, self.width))
        h = jnp.concatenate([before, embedded[:, :-1]], axis=1) + places[None]
        for _ in range(self.blocks):
            h += self._attended(nn.LayerNorm()(h))
            h += nn.Dense(self.width)(nn.gelu(nn.Dense(4 * self.width)(nn.LayerNorm()(h))))
        return nn.Dense(self.levels, kernel_init=nn.initializers.zeros_init(), name="out")(nn.LayerNorm()(h))

    def _attended(self, h: Float[Array, "batch positions width"]) -> Float[Array, "batch positions width"]:
        batch, positions, width = h.shape
        each = width // self.heads
        q, k, v = jnp.moveaxis(nn.Dense(3 * width)(h).reshape(batch, positions, 3, self.heads, each), 2, 0)
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(each)
        causal = jnp.tril(jnp.ones((positions, positions), bool))
        weights = nn.softmax(jnp.where(causal[None, None], scores, -jnp.inf))
        return nn.Dense(width)(jnp.einsum("bhqk,bkhd->bqhd", weights, v).reshape(batch, positions, width))


class GatedPixelCNN(nn.Module):
    """Masked convolutions over a grid of codes, row by row: a stack that sees all rows above, and one that sees these
    and what stands to the left, each with gates.

    A convolution is the sum of the matrix products of its taps: XLA on CPU is slow at convolutions inside a loop, which
    is where samples are drawn.

    Attributes:
        levels: of the codes, which are 0, 1, ..., levels - 1.
        rows, columns: of the grid; their product is the number of positions.
        width: of the features.
        layers: how many; those after the first are residual.
        reach: rows above and columns to either side that a layer sees.

    Raises:
        UserError: the positions are not that grid's.

    Reference: van den Oord et al., "Conditional Image Generation with PixelCNN Decoders", 2016, section 2 and fig. 2.
    """

    levels: int
    rows: int
    columns: int
    width: int = 32
    layers: int = 4
    reach: int = 1

    @nn.compact
    def __call__(self, codes: Codes, y: None = None, *, train: bool) -> Logits:
        """The logits of every code, by those above it and to its left."""
        batch, positions = codes.shape
        if positions != self.rows * self.columns:
            raise UserError(
                f"There are {positions} positions, but a grid of {self.rows}x{self.columns} has "
                f"{self.rows * self.columns}: give the rows of the codes' own grid."
            )
        embedded = nn.Embed(self.levels, self.width, name="codes")(codes)
        above = left = embedded.reshape(batch, self.rows, self.columns, self.width)
        for layer in range(self.layers):
            # The first layer sees no code of where it stands: of the rows those above, of its row what is to the left.
            end = 0 if layer == 0 else 1
            before = range(-self.reach, end)
            rows = [(row, column) for row in before for column in range(-self.reach, self.reach + 1)]
            seen = self._taps(above, rows, f"above_{layer}")
            beside = self._taps(left, [(0, column) for column in before], f"left_{layer}")
            beside += nn.Dense(2 * self.width, name=f"joined_{layer}")(seen)
            gated = nn.Dense(self.width, name=f"out_{layer}")(_gated(beside))
            above, left = _gated(seen), gated if layer == 0 else left + gated
        h = nn.relu(nn.Dense(self.width, name="hidden")(nn.relu(left)))
        logits = nn.Dense(self.levels, kernel_init=nn.initializers.zeros_init(), name="out")(h)
        return logits.reshape(batch, positions, self.levels)

    def _taps(self, x: Array, taps: list[tuple[int, int]], name: str) -> Array:
        """A convolution whose kernel has these taps (row, column), relative to where it stands, and no others."""
        edge = (self.reach, self.reach)
        padded = jnp.pad(x, ((0, 0), edge, edge, (0, 0)))
        corners = [(self.reach + row, self.reach + column) for row, column in taps]
        shifted = [padded[:, row : row + self.rows, column : column + self.columns] for row, column in corners]
        return nn.Dense(2 * self.width, name=name)(jnp.concatenate(shifted, axis=-1))


def _gated(x: Float[Array, "batch row column both"]) -> Float[Array, "batch row column width"]:
    """Equation 2."""
    signal, gate = jnp.split(x, 2, axis=-1)
    return jnp.tanh(signal) * nn.sigmoid(gate)
