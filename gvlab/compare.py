"""Running a comparison: a directory of units that are made once, in any order, by one process or by many.

Common random numbers: everything random in a unit is a function of its seed and of the step, so the same seed index
means the same order of the data and the same latents of the evaluation in every experiment of one batch size and latent
size; differences between experiments are paired by seed.
"""

from __future__ import annotations

import collections
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax

from gvlab import build, comparison, data, engines, evaluate, loop, report, rundir, tables, units
from gvlab import config as c
from gvlab.build import Program
from gvlab.types import UserError

MATCHES = ("steps", "images", "seconds", "flops")
SCHEMA = 1
LONGEST_NAME = 200
"""Bytes of an experiment's name, which is a directory's; a file system takes 255."""
MOST_SEEDS = 10_000
UNEQUAL = 0.01
"""A matched budget that is off by more, relative to the first one's, is remarked upon."""
Listen = Callable[[str], "loop.Listener | None"]
"""A title -> what hears of that training."""


@dataclass(frozen=True)
class Plan:
    """What a comparison consists of: every experiment with every seed."""

    experiments: tuple[c.Experiment, ...]
    """With the steps that each is trained for; their own seed plays no part."""
    seeds: int
    """How many: 0, 1, ..., seeds - 1."""
    match: str | None = None
    """What the experiments' numbers of steps were made equal in, if anything."""
    spent: tuple[float, ...] = ()
    """If matched: each experiment's budget over the first one's, which is not exactly 1, since steps are whole."""

    def __post_init__(self) -> None:
        if not 1 <= self.seeds <= MOST_SEEDS:
            raise UserError(f"--seeds is {self.seeds}, but must be from 1 to {MOST_SEEDS}.")
        names = [experiment.name for experiment in self.experiments]
        for name in names:
            if names.count(name) > 1:
                raise UserError(
                    f"Two of the experiments are named {name!r}, so their units would share a directory: give one of "
                    "them another name."
                )
            if "\\" in name:
                raise UserError(
                    f"The name {name!r} has a backslash, but names a directory: give the experiment another name."
                )
            if len(os.fsencode(name)) > LONGEST_NAME:
                raise UserError(
                    f"The name {name!r} has {len(os.fsencode(name))} bytes, but names a directory and may have "
                    f"{LONGEST_NAME}: give the experiment a shorter name."
                )

    def units(self) -> Iterator[c.Experiment]:
        """One experiment per unit, with its seed."""
        for experiment in self.experiments:
            for seed in range(self.seeds):
                yield replace(experiment, seed=seed)


def write_plan(root: Path, plan: Plan) -> None:
    """Writes plan.json, which `gvlab unit`, `gvlab report` and `gvlab verify` read."""
    experiments = [c.to_dict(replace(experiment, seed=0)) for experiment in plan.experiments]
    root.mkdir(parents=True, exist_ok=True)
    matching = {"match": plan.match, "spent": plan.spent}
    text = {"schema": SCHEMA, "seeds": plan.seeds, **matching, "experiments": experiments}
    rundir.write_atomically(root / "plan.json", json.dumps(text, indent=2) + "\n")


def read_plan(root: Path) -> Plan:
    """The plan of a comparison directory.

    Raises:
        UserError: there is none, or it is damaged.
    """
    if not (root / "plan.json").is_file():
        raise UserError(f"{root} is not the directory of a comparison: it has no plan.json.")
    try:
        made = rundir.read_json(root / "plan.json") or {}
        experiments = tuple(c.from_json(json.dumps(experiment)) for experiment in made["experiments"])
        if made["schema"] != SCHEMA or type(made["seeds"]) is not int or not experiments:
            raise ValueError(f"no plan of schema {SCHEMA}")
        spent = tuple(map(float, made.get("spent", ())))  # plans of earlier versions lack it
        if len(spent) not in (0, len(experiments)):
            raise ValueError("spent is not one number per experiment")
        return Plan(experiments, made["seeds"], made["match"], spent)
    except (KeyError, TypeError, ValueError, UserError) as error:
        raise UserError(
            f"{root / 'plan.json'} is damaged ({str(error).rstrip('.')}): delete it and repeat gvlab compare with "
            f"--out {root}."
        ) from error


def swept(experiment: c.Experiment, field: str, values: Sequence[Any]) -> list[c.Experiment]:
    """One experiment for each value of a field, named after it.

    Args:
        experiment: to be varied.
        field: the end of a dotted name that only one field has, such as `optimizer.learning_rate`.
        values: of the field's type.

    Raises:
        UserError: there is no such field or there are several, or it refuses a value.
    """
    asked = field.replace("-", "_")
    fields = [name for name in c.leaves(experiment) if name not in ("name", "seed")]
    found = [name for name in fields if name == asked or name.endswith(f".{asked}")]
    if len(found) != 1:
        which = f"could be {' or '.join(found)}" if found else f"is no field{c.nearest(asked, fields)}"
        raise UserError(f"--sweep {field} {which} of {experiment.name}: give the whole name of one field.")
    return [
        replace(c.with_value(experiment, found[0], value), name=f"{experiment.name},{asked}={value}")
        for value in values
    ]


# --- equal budgets ---------------------------------------------------------------------------------------------------


def matched(programs: Sequence[Program], match: str) -> list[tuple[c.Experiment, float]]:
    """The experiments with numbers of steps that spend what the first one spends with its own.

    Args:
        programs: the experiments on their data.
        match: one of `MATCHES`. `seconds` is measured here and now, on an otherwise idle machine one hopes.

    Returns:
        Each experiment, and its budget over the first one's: 1 but for rounding to whole steps, of which there is one.

    Raises:
        UserError: the back-end doesn't count floating-point operations.
    """
    price = {
        "steps": lambda program: 1.0,
        "images": lambda program: float(program.experiment.examples_per_step),
        "seconds": seconds_per_step,
        "flops": _flops_per_step,
    }[match]
    prices = [price(program) for program in programs]
    budget = programs[0].experiment.steps * prices[0]
    steps = [max(1, round(budget / each)) for each in prices]
    return [
        (replace(program.experiment, steps=whole), whole * each / budget)
        for program, each, whole in zip(programs, prices, steps, strict=True)
    ]


def _flops_per_step(program: Program) -> float:
    flops = engines.cost(engines.alone(program)).flops_per_step
    if flops is None:
        raise UserError(
            f"--match flops: the back-end {jax.default_backend()} doesn't say what a step takes: use images."
        )
    return flops


def seconds_per_step(program: Program, seconds: float = 2.0) -> float:
    """Of training alone, by running steps for some seconds after the first, which compiles."""
    engine = engines.alone(program)
    inputs = engine.inputs([program.experiment])
    advance = engine.many or engine.single
    state, rows = advance(engine.init(inputs), engine.data, inputs)
    jax.block_until_ready(rows)
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        state, rows = advance(state, engine.data, inputs)
        jax.block_until_ready(rows)
        steps += len(rows)
    return (time.perf_counter() - start) / steps


# --- running ---------------------------------------------------------------------------------------------------------


def programs_of(plan: Plan) -> dict[str, Program]:
    """The experiments on their data, by name; everything that can be refused before training is refused here."""
    programs = {e.name: build.program(e, data.load(e.data.name)) for e in plan.experiments}
    for program in programs.values():
        evaluate.check_ahead(program, evaluate.extractors_of(program.experiment.evaluation, program.dataset))
    return programs


def pending(plan: Plan, root: Path, programs: dict[str, Program]) -> list[c.Experiment]:
    """The units that are not complete; the others have been checked (`UserError` if one is not what it should be)."""
    return [
        experiment
        for experiment in plan.units()
        if not units.is_complete(root, replace(programs[experiment.name], experiment=experiment))
    ]


def run(plan: Plan, root: Path, listen: Listen, together: int | None = None) -> comparison.Json:
    """Makes what is missing of a comparison, then its tables and its report.

    On accelerators units that differ in nothing but numbers are trained as one program, as many at once as the memory
    holds; on CPU one after another.

    Args:
        plan: what to compare.
        root: the comparison's directory.
        listen: hears of the training.
        together: units per program, instead of what fits.

    Raises:
        UserError: something does not fit, or another process runs this comparison; nothing has been trained then.
        loop.Interrupted: a signal came; everything is saved.
    """
    programs = programs_of(plan)
    with rundir.owned(root):
        missing = pending(plan, root, programs)
        write_plan(root, plan)
        for engine, group in _groups(missing, programs, root, together):
            members = [replace(programs[experiment.name], experiment=experiment) for experiment in group]
            units.make(engine, members, root, listen(title(group)))
        return write(plan, root)


def run_unit(root: Path, name: str, listen: Listen) -> None:
    """Makes one unit of a comparison's plan, by its name EXPERIMENT/seed-3.

    Raises:
        UserError: the plan has no such unit.
    """
    plan = read_plan(root)
    experiment = unit_named(plan, name)
    program = build.program(experiment, data.load(experiment.data.name))
    if not units.is_complete(root, program):
        units.make(engines.alone(program), [program], root, listen(title([experiment])))


def unit_named(plan: Plan, name: str) -> c.Experiment:
    """The unit EXPERIMENT/seed-3 of a plan (`UserError` if there is none)."""
    known = {units.name(experiment): experiment for experiment in plan.units()}
    if name not in known:
        raise UserError(f"The comparison has no unit {name}{c.nearest(name, known)}.")
    return known[name]


def title(group: Sequence[c.Experiment]) -> str:
    """What a group of units is called on the terminal."""
    names = list(dict.fromkeys(experiment.name for experiment in group))
    seeds = list(dict.fromkeys(experiment.seed for experiment in group))
    return f"{names[0] if len(names) == 1 else f'{len(names)} experiments'} seed{'s'[: len(seeds) > 1]} " + (
        f"{seeds[0]}-{seeds[-1]}" if len(seeds) > 1 else str(seeds[0])
    )


def _groups(
    missing: Sequence[c.Experiment], programs: dict[str, Program], root: Path, together: int | None
) -> Iterator[tuple[engines.Engine, list[c.Experiment]]]:
    """The units that are trained at once, each group with its engine, which is made when its turn comes."""
    families: dict[str, list[c.Experiment]] = {}
    for experiment in missing:
        families.setdefault(_shape(experiment), []).append(experiment)
    for family in families.values():
        size = engines.group_size(programs[family[0].name]) if together is None else together
        for part in _batchable(family, programs, root) if size > 1 else _by_name(family):
            engine, start = None, 0
            for count in _sizes(len(part), size, jax.device_count()):
                group = part[start : start + count]
                start += count
                if engine is None or size > 1:
                    engine = _engine(programs[group[0].name], group)
                yield engine, group


def _sizes(runs: int, most: int, devices: int) -> Iterator[int]:
    """Groups of at most `most` runs, each as many as the devices share equally or fewer than there are devices."""
    while runs:
        count = min(runs, most)
        if count > devices:
            count -= count % devices
        yield count
        runs -= count


def _shape(experiment: c.Experiment) -> str:
    """The configuration without what can differ within a program: name, seed and numbers that are no integers."""
    config = c.to_dict(replace(experiment, name="any", seed=0))
    return json.dumps(_without_numbers(config))


def _without_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_numbers(item) for key, item in value.items()}
    return "a number" if isinstance(value, float) else value


def _by_name(family: Sequence[c.Experiment]) -> list[list[c.Experiment]]:
    return [[e for e in family if e.name == name] for name in dict.fromkeys(e.name for e in family)]


def _batchable(family: Sequence[c.Experiment], programs: dict[str, Program], root: Path) -> list[list[c.Experiment]]:
    """The family in parts that one program can train.

    Experiments which differ in a number that decides what is computed are apart. What began in one program goes on in
    it: with others it would be at another step, and be rounded otherwise.
    """
    try:
        engines.together(programs[family[0].name], 1, differing(family))
        parts = [list(family)]
    except UserError:
        parts = _by_name(family)
    found: dict[tuple[int, tuple[str, ...]], list[c.Experiment]] = {}
    for i, part in enumerate(parts):
        for experiment in part:
            groups = rundir.read_groups(rundir.path(units.directory(root), experiment))
            found.setdefault((i, tuple(groups[max(groups)]) if groups else ()), []).append(experiment)
    return list(found.values())


def differing(group: Sequence[c.Experiment]) -> list[str]:
    """The fields, besides name and seed, in which units differ."""
    return [
        name
        for name in c.leaves(group[0])
        if name not in ("name", "seed") and len({c.value(experiment, name) for experiment in group}) > 1
    ]


def _engine(program: Program, group: Sequence[c.Experiment]) -> engines.Engine:
    return engines.alone(program) if len(group) == 1 else engines.together(program, len(group), differing(group))


# --- results ---------------------------------------------------------------------------------------------------------


def write(plan: Plan, root: Path) -> comparison.Json:
    """Makes comparison.json, comparison.csv, table.md, table.tex and report.html from the units, without training.

    Raises:
        UserError: a unit is missing, or its numbers are not those that were recorded.
    """
    made = []
    for experiment in plan.units():
        unit = units.read(root, experiment)
        if unit is None:
            raise UserError(
                f"The unit {units.name(experiment)} of {root} is not complete: repeat gvlab compare, or run gvlab unit "
                f"{root} {units.name(experiment)}."
            )
        rundir.check_config(unit.run, experiment)
        if replace(rundir.read_config(unit.run), seed=experiment.seed) != experiment:
            raise UserError(
                f"{unit.run} was not trained and measured as {root / 'plan.json'} now says (its steps or its "
                "evaluation are others): repeat gvlab compare, or restore the plan."
            )
        made.append(unit)
    found = comparison.collect(plan.experiments, plan.seeds, plan.match, made, root)
    tables.write(found, root)
    report.write(root, found)
    return found


def notes(plan: Plan, root: Path) -> list[str]:
    """What the units don't tell: which others the directory has, and how far from equal the matched budgets are.

    They are sentences for the terminal. comparison.json, which `gvlab verify` makes from the plan's units, lacks them.
    """
    found = []
    if left_out := units.others(root, plan.units()):
        counts = collections.Counter(name.rpartition("/")[0] for name in left_out)
        listed = ", ".join(f"{count} of {name}" for name, count in counts.items())
        ending = "s"[: len(left_out) > 1]
        found.append(f"Not in the plan and so left out: {len(left_out)} complete unit{ending} in units/ ({listed}).")
    names = [experiment.name for experiment in plan.experiments]
    share, name = max(zip(plan.spent, names, strict=True), key=lambda one: abs(one[0] - 1)) if plan.spent else (1.0, "")
    if abs(share - 1) > UNEQUAL:
        found.append(
            f"The budgets are equal in {plan.match} to within {100 * abs(share - 1):.1f} % only, since steps are "
            f"whole: {name} has {100 * share:.1f} % of that of {names[0]}."
        )
    return found


def load(root: str | Path) -> Any:
    """The values of a comparison as a pandas DataFrame, which shows the table and samples in a notebook.

    Columns: experiment, seed, measure, value, stamp; a diverged unit has one row without a measure.

    Raises:
        UserError: there is no comparison in the directory.
    """
    from gvlab.frame import ComparisonFrame

    found = rundir.read_json(Path(root) / "comparison.json")
    if found is None:
        raise UserError(f"{root} has no comparison.json: run gvlab compare or gvlab report first.")
    if found.get("schema") != comparison.SCHEMA:
        raise UserError(
            f"comparison.json in {root} has schema {found.get('schema')}, but this gvlab reads {comparison.SCHEMA}: "
            f"run gvlab report {root}."
        )
    return ComparisonFrame.of(found, Path(root))
