"""The ledger of published results: an experiment per published number, run over seeds and judged.

A reproduction is an experiment file that defines, besides `config()`, `published() -> Published`. What was found is
recorded as results/NAME.json beside it, and README.md there is made from these records; misses stay in the table.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from gvlab import compare, comparison, rundir, statistics
from gvlab import config as c
from gvlab.types import UserError

Judgement = Literal["reproduced", "undecided", "better", "not reached", "not judged", "other protocol"]
WIDEST = 0.1
"""Half an interval's width over the published number: a wider one reaches many numbers and reproduces none."""


@dataclass(frozen=True)
class Published:
    """A number from a paper, and how it was made."""

    citation: str
    """Authors, title, year."""
    where: str
    """Table or section."""
    value: float
    """In the measure's own unit and sign."""
    text: str
    """As it is printed: "86.76 nats"."""
    measure: str
    """Ours: iw_bound_nats, modes_covered, ..."""
    margin: float
    """How far off a reproduction may be: the printed spread, or half of the last printed digit."""
    protocol: str
    """As published, in a phrase."""
    differs: str
    """Where ours differs, in a phrase."""
    comparable: bool = True
    """False where the difference is one of data or measure, so that no number of ours can reproduce it."""


def judge(summary: statistics.Summary, published: Published, better: Literal["lower", "higher"]) -> Judgement:
    """Whether the interval of our mean says that the number was reproduced.

    reproduced: the interval reaches into published +- margin; undecided: it does, but is too wide to say anything;
    better, not reached: it lies to one side of that; not judged: too few seeds for an interval; other protocol: it is
    not `comparable`.
    """
    if not published.comparable:
        return "other protocol"
    if summary.low is None or summary.high is None:
        return "not judged"
    if summary.low <= published.value + published.margin and summary.high >= published.value - published.margin:
        narrow = (summary.high - summary.low) / 2 <= max(WIDEST * abs(published.value), published.margin)
        return "reproduced" if narrow else "undecided"
    above = summary.low > published.value
    return "better" if above == (better == "higher") else "not reached"


def reproduce(
    file: Path,
    experiment: c.Experiment,
    published: Published,
    steps: int,
    seeds: int,
    out: Path,
    listen: compare.Listen,
) -> dict[str, Any]:
    """Runs a reproduction as a comparison of one experiment, records what was found, and makes README.md anew.

    Args:
        file: the reproduction's experiment file.
        experiment: its config.
        published: its number.
        steps: to train for; if they are fewer than the config's, the record says so.
        seeds: how many.
        out: the directory of the comparison.
        listen: hears of the training.

    Raises:
        UserError: the experiment has no such measure.
    """
    kept = rundir.read_json(file.parent / "results" / f"{file.stem}.json")
    if kept and (kept["steps"], len(kept["values"])) > (steps, seeds):
        raise UserError(
            f"The ledger has {file.stem} with {len(kept['values'])} seeds of {kept['steps']} steps, more than {seeds} "
            f"of {steps}: ask for at least as much, or use gvlab compare {file}."
        )
    found = compare.run(compare.Plan((replace(experiment, steps=steps),), seeds), out, listen)
    rows = [row for row in found["summaries"] if row["measure"] == published.measure]
    if not rows and any(unit["measures"] for unit in found["units"]):
        known = ", ".join(row["measure"] for row in found["summaries"])
        raise UserError(f"{file.stem} is about {published.measure}, but {experiment.name} has only {known}.")
    values = [unit["measures"][published.measure]["value"] if unit["measures"] else None for unit in found["units"]]
    better = comparison.better(published.measure)
    if better is None:
        raise UserError(
            f"{file.stem} is about {published.measure}, which has no good direction: choose another measure."
        )
    summary = statistics.summarise(values)
    environment = found["units"][0]["environment"]
    record = {
        "schema": 1,
        "name": file.stem,
        "published": dataclasses.asdict(published),
        "better": better,
        "values": values,
        "summary": dataclasses.asdict(summary),
        "verdict": judge(summary, published, better),
        "steps": steps,
        "full_steps": experiment.steps,
        "config": c.to_dict(experiment),
        "stamp": rows[0]["stamp"] if rows else None,
        "date": datetime.date.today().isoformat(),
        "device": f"{environment['device']}, {environment['cpu_threads']} threads",
        "versions": {name: environment[name] for name in ("gvlab", "jax", "jaxlib", "flax", "optax")},
        "seconds": [unit["timing"]["seconds"] for unit in found["units"]],
        "state_sha256": [unit["state_sha256"] for unit in found["units"]],
    }
    results = file.parent / "results"
    results.mkdir(exist_ok=True)
    rundir.write_atomically(results / f"{file.stem}.json", json.dumps(record, indent=1, allow_nan=False) + "\n")
    write_ledger(file.parent)
    return record


HEADER = ("name", "published", "measure", "ours [95 % interval]", "seeds", "verdict", "steps", "cost", "device", "date")


def row(record: dict[str, Any]) -> list[str]:
    """A record as text, under `HEADER`."""
    seconds = sum(record["seconds"]) / len(record["seconds"])
    summary = record["summary"]
    short = "" if record["steps"] >= record["full_steps"] else f" of {record['full_steps']:,} (shortened)"
    return [
        record["name"],
        record["published"]["text"],
        record["published"]["measure"],
        comparison.interval(summary),
        f"{summary['n']} of {summary['total']}",
        judge(statistics.Summary(**summary), Published(**record["published"]), record["better"]),
        f"{record['steps']:,}{short}",
        f"{seconds / 60:.1f} min a seed",
        record["device"],
        record["date"],
    ]


def ledger(directory: Path) -> str:
    """README.md of a directory of reproductions, from its results."""
    records = [rundir.read_json(file) for file in sorted((directory / "results").glob("*.json"))]
    made = [record for record in records if record is not None]
    lines = [HEADER, ["---"] * len(HEADER), *(row(record) for record in made)]
    table = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    notes = "".join(
        f"- **{record['name']}**: {record['published']['citation']}, {record['published']['where']}. "
        f"Protocol: {record['published']['protocol']}. Ours differs: {record['published']['differs']}.\n"
        for record in made
    )
    head = (
        "# Published results, run again\n\n"
        "Made by `gvlab reproduce NAME` from `results/`; misses stay. *Reproduced* means that the 95 % interval of\n"
        "our mean reaches into the published number and its margin (the printed spread, or half of the last digit);\n"
        "*undecided*, that it does but is wider than a tenth of the number either way; *better* and *not reached*,\n"
        "that it lies to one side; *other protocol*, that data or measure differ, so that nothing is judged.\n"
    )
    waiting = sorted(
        file.stem for file in directory.glob("[a-z]*.py") if file.stem not in {record["name"] for record in made}
    )
    todo = f"\nNot run yet: {', '.join(f'`{name}`' for name in waiting)}.\n" if waiting else ""
    return f"{head}\n{table}\n{notes}{todo}"


def write_ledger(directory: Path) -> Path:
    """Writes README.md from the recorded results."""
    rundir.write_atomically(directory / "README.md", ledger(directory))
    return directory / "README.md"
