"""The ledger of published results: an experiment per published number, run over seeds and judged.

A reproduction is an experiment file that defines, besides `config()`, `published() -> Published`. What was found is
recorded as results/NAME.json beside it, and README.md there is made from the files and these records; misses stay in
the table.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass, replace
from math import isfinite, sqrt
from pathlib import Path
from typing import Any, Literal

from gvlab import compare, comparison, experiment_files, rundir, statistics, tables
from gvlab import config as c
from gvlab.types import UserError

SCHEMA = 2
Judgement = Literal["reproduced", "undecided", "better", "not reached", "not judged", "other protocol", "outdated"]
WIDEST = 0.1
"""Half a range's width over the published number: a wider one holds many numbers and reproduces none."""


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
    runs: int
    """Of how many runs it is the mean."""
    margin: float
    """How exactly it is known for these runs: half of the last printed digit, or the noise of the measurement."""
    protocol: str
    """As published, in a phrase."""
    differs: str
    """Where ours differs, in a phrase."""
    comparable: bool = True
    """False where the difference is one of model, data or measure, so that no number of ours can reproduce it."""

    def __post_init__(self) -> None:
        for name in ("value", "margin"):
            number = getattr(self, name)
            if type(number) not in (int, float) or not isfinite(number):
                raise UserError(f"Published.{name} is {number!r}, but must be a number.")
        if type(self.runs) is not int or self.runs < 1:
            raise UserError(f"Published.runs is {self.runs!r}, but must be a whole number, at least 1.")


def expected(summary: statistics.Summary, runs: int) -> tuple[float, float] | None:
    """Where the mean of `runs` further runs lies with a probability of 95 %: Student's prediction interval.

    mean +- t_(n-1) sd sqrt(1/n + 1/runs), for normal values. A number from one run lies in no confidence interval of
    a mean, however right it is, once the seeds are many; here it does in 95 of 100 cases.

    Args:
        summary: of n runs.
        runs: of how many the published number is the mean.

    Returns:
        (low, high), or None below 3 seeds.
    """
    from scipy.special import stdtrit

    if summary.mean is None or summary.sd is None or summary.n < statistics.FEWEST:
        return None
    half = float(stdtrit(summary.n - 1, 0.975)) * summary.sd * sqrt(1 / summary.n + 1 / runs)
    return summary.mean - half, summary.mean + half


def judge(summary: statistics.Summary, published: Published) -> Judgement:
    """Whether the published number is one that our runs would give.

    reproduced: published +- margin reaches into the range `expected` of as many runs; undecided: it does, but the range
    is too wide to say anything; better, not reached: it lies to one side of that; not judged: too few seeds for a
    range; other protocol: it is not `comparable`.
    """
    range_ = expected(summary, published.runs)
    if not published.comparable:
        return "other protocol"
    if range_ is None:
        return "not judged"
    low, high = range_
    if low <= published.value + published.margin and high >= published.value - published.margin:
        narrow = (high - low) / 2 <= max(WIDEST * abs(published.value), published.margin)
        return "reproduced" if narrow else "undecided"
    above = low > published.value
    return "better" if above == (comparison.better(published.measure) == "higher") else "not reached"


def reproduce(file: Path, steps: int | None, seeds: int, out: Path | None, listen: compare.Listen) -> dict[str, Any]:
    """Runs a reproduction as a comparison of one experiment, records what was found, and makes README.md anew.

    Args:
        file: the reproduction's experiment file.
        steps: to train for, instead of the config's; if they are fewer, the record says so.
        seeds: how many.
        out: the directory of the comparison; by default reproductions/EXPERIMENT, so that files which are about one
            experiment make its runs once.
        listen: hears of the training.

    Returns:
        The record: what was run and found, nothing of what was published.

    Raises:
        UserError: the experiment has no such measure, or the ledger has more of it already.
    """
    experiment, published = experiment_files.load(file), experiment_files.load_published(file)
    steps = experiment.steps if steps is None else steps
    kept = rundir.read_json(file.parent / "results" / f"{file.stem}.json")
    if kept and is_current(kept, experiment) and (kept["steps"], len(kept["values"])) > (steps, seeds):
        raise UserError(
            f"The ledger has {file.stem} with {len(kept['values'])} seeds of {kept['steps']} steps, more than {seeds} "
            f"of {steps}: ask for at least as much, or use gvlab compare {file}."
        )
    if comparison.better(published.measure) is None:
        raise UserError(
            f"{file.stem} is about {published.measure}, which has no good direction: choose another measure."
        )
    out = out or Path("reproductions") / experiment.name
    found = compare.run(compare.Plan((replace(experiment, steps=steps),), seeds), out, listen)
    stamps = {row["measure"]: row["stamp"] for row in found["summaries"]}
    if published.measure not in stamps and any(unit["measures"] for unit in found["units"]):
        raise UserError(
            f"{file.stem} is about {published.measure}, but {experiment.name} has only {', '.join(stamps)}."
        )
    environment = found["units"][0]["environment"]
    record = {
        "schema": SCHEMA,
        "name": file.stem,
        "measure": published.measure,
        "values": [
            unit["measures"][published.measure]["value"] if unit["measures"] else None for unit in found["units"]
        ],
        "steps": steps,
        "config": c.to_dict(experiment),
        "stamp": stamps.get(published.measure),
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


def is_current(record: dict[str, Any], experiment: c.Experiment) -> bool:
    """Whether a record is of the experiment as its file now says it, apart from the steps."""
    return replace(c.from_json(json.dumps(record["config"])), steps=experiment.steps) == experiment


HEADER = (
    *("name", "published", "runs", "measure", "ours [95 % interval]", "seeds", "expected of as many runs", "verdict"),
    *("steps", "cost", "device", "date"),
)


def row(record: dict[str, Any], file: Path) -> list[str]:
    """A record as text, under `HEADER`; `file` is its experiment file."""
    experiment, published = experiment_files.load(file), experiment_files.load_published(file)
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
        tables.interval({"mean": summary.mean, "low": summary.low, "high": summary.high}),
        f"{summary.n} of {summary.total}",
        "-" if range_ is None else f"{range_[0]:.4g} to {range_[1]:.4g}",
        judge(summary, published) if current else "outdated",
        f"{record['steps']:,}{short}",
        f"{sum(seconds) / len(seconds) / 60:.1f} min a seed" if seconds else "-",
        record["device"],
        record["date"],
    ]


def ledger(directory: Path) -> str:
    """README.md of a directory of reproductions, from its experiment files and their results."""
    files = {file.stem: file for file in sorted(directory.glob("[a-z]*.py"))}
    records = {name: rundir.read_json(directory / "results" / f"{name}.json") for name in files}
    made = {name: record for name, record in records.items() if record is not None}
    lines = [HEADER, ["---"] * len(HEADER), *(row(record, files[name]) for name, record in made.items())]
    table = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    sources: dict[str, list[str]] = {}
    for name in made:
        published = experiment_files.load_published(files[name])
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
    waiting = [f"`{name}`" for name in files if name not in made]
    todo = f"\nNot run yet: {', '.join(waiting)}.\n" if waiting else ""
    return f"{head}\n{table}\n{notes}{todo}"


def write_ledger(directory: Path) -> Path:
    """Writes README.md from the experiment files and the recorded results."""
    rundir.write_atomically(directory / "README.md", ledger(directory))
    return directory / "README.md"
