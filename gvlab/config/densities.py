"""Models with an exact log p(x), as an experiment states them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gvlab.config.checks import MOST_LAYERS, check_size
from gvlab.config.optimizers import Adam, AnyOptimizer
from gvlab.config.plain import settle
from gvlab.config.priors import Flow, Mixture
from gvlab.config.sentences import SentenceGRU
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    import flax.linen as nn


@dataclass(frozen=True)
class CausalTransformer:
    """Each code, or symbol, by all before it, by attention (Radford et al. 2019)."""

    width: int = 64
    """Features of a position."""
    blocks: int = 2
    heads: int = 4
    """Of the attention, which share the width equally."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("CausalTransformer", width=self.width, blocks=self.blocks, heads=self.heads)
        _check_layers("CausalTransformer", blocks=self.blocks)
        if self.width % self.heads:
            raise UserError(
                f"CausalTransformer.width is {self.width}, which {self.heads} heads cannot share equally: use a "
                "multiple."
            )

    def network(self, positions: int, levels: int) -> nn.Module:
        from gvlab import networks

        return networks.CausalTransformer(levels, self.width, self.blocks, self.heads)

    def language(self, length: int, levels: int) -> nn.Module:
        from gvlab import networks

        return networks.TransformerDecoder(levels, length, self.width, self.blocks, self.heads)


@dataclass(frozen=True)
class GatedPixelCNN:
    """Each code of a grid by those above it and to its left, by masked convolutions (van den Oord et al. 2016)."""

    rows: int = 0
    """Of the grid of codes, row by row; 0: it is square."""
    width: int = 32
    """Features of a position."""
    layers: int = 4
    reach: int = 1
    """Rows above, and columns to either side, that a layer sees."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("GatedPixelCNN", width=self.width, layers=self.layers, reach=self.reach)
        _check_layers("GatedPixelCNN", layers=self.layers)
        if self.rows < 0:
            raise UserError(f"GatedPixelCNN.rows is {self.rows}, but is a number of rows (0: the grid is square).")

    def network(self, positions: int, levels: int) -> nn.Module:
        from gvlab import networks

        rows = self.rows or round(positions**0.5)
        if positions % rows or (not self.rows and rows**2 != positions):
            raise UserError(
                f"GatedPixelCNN.rows is {self.rows}, but {positions} codes are no grid of "
                f"{self.rows or 'as many rows as columns'}{' rows' if self.rows else ''}: give the rows of theirs."
            )
        return networks.GatedPixelCNN(levels, rows, positions // rows, self.width, self.layers, self.reach)


@dataclass(frozen=True)
class Density:
    """A model with an exact log p(x): of vectors a mixture or a flow; of codes, as a second stage, an autoregressive
    network; of sentences a language model."""

    distribution: Mixture | Flow | CausalTransformer | GatedPixelCNN | SentenceGRU = Flow()
    optimizer: AnyOptimizer = Adam()

    def __post_init__(self) -> None:
        settle(self)


def _check_layers(owner: str, **layers: int) -> None:
    for name, value in layers.items():
        if value > MOST_LAYERS:
            raise UserError(f"{owner}.{name} is {value}, but at most {MOST_LAYERS} layers can be compiled.")
