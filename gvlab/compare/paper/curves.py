"""Training curves: medians with quartiles over the seeds, a panel for each term."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gvlab import evaluate
from gvlab.compare.headlines import order
from gvlab.compare.paper.canvas import COLUMN, PAGE, Drawing, legend, legend_height, style, text_of, wrapped
from gvlab.compare.paper.choice import require
from gvlab.compare.report import reading
from gvlab.compare.report.curves import curves as of_units
from gvlab.types import Json, UserError

_HIGH = 1.9
"""Inches of a panel."""
_OUTSIDE = 0.02
"""The share of a panel's values that its range may leave out at either end: the first steps are often far off."""


def curves(root: Path, comparison: Json, named: Sequence[str] | None, remarks: list[str]) -> Drawing:
    """Every term that is named, or the one that tells most; what cannot be read is remarked upon.

    Raises:
        UserError: no unit has curves, or none has a term that is named.
    """
    names = [experiment["name"] for experiment in comparison["experiments"]]
    drawn = of_units(names, [reading.load(root, unit, remarks) for unit in comparison["units"]])
    if not drawn["terms"]:
        raise UserError(f"No unit of {root} has curves: choose another --kind.")
    require(named or (), sorted(drawn["terms"], key=order), "term of training", "the report")
    terms = list(dict.fromkeys(named or [_telling(drawn)]))
    across = min(len(terms), 2)
    width = COLUMN if across == 1 else PAGE
    down = -(-len(terms) // across)
    shown = [(i, one) for i, one in enumerate(drawn["experiments"]) if any(term in one["terms"] for term in terms)]
    above = legend_height([one["name"] for _, one in shown], width)

    def draw(figure: Any) -> None:
        panels = figure.subplots(down, across, squeeze=False).ravel()
        for panel in panels[len(terms) :]:
            panel.set_visible(False)
        for panel, term in zip(panels, terms, strict=False):
            _panel(panel, shown, term)
            panel.set_ylabel(wrapped(evaluate.title_of(term), _HIGH))
        legend(figure, panels[0], [one["name"] for _, one in shown], width)

    return Drawing(width, above + down * _HIGH, draw, _caption(comparison))


def _telling(drawn: Json) -> str:
    """The term that most experiments have; of several the one that tells most."""
    having = {term: sum(term in one["terms"] for one in drawn["experiments"]) for term in drawn["terms"]}
    return min(having, key=lambda term: (-having[term], *order(term)[:2], drawn["terms"].index(term)))


def _panel(panel: Any, shown: Sequence[tuple[int, Json]], term: str) -> None:
    inside: list[float] = []
    for i, one in shown:
        look = style(i)
        own = one["terms"].get(term)
        if own is None:  # for the legend, which is of all panels
            panel.plot([], [], **look, label=one["name"])
            continue
        numbers = {name: [math.nan if v is None else v for v in own[name]] for name in ("low", "median", "high")}
        panel.fill_between(one["steps"], numbers["low"], numbers["high"], color=look["color"], alpha=0.18, linewidth=0)
        every = max(1, len(one["steps"]) // 8)
        begin = (i * every // 4) % every  # the marks of two curves don't hide each other
        panel.plot(one["steps"], numbers["median"], **look, markevery=(begin, every), label=one["name"])
        inside += [v for name in numbers for v in numbers[name] if not math.isnan(v)]
        for values, seed in zip(own["seeds"], one["seeds"], strict=True):
            known = [k for k, value in enumerate(values) if value is not None]
            if seed["diverged"] and known:
                panel.plot(one["steps"][known[-1]], values[known[-1]], "x", color=look["color"], zorder=3)
                inside.append(values[known[-1]])
    panel.set_xlabel("step")
    panel.grid(axis="y")
    panel.locator_params(axis="x", nbins=5)
    panel.xaxis.set_major_formatter(text_of)
    panel.ticklabel_format(axis="y", useOffset=False)
    if inside:
        panel.set_ylim(*_range(sorted(inside)))


def _range(values: Sequence[float]) -> tuple[float, float]:
    cut = int(_OUTSIDE * len(values))
    low, high = values[cut], values[len(values) - 1 - cut]
    margin = 0.05 * (high - low) or 0.1 * abs(high) or 1.0
    return low - margin, high + margin


def _caption(comparison: Json) -> str:
    count = len(comparison["seeds"])
    if count == 1:
        return "Training curves of one seed."
    sentences = [f"Training curves: median and quartiles over {count} seeds."]
    if any(unit["status"] != "complete" for unit in comparison["units"]):
        sentences.append("A cross ends a seed that diverged.")
    return " ".join(sentences)
