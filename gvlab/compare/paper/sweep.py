"""Measures against the values that were swept: lines with bands for one field, heat maps for two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gvlab import evaluate
from gvlab.compare import sweeps
from gvlab.compare.headlines import best
from gvlab.compare.paper.canvas import (
    COLUMN,
    PAGE,
    PER_INCH,
    QUIET,
    Drawing,
    legend,
    legend_height,
    style,
    tints_of,
    wrapped,
)
from gvlab.compare.paper.forest import titled
from gvlab.compare.paper.table import directions, mean_of
from gvlab.compare.written import finished, values_by_seed
from gvlab.numbers import with_half
from gvlab.types import Json, UserError

_TINTS = ("#ffffff", "#7fbfe8")
"""Of the worst and the best mean: black text stands out from both, also where they are printed grey."""
_PANEL, _CELL, _CELL_HIGH = 1.75, 0.78, 0.34
"""Inches: a panel's height, a cell's width and height."""


def sweep(root: Path, comparison: Json, measures: Sequence[str]) -> Drawing:
    """Of each measure one panel, or for two fields one of each experiment that was varied.

    Raises:
        UserError: the comparison is no sweep over one field or two.
    """
    swept = sweeps.of_names([experiment["name"] for experiment in comparison["experiments"]])
    if swept is None or len(swept.axes) > 2:
        what = "no sweep" if swept is None else f"a sweep over {len(swept.axes)} fields"
        raise UserError(
            f"--kind sweep shows sweeps over one field or two, but {root} is {what}: choose another --kind."
        )
    return _lines(comparison, measures, swept) if len(swept.axes) == 1 else _maps(comparison, measures, swept)


# --- one field --------------------------------------------------------------------------------------------------------


def _lines(comparison: Json, measures: Sequence[str], swept: sweeps.Sweep) -> Drawing:
    (axis,) = swept.axes
    across = {1: 1, 2: 2, 4: 2}.get(len(measures), 3)
    width = COLUMN if across == 1 else PAGE
    down = -(-len(measures) // across)
    above = legend_height(swept.bases, width) if len(swept.bases) > 1 else 0.0
    titles = [titled(measure, measures, width / across - 0.6) for measure in measures]
    high = _PANEL + 0.125 * max(title.count("\n") for title in titles)

    def draw(figure: Any) -> None:
        panels = figure.subplots(down, across, squeeze=False).ravel()
        for panel in panels[len(measures) :]:
            panel.set_visible(False)
        for panel, measure, title in zip(panels, measures, titles, strict=False):
            panel.set_title(title, loc="left")
            for i, base in enumerate(swept.bases):
                _line(panel, comparison, measure, swept, i, base)
            _value_axis(panel, axis, width / across - 0.7)
        if above:
            legend(figure, panels[0], swept.bases, width)

    return Drawing(width, above + down * high, draw, _caption_of_lines(comparison, measures, axis))


def _value_axis(panel: Any, axis: sweeps.Axis, inches: float) -> None:
    """The swept values below a panel of that width."""
    at = axis.places
    if axis.is_logarithmic:
        panel.set_xscale("log")
    panel.minorticks_off()
    texts = [wrapped(value, 0.7) for value in axis.values]
    longest = max(len(line) for text in texts for line in text.split("\n"))
    if longest * len(texts) > PER_INCH * inches:  # they would touch
        panel.set_xticks(at, axis.values, rotation=45, ha="right", rotation_mode="anchor")
    else:
        panel.set_xticks(at, texts)
    if axis.numbers is None:
        panel.set_xlim(-0.4, len(at) - 0.6)
    panel.set_xlabel(axis.field)
    panel.grid(axis="y")
    panel.locator_params(axis="y", nbins=5)
    panel.ticklabel_format(axis="y", useOffset=False)


def _line(panel: Any, comparison: Json, measure: str, swept: sweeps.Sweep, i: int, base: str) -> None:
    """Of one experiment that was varied: a line with a band over numbers, marks with bars over anything else."""
    (axis,) = swept.axes
    look, rows = style(i), {row["experiment"]: row for row in comparison["summaries"] if row["measure"] == measure}
    aside = 0.0 if axis.numbers else 0.12 * (i - (len(swept.bases) - 1) / 2)
    known: list[tuple[float, Json]] = []
    for value, place in zip(axis.values, axis.places, strict=True):
        name, at = swept.experiments.get((base, value)), place + aside
        row = rows.get(name or "")
        if row is None or row["other_protocol"] or row["mean"] is None:
            if name is not None and not finished(comparison, name):
                panel.plot([at], [0.04], "x", color=look["color"], transform=panel.get_xaxis_transform())
            continue
        values = [each for _, each in values_by_seed(comparison["units"], name or "", measure)]
        panel.plot([at] * len(values), values, look["marker"], color=look["color"], alpha=0.5, markersize=2, mew=0)
        known.append((at, row))
    line = look if axis.numbers else look | {"linestyle": "none"}
    panel.plot([at for at, _ in known], [row["mean"] for _, row in known], **line, label=base)
    bands = [(at, row["low"], row["high"]) for at, row in known if row["low"] is not None and row["high"] is not None]
    if axis.numbers and bands:
        panel.fill_between(*zip(*bands, strict=True), color=look["color"], alpha=0.18, linewidth=0)
    for at, low, high in () if axis.numbers else bands:
        panel.plot([at, at], [low, high], "-", color=look["color"])


def _caption_of_lines(comparison: Json, measures: Sequence[str], axis: sweeps.Axis) -> str:
    intervals = any(row["low"] is not None for row in comparison["summaries"] if row["measure"] in measures)
    shown = f"{'Line and band' if axis.numbers else 'Mark and bar'}: the mean with its"
    of = mean_of(comparison, intervals).replace("Mean \u00b1 half the width of its", shown)
    sentences = [of, *(["Small marks are the seeds."] if len(comparison["seeds"]) > 1 else []), *directions(measures)]
    names = [experiment["name"] for experiment in comparison["experiments"]]
    if not all(finished(comparison, name) for name in names):
        sentences.append("A cross below stands where every seed diverged.")
    return " ".join([f"Against {axis.field}.", *sentences])


# --- two fields -------------------------------------------------------------------------------------------------------


def _maps(comparison: Json, measures: Sequence[str], swept: sweeps.Sweep) -> Drawing:
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
    by = {row["experiment"]: row for row in comparison["summaries"] if row["measure"] == measure}
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
