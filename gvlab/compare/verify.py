"""The proof of units: they are trained again in a scratch place, and what comes out is held against what was recorded.

Where a unit was made on CPU, in the same environment and by the same code, training and measuring repeat bit for bit,
so every bit must be the same: within a tolerance a number could be forged. Elsewhere `TOLERANCE` is allowed, and the
sentence says why: in another environment bits differ by rounding, and that they repeat on GPU and TPU has not been
measured.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax

from gvlab import __version__, build, compare, data, evaluate, rng, tree
from gvlab import config as c
from gvlab.compare import identity, report, results, tables, units
from gvlab.files import read_json, write_atomically
from gvlab.runs import directory as rundir
from gvlab.runs.environment import difference_of_environments
from gvlab.train import engines, loop
from gvlab.types import Diverged, UserError

TOLERANCE = 1e-3
"""Relative to the largest value of a term in the run, where not every bit must be the same. Within it two runs are the
same run, differently rounded; training magnifies rounding, so a long run of a GAN leaves it."""
ERRORS = 50
"""A standard error or a spread, which is no more than an estimate, may be off by so many tolerances."""
DIGITS = 1e-9
"""Relative: by so much statistics of the same numbers differ from machine to machine."""
_MAKERS = ("gvlab", "backend", "matmul_precision")
"""In a stamp: what made the numbers, which may be others if the numbers are the same."""

Outcome = Literal["identical", "equal", "different", "unverified"]


@dataclass(frozen=True)
class Verified:
    """What retraining a unit showed."""

    unit: str
    outcome: Outcome
    sentence: str


class _Doubted(NamedTuple):
    """A unit that nothing is wrong with by itself."""

    unit: units.Unit
    program: build.Program
    """With the unit's own experiment."""
    reasons: list[str]
    """Why its bits may be others when it is trained again; none where they must be the same."""


def verify(root: Path, names: Sequence[str] | None, fraction: float | None, listen: compare.Listen) -> list[Verified]:
    """Retrains units of a comparison and compares them with what was recorded.

    Units that were trained as one program are trained again as one program, once for all of them.

    Args:
        root: of the comparison.
        names: EXPERIMENT/seed-3, ...; all units if None.
        fraction: of each unit's steps, rounded up to a checkpoint; without one, everything, the measures included.
        listen: hears of the training.

    Returns:
        One result per unit, and first of all one for each of the comparison's own files that does not follow from its
        units: "different", or "unverified" if another version of gvlab made them. The files are checked whichever
        units are named, but only where all are complete.

    Raises:
        UserError: there is no such unit, or the fraction is not within (0, 1].
    """
    if fraction is not None and not 0 < fraction <= 1:
        raise UserError(f"--fraction is {fraction}, but must be above 0 and at most 1.")
    plan = compare.read_plan(root)
    chosen = list(plan.units()) if names is None else [compare.unit_named(plan, name) for name in dict.fromkeys(names)]
    files = _derived(plan, root)
    load = functools.cache(data.load)
    found: dict[str, Verified] = {}
    groups: dict[tuple[tuple[str, ...], int], list[_Doubted]] = {}
    for experiment in chosen:
        name, doubted = units.name(experiment), _doubted(root, experiment, load(experiment.data.name))
        if isinstance(doubted, str):
            found[name] = Verified(name, "different", doubted)
        elif isinstance(doubted, Verified):
            found[name] = doubted
        else:
            steps = experiment.steps if fraction is None else _rounded_up(fraction, experiment)
            groups.setdefault((tuple(doubted.unit.record["group"]), steps), []).append(doubted)
    for (group, steps), doubts in groups.items():
        found |= {one.unit: one for one in _retrained(plan, root, group, steps, doubts, listen)}
    return [*files, *(found[units.name(experiment)] for experiment in chosen)]


# --- what follows from the units --------------------------------------------------------------------------------------


def _derived(plan: compare.Plan, root: Path) -> list[Verified]:
    """Those of comparison.json, the tables and the report that are not what the units give.

    comparison.json is compared by value, but for the version of gvlab, and the commands, which hold the name that the
    directory had; the tables and the report are made anew from it.
    """
    try:
        made = [unit for experiment in plan.units() if (unit := units.read(root, experiment))]
    except UserError:
        return []  # the unit itself will say so
    if len(made) < len(list(plan.units())):
        return []
    fresh = json.loads(json.dumps(results.collect(plan.experiments, plan.seeds, plan.match, made, root)))
    try:
        stored = read_json(root / "comparison.json") or {}
    except UserError:
        stored = {}
    version, commands = stored.get("gvlab"), stored.get("commands")
    if isinstance(version, str):
        fresh["gvlab"] = version
    if isinstance(commands, dict) and commands.keys() == fresh["commands"].keys():
        fresh["commands"] = commands
    same = _equal(stored, fresh)
    source = stored if same else fresh
    texts = tables.texts(source) | {"report.html": report.html(root, source)}
    texts.pop("comparison.json")
    wrong = [] if same else ["comparison.json"]
    wrong += [file for file, text in texts.items() if not _reads(root / file, text)]
    return [_not_derived(root, file, fresh["gvlab"]) for file in wrong]


def _not_derived(root: Path, file: str, version: str) -> Verified:
    anew = f"gvlab report {root} makes it anew"
    if version == __version__ or not (root / file).is_file():
        return Verified(file, "different", f"{file} is not what the units give: {anew}.")
    sentence = (
        f"{file} is of gvlab {version}, and gvlab {__version__} makes another one of the same units, so it cannot"
    )
    return Verified(file, "unverified", f"{sentence} be verified: {anew}.")


def _reads(file: Path, text: str) -> bool:
    return file.is_file() and file.read_bytes() == text.encode()


def _equal(first: Any, second: Any) -> bool:
    """Whether two JSON values are the same, numbers but for their last digits."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(_equal(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_equal, first, second))
    if isinstance(first, float) and isinstance(second, float):
        return math.isclose(first, second, rel_tol=DIGITS, abs_tol=DIGITS)
    return type(first) is type(second) and first == second


# --- the units --------------------------------------------------------------------------------------------------------


def _doubted(root: Path, experiment: c.Experiment, dataset: data.Dataset) -> _Doubted | Verified | str:
    """A unit and what trains it again; or that it isn't there; or a sentence, if it can be seen without training that
    something is wrong."""
    name = units.name(experiment)
    try:
        rundir.check_config(rundir.path(units.directory(root), experiment), experiment)
        unit = units.read(root, experiment)
    except UserError as error:
        return str(error)
    if unit is None:
        return Verified(name, "unverified", f"{name} is not complete: there is nothing to verify.")
    program = build.program(experiment, dataset)
    record, now = unit.record, identity.identity(program)
    if record["dataset"] != now["dataset"]:
        return f"The data set {dataset.name} is not the one that {name} was trained on."
    if record["config_sha256"] != now["config_sha256"] or rundir.read_config(unit.run) != experiment:
        return f"The configuration of {name} is not the one that was recorded."
    if not _is_group(record["group"], name):
        return f"unit.json of {name} names the group {record['group']}, which are not different units with {name}."
    parameters = tree.count_named(jax.eval_shape(program.model.init, rng.root(0), program.first_batch()), "params")
    if parameters != record["cost"]["parameters"]:
        return f"{name} has {parameters} parameters, but {record['cost']['parameters']} were recorded."
    return _Doubted(unit, program, _reasons(unit, record["code"] == now["code"]))


def _is_group(group: Any, name: str) -> bool:
    named = [one for one in group if re.fullmatch(r".+/seed-\d+", str(one))] if isinstance(group, list) else []
    return name in named and len(set(named)) == len(group)


def _reasons(unit: units.Unit, same_code: bool) -> list[str]:
    """Why the bits may be others when a unit is trained again; none if they must be the same."""
    environment = read_json(unit.run / "environment.json") or {}
    elsewhere = difference_of_environments(environment)
    backend = jax.default_backend()
    reasons = {
        f"it was made in another environment ({elsewhere})": elsewhere,
        "it went on in another environment than it began in": "earlier" in environment,
        "it was made by other code of gvlab": not same_code,
        f"the bits of a training are not known to repeat on {backend}": backend != "cpu",
        "it was trained in several groups, one after another": unit.record["regrouped"],
    }
    return [reason for reason, holds in reasons.items() if holds]


def _retrained(
    plan: compare.Plan, root: Path, group: Sequence[str], steps: int, doubts: Sequence[_Doubted], listen: compare.Listen
) -> list[Verified]:
    """What training a group again shows of those of its members that are in doubt."""
    names = [units.name(one.program.experiment) for one in doubts]
    try:
        members = [replace(_member(plan, root, name), steps=steps) for name in group]
        engine = _engine(doubts[0].program, members)
    except UserError as error:
        return [Verified(name, "unverified", f"{name} cannot be verified: {error}") for name in names]
    with tempfile.TemporaryDirectory(prefix="gvlab-verify-") as scratch:
        failures = loop.train_together(engine, members, Path(scratch), listen(f"again: {compare.title(members)}"))
        failed = {units.name(one): failure for one, failure in zip(members, failures, strict=True)}
        return [_judged(one, Path(scratch), steps, failed[name]) for name, one in zip(names, doubts, strict=True)]


def _member(plan: compare.Plan, root: Path, name: str) -> c.Experiment:
    """A unit by its name: of the plan, which may have its seed no more, or as its directory remembers it."""
    experiment, _, seed = name.rpartition("/seed-")
    known = {one.name: one for one in plan.experiments}
    if experiment in known:
        return replace(known[experiment], seed=int(seed))
    run = units.directory(root) / name
    if not (run / "config.json").is_file():
        raise UserError(
            f"{name}, which was trained in the same program, is neither in the plan nor in {run.parent.parent}: add "
            "its experiment again."
        )
    return replace(rundir.read_config(run), name=experiment, seed=int(seed))


def _engine(program: build.Program, members: Sequence[c.Experiment]) -> engines.Engine:
    """What trains the members as they were trained: alone, or with the same others."""
    one = replace(program, experiment=members[0])
    return engines.alone(one) if len(members) == 1 else engines.together(one, len(members), compare.differing(members))


def _rounded_up(fraction: float, experiment: c.Experiment) -> int:
    every = experiment.checkpoint_every
    return min(experiment.steps, math.ceil(fraction * experiment.steps / every) * every)


# --- what was recorded, and what came out -----------------------------------------------------------------------------


def _judged(doubted: _Doubted, scratch: Path, steps: int, diverged: Diverged | None) -> Verified:
    """Measures a unit that was trained again, and holds all of it against what was recorded."""
    unit, program, reasons = doubted
    name, whole = units.name(program.experiment), steps == program.experiment.steps
    again = rundir.path(scratch, program.experiment)
    measures, failure = None, diverged and str(diverged)
    if whole and failure is None:
        try:
            measures = json.loads(json.dumps(evaluate.evaluate(program, loop.restore(program, again))))
        except Diverged as error:
            failure = str(error)
    if whole and failure != unit.failure:
        ends = f"recorded was {unit.failure or 'success'}, now {failure or 'success'}"
        return Verified(name, "different", f"{name} ended otherwise: {ends}{_rule(reasons)}.")

    wrong = _difference(unit, again, steps, measures, 0.0)
    if wrong is None:
        if whole and unit.record["code"] != (
            code := identity.identity(program)["code"]
        ):  # proven to make the same bits
            record = json.dumps(unit.record | {"code": code}, indent=2)
            write_atomically(unit.run / "unit.json", record + "\n")
        return Verified(name, "identical", f"{name}: {_proof(unit, again, steps, measures, whole)}.")
    if reasons:
        wrong = _difference(unit, again, steps, measures, TOLERANCE)
    if wrong:
        return Verified(name, "different", f"{name}: {wrong}{_rule(reasons)}.")
    within = f"equal up to step {steps} within {TOLERANCE:g} of each term's size, but not in every bit"
    return Verified(name, "equal", f"{name}: {within}, which is allowed since {' and '.join(reasons)}.")


def _rule(reasons: Sequence[str]) -> str:
    """What the judgement rests on, to be said of a unit that is different."""
    if not reasons:
        return "; made on CPU, in this environment and by this code, it must be the same in every bit"
    return f"; {TOLERANCE:g} is allowed since {' and '.join(reasons)}, but training can magnify rounding beyond that"


def _proof(unit: units.Unit, again: Path, steps: int, measures: evaluate.Measures | None, whole: bool) -> str:
    """What is identical, in words."""
    proof = f"{len(identity.curves(again))} logged steps"
    if rundir.read_states(unit.run).keys() & rundir.read_states(again).keys():
        proof += " and the states of the checkpoints"
    if measures:
        proof += f" and {len(measures)} measures"
    if unit.failure and whole:
        return f"diverged again, with identical bits until then ({proof})"
    return f"identical bits up to step {steps} ({proof}){'' if measures else '; its measures were not checked'}"


def _difference(
    unit: units.Unit, again: Path, steps: int, measures: evaluate.Measures | None, tolerance: float
) -> str | None:
    """In what a unit that was trained again is off by more than the tolerance, and from which step on; None if in
    nothing. The states count where nothing is tolerated."""
    old = [line for line in identity.curves(unit.run) if line["step"] <= steps]
    found = list(filter(None, [_of_curves(old, identity.curves(again), tolerance)]))
    if not tolerance:
        recorded, made = rundir.read_states(unit.run), rundir.read_states(again)
        others = [step for step in recorded.keys() & made.keys() if recorded[step] != made[step]]
        found += [(step, "the state has other bits") for step in others]
    if found:
        step, what = min(found, key=lambda one: one[0])
        return f"different from step {step} on, where {what}"
    off = None if measures is None else _of_measures(unit.measures or {}, measures, tolerance)
    return off and f"trained alike, but {off}"


def _of_curves(old: list[dict[str, Any]], new: list[dict[str, Any]], tolerance: float) -> tuple[int, str] | None:
    """(the first logged step that is off by more than the tolerance, in what); None if there is none."""
    size: dict[str, float] = {}
    for line in new:
        size |= {term: max(size.get(term, 0.0), abs(value)) for term, value in line.items()}
    none: dict[str, Any] = {}
    for before, after in itertools.zip_longest(old, new, fillvalue=none):
        if before.keys() != after.keys() or before["step"] != after["step"]:
            return min(line["step"] for line in (before, after) if line), "other terms were logged"
        gaps = {term: _gap(before[term], after[term]) / (size[term] or 1.0) for term in after}
        term = max(gaps, key=lambda name: gaps[name])
        if gaps[term] > tolerance:
            return after["step"], f"{term} is off by {gaps[term]:.2g} of its size in the run"
    return None


def _of_measures(old: evaluate.Measures, new: evaluate.Measures, tolerance: float) -> str | None:
    """The measure that is off by more than the tolerance of its value, or of another protocol, in words."""
    if new.keys() != old.keys():
        return f"{min(new.keys() ^ old.keys())} is a measure of only one of the two"
    for name, now in new.items():
        was = old[name]
        for kind in sorted((now.keys() | was.keys()) - {"stamp", "points_per_second"}):
            made, recorded = now.get(kind), was.get(kind)
            # The last term is for what is almost 0.
            slack = tolerance * max((1 if kind == "value" else ERRORS) * abs(made or 0.0), 1e-3)
            if _gap(made, recorded) > slack:
                return f"the {kind.replace('_', ' ')} of {name} is {made} and was recorded as {recorded}"
        ignored = evaluate.PER_RUN if tolerance else _MAKERS
        for field in was["stamp"] | now["stamp"]:
            stamps = was["stamp"].get(field), now["stamp"].get(field)
            if field not in ignored and stamps[0] != stamps[1]:
                return f"{name} was recorded with {field} = {stamps[0]}, not {stamps[1]}"
    return None


def _gap(first: Any, second: Any) -> float:
    """Between two numbers; infinite if one of them is none."""
    gap = abs(first - second) if type(first) in (int, float) and type(second) in (int, float) else math.nan
    return math.inf if math.isnan(gap) else float(gap)
