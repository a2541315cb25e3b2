"""The interval plot."""

from __future__ import annotations

import math

from gvlab.compare.written import values_by_seed
from gvlab.types import Json


def forest(measure: str, rows: list[Json], units: list[Json]) -> Json:
    """One measure's intervals and seeds as places in per cent of the plot's width."""
    seeds = {row["experiment"]: values_by_seed(units, row["experiment"], measure) for row in rows}
    shown = [row for row in rows if not row["other_protocol"]]
    numbers = [row[name] for row in shown for name in ("mean", "low", "high") if row[name] is not None]
    numbers += [value for row in shown for _, value in seeds[row["experiment"]]]
    low, high = (min(numbers), max(numbers)) if numbers else (0.0, 1.0)
    margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    low, high = low - margin, high + margin

    def place(value: float | None) -> float | None:
        return None if value is None else round(100 * (value - low) / (high - low), 2)

    ticks = ticks_between(low, high) if numbers else []
    return {
        "measure": measure,
        "better": rows[0]["better"],
        "ticks": [(at, text) for tick, text in ticks if 6 < (at := place(tick) or 0) < 94],  # their texts fit in
        "rows": [
            {
                **row,
                "at": {name: place(row[name]) for name in ("mean", "low", "high")},
                "seeds": [(seed, value, place(value)) for seed, value in seeds[row["experiment"]]],
            }
            if not row["other_protocol"]
            else {**row, "seeds": []}
            for row in rows
        ],
    }


def ticks_between(low: float, high: float, most: int = 5) -> list[tuple[float, str]]:
    """At most `most` round numbers between low and high, with their texts."""
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(power * times for times in (1, 2, 5, 10, 20) if (high - low) / (power * times) < most)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(low / step), math.floor(high / step)
    values = [i * step for i in range(first, last + 1)]
    wide = max(abs(low), abs(high)) >= 1e6
    return [(value, f"{value:.3g}" if wide else f"{value:,.{decimals}f}") for value in values]
