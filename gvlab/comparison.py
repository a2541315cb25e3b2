"""What a comparison found: one JSON object, and tables of it.

comparison.json, schema 1:

    schema, gvlab, match    of the file; the version; what the numbers of steps were made equal in, or null
    seeds                   [0, 1, ...]
    experiments             [{name, family, steps, images, config, dataset: {name, sha256}}]
    units                   [{experiment, seed, directory, status, failure, state_sha256, measures, cost, timing,
                            environment}]
    summaries               [{experiment, measure, better, stamp, protocol, warnings, other_protocol, and
                            `statistics.Summary`}]
    pairs                   [{measure, first, second, verdict, p_holm, failures, and `statistics.Paired`}]
    primary, verdict        the measure that the verdict is about; one sentence
    remarks                 [sentence]
    commands                {rerun, report, verify}
"""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from gvlab import __version__, evaluate, rundir, statistics
from gvlab import config as c
from gvlab.units import Unit

SCHEMA = 1
Json = dict[str, Any]

_LOWER = (
    "fid",
    "fld_",
    "frechet",
    "kid",
    "kld_",
    "kernel_",
    "sliced_wasserstein",
    "bits_per_dim",
    "reverse_kl",
    "kl_to",
)
_HIGHER = (
    *("elbo_nats", "iw_bound_nats", "ais_bound_nats", "precision", "recall", "density", "coverage", "improved_"),
    *("prd_f", "class_score", "inception_score", "isc", "modes_covered", "high_quality", "authenticity"),
)
_FIRST = ("iw_bound_nats", "fid", "fld_", "modes_covered", "frechet", "elbo_nats")
"""What the verdict is about, in the order of preference."""
_DECISIVE = ("jax", "jaxlib", "flax", "optax", "numpy", "backend", "device", "cpu_threads", "xla_flags")
"""Of the environment: what bits depend on."""


def better(measure: str) -> Literal["lower", "higher"] | None:
    """Which direction of a measure is the good one; None for those that describe and don't judge."""
    if measure.startswith(_LOWER):
        return "lower"
    return "higher" if measure.startswith(_HIGHER) else None


def collect(
    experiments: Sequence[c.Experiment], seeds: int, match: str | None, units: Sequence[Unit], root: Path
) -> Json:
    """Everything that is known of a comparison, from its units alone."""
    summaries = _summaries([e.name for e in experiments], units)
    primary = _primary([e.name for e in experiments], summaries)
    pairs = _pairs(primary, summaries, units)
    return {
        "schema": SCHEMA,
        "gvlab": __version__,
        "match": match,
        "seeds": list(range(seeds)),
        "experiments": [_experiment(experiment, units) for experiment in experiments],
        "units": [_unit(unit, root) for unit in units],
        "summaries": summaries,
        "pairs": pairs,
        "primary": primary,
        "verdict": verdict(primary, [e.name for e in experiments], seeds, summaries, pairs),
        "remarks": _remarks(units, summaries),
        "commands": _commands(root, units),
    }


def _experiment(experiment: c.Experiment, units: Sequence[Unit]) -> Json:
    dataset = next(unit.record["dataset"] for unit in units if unit.experiment == experiment.name)
    return {
        "name": experiment.name,
        "family": type(experiment.model).__name__,
        "steps": experiment.steps,
        "images": experiment.steps * experiment.examples_per_step,
        "config": c.to_dict(experiment),
        "dataset": dataset,
    }


def _unit(unit: Unit, root: Path) -> Json:
    copied = ("status", "failure", "state_sha256", "group", "cost", "timing")
    return {
        "experiment": unit.experiment,
        "seed": unit.seed,
        "directory": unit.run.relative_to(root).as_posix(),
        **{name: unit.record[name] for name in copied},
        "measures": unit.measures,
        "environment": rundir.read_json(unit.run / "environment.json"),
    }


def _commands(root: Path, units: Sequence[Unit]) -> dict[str, str]:
    where = shlex.quote(root.resolve().name)
    together = max(len(unit.record["group"]) for unit in units)
    return {
        "rerun": f"gvlab compare {where}/plan.json --out NEW --together {together}",
        "report": f"gvlab report {where}",
        "verify": f"gvlab verify {where}",
    }


# --- statistics ------------------------------------------------------------------------------------------------------


def _summaries(names: Sequence[str], units: Sequence[Unit]) -> list[Json]:
    """One row per measure and experiment; a number of another protocol than the first of its name is marked."""
    rows = []
    protocols: dict[str, tuple[str, Json]] = {}
    for name in names:
        mine = [unit for unit in units if unit.experiment == name]
        for measure in dict.fromkeys(measure for unit in mine for measure in unit.measures or {}):
            stamps = [unit.measures[measure]["stamp"] for unit in mine if unit.measures and measure in unit.measures]
            first, protocol = protocols.setdefault(measure, (name, stamps[0]))
            others = (_other_protocol(measure, first, protocol, name, stamp) for stamp in stamps)
            warnings = dict.fromkeys(stamp[k] for stamp in stamps for k in ("warning", "note") if k in stamp)
            rows.append(
                {
                    "experiment": name,
                    "measure": measure,
                    "better": better(measure),
                    "stamp": {key: value for key, value in stamps[0].items() if key not in ("seed", "step")},
                    "protocol": evaluate.described(stamps[0]),
                    "warnings": list(warnings),
                    "other_protocol": next(filter(None, others), None),
                    **dataclasses.asdict(statistics.summarise(values(mine, measure))),
                }
            )
    return rows


def values(units: Sequence[Unit], measure: str) -> list[float | None]:
    """Of one experiment, by seed; None where a seed diverged."""
    return [float(u.measures[measure]["value"]) if u.measures and measure in u.measures else None for u in units]


def _other_protocol(measure: str, first: str, protocol: Json, name: str, stamp: Json) -> str | None:
    found = evaluate.difference(protocol, stamp)
    if found is None:
        return None
    here, there = (f"{found.field} = {value}" for value in (found.second, found.first))
    return f"{measure} of {name} has {here}, that of {first} {there}: they cannot be compared."


def _pairs(primary: str | None, summaries: Sequence[Json], units: Sequence[Unit]) -> list[Json]:
    """Every two experiments on every measure that judges.

    The p-values of the primary measure's pairs are one family (Holm). Those of all other measures are another, all
    together: among a dozen measures one in three comparisons of equals would find a "better" one otherwise. An
    experiment that lost more seeds than the other is not called better for what its survivors did.
    """
    rows = []
    for measure in dict.fromkeys(row["measure"] for row in summaries if row["better"]):
        shown = [row["experiment"] for row in summaries if row["measure"] == measure and not row["other_protocol"]]
        by_name = {name: values([u for u in units if u.experiment == name], measure) for name in shown}
        for first, second in itertools.combinations(shown, 2):
            pair = statistics.paired(by_name[first], by_name[second])
            failures = [by_name[name].count(None) for name in (first, second)]
            rows.append((measure, first, second, pair, failures))
    adjusted: dict[int, float | None] = {}
    for family in ([i for i, row in enumerate(rows) if (row[0] == primary) == main] for main in (True, False)):
        adjusted |= zip(family, statistics.holm([rows[i][3].p for i in family]), strict=True)
    return [
        {
            "measure": measure,
            "first": first,
            "second": second,
            **dataclasses.asdict(pair),
            "failures": failures,
            "p_holm": adjusted[i],
            "verdict": _decided(statistics.verdict(pair, adjusted[i], better(measure)), failures),
        }
        for i, (measure, first, second, pair, failures) in enumerate(rows)
    ]


def _decided(verdict: str, failures: list[int]) -> str:
    """The verdict, unless its winner lost more seeds than the other."""
    lost = {"first": failures[0] - failures[1], "second": failures[1] - failures[0]}
    return "undecided" if lost.get(verdict, 0) > 0 else verdict


def _primary(names: Sequence[str], summaries: Sequence[Json]) -> str | None:
    """The measure that the verdict is about: the first in the order of preference that all experiments share."""
    shown = [row for row in summaries if row["better"] and not row["other_protocol"]]
    shared = [
        measure
        for measure in dict.fromkeys(row["measure"] for row in shown)
        if {row["experiment"] for row in shown if row["measure"] == measure} == set(names)
    ]
    # By name within a rank: the order of the experiments decides nothing.
    preferred = [measure for prefix in _FIRST for measure in sorted(shared) if measure.startswith(prefix)]
    return next(iter([*preferred, *sorted(shared)]), None)


def verdict(
    primary: str | None, names: Sequence[str], seeds: int, summaries: Sequence[Json], pairs: Sequence[Json]
) -> str:
    """One sentence on the primary measure. Nothing is called better unless its interval and its test say so."""
    listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    if not summaries:
        return f"No run of {listed} came to its end."
    lost = [name for name in names if not any(row["experiment"] == name for row in summaries)]
    if lost:
        return f"{' and '.join(lost)} diverged in every seed, so that there is nothing to compare {listed} by."
    if primary is None:
        return f"{listed} share no measure that judges, under one protocol: none can be called better."
    rows = [row for row in summaries if row["measure"] == primary]
    about = f"On {primary} ({rows[0]['better']} is better)"
    if len(names) == 1:
        return f"{about}, {listed} reaches {interval(rows[0])} over {rows[0]['n']} of {rows[0]['total']} seeds."
    if seeds < 3:
        return f"{about}, nothing can be said of {listed}: {seeds} seed{'s'[: seeds > 1]} give no interval, 3 would."
    return f"{about}, {'; '.join(_judged(pair) for pair in pairs if pair['measure'] == primary)}."


def _judged(pair: Json) -> str:
    first, second = pair["first"], pair["second"]
    numbers = f"{first} minus {second}: {interval(pair, 'difference')}, adjusted p = {number(pair['p_holm'])}"
    if pair["verdict"] in ("first", "second"):
        winner, loser = (first, second) if pair["verdict"] == "first" else (second, first)
        return f"{winner} is better than {loser} ({numbers}{_lost(pair)})"
    if pair["low"] is None:
        return f"{first} and {second} cannot be told apart: {pair['n']} pairs of seeds came to their end{_lost(pair)}"
    more = (
        f"; about {pair['seeds_needed']} seeds would settle a difference of this size" if pair["seeds_needed"] else ""
    )
    few = f"; {pair['n']} pairs cannot reach p = 0.05" if (pair["smallest_p"] or 0) > statistics.ALPHA else ""
    return f"{pair['n']} seeds don't tell {first} and {second} apart ({numbers}{few}{_lost(pair)}){more}"


def _lost(pair: Json) -> str:
    """Which of the two lost seeds, in words."""
    lost = [(name, n) for name, n in zip((pair["first"], pair["second"]), pair["failures"], strict=True) if n]
    seeds = pair["n"] + pair["left_out"]
    return "".join(f"; {name} diverged in {n} of {seeds} seeds" for name, n in lost)


def _remarks(units: Sequence[Unit], summaries: Sequence[Json]) -> list[str]:
    """What the tables don't show, and why."""
    remarks = [f"{u.experiment}, seed {u.seed}, diverged: {u.failure}" for u in units if u.failure]
    remarks += [row["other_protocol"] for row in summaries if row["other_protocol"]]
    warned: dict[str, list[str]] = {}
    for row in summaries:
        for text in row["warnings"]:
            warned.setdefault(text, []).append(f"{row['measure']} of {row['experiment']}")
    remarks += [f"{', '.join(of)}: {text}." for text, of in warned.items()]
    environments = [rundir.read_json(unit.run / "environment.json") or {} for unit in units]
    for field in _DECISIVE:
        found = list(dict.fromkeys(str(environment.get(field)) for environment in environments))
        if len(found) > 1:
            remarks.append(f"The units were made in different environments: {field} was {' or '.join(found)}.")
    return remarks


def difference_of_environments(before: Json) -> str | None:
    """Where an environment.json differs from this process's in what bits depend on, in words; None if nowhere."""
    now = rundir.environment()
    changed = [
        f"{name} was {before.get(name)} and is {now[name]}" for name in _DECISIVE if before.get(name) != now[name]
    ]
    return ", ".join(changed) or None


# --- tables ----------------------------------------------------------------------------------------------------------


def number(value: float | None) -> str:
    """Four significant digits; a dash where there is no value."""
    if value is None:
        return "-"
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"


def interval(row: Json, name: str = "mean") -> str:
    """mean [low, high]; a dash where there is no value, the mean alone where there is no interval."""
    if row[name] is None or row["low"] is None:
        return number(row[name])
    return f"{number(row[name])} [{number(row['low'])}, {number(row['high'])}]"


HEADER = (
    "experiment",
    "measure",
    "better",
    "mean [95 % interval]",
    "sd",
    "median",
    "iqm",
    "best",
    "worst",
    "failed",
    "protocol",
)


def cells(row: Json) -> list[str]:
    """A summary as text, under `HEADER`."""
    named = [row["experiment"], row["measure"], row["better"] or ""]
    ending = [f"{row['failures']} of {row['total']}", row["protocol"]]
    if row["other_protocol"]:
        return [*named, *["-"] * 6, *ending]
    ends = [number(row["minimum"]), number(row["maximum"])]
    best, worst = {"lower": ends, "higher": ends[::-1], None: ["-", "-"]}[row["better"]]
    middle = [number(row[name]) for name in ("sd", "median", "iqm")]
    return [*named, interval(row), *middle, best, worst, *ending]


def markdown(found: Json) -> str:
    """The verdict, the table and the remarks in Markdown."""
    rows = [[cell.replace("|", r"\|") for cell in cells(row)] for row in found["summaries"]]
    lines = [HEADER, ["---"] * 3 + ["---:"] * (len(HEADER) - 3), *rows]
    table = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    return f"{found['verdict']}\n\n{table}" + "".join(f"\n{remark}\n" for remark in found["remarks"])


def latex(found: Json) -> str:
    """A booktabs table: measures in rows, experiments in columns, each mean with its 95 % interval."""
    names = [experiment["name"] for experiment in found["experiments"]]
    by = {(row["measure"], row["experiment"]): row for row in found["summaries"]}
    lines = [
        f"% gvlab {found['gvlab']}: means over {len(found['seeds'])} seeds with 95% intervals",
        "% (BCa bootstrap, widened to at least Student's); no intervals below 3 seeds",
        *(f"% {remark}" for remark in found["remarks"]),
        rf"\begin{{tabular}}{{l{'r' * len(names)}}}",
        r"\toprule",
        " & ".join(["measure", *map(_escaped, names)]) + r" \\",
        r"\midrule",
    ]
    for measure in dict.fromkeys(row["measure"] for row in found["summaries"]):
        arrow = {"lower": r" $\downarrow$", "higher": r" $\uparrow$", None: ""}[better(measure)]
        shown = [by.get((measure, name)) for name in names]
        row = ["--" if not one or one["other_protocol"] else _escaped(interval(one)) for one in shown]
        lines.append(" & ".join([_escaped(measure) + arrow, *row]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _escaped(text: str) -> str:
    named = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return re.sub(r"[_%&#${}\\~^]", lambda found: named.get(found[0], rf"\{found[0]}"), text)


def tidy(found: Json) -> list[Json]:
    """One row per unit and measure; a diverged unit has one row without a measure."""
    rows = []
    for unit in found["units"]:
        of = {"experiment": unit["experiment"], "seed": unit["seed"]}
        for measure, one in (unit["measures"] or {}).items():
            rows.append(of | {"measure": measure, "value": one["value"], "stamp": json.dumps(one["stamp"])})
        if not unit["measures"]:
            rows.append(of | {"measure": None, "value": None, "stamp": None})
    return rows


def texts(found: Json) -> dict[str, str]:
    """comparison.csv, table.md, table.tex and comparison.json, by name."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["experiment", "seed", "measure", "value", "stamp"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(tidy(found))
    return {
        "comparison.csv": text.getvalue(),
        "table.md": markdown(found),
        "table.tex": latex(found),
        "comparison.json": json.dumps(found, indent=1, allow_nan=False) + "\n",
    }


def write(found: Json, root: Path) -> None:
    """Writes the `texts` into the comparison's directory, comparison.json last."""
    for name, text in texts(found).items():
        rundir.write_atomically(root / name, text)
