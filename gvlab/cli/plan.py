"""The comparison that a command line asks for."""

from __future__ import annotations

import argparse
import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gvlab.cli import overrides
from gvlab.config import experiment_file
from gvlab.errors import UserError
from gvlab.spelling import nearest, nearest_field, nearest_path

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.compare import Plan
    from gvlab.config import Experiment


def planned(args: argparse.Namespace) -> Plan:
    """The comparison that the command line asks for."""
    from gvlab import compare, families

    files = [text for text in args.experiments if "=" not in text or os.path.isfile(text)]
    settings = [text for text in args.experiments if text not in files]
    other = None
    if [Path(file).name for file in files] == ["plan.json"] and not Path(files[0]).is_file():
        raise UserError(f"There is no plan {files[0]}{nearest_path(Path(files[0]))}: name one that gvlab compare made.")
    if [Path(file).name for file in files] == ["plan.json"]:
        compare.open_parts(Path(files[0]).parent, args.experiment or ())
        other = compare.read_plan(Path(files[0]).parent)
        experiments, seeds = list(other.experiments), other.seeds
    elif files:
        experiments, seeds = [experiment_file.load(Path(file)) for file in files], compare.SEEDS
    else:
        raise UserError(f"{settings[0]} sets a field, but no experiment file is named.")
    if args.experiment and not other:
        raise UserError(
            f"--experiment {args.experiment[0]} is for a plan.json, whose parts are of that file: name the file itself."
        )
    twice = [text for text in settings if [one.split("=")[0] for one in settings].count(text.split("=")[0]) > 1]
    if twice:
        raise UserError(f"{twice[0]} and {twice[-1]} set one field: give it once, or --sweep over its values.")
    ignored = [
        *(text for text in settings if args.measures and text.split("=")[0].endswith(".evaluation.measures")),
        *(text for text in settings if text.split("=")[0].endswith(".seed")),
        *(text for text in settings if args.steps is not None and text.split("=")[0].endswith(".steps")),
        *(text for text in args.sweep or () if args.steps is not None and text.split("=")[0] == "steps"),
    ]
    if ignored:
        instead = "--seeds gives the seeds" if ".seed=" in ignored[0] else f"--steps {args.steps} sets the same"
        if ".measures=" in ignored[0]:
            instead = "--metrics says what all are measured by"
        raise UserError(f"{ignored[0]} would have no effect, since {instead}: leave one of them out.")
    if args.match and len(experiments) == 1 and not args.sweep:
        raise UserError(f"--match {args.match} has only {experiments[0].name}, and nothing to match it with: name two.")
    experiments = _set(experiments, settings)
    if args.steps is not None:
        experiments = [replace(experiment, steps=args.steps) for experiment in experiments]
    if args.measures is not None:
        experiments = [_measured_by(experiment, tuple(args.measures)) for experiment in experiments]
    if args.sweep:
        sweeps = [_sweep(text) for text in args.sweep]
        experiments = [one for experiment in experiments for one in compare.grid(experiment, sweeps)]
    experiments = [families.resolved(experiment) for experiment in overrides.put_on(experiments, args.on)]
    plan = compare.Plan(tuple(experiments), seeds if args.seeds is None else args.seeds)
    if args.seeds is None and not other and (directory_of(args, plan) / "plan.json").is_file():
        plan = replace(plan, seeds=compare.read_plan(directory_of(args, plan)).seeds)  # nothing is dropped by silence
    if args.match is None:
        same = other and other.experiments == plan.experiments
        return replace(plan, match=other.match, spent=other.spent) if other and same else plan
    if args.match not in compare.MATCHES:
        raise UserError(f"--match is {args.match!r}, but must be one of {', '.join(compare.MATCHES)}.")
    return _matched(plan, args.match, directory_of(args, plan))


def _measured_by(experiment: Experiment, measures: tuple[str, ...]) -> Experiment:
    return replace(experiment, evaluation=replace(experiment.evaluation, measures=measures))


def directory_of(args: argparse.Namespace, plan: Plan) -> Path:
    """The directory of the comparison."""
    from gvlab import compare

    names = [experiment.name for experiment in plan.experiments]
    several = "-vs-".join(names)
    return args.out or Path("comparisons") / (
        several if len(os.fsencode(several)) < compare.LONGEST_NAME else f"{names[0]}-and-{len(names) - 1}-more"
    )


def _matched(plan: Plan, match: str, root: Path) -> Plan:
    """The plan with equal budgets. What an earlier call matched to the same budget keeps its steps: no two measurements
    of seconds are alike, so that a comparison that was stopped could not go on."""
    from gvlab import compare
    from gvlab.config import WITHOUT_INFLUENCE, difference

    earlier: dict[str, tuple[Experiment, float]] = {}
    before = compare.read_plan(root) if (root / "plan.json").is_file() else None
    first = ("seed", "evaluation")  # do not change what the first experiment spends
    if before and before.match == match and not difference(before.experiments[0], plan.experiments[0], first):
        spent = before.spent or [1.0] * len(before.experiments)
        earlier = {one.name: (one, share) for one, share in zip(before.experiments, spent, strict=True)}
    kept: list[tuple[Experiment, float] | None] = []
    for experiment in plan.experiments:
        old, share = earlier.get(experiment.name, (None, 1.0))
        same = old and not difference(old, experiment, ignore=("seed", *WITHOUT_INFLUENCE))
        kept.append((replace(experiment, steps=old.steps), share) if old and same else None)
    if not all(kept):
        fresh = compare.matched(list(compare.programs_of(plan).values()), match)
        kept = [old or new for old, new in zip(kept, fresh, strict=True)]
    budgets = [budget for budget in kept if budget]
    return replace(
        plan, experiments=tuple(e for e, _ in budgets), match=match, spent=tuple(share for _, share in budgets)
    )


def _set(experiments: list[Experiment], settings: list[str]) -> list[Experiment]:
    """NAME.FIELD=VALUE, for each experiment of that name; of a field that holds several NAME.FIELD=VALUE,VALUE,... ."""
    for setting in settings:
        target, value = setting.split("=", 1)
        named = [e for e in experiments if target.startswith(f"{e.name}.")]
        if not named:
            names = [experiment.name for experiment in experiments]
            hint = nearest(target.partition(".")[0], names)
            raise UserError(
                f"{setting} does not begin with the name of an experiment and a dot{hint}: name {' or '.join(names)}."
            )
        chosen = max(named, key=lambda experiment: len(experiment.name))
        changed = _changed(chosen, target[len(chosen.name) + 1 :], value, setting)
        experiments = [changed if experiment is chosen else experiment for experiment in experiments]
    return experiments


def _holds_several(experiment: Experiment, field: str) -> bool:
    from gvlab.config import value

    with contextlib.suppress(UserError):  # there is no such field, which tyro says in the words of the command line
        return isinstance(value(experiment, field.replace("-", "_")), tuple)
    return False


def _changed(experiment: Experiment, field: str, value: str, setting: str) -> Experiment:
    """The experiment with one field set; `setting` is what the user typed."""
    option, values = "--" + field.replace("_", "-"), value.split(",") if _holds_several(experiment, field) else [value]
    try:
        return overrides.override(experiment, [option, *values], "gvlab train EXPERIMENT.py")
    except UserError as error:
        fields = [known.removeprefix("--").replace("-", "_") for known in overrides.options(experiment)]
        if field.replace("-", "_") in fields:
            raise UserError(f"{setting} is refused: {error}") from error
        hint = nearest_field(field.replace("-", "_"), fields)
        raise UserError(
            f"{setting} sets no field of {experiment.name}{hint}: gvlab train EXPERIMENT.py --help lists them."
        ) from error


def _sweep(text: str) -> tuple[str, list[Any]]:
    """The field of FIELD=VALUE,VALUE,... and its values."""
    field, separator, values = text.partition("=")
    if not separator or not all(values.split(",")):
        raise UserError(f"--sweep is {text!r}, but must be FIELD=VALUE,VALUE,... .")
    return field, [_value(value) for value in values.split(",")]


def _value(text: str) -> Any:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return {"True": True, "False": False}.get(text, text)
