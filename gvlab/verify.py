"""The proof of a unit: it is trained again in a scratch place, and what comes out is held against what was recorded."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from gvlab import build, compare, comparison, data, engines, evaluate, loop, rundir, units
from gvlab import config as c
from gvlab.types import Diverged, UserError

TOLERANCE = 1e-3
"""Relative to the largest value of a term in the run, for a unit that was made on another device, by other versions, by
another number of threads or together with others. Within it two runs are the same run, differently rounded."""
ERROR_TOLERANCE = 0.05
"""Of a standard error or a spread, which is no more than an estimate, relative to itself."""

Outcome = Literal["identical", "equal", "different"]


@dataclass(frozen=True)
class Verified:
    """What retraining a unit showed."""

    unit: str
    outcome: Outcome
    sentence: str


def verify(root: Path, names: Sequence[str] | None, fraction: float | None, listen: compare.Listen) -> list[Verified]:
    """Retrains units of a comparison and compares them with what was recorded.

    Args:
        root: of the comparison.
        names: EXPERIMENT/seed-3, ...; all units if None.
        fraction: of each unit's steps, rounded up to a checkpoint; without one, everything, the measures included.
        listen: hears of the training.

    Returns:
        One result per unit, and first of all one that is "different" for each of the comparison's own files that does
        not follow from its units.

    Raises:
        UserError: there is no such unit, or the fraction is not within (0, 1].
    """
    if fraction is not None and not 0 < fraction <= 1:
        raise UserError(f"--fraction is {fraction}, but must be above 0 and at most 1.")
    plan = compare.read_plan(root)
    chosen = list(plan.units()) if names is None else [compare.unit_named(plan, name) for name in names]
    found = _derived(plan, root) if names is None else []
    for experiment in chosen:
        found.append(_unit(root, experiment, fraction, listen(f"again: {compare.title([experiment])}")))
    return found


def _derived(plan: compare.Plan, root: Path) -> list[Verified]:
    """Whether comparison.json and the tables are what the units give."""
    try:
        made = [unit for experiment in plan.units() if (unit := units.read(root, experiment))]
    except UserError:
        return []  # the unit itself will say so
    if len(made) < len(list(plan.units())):
        return []
    fresh = comparison.collect(plan.experiments, plan.seeds, plan.match, made, root)
    found = []
    for file, text in comparison.texts(fresh).items():
        path = root / file
        if not path.is_file() or path.read_text() != text:
            sentence = f"{file} is not what the units give: gvlab report {root} makes it anew."
            found.append(Verified(file, "different", sentence))
    return found


def _unit(root: Path, experiment: c.Experiment, fraction: float | None, listen: loop.Listener | None) -> Verified:
    name = units.name(experiment)

    def different(sentence: str) -> Verified:
        return Verified(name, "different", sentence)

    try:
        rundir.check_config(rundir.path(units.directory(root), experiment), experiment)
        unit = units.read(root, experiment)
    except UserError as error:
        return different(str(error))
    if unit is None:
        return different(f"{name} is not complete: there is nothing to verify.")
    program = build.program(experiment, data.load(experiment.data.name))
    now = units.identity(program)
    if unit.record["dataset"] != now["dataset"]:
        return different(f"The data set {program.dataset.name} is not the one that {name} was trained on.")
    if unit.record["config_sha256"] != now["config_sha256"] or rundir.read_config(unit.run) != experiment:
        return different(f"The configuration of {name} is not the one that was recorded.")
    steps = experiment.steps if fraction is None else _rounded_up(fraction, experiment)
    with tempfile.TemporaryDirectory(prefix="gvlab-verify-") as scratch:
        engine = engines.alone(replace(program, experiment=replace(experiment, steps=steps)))
        again = rundir.path(Path(scratch), experiment)
        failure: str | None = None
        measures = None
        try:
            loop.train(engine, Path(scratch), experiment.seed, steps, listen)
            if steps == experiment.steps:
                measures = evaluate.evaluate(program, loop.restore(program, again))
        except Diverged as diverged:
            failure = rundir.status(again).get("reason", str(diverged))
        result = _judge(unit, again, steps, measures, failure)
    if result.outcome == "identical" and steps == experiment.steps and unit.record["code"] != now["code"]:
        record = unit.record | {"code": now["code"]}  # proven: this code makes the same bits
        rundir.write_atomically(unit.run / "unit.json", json.dumps(record, indent=2) + "\n")
    return result


def _rounded_up(fraction: float, experiment: c.Experiment) -> int:
    every = experiment.checkpoint_every
    return min(experiment.steps, math.ceil(fraction * experiment.steps / every) * every)


def _judge(
    unit: units.Unit, again: Path, steps: int, measures: evaluate.Measures | None, failure: str | None
) -> Verified:
    name = f"{unit.experiment}/seed-{unit.seed}"
    if steps == rundir.read_config(unit.run).steps and failure != unit.failure:
        return Verified(
            name,
            "different",
            f"{name} ended otherwise: recorded was {unit.failure or 'success'}, now {failure or 'success'}.",
        )
    old = [line for line in units.curves(unit.run) if line["step"] <= steps]
    new = units.curves(again)
    found = _first_difference(old, new)
    if found:
        return Verified(name, "different", f"{name}: different from step {found[0]} on, where {found[1]}.")
    off = None if measures is None else _off(measures, unit.measures or {})
    if off:
        return Verified(name, "different", f"{name}: trained alike, but {off}.")
    states = _same_states(unit.run, again)
    if old == new and states is not False and (measures is None or _numbers(measures) == _numbers(unit.measures)):
        proof = f"{len(new)} logged steps{' and the states of the checkpoints' if states else ''}"
        more = f" and {len(measures)} measures" if measures else ""
        return Verified(name, "identical", f"{name}: identical bits up to step {steps} ({proof}{more}).")
    return Verified(
        name,
        "equal",
        f"{name}: equal up to step {steps} within {TOLERANCE:g} of each term's size, but not in every bit.",
    )


def _same_states(old: Path, new: Path) -> bool | None:
    """Whether the digests of the states at the steps that both recorded are equal; None if there is no such step."""
    recorded, made = (rundir.read_states(run) for run in (old, new))
    common = recorded.keys() & made.keys()
    return all(recorded[step] == made[step] for step in common) if common else None


def _first_difference(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> tuple[int, str] | None:
    """(the first logged step that is off by more than the tolerance, in what); None if there is none."""
    recorded = {line["step"]: line for line in old}
    made = {line["step"]: line for line in new}
    size: dict[str, float] = {}
    for line in new:
        size |= {term: max(size.get(term, 0.0), abs(value)) for term, value in line.items()}
    for step in sorted(recorded.keys() | made.keys()):
        before, after = recorded.get(step, {}), made.get(step, {})
        if before.keys() != after.keys():
            return step, "other terms were logged"
        gaps = {term: abs(before[term] - after[term]) / (size[term] or 1.0) for term in after}
        term = max(gaps, key=lambda name: gaps[name])
        if gaps[term] > TOLERANCE:
            return step, f"{term} is off by {gaps[term]:.2g} of its size in the run"
    return None


def _numbers(measures: evaluate.Measures | None) -> dict[str, dict[str, float]]:
    """What was measured, without the protocols and the speed."""
    kinds = ("value", "standard_error", "spread")
    return {name: {kind: one[kind] for kind in kinds if kind in one} for name, one in (measures or {}).items()}


def _off(new: evaluate.Measures, old: evaluate.Measures) -> str | None:
    """The measure that is off by more than the tolerance of its value, or of another protocol, in words."""
    if new.keys() != old.keys():
        return f"{min(new.keys() ^ old.keys())} is a measure of only one of the two"
    for name, now in _numbers(new).items():
        for kind, value in now.items():
            was = _numbers(old)[name].get(kind, math.nan)
            slack = TOLERANCE * abs(value) if kind == "value" else ERROR_TOLERANCE * abs(value)
            if not abs(value - was) <= max(slack, 1e-6):
                return f"the {kind.replace('_', ' ')} of {name} is {value:.6g} and was recorded as {was:.6g}"
        found = evaluate.difference(old[name]["stamp"], new[name]["stamp"])
        if found:
            return f"{name} was recorded with {found.field} = {found.first}, not {found.second}"
    return None
