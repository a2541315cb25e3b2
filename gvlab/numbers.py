"""Numbers as text: the one place that rounds, for the terminal, the tables, the verdict and the report."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

DASH = "-"
"""Stands where there is no number."""


def number(value: float | None, spread: float | None = None) -> str:
    """The value with two digits of its spread; without one, with four digits of its own; a dash if there is none."""
    if value is None:
        return DASH
    decimals = 1 - math.floor(math.log10(spread)) if spread else 0
    if not spread or decimals > 9 or abs(value) >= 1e7:
        return f"{value:.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.4g}"
    return f"{value:.{max(0, decimals)}f}"


def spread_of(row: dict[str, Any]) -> float | None:
    """What decides the digits of all numbers of a summary or a pair: half its interval's width or, where there is no
    interval, its standard deviation."""
    if row["low"] is None or row["high"] is None:
        return row.get("spread") or row.get("sd")
    return (row["high"] - row["low"]) / 2


def evened(summaries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Summaries, of which those without an interval have one `spread` for each measure, and so one number of decimals.

    Their own standard deviations are chance: of two seeds 1461.9 would stand beside 1362.933. It is their middle one,
    or less where a mean would lose its first two digits by it and is no noise.
    """
    rows = list(summaries)
    shared: dict[str, float] = {}
    for measure in dict.fromkeys(row["measure"] for row in rows):
        known = [row for row in rows if row["measure"] == measure and row["low"] is None and row.get("sd")]
        if known:
            middle = sorted(row["sd"] for row in known)[len(known) // 2]
            shared[measure] = min(middle, *(max(abs(row["mean"]), row["sd"]) for row in known))
    return [
        row | {"spread": shared[row["measure"]]} if row["low"] is None and row["measure"] in shared else row
        for row in rows
    ]


def interval(row: dict[str, Any], name: str = "mean") -> str:
    """`mean [low, high]`; a dash where there is no value, the mean alone where there is no interval."""
    spread = spread_of(row)
    if row[name] is None or row["low"] is None or row["high"] is None:
        return number(row[name], spread)
    return f"{number(row[name], spread)} [{number(row['low'], spread)}, {number(row['high'], spread)}]"


def with_half(row: dict[str, Any], name: str = "mean") -> tuple[str, str | None]:
    """The value and half the width of its interval, both with two digits of that; None where there is no interval."""
    spread = spread_of(row)
    if row["low"] is None or row["high"] is None:
        return number(row[name], spread), None
    return number(row[name], spread), number(spread, spread)


def percent(fraction: float | None) -> str:
    return DASH if fraction is None else f"{100 * fraction:.0f} %"


def scaled(value: float | None, unit: str) -> str:
    """Three digits with a decimal prefix."""
    if value is None:
        return DASH
    power = min(max(0, math.floor(math.log10(value) / 3) if value > 0 else 0), 6)
    return f"{value / 1000**power:.3g} {('', 'k', 'M', 'G', 'T', 'P', 'E')[power]}{unit}"


def size(value: float | None) -> str:
    """Three digits with a binary prefix."""
    if value is None:
        return DASH
    power = min(max(0, int(math.log2(value) // 10) if value > 0 else 0), 4)
    return f"{value / 1024**power:.3g} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"


def times(mean: float | None, fastest: float | None, slowest: float | None) -> str:
    """`mean [fastest, slowest]`, all in the unit that suits the mean."""
    if mean is None or fastest is None or slowest is None:
        return DASH
    size, unit = next((size, unit) for size, unit in ((3600, "h"), (60, "min"), (0, "s")) if mean >= size)
    scaled = [f"{seconds / max(size, 1):.3g}" for seconds in (mean, fastest, slowest)]
    return f"{scaled[0]} [{scaled[1]}, {scaled[2]}] {unit}"


def plain(value: Any) -> str:
    """A value of a config, stamp or environment."""
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        return " ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
