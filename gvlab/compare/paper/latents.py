"""What each latent tells of each factor: a heat map."""

from __future__ import annotations

from typing import Any

from gvlab.compare.paper.canvas import COLUMN, PAGE, QUIET, Drawing, tints_of, wrapped
from gvlab.evaluate.ranking import Ranking

_TINTS = ("#ffffff", "#7fbfe8")
"""Black text stands out from both, also where they are printed grey."""
_CELL, _CELL_HIGH = 0.72, 0.2
"""Inches: a cell's width and height."""
MOST = 40
"""Latents that are drawn."""


def heat_map(ranking: Ranking) -> Drawing:
    """A row for each of the first `MOST` latents: its KL, then the mutual information with each factor."""
    columns = ("KL", *ranking.factors)
    shown = list(zip(ranking.latents[:MOST], ranking.kl_nats[:MOST], ranking.information_nats[:MOST], strict=True))
    width = min(PAGE, max(COLUMN, _CELL * len(columns) + 0.7))

    def draw(figure: Any) -> None:
        panel = figure.subplots()
        # Each column by itself: a factor of few values has little to be told.
        most = [max((kl for _, kl, _ in shown), default=0)]
        most += [max((told[factor] for _, _, told in shown), default=0) for factor in range(len(ranking.factors))]
        cells = [[kl, *told] for _, kl, told in shown]
        tints = [[value / top if top > 0 else 0 for value, top in zip(row, most, strict=True)] for row in cells]
        panel.imshow(tints, cmap=tints_of(*_TINTS), vmin=0, vmax=1, aspect="auto")
        for y, row in enumerate(cells):
            for x, value in enumerate(row):
                panel.text(x, y, f"{value:.2f}", ha="center", va="center", fontsize=6.5)
        panel.set_xticks(range(len(columns)), [wrapped(name, _CELL) for name in columns])
        panel.set_yticks(range(len(shown)), [str(latent) for latent, _, _ in shown])
        panel.set_ylabel("latent")
        panel.tick_params(length=0)
        for side in panel.spines.values():
            side.set_visible(True)
            side.set_color(QUIET)

    return Drawing(width, _CELL_HIGH * len(shown) + 0.7, draw, caption_of(ranking))


def caption_of(ranking: Ranking) -> str:
    """What there is to see."""
    said = f"The mean KL of each latent's posterior from N(0, 1) over {ranking.examples:,} examples, in nats"
    if ranking.factors:
        chance = ", ".join(
            f"{nats:.2f} {name}" for name, nats in zip(ranking.factors, ranking.chance_nats, strict=True)
        )
        said += (
            f", and the mutual information of its mean with each factor, in nats (by chance at most {chance}); tints "
            "are by column"
        )
    left = len(ranking.latents) - MOST
    return f"{said}." + (f" {left} latents of less KL are left out." if left > 0 else "")
