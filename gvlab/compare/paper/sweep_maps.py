"""Measures over the values of two fields that were swept: maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gvlab import evaluate
from gvlab.compare import sweeps
from gvlab.compare.headlines import best
from gvlab.compare.paper.canvas import (
    COLUMN,
    PAGE,
    QUIET,
    Drawing,
    tints_of,
    wrapped,
)
from gvlab.compare.paper.forest import titled
from gvlab.compare.paper.table import directions, mean_of
from gvlab.compare.written import finished
from gvlab.numbers import evened, with_half
from gvlab.types import Json

_TINTS = ("#ffffff", "#7fbfe8")
"""Of the worst and the best mean: black text stands out from both, also where they are printed grey."""
_CELL, _CELL_HIGH = 0.78, 0.34
"""Inches: a cell's width and height."""


def maps(comparison: Json, measures: Sequence[str], swept: sweeps.Sweep) -> Drawing:
    """Of each measure one panel for each experiment that was varied."""
    rows, columns = swept.axes
    panels_of = [(measure, base) for measure in measures for base in swept.bases]
    one = _CELL * len(columns.values) + 0.9
    across = max(1, min(len(panels_of), int(PAGE / one)))
    width = COLUMN if across == 1 and one <= COLUMN else PAGE
    down = -(-len(panels_of) // across)
    titles = [_title(measure, base, measures, swept, width / across - 0.6) for measure, base in panels_of]
    high = _CELL_HIGH * len(rows.values) + 0.65 + 0.125 * max(title.count("\n") for title in titles)

    def draw(figure: Any) -> None:
        panels = figure.subplots(down, across, squeeze=False).ravel()
        for panel in panels[len(panels_of) :]:
            panel.set_visible(False)
        for panel, (measure, base), title in zip(panels, panels_of, titles, strict=False):
            panel.set_title(title, loc="left")
            _map(panel, comparison, measure, swept, base)

    return Drawing(width, down * high, draw, _caption_of_maps(comparison, measures))


def _title(measure: str, base: str, measures: Sequence[str], swept: sweeps.Sweep, inches: float) -> str:
    title = titled(measure, measures, inches)
    return title if len(swept.bases) == 1 else f"{title}\n{wrapped(base, inches)}"


def _map(panel: Any, comparison: Json, measure: str, swept: sweeps.Sweep, base: str) -> None:
    rows, columns = swept.axes
    by = {row["experiment"]: row for row in evened(comparison["summaries"]) if row["measure"] == measure}
    names = [[swept.experiments.get((base, row, column)) for column in columns.values] for row in rows.values]
    cells = [[by.get(name or "") for name in line] for line in names]
    means = [None if cell is None or cell["other_protocol"] else cell["mean"] for line in cells for cell in line]
    tints = sweeps.shares(means, evaluate.kind_of(measure).better)
    width = len(columns.values)
    grid = [[math.nan if t is None else t for t in tints[k : k + width]] for k in range(0, len(tints), width)]
    panel.imshow(grid, cmap=tints_of(*_TINTS), vmin=0, vmax=1, aspect="auto")
    winner = best(comparison["pairs"], measure)
    for y, line in enumerate(names):
        for x, name in enumerate(line):
            row, mean = cells[y][x], means[y * width + x]
            text = _cell(comparison, name, row if mean is not None else None)
            weight = "bold" if name is not None and name == winner else "normal"
            panel.text(x, y, text, ha="center", va="center", fontsize=6.5, fontweight=weight)
    panel.set_xticks(range(width), [wrapped(value, _CELL) for value in columns.values])
    panel.set_yticks(range(len(rows.values)), [wrapped(value, 0.8) for value in rows.values])
    panel.set_xlabel(columns.field)
    panel.set_ylabel(wrapped(rows.field, _CELL_HIGH * len(rows.values) + 0.3))
    panel.tick_params(length=0)
    for side in panel.spines.values():
        side.set_visible(True)
        side.set_color(QUIET)


def _cell(comparison: Json, name: str | None, row: Json | None) -> str:
    if name is None:
        return ""
    if row is None:
        return "\u2013" if finished(comparison, name) else "diverged"
    mean, half = (None if text is None else text.replace("-", "\u2212") for text in with_half(row))
    return f"{mean}" if half is None else f"{mean}\n\u00b1 {half}"


def _caption_of_maps(comparison: Json, measures: Sequence[str]) -> str:
    intervals = any(row["low"] is not None for row in comparison["summaries"] if row["measure"] in measures)
    said = ["The deeper the tint, the better the mean."] if directions(measures) else ["Deeper tints: larger means."]
    if any(best(comparison["pairs"], measure) for measure in measures):
        said.append("Bold: better than every other by the paired test after its correction.")
    return " ".join([mean_of(comparison, intervals), *directions(measures), *said])
