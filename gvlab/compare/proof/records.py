"""What the files of a unit say against each other, the plan and the program, which is seen without training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gvlab import config as c
from gvlab import evaluate
from gvlab.build import Program
from gvlab.compare import units
from gvlab.runs import directory as rundir
from gvlab.runs.curves import read_metrics
from gvlab.train import origin
from gvlab.types import UserError


def contradiction(unit: units.Unit, program: Program) -> str | None:
    """The first thing in which the files of a unit contradict each other or its program, in a sentence that names the
    file; None if there is none."""
    checks = (_curves, _states, _groups, _programs, _status, _record, _evaluation)
    try:
        contradictions = (check(unit, program.experiment) for check in checks)
        return next(filter(None, contradictions), None) or _origin(unit, program)
    except UserError as error:
        return str(error)


def _curves(unit: units.Unit, experiment: c.Experiment) -> str | None:
    file = unit.run / "metrics.jsonl"
    lines = read_metrics(unit.run)
    steps = [line["step"] for line in lines]
    due = [step for step in range(1, experiment.steps + 1) if step == 1 or step % experiment.log_every == 0]
    if fault := _lines(file, lines, steps, experiment.steps):
        return fault
    if unit.failure:
        due = due[: len(steps)]
    if steps != due:
        return (
            f"{file} has no line of step {step}." if (step := _first_missing(due, steps)) else _undue(file, steps, due)
        )
    return None


def _states(unit: units.Unit, experiment: c.Experiment) -> str | None:
    file = unit.run / "states.jsonl"
    states = rundir.read_states(unit.run)
    lines = [{"step": step, "sha256": sha256} for step, sha256 in states.items()]
    if found := _lines(file, lines, list(states), experiment.steps):
        return found
    last = unit.record["state_sha256"]
    if unit.failure is None and states.get(experiment.steps) is None:
        return f"{file} has no line of step {experiment.steps}, the last."
    if (unit.failure is None or last is not None) and states.get(experiment.steps) != last:
        return f"{file} ends with another state than unit.json."
    return None


def _lines(file: Path, lines: Sequence[dict[str, Any]], steps: Sequence[Any], last: int) -> str | None:
    """What is wrong with lines that were written one below the other, by step."""
    for before, step in zip([0, *steps], steps, strict=False):
        if type(step) is not int or step <= before:
            return f"{file} has a line of step {step} after that of step {before}."
        if step > last:
            return f"{file} has a line of step {step}, beyond the last step {last}."
    if _text(file) != "".join(json.dumps(line) + "\n" for line in lines):
        return f"{file} is not written as training writes it: a line is doubled or cut off, or has something besides."
    return None


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _first_missing(due: Sequence[int], steps: Sequence[int]) -> int | None:
    return next(iter(sorted(set(due) - set(steps))), None)


def _undue(file: Path, steps: Sequence[int], due: Sequence[int]) -> str:
    return f"{file} has a line of step {min(set(steps) - set(due))}, at which nothing is logged."


def _groups(unit: units.Unit, experiment: c.Experiment) -> str | None:
    file = unit.run / "groups.jsonl"
    groups = rundir.read_groups(unit.run)
    if not groups or groups[max(groups)] != unit.record["group"] or sorted(groups)[1:] != unit.record["regrouped"]:
        return f"{file} has other groups than unit.json: the last was {list(groups.values())[-1:]}."
    return None


def _programs(unit: units.Unit, experiment: c.Experiment) -> str | None:
    file = unit.run / "programs.jsonl"
    if not file.exists():  # of an earlier gvlab, or confirmed since
        return None
    for field, value in units.trained(unit.run).items():
        if unit.record.get(field) != value:
            return f"{file} tells of another {field} than unit.json."
    return None


def _status(unit: units.Unit, experiment: c.Experiment) -> str | None:
    status = rundir.status(unit.run)
    ended = status["status"] == "complete" and status["step"] == experiment.steps
    if ended or (unit.failure and (status["status"], status.get("reason")) == ("diverged", unit.failure)):
        return None
    return (
        f"{unit.run / 'status.json'} says {status['status']} at step {status['step']}, which is not how the unit ended."
    )


def _record(unit: units.Unit, experiment: c.Experiment) -> str | None:
    record, lines = unit.record, read_metrics(unit.run)
    together = len(unit.record["group"])
    said = {
        "experiment": experiment.name,
        "seed": experiment.seed,
        "status": "diverged" if unit.failure else "complete",
        "timing": units.timing_of(lines, experiment.examples_per_step, together),
    }
    for field, value in said.items():
        if record[field] != value:
            return f"{unit.run / 'unit.json'} has {field} = {record[field]}, but the other files give {value}."
    return None


def _origin(unit: units.Unit, program: Program) -> str | None:
    file, known, now = unit.run / "origin.json", origin.read(unit.run), origin.of(program)
    if known is None or known == now:  # None: of an earlier gvlab
        return None
    what = "another model" if known["model"] != now["model"] else "other data"
    return f"{file} tells of {what} than the unit was trained with."


def _evaluation(unit: units.Unit, experiment: c.Experiment) -> str | None:
    file = unit.run / "evaluation.json"
    if unit.failure is not None:
        return None
    made = evaluate.read_file(file) or {"protocol": {}, "made": []}
    protocol = made["protocol"]
    said = {"state_sha256": unit.record["state_sha256"], "step": experiment.steps, "seed": experiment.seed}
    for field, value in said.items():
        if protocol.get(field) != value:
            return f"{file} is of {field} = {protocol.get(field)}, but the unit is of {value}."
    if made["made"] != list(unit.measures or {}):
        return f"{file} names other measures as made than it has."
    return None
