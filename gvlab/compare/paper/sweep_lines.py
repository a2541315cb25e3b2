"""Measures against the values of one field that was swept: lines with bands, or bars where they are no numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gvlab.compare import sweeps
from gvlab.compare.paper.canvas import (
    COLUMN,
    PAGE,
    PER_INCH,
    Drawing,
    legend,
    legend_height,
    style,
    wrapped,
)
from gvlab.compare.paper.forest import titled
from gvlab.compare.paper.table import directions, mean_of
from gvlab.compare.written import finished, values_by_seed
from gvlab.types import Json

_PANEL = 1.75
"""Inches of a panel's height."""


def lines(comparison: Json, measures: Sequence[str], swept: sweeps.Sweep) -> Drawing:
    """Of each measure one panel, with a line for each experiment that was varied."""
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
