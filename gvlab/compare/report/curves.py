"""Training curves, thinned for the page."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gvlab.compare.report.reading import Unit
from gvlab.runs.curves import WALL_CLOCK
from gvlab.types import Json

CURVE_POINTS = 200
"""A seed's curve is thinned to this many logged steps."""


CURVE_DIGITS = 5
"""Significant digits of a curve's values."""


def curves(names: list[str], units: list[Unit]) -> Json:
    """What the page's script draws: each experiment's steps, and for each term the seeds' values and quartiles."""
    lines = [line for unit in units for line in unit.lines]
    terms = [name for name in dict.fromkeys(name for line in lines for name in line)]
    terms = [term for term in terms if term not in ("step", *WALL_CLOCK)]
    return {
        "terms": terms,
        "experiments": [_experiment_curves(name, [u for u in units if u.experiment == name], terms) for name in names],
    }


def _experiment_curves(name: str, units: list[Unit], terms: list[str]) -> Json:
    logged = [{line["step"]: line for line in unit.lines} for unit in units]
    # The last step of a diverged seed is always shown, because there stands its mark.
    ends = {max(lines) for unit, lines in zip(units, logged, strict=True) if unit.diverged and lines}
    every = sorted({step for lines in logged for step in lines})
    steps = sorted(ends | set(evenly(every, max(2, CURVE_POINTS - len(ends)))))
    drawn = {}
    for term in terms:
        values = [[_rounded(lines.get(step, {}).get(term)) for step in steps] for lines in logged]
        if any(value is not None for curve in values for value in curve):
            drawn[term] = {"seeds": values, **_quartiles(values)}
    return {
        "name": name,
        "steps": steps,
        "seeds": [{"seed": unit.seed, "diverged": unit.diverged} for unit in units],
        "terms": drawn,
    }


def _quartiles(curves: list[list[float | None]]) -> dict[str, list[float | None]]:
    """First quartile, median and third quartile of the seeds that have a value at the step."""
    columns = [[value for value in column if value is not None] for column in zip(*curves, strict=True)]
    rows = [np.quantile(column, (0.25, 0.5, 0.75)).tolist() if column else (None, None, None) for column in columns]
    return {name: [_rounded(row[i]) for row in rows] for i, name in enumerate(("low", "median", "high"))}


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.{CURVE_DIGITS}g}")


def evenly(items: Sequence[int], most: int) -> list[int]:
    """At most `most` of the items, evenly chosen, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]
