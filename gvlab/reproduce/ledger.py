"""The ledger as a page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict

from gvlab import config as c
from gvlab import numbers, statistics
from gvlab.config import experiment_file
from gvlab.files import REMEDY, read_json, write_atomically
from gvlab.reproduce.published import expected, judge, load_published
from gvlab.schema import Count
from gvlab.types import Json, UserError

HEADER = (
    *("name", "published", "runs", "measure", "ours [95 % interval]", "seeds", "expected of as many runs", "verdict"),
    *("steps", "cost", "device", "date"),
)
"""Of the ledger's table."""


class _Record(TypedDict):
    """Of results/NAME.json."""

    schema: int
    name: str
    measure: str
    values: list[float | None]
    """By seed; None where one diverged."""
    steps: Count
    config: Json
    device: str
    date: str
    seconds: list[float | None]


def read_record(file: Path) -> Json | None:
    """results/NAME.json of the ledger; None where there is none (`UserError` if it is damaged)."""
    record = read_json(file, _Record)
    if record is None:
        return None
    try:
        c.from_dict(record["config"])
        if not record["values"]:
            raise UserError("values is empty")
    except UserError as error:
        raise UserError(f"{file} is damaged ({str(error).rstrip('.')}): {REMEDY}.") from error
    return record


def is_current(record: dict[str, Any], experiment: c.Experiment) -> bool:
    """Whether a record is of the experiment as its file now says it, apart from the steps."""
    # By its text: what was just made has tuples where a file has lists.
    return replace(c.from_json(json.dumps(record["config"])), steps=experiment.steps) == experiment


def row(record: dict[str, Any], file: Path) -> list[str]:
    """A record as text, under `HEADER`; `file` is its experiment file."""
    experiment, published = experiment_file.load(file), load_published(file)
    summary = statistics.summarise(record["values"])
    range_ = expected(summary, published.runs)
    current = is_current(record, experiment) and record["measure"] == published.measure
    seconds = [each for each in record["seconds"] if each is not None]
    short = "" if record["steps"] >= experiment.steps else f" of {experiment.steps:,} (shortened)"
    return [
        record["name"],
        published.text,
        str(published.runs),
        published.measure,
        numbers.interval({"mean": summary.mean, "low": summary.low, "high": summary.high}),
        f"{summary.n} of {summary.total}",
        numbers.DASH if range_ is None else f"{numbers.number(range_[0])} to {numbers.number(range_[1])}",
        judge(summary, published) if current else "outdated",
        f"{record['steps']:,}{short}",
        f"{sum(seconds) / len(seconds) / 60:.1f} min a seed" if seconds else numbers.DASH,
        record["device"],
        record["date"],
    ]


def page(directory: Path) -> str:
    """README.md of a directory of reproductions, from its experiment files and their results."""
    files = {file.stem: file for file in sorted(directory.glob("[a-z]*.py"))}
    read = {name: read_record(directory / "results" / f"{name}.json") for name in files}
    records = {name: record for name, record in read.items() if record is not None}
    lines = [HEADER, ["---"] * len(HEADER), *(row(record, files[name]) for name, record in records.items())]
    table = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    sources: dict[str, list[str]] = {}
    for name in records:
        published = load_published(files[name])
        protocol = f"Protocol: {published.protocol}. Ours differs: {published.differs}."
        source = f"{published.citation}, {published.where}. {protocol}"
        sources.setdefault(source, []).append(name)
    notes = "".join(f"- **{', '.join(names)}**: {source}\n" for source, names in sources.items())
    head = (
        "# Published results, run again\n\n"
        "Made by `gvlab reproduce NAME` from the files here and from `results/`; misses stay. A published number is\n"
        "the mean of so many *runs*; with our seeds' mean and spread, the mean of as many runs is *expected* within\n"
        "the range in the table (95 %). *Reproduced* means that the published number, give or take half of its last\n"
        "digit, lies there; *undecided*, that it does but that the range is wider than a tenth of the number either\n"
        "way; *better* and *not reached*, that it lies to one side; *not judged*, that there are fewer than 3\n"
        "seeds; *other protocol*, that model, data or measure differ, so that nothing is judged; *outdated*, that\n"
        "the file has changed since. Negative nats are log-likelihoods. Below the table: the sources, and where\n"
        "ours differs from them. Cost is the wall clock of a training, whatever else the machine did.\n"
    )
    waiting = [f"`{name}`" for name in files if name not in records]
    todo = f"\nNot run yet: {', '.join(waiting)}.\n" if waiting else ""
    return f"{head}\n{table}\n{notes}{todo}"


def write_ledger(directory: Path) -> Path:
    """Writes README.md from the experiment files and the recorded results."""
    write_atomically(directory / "README.md", page(directory))
    return directory / "README.md"
