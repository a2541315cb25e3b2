"""Numbers as the report shows them."""

from __future__ import annotations

import json
import math
from typing import Any

from gvlab.types import Json

DASH = "\u2013"
"""Stands where there is no number."""


def number(value: float | None, spread: float | None = None) -> str:
    """The value with two digits of its spread, or four of its own; a dash if there is none."""
    if value is None:
        return DASH
    scale = spread or abs(value)
    digits = 1 if spread else 3
    decimals = digits - math.floor(math.log10(scale)) if scale else 0
    if (abs(value) >= 1e7 or decimals > 9) and value:
        return f"{value:.3e}"
    return f"{value:,.{max(0, decimals)}f}"


def interval(row: Json, name: str) -> str:
    """`mean [low, high]` with two digits of half the interval's width."""
    value, low, high = row[name], row["low"], row["high"]
    if low is None or high is None:
        return number(value, row.get("sd"))
    width = (high - low) / 2
    return f"{number(value, width)} [{number(low, width)}, {number(high, width)}]"


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
