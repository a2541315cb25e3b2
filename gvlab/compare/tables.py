"""A comparison as text: cells, tables, and the files comparison.csv, table.md, table.tex and comparison.json."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from pathlib import Path

from gvlab import statistics
from gvlab.compare.remarks import folded
from gvlab.files import write_atomically
from gvlab.numbers import DASH, interval, number, spread_of
from gvlab.types import Json

HEADER = (
    *("experiment", "measure", "better", "mean [95 % interval]", "sd", "median", "iqm", "best", "worst", "failed"),
    "protocol",
)


def table(comparison: Json) -> list[list[str]]:
    """The table as text, under `HEADER`."""
    return [cells(row) for row in [*comparison["summaries"], *lost(comparison)]]


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
    rows = [[_plain(cell) for cell in row] for row in table(comparison)]
    lines = [HEADER, ["---"] * 3 + ["---:"] * (len(HEADER) - 3), *rows]
    text = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    return f"{_plain(comparison['verdict'])}\n\n{text}" + "".join(
        f"\n{_plain(remark)}\n" for remark in comparison["remarks"]
    )


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    return re.sub(r"[\\`*|]|<(?=[A-Za-z/!?])", lambda match: "\\" + match[0], folded(text))


def latex(comparison: Json) -> str:
    """A booktabs table: measures in rows, experiments in columns, each mean with its 95 % interval."""
    names = [experiment["name"] for experiment in comparison["experiments"]]
    by = {(row["measure"], row["experiment"]): row for row in comparison["summaries"]}
    seeds = f"{len(comparison['seeds'])} seed{'s'[: len(comparison['seeds']) > 1]}"
    lines = [
        f"% gvlab {comparison['gvlab']}: mean over {seeds} with 95% intervals",
        "% (BCa bootstrap, widened to at least Student's); no intervals below 3 seeds",
        *(f"% {folded(remark)}" for remark in comparison["remarks"]),
        rf"\begin{{tabular}}{{l{'r' * len(names)}}}",
        r"\toprule",
        " & ".join(["measure", *map(_escaped, names)]) + r" \\",
        r"\midrule",
    ]
    for measure in dict.fromkeys(row["measure"] for row in comparison["summaries"]):
        shown = [by.get((measure, name)) for name in names]
        direction = next(one["better"] for one in shown if one)
        arrow = {"lower": r" $\downarrow$", "higher": r" $\uparrow$", None: ""}[direction]
        row = ["--" if not one or one["other_protocol"] else _typeset(one) for one in shown]
        lines.append(" & ".join([_escaped(measure) + arrow, *row]) + r" \\")
    failed = {row["experiment"]: _escaped(_failed(row)) for row in lost(comparison)}
    if failed:
        lines.append(" & ".join(["diverged", *(failed.get(name, "--") for name in names)]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _typeset(row: Json) -> str:
    """mean [low, high], and of how many seeds if some were lost."""
    lost = f" ({row['n']} of {row['total']} seeds)" if row["failures"] else ""
    return re.sub(r"(?<![\w.])-(?=\d)", "$-$", _escaped(interval(row) + lost))


def _escaped(text: str) -> str:
    named = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return re.sub(r"[_%&#${}\\~^]", lambda match: named.get(match[0], rf"\{match[0]}"), folded(text))


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


def texts(comparison: Json) -> dict[str, str]:
    """comparison.csv, table.md, table.tex and comparison.json, by name."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["experiment", "seed", "measure", "value", "stamp"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(tidy(comparison))
    return {
        "comparison.csv": text.getvalue(),
        "table.md": markdown(comparison),
        "table.tex": latex(comparison),
        "comparison.json": json.dumps(comparison, indent=1, allow_nan=False) + "\n",
    }


def write(comparison: Json, root: Path) -> None:
    """Writes the `texts` into the comparison's directory, comparison.json last."""
    for name, text in texts(comparison).items():
        write_atomically(root / name, text)
