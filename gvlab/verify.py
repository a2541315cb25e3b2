"""The proof of a unit: it is trained again in a scratch place, and what comes out is held against what was recorded."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from gvlab import build, compare, comparison, data, engines, evaluate, loop, report, rundir, units
from gvlab import config as c
from gvlab.types import Diverged, UserError

TOLERANCE = 1e-3
"""Relative to the largest value of a term in the run, for a unit that was made on another device, by other versions or
by another number of threads. Within it two runs are the same run, differently rounded; training magnifies rounding, so
a long run of a GAN leaves it, and the sentence then says that the environment was another."""
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
        found.append(_unit(plan, root, experiment, fraction, listen(f"again: {compare.title([experiment])}")))
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
    # Only the commands hold the directory's name, which may have changed since.
    stored = rundir.read_json(root / "comparison.json") or {}
    fresh |= {"commands": stored.get("commands", fresh["commands"])}
    found = []
    for file, text in (comparison.texts(fresh) | {"report.html": report.html(root, fresh)}).items():
        path = root / file
        if not path.is_file() or path.read_text() != text:
            sentence = f"{file} is not what the units give: gvlab report {root} makes it anew."
            found.append(Verified(file, "different", sentence))
    return found


def _unit(
    plan: compare.Plan, root: Path, experiment: c.Experiment, fraction: float | None, listen: loop.Listener | None
) -> Verified:
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
        again = rundir.path(Path(scratch), experiment)
        members = [_member(plan, member) for member in unit.record["group"]]
        engine, failure = _train(program, [replace(one, steps=steps) for one in members], experiment, scratch, listen)
        measures = None
        if failure is None and steps == experiment.steps:
            try:
                measures = evaluate.evaluate(program, loop.restore(program, again))
            except Diverged as diverged:
                failure = str(diverged)
        result = _judge(unit, again, steps, measures, failure)
        parameters = engines.cost(engine).parameters
    if parameters != unit.record["cost"]["parameters"]:
        was = unit.record["cost"]["parameters"]
        return different(f"{name} has {parameters} parameters, but {was} were recorded.")
    elsewhere = comparison.difference_of_environments(rundir.read_json(unit.run / "environment.json") or {})
    if result.outcome == "different" and elsewhere:
        why = f"it was made in another environment ({elsewhere}), and training magnifies rounding"
        result = replace(result, sentence=f"{result.sentence[:-1]}; {why}.")
    if result.outcome == "identical" and steps == experiment.steps and unit.record["code"] != now["code"]:
        record = unit.record | {"code": now["code"]}  # proven: this code makes the same bits
        rundir.write_atomically(unit.run / "unit.json", json.dumps(record, indent=2) + "\n")
    return result


def _member(plan: compare.Plan, name: str) -> c.Experiment:
    """A unit of the plan by its name, also one whose seed the plan has no more."""
    experiment, _, seed = name.rpartition("/seed-")
    known = {one.name: one for one in plan.experiments}
    if experiment not in known:
        raise UserError(
            f"{name}, which was trained in the same program, is no more in the plan: add its experiment again."
        )
    return replace(known[experiment], seed=int(seed))


def _train(
    program: build.Program,
    members: Sequence[c.Experiment],
    experiment: c.Experiment,
    scratch: str,
    listen: loop.Listener | None,
) -> tuple[engines.Engine, str | None]:
    """Trains as the unit was trained, alone or with the same others; why it diverged, or None."""
    one = replace(program, experiment=members[0])
    if len(members) == 1:
        engine = engines.alone(one)
        try:
            loop.train(engine, Path(scratch), experiment.seed, members[0].steps, listen)
        except Diverged:
            return engine, rundir.status(rundir.path(Path(scratch), experiment))["reason"]
        return engine, None
    engine = engines.together(one, len(members), compare.differing(members))
    failures = loop.train_together(engine, members, Path(scratch), listen)
    return engine, next(
        str(failure) if failure else None
        for member, failure in zip(members, failures, strict=True)
        if units.name(member) == units.name(experiment)
    )


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
        if unit.failure and steps == rundir.read_config(unit.run).steps:
            return Verified(name, "identical", f"{name}: diverged again, with identical bits until then ({proof}).")
        unchecked = "" if measures else "; its measures were not checked"
        return Verified(name, "identical", f"{name}: identical bits up to step {steps} ({proof}{more}){unchecked}.")
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
