"""Means with their intervals and seeds, a panel for each measure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gvlab import evaluate
from gvlab.compare.paper.canvas import COLUMN, PAGE, QUIET, Drawing, style, wrapped
from gvlab.compare.paper.choice import titles
from gvlab.compare.paper.table import ARROWS, directions, mean_of
from gvlab.compare.written import finished, values_by_seed
from gvlab.types import Json

_LINE, _AROUND, _HEAD, _BETWEEN = 0.125, 0.12, 0.55, 0.25
"""Inches: of a line of a name, around a name, of a panel's title and axis, and between panels beside each other, which
would seem to have one axis."""


def forest(comparison: Json, measures: Sequence[str]) -> Drawing:
    """Experiments one below the other, for each measure the mean, its interval and the seeds."""
    names = [experiment["name"] for experiment in comparison["experiments"]]
    across = {1: 1, 2: 2, 4: 2}.get(len(measures), 3)
    width = COLUMN if across == 1 else PAGE
    labels = [_label(comparison, name, 1.3 if across == 1 else 1.6) for name in names]
    row = _LINE * max(2, *(label.count("\n") + 1 for label in labels)) + _AROUND
    down = -(-len(measures) // across)
    between = _BETWEEN * across / width  # Matplotlib divides it by the columns
    head = _HEAD + _LINE * max(_title(measure, measures, width / across).count("\n") for measure in measures)

    def draw(figure: Any) -> None:
        figure.get_layout_engine().set(wspace=between)
        panels = figure.subplots(down, across, sharey=True, squeeze=False).ravel()
        for panel in panels[len(measures) :]:
            panel.set_visible(False)
        for panel, measure in zip(panels, measures, strict=False):
            panel.set_title(_title(measure, measures, width / across), loc="left")
            _panel(panel, comparison, names, measure)
        for panel in panels[::across]:
            panel.set_yticks(range(len(names)), labels)
        panels[0].set_ylim(len(names) - 0.4, -0.6)

    return Drawing(width, down * (head + row * len(names)), draw, _caption(comparison, measures))


def _label(comparison: Json, name: str, inches: float) -> str:
    """The name, and how many seeds came to their end if not all did."""
    ended, total = finished(comparison, name), len(comparison["seeds"])
    return wrapped(name, inches) + (f"\n({ended} of {total} seeds)" if ended < total else "")


def _title(measure: str, measures: Sequence[str], inches: float) -> str:
    return titled(measure, measures, inches - 0.3)


def titled(measure: str, measures: Sequence[str], inches: float) -> str:
    """A measure's title with its arrow, in lines of that width."""
    arrow = ARROWS.get(evaluate.kind_of(measure).better or "", "")
    return wrapped(f"{titles(measures)[measure]}\u00a0{arrow}" if arrow else titles(measures)[measure], inches)


def _panel(panel: Any, comparison: Json, names: Sequence[str], measure: str) -> None:
    rows = {row["experiment"]: row for row in comparison["summaries"] if row["measure"] == measure}
    panel.grid(axis="x")
    panel.spines["left"].set_visible(False)
    panel.tick_params(axis="y", length=0)
    panel.locator_params(axis="x", nbins=4)
    panel.ticklabel_format(axis="x", useOffset=False)
    for i, name in enumerate(names):
        row, look = rows.get(name), style(i) | {"linestyle": "none"}
        if row is None or row["other_protocol"] or row["mean"] is None:
            why = "diverged" if not finished(comparison, name) else "not measured" if row is None else "other protocol"
            panel.text(0.5, i, why, transform=panel.get_yaxis_transform(), ha="center", va="center", color=QUIET)
            continue
        values = [value for _, value in values_by_seed(comparison["units"], name, measure)]
        panel.plot(values, [i + 0.26] * len(values), **look | {"markersize": 2.2}, alpha=0.6, markeredgewidth=0)
        if row["low"] is not None and row["high"] is not None:
            errors = [[row["mean"] - row["low"]], [row["high"] - row["mean"]]]
            panel.errorbar([row["mean"]], [i - 0.08], xerr=errors, fmt="none", ecolor=look["color"], capsize=2.5)
        panel.plot([row["mean"]], [i - 0.08], **look)


def _caption(comparison: Json, measures: Sequence[str]) -> str:
    intervals = any(row["low"] is not None for row in comparison["summaries"] if row["measure"] in measures)
    sentences = [mean_of(comparison, intervals).replace("Mean \u00b1 half the width of its", "Mean with its")]
    if len(comparison["seeds"]) > 1:
        sentences.append("Small marks are the seeds.")
    return " ".join([*sentences, *directions(measures)])
