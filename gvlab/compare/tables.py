"""A comparison as text: cells and tables."""

from __future__ import annotations

import dataclasses
import json

from gvlab import statistics
from gvlab.compare.remarks import escaped_markdown, folded
from gvlab.numbers import DASH, evened, interval, number, spread_of
from gvlab.types import Json

HEADER = (
    *("experiment", "measure", "better", "mean [95 % interval]", "sd", "median", "iqm", "best", "worst", "failed"),
    "protocol",
)


def table(comparison: Json) -> list[list[str]]:
    """The table as text, under `HEADER`."""
    return [cells(row) for row in [*evened(comparison["summaries"]), *lost(comparison)]]


def lost(comparison: Json) -> list[Json]:
    """For each experiment of which every seed diverged, and which so has no summaries, a row like one, without numbers
    but its failure rate."""
    rows = []
    for name in (experiment["name"] for experiment in comparison["experiments"]):
        failed = [unit["failure"] is not None for unit in comparison["units"] if unit["experiment"] == name]
        if failed and all(failed):
            head = {"experiment": name, "measure": "diverged", "better": None, "protocol": "-", "other_protocol": None}
            rows.append(head | dataclasses.asdict(statistics.summarise([None] * len(failed))))
    return rows


def _failed(row: Json) -> str:
    """3 of 8; where there is nothing else to say with the interval of the rate: 3 of 3 [44 %, 100 %]."""
    interval = f" [{100 * row['failure_low']:.0f} %, {100 * row['failure_high']:.0f} %]" if row["n"] == 0 else ""
    return f"{row['failures']} of {row['total']}{interval}"


def cells(row: Json) -> list[str]:
    """A summary as text, under `HEADER`."""
    named = [folded(row["experiment"]), row["measure"], row["better"] or ""]
    ending = [_failed(row), row["protocol"]]
    if row["other_protocol"]:
        return [*named, *[DASH] * 6, *ending]
    spread = spread_of(row)
    ends = [number(row["minimum"], spread), number(row["maximum"], spread)]
    best, worst = {"lower": ends, "higher": ends[::-1], None: [DASH, DASH]}[row["better"]]
    middle = [number(row[name], spread) for name in ("sd", "median", "iqm")]
    return [*named, interval(row), *middle, best, worst, *ending]


def markdown(comparison: Json) -> str:
    """The verdict, the table and the remarks in Markdown."""
    rows = [[escaped_markdown(cell) for cell in row] for row in table(comparison)]
    lines = [HEADER, ["---"] * 3 + ["---:"] * (len(HEADER) - 3), *rows]
    text = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    return f"{escaped_markdown(comparison['verdict'])}\n\n{text}" + "".join(
        f"\n{escaped_markdown(remark)}\n" for remark in comparison["remarks"]
    )


def tidy(comparison: Json) -> list[Json]:
    """One row per unit and measure; a diverged unit has one row without a measure."""
    rows = []
    for unit in comparison["units"]:
        of = {"experiment": unit["experiment"], "seed": unit["seed"]}
        for measure, one in (unit["measures"] or {}).items():
            rows.append(of | {"measure": measure, "value": one["value"], "stamp": json.dumps(one["stamp"])})
        if not unit["measures"]:
            rows.append(of | {"measure": None, "value": None, "stamp": None})
    return rows
