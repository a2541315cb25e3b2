"""Measures against what was swept: lines with bands for one field, maps for two."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from gvlab import evaluate
from gvlab.compare import sweeps
from gvlab.compare.headlines import best, table
from gvlab.compare.looks import look
from gvlab.compare.report.forest import ticks_between
from gvlab.compare.written import finished, values_by_seed
from gvlab.numbers import evened, interval
from gvlab.types import Json

WIDTH, HEIGHT = 400, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 10, 52
_LETTER, _ASIDE = 6.8, 14
"""Of a plot, in pixels of its own: its margins, a letter's width, and the distance between marks of one value."""


def sweep(comparison: Json, measures: Sequence[str]) -> Json | None:
    """The ranking, and for one field or two the plots or maps of the measures; None if the comparison is no sweep."""
    swept = sweeps.of_names([experiment["name"] for experiment in comparison["experiments"]])
    if swept is None:
        return None
    head, rows = table(comparison)
    of = len(swept.axes)
    plots = [_plot(comparison, measure, swept) for measure in measures] if of == 1 else []
    maps = [_map(comparison, measure, swept, base) for measure in measures for base in swept.bases] if of == 2 else []
    return {
        "fields": [axis.field for axis in swept.axes],
        "bases": [{"name": base, **_look(i)} for i, base in enumerate(swept.bases)],
        "head": head,
        "rows": rows,
        "plots": plots,
        "maps": maps,
        "width": WIDTH,
        "height": HEIGHT,
    }


def _look(number: int) -> Json:
    return dict(zip(("colour", "mark"), look(number), strict=True))


def _row(comparison: Json, measure: str, name: str | None) -> Json | None:
    """The summary of a measure that can be compared; None if there is none."""
    fitting = (row for row in evened(comparison["summaries"]) if (row["measure"], row["experiment"]) == (measure, name))
    row = next(fitting, None)
    return None if row is None or row["other_protocol"] or row["mean"] is None else row


def _plot(comparison: Json, measure: str, swept: sweeps.Sweep) -> Json:
    """One measure: lines of each experiment that was varied, by places in the plot."""
    (axis,) = swept.axes
    at = _across(axis)
    aside = 0 if axis.numbers else _ASIDE  # where there are no lines, marks of one value stand beside each other
    points = {
        base: [
            (round(x + aside * (i - (len(swept.bases) - 1) / 2), 1), name, _row(comparison, measure, name))
            for x, value in zip(at, axis.values, strict=True)
            if (name := swept.experiments.get((base, value)))
        ]
        for i, base in enumerate(swept.bases)
    }
    seeds = {
        name: [value for _, value in values_by_seed(comparison["units"], name, measure)]
        for line in points.values()
        for _, name, row in line
        if row
    }
    rows = [row for line in points.values() for *_, row in line if row]
    numbers = [row[end] for row in rows for end in ("low", "mean", "high") if row[end] is not None]
    numbers += [value for values in seeds.values() for value in values]
    low, high = (min(numbers), max(numbers)) if numbers else (0.0, 1.0)
    margin = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    low, high = low - margin, high + margin

    def y(value: float) -> float:
        return round(HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM), 1)

    lines = []
    for i, (base, line) in enumerate(points.items()):
        known = [(x, row) for x, _, row in line if row]
        banded = [(x, row) for x, row in known if row["low"] is not None and row["high"] is not None]
        ends = [(x, y(row["low"])) for x, row in banded] + [(x, y(row["high"])) for x, row in reversed(banded)]
        lines.append(
            {
                "base": base,
                **_look(i),
                "band": _path(ends) if axis.numbers else "",
                "bars": [] if axis.numbers else [(x, y(row["low"]), y(row["high"])) for x, row in banded],
                "line": _path([(x, y(row["mean"])) for x, row in known]) if axis.numbers else "",
                "means": [(x, y(row["mean"]), f"{row['experiment']}: {interval(row)}") for x, row in known],
                "seeds": [(x, y(value)) for x, name, row in line if row for value in seeds[name]],
                "lost": [(x, name) for x, name, row in line if row is None and not finished(comparison, name)],
            }
        )
    return {
        "measure": measure,
        "better": evaluate.kind_of(measure).better,
        "field": axis.field,
        "across": _staggered(at, axis.values),
        "up": [(y(tick), text) for tick, text in (ticks_between(low, high) if numbers else [])],
        "left": _LEFT,
        "right": WIDTH - _RIGHT,
        "bottom": HEIGHT - _BOTTOM,
        "lines": lines,
    }


def _across(axis: sweeps.Axis) -> list[float]:
    """The places of an axis's values from left to right."""
    places = [math.log(place) for place in axis.places] if axis.is_logarithmic else axis.places
    edge = min(70.0, 4 + _LETTER / 2 * max(len(axis.values[0]), len(axis.values[-1])))
    inner = WIDTH - _LEFT - _RIGHT - 2 * edge
    return [round(_LEFT + edge + inner * (place - places[0]) / (places[-1] - places[0]), 1) for place in places]


def _staggered(at: Sequence[float], values: Sequence[str]) -> list[tuple[float, float, str]]:
    """(x, y, text) of each value: above each other in turn where they would touch, and cut where they would still; the
    mark says its whole name where it is pointed at."""
    gaps = [after - before for before, after in itertools.pairwise(at)]
    tight = any(_LETTER * len(value) > gap - 4 for value, gap in zip(values[1:], gaps, strict=True))
    lines = [HEIGHT - _BOTTOM + 18 + (13 if tight and i % 2 else 0) for i in range(len(values))]
    room = int((2 * min(gaps, default=WIDTH) - 4) / _LETTER)  # letters between every second value
    cut = [value if not tight or len(value) <= room else value[: max(room - 1, 1)] + "…" for value in values]
    return list(zip(at, lines, cut, strict=True))


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x} {y}" for x, y in points) if points else ""


def _lines(comparison: Json, name: str | None, row: Json | None) -> list[str]:
    """What stands in a cell: the mean, and its interval."""
    if row:
        mean, _, ends = interval(row).partition(" ")
        return [mean, ends]
    return ["" if name is None else "-" if finished(comparison, name) else "diverged", ""]


def _map(comparison: Json, measure: str, swept: sweeps.Sweep, base: str) -> Json:
    """One measure of one experiment over two fields, as cells with a share from the worst to the best."""
    rows, columns = swept.axes
    better = evaluate.kind_of(measure).better
    names = [[swept.experiments.get((base, row, column)) for column in columns.values] for row in rows.values]
    found = [[_row(comparison, measure, name) for name in line] for line in names]
    shares = iter(sweeps.shares([row["mean"] if row else None for line in found for row in line], better))
    winner = best(comparison["pairs"], measure)
    cells = [
        [
            {
                "lines": _lines(comparison, name, row),
                "share": next(shares),
                "best": name is not None and name == winner,
            }
            for name, row in zip(line, summaries, strict=True)
        ]
        for line, summaries in zip(names, found, strict=True)
    ]
    return {
        "measure": measure,
        "better": better,
        "base": base if len(swept.bases) > 1 else "",
        "rows": rows.field,
        "columns": columns.field,
        "heads": columns.values,
        "cells": list(zip(rows.values, cells, strict=True)),
    }
