"""Running a comparison: a directory of units that are made once, in any order, by one process or by many.

Common random numbers: everything random in a unit is a function of its seed and of the step, so the same seed index
means the same order of the data and the same latents of the evaluation in every experiment of one batch size and latent
size; differences between experiments are paired by seed.
"""

from __future__ import annotations

import collections
import functools
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from gvlab import build, evaluate
from gvlab import config as c
from gvlab.build import Program
from gvlab.compare import identity, marks, outputs, report, results, units
from gvlab.compare import programs as lowered
from gvlab.compare.groups import groups_of, shape_of, title
from gvlab.compare.plan import Plan, file_options, read_plan, unit_named, write_plan
from gvlab.compare.record import read_record
from gvlab.compare.remarks import NAMED, listed
from gvlab.compare.schedule import Schedule, too_few
from gvlab.evaluate import usual
from gvlab.evaluate.measure import of_samples
from gvlab.evaluate.sampling import sample_count
from gvlab.files import owned
from gvlab.runs import directory as rundir
from gvlab.train import engines
from gvlab.train.record import Listener
from gvlab.types import Json, UserError

UNEQUAL = 0.01
"""A matched budget that is off by more, relative to the first one's, is remarked upon."""


Listen = Callable[[str], Listener | None]
"""A title -> what hears of that training."""


def programs_of(plan: Plan) -> dict[str, Program]:
    """The experiments on their data, by name; everything that can be refused before training is refused here."""
    programs = {e.name: build.program(e, build.dataset(e.data)) for e in plan.experiments}
    for program in programs.values():
        evaluate.check_ahead(program, evaluate.extractors_of(program.experiment.evaluation, program.dataset))
    return programs


def pending(plan: Plan, root: Path, programs: dict[str, Program]) -> list[c.Experiment]:
    """The units that are not complete, as they began; the others have been checked (`UserError` if one is not what it
    should be)."""
    return [
        experiment
        for experiment in (units.as_begun(root, asked) for asked in plan.units())
        if not units.is_complete(root, replace(programs[experiment.name], experiment=experiment))
    ]


def run(plan: Plan, root: Path, listen: Listen, together: int | None = None) -> Json:
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
    with owned(root):
        units.keep_convolutions(root, plan.units())
        missing = pending(plan, root, programs)
        plan = replace(plan, directory=str(root))
        if sentence := _dropped(plan, root):
            print(sentence, file=sys.stderr, flush=True)
        write_plan(root, plan)
        if missing and (sentence := too_few(plan)):
            print(sentence, file=sys.stderr, flush=True)
        for sentence in [
            *(of_unequal_samples(programs) if missing else []),
            *of_other_cadence(plan, root),
            *of_other_evaluation(programs, missing, root),
            *of_other_code(plan, root, programs, missing),
        ]:
            print(sentence, file=sys.stderr)
        schedule = Schedule(len(plan.experiments) * plan.seeds, missing, _work_of(programs))
        for engine, group in groups_of(missing, programs, root, together):
            units.keep_convolutions(root, [*group, *plan.units()])
            members = [replace(programs[experiment.name], experiment=experiment) for experiment in group]
            units.make(engine, members, root, functools.partial(schedule.hearing, listen, group))
            schedule.made(group)
        return write(plan, root)


def _work_of(programs: dict[str, Program]) -> Callable[[c.Experiment], float]:
    """Of an experiment the operations of all of its steps; those that differ in nothing but numbers do the same."""
    known: dict[str, float] = {}

    def work(experiment: c.Experiment) -> float:
        shape = shape_of(experiment)
        if shape not in known:
            known[shape] = experiment.steps * lowered.flops_per_step(programs[experiment.name])
        return known[shape]

    return work


def _dropped(plan: Plan, root: Path) -> str | None:
    """A sentence, if the plan lacks what the comparison had: the tables are of what is named, and of nothing else."""
    if not (root / "plan.json").is_file():
        return None
    before = read_plan(root)
    names = {experiment.name for experiment in plan.experiments}
    lost = [experiment.name for experiment in before.experiments if experiment.name not in names]
    if lost:
        return (
            f"{root} compared {' and '.join(lost)}, too: the tables and the report will be without, unless you name "
            f"{'it' if len(lost) == 1 else 'them'} again (the units stay)."
        )
    if plan.seeds < before.seeds:
        return f"{root} had {before.seeds} seeds: the tables and the report will be of {plan.seeds} (the units stay)."
    return None


def of_unequal_samples(programs: dict[str, Program]) -> list[str]:
    """Which measures will be of different numbers of generated examples, as sentences: the tables show dashes then."""
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for name, program in programs.items():
        count = sample_count(program.experiment.evaluation, program.dataset)
        for measure in of_samples(program):
            counts.setdefault((measure, program.dataset.checksum), {})[name] = count
    whose: dict[tuple[tuple[str, int], ...], list[str]] = {}
    for (measure, _), numbers in counts.items():
        if len(set(numbers.values())) > 1:
            whose.setdefault(tuple(numbers.items()), []).append(measure)
    sentences = []
    for named, measures in whose.items():
        numbers = dict(named)
        first, *others = dict.fromkeys(numbers.values())
        said = [
            f"{number} of {_several([name for name in numbers if numbers[name] == number])}"
            for number in (first, *others)
        ]
        other = next(name for name in numbers if numbers[name] != first)
        sentences.append(
            f"{listed(measures)} will be made of different numbers of generated examples ({listed(said)}), which "
            f"cannot be compared, so the tables will have dashes: give all one number, as by {other}.evaluation."
            f"samples={first} or in the experiment files."
        )
    return sentences


def _several(names: Sequence[str]) -> str:
    """Experiments by their names, or how many they are."""
    return listed(names) if len(names) <= NAMED else f"{len(names)} experiments"


def of_other_cadence(plan: Plan, root: Path) -> list[str]:
    """What of the cadence that is asked for is not that of units that have begun, as sentences."""
    pairs = [(asked, units.as_begun(root, asked)) for asked in plan.units()]
    changed = [(asked, begun, field) for asked, begun in pairs for field in c.CADENCE]
    sentences = [
        f"What has begun of {asked.name} keeps {field} = {getattr(begun, field)} instead of {getattr(asked, field)}, "
        "which changes no number."
        for asked, begun, field in changed
        if getattr(begun, field) != getattr(asked, field)
    ]
    return list(dict.fromkeys(sentences))


def of_other_evaluation(programs: dict[str, Program], missing: Sequence[c.Experiment], root: Path) -> list[str]:
    """What units were measured by that are measured again without it, as sentences: those numbers leave the tables."""
    whose: dict[tuple[str, str, str], list[str]] = {}
    for experiment in missing:
        run, dataset = rundir.path(units.directory(root), experiment), programs[experiment.name].dataset
        record = read_record(run)
        if record is None or record["failure"]:
            continue
        evaluations = rundir.read_config(run).evaluation, experiment.evaluation
        for field, usual_ones in (("features", usual.usual_features), ("measures", usual.usual_measures)):
            before, now = (getattr(evaluation, field) or usual_ones(dataset) for evaluation in evaluations)
            if lost := [name for name in before if name not in now]:
                whose.setdefault((field, listed(lost), ",".join([*now, *lost])), []).append(experiment.name)
    sentences = []
    for (field, lost_ones, both), found in whose.items():
        names = list(dict.fromkeys(found))
        who = f"{_several(names)} {'are' if names[1:] else 'is'}"
        sentences.append(
            f"{who} measured again without the {field} {lost_ones}, whose numbers leave the tables: to have both, ask "
            f"for both, by {'NAME' if names[1:] else names[0]}.evaluation.{field}={both} or in the experiment file."
        )
    return sentences


def of_other_code(plan: Plan, root: Path, programs: dict[str, Program], missing: Sequence[c.Experiment]) -> list[str]:
    """By what the complete units differ from what this gvlab would make, as sentences."""
    undone = {units.name(experiment) for experiment in missing}
    complete = [experiment for experiment in plan.units() if units.name(experiment) not in undone]
    places = [rundir.path(units.directory(root), experiment) for experiment in complete]
    records = [read_record(place) or {} for place in places]
    return marks.against((record, identity.identity(programs[record["experiment"]], record)) for record in records)


def run_unit(root: Path, name: str, listen: Listen) -> None:
    """Makes one unit of a comparison's plan, by its name EXPERIMENT/seed-3.

    Raises:
        UserError: the plan has no such unit.
    """
    plan = read_plan(root)
    experiment = units.as_begun(root, unit_named(plan, name))
    units.keep_convolutions(root, [experiment, *plan.units()])
    program = build.program(experiment, build.dataset(experiment.data))
    if not units.is_complete(root, program):
        units.make(engines.alone(program), [program], root, functools.partial(listen, title([experiment])))


def write(plan: Plan, root: Path) -> Json:
    """Makes comparison.json, comparison.csv, table.md, table.tex and report.html from the units, without training.

    Raises:
        UserError: a unit is missing, or its numbers are not those that were recorded.
    """
    complete = []
    for experiment in plan.units():
        unit = units.read(root, experiment)
        if unit is None:
            name = units.name(experiment)
            command = shlex.join(["gvlab", "unit", str(root), name, *file_options(root, experiment)])
            raise UserError(f"The unit {name} of {root} is not complete: repeat gvlab compare, or run {command}.")
        rundir.check_config(unit.run, experiment)
        if c.difference(rundir.read_config(unit.run), experiment, ("seed", *c.CADENCE)):
            raise UserError(
                f"{unit.run} was not trained and measured as {root / 'plan.json'} now says (its steps or its "
                "evaluation are others): repeat gvlab compare, or restore the plan."
            )
        complete.append(unit)
    comparison = results.collect(plan.experiments, plan.seeds, plan.match, complete, root, plan.directory)
    outputs.write(comparison, root)
    report.write(root, comparison)
    return comparison


def notes(plan: Plan, root: Path) -> list[str]:
    """What the units don't tell: which others the directory has, and how far from equal the matched budgets are.

    They are sentences for the terminal. comparison.json, which `gvlab verify` makes from the plan's units, lacks them.
    """
    sentences = []
    if left_out := units.others(root, plan.units()):
        counts = collections.Counter(name.rpartition("/")[0] for name in left_out)
        listed = ", ".join(f"{count} of {name}" for name, count in counts.items())
        ending = "s"[: len(left_out) > 1]
        sentences.append(
            f"Not in the plan and so left out: {len(left_out)} complete unit{ending} in units/ ({listed})."
        )
    names = [experiment.name for experiment in plan.experiments]
    share, name = max(zip(plan.spent, names, strict=True), key=lambda one: abs(one[0] - 1)) if plan.spent else (1.0, "")
    if abs(share - 1) > UNEQUAL:
        sentences.append(
            f"The budgets are equal in {plan.match} to within {100 * abs(share - 1):.1f} % only, since steps are "
            f"whole: {name} has {100 * share:.1f} % of that of {names[0]}."
        )
    return sentences
