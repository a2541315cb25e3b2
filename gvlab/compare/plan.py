"""What a comparison consists of, and plan.json, which says it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

from gvlab import config as c
from gvlab.compare import units
from gvlab.config import experiment_file, own
from gvlab.files import read_json, write_atomically
from gvlab.runs import directory as rundir
from gvlab.spelling import nearest, nearest_path
from gvlab.types import Json, UserError

SCHEMA = 1
"""Of plan.json."""


LONGEST_NAME = 200
"""Bytes of an experiment's name, which is a directory's; a file system takes 255."""


SEEDS = 6
"""Of a comparison for which nobody says how many: the fewest with which two experiments can be told apart."""


MOST_SEEDS = 10_000
"""Of a comparison."""


class _Written(TypedDict):
    """Of plan.json; earlier versions lacked what need not be there."""

    schema: Literal[1]
    seeds: int
    match: str | None
    spent: NotRequired[list[float]]
    directory: NotRequired[str | None]
    experiments: list[Json]


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
    directory: str | None = field(default=None, compare=False)
    """The comparison's, as it was called where it was made: the commands of its report name it so."""

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
    named = {} if plan.directory is None else {"directory": plan.directory}
    text = {"schema": SCHEMA, "seeds": plan.seeds, **matching, **named, "experiments": experiments}
    write_atomically(root / "plan.json", json.dumps(text, indent=2) + "\n")


def read_plan(root: Path) -> Plan:
    """The plan of a comparison directory.

    Raises:
        UserError: there is none, or it is damaged.
    """
    if not (root / "plan.json").is_file():
        there = "it has no plan.json" if root.is_dir() else f"there is no such directory{nearest_path(root)}"
        raise UserError(f"{root} is no directory of a comparison, since {there}: name one that gvlab compare made.")
    made = read_json(root / "plan.json", _Written)
    try:
        experiments = tuple(c.from_dict(experiment) for experiment in made["experiments"])
        if not experiments:
            raise ValueError("no experiments")
        spent = tuple(map(float, made.get("spent", ())))  # plans of earlier versions lack it
        if len(spent) not in (0, len(experiments)):
            raise ValueError("spent is not one number per experiment")
        return Plan(experiments, made["seeds"], made["match"], spent, made.get("directory"))
    except (ValueError, UserError) as error:
        raise UserError(
            f"{root / 'plan.json'} is damaged ({str(error).rstrip('.')}): restore it from a copy, or move "
            f"it away and repeat gvlab compare with --out {root}."
        ) from error


def open_parts(root: Path, files: Sequence[Path], names: Sequence[str] | None = None) -> None:
    """Executes the experiment files that the user named for a comparison, experiments of which have their own parts.

    Args:
        root: of the comparison.
        files: that were named.
        names: of the units EXPERIMENT/seed-3, ... for which they are wanted; all units if None.

    Raises:
        UserError: no experiment has such parts, or they are of another file, or of another version of it, or one that
            is wanted is of a file that was neither named nor executed before.
    """
    plan = read_plan(root)
    of = {sha256: experiment for experiment in plan.experiments for sha256 in own.files(experiment) if sha256}
    for file in files:
        if not of:
            raise UserError(f"{root} has no parts of an experiment file's own: leave --experiment {file} out.")
        experiment_file.open_parts(file, {sha256: _copies(root, experiment) for sha256, experiment in of.items()})
    wanted = None if names is None else {name.rpartition("/")[0] for name in names}
    for experiment in read_plan(root).experiments:
        if wanted is None or experiment.name in wanted:
            own.check_opened((part for _, part in own.parts(experiment)), _copies(root, experiment))


def file_options(root: Path, experiment: c.Experiment) -> list[str]:
    """--experiment FILE for a command on units of a comparison, where their own parts are of a file: it is the one that
    was executed here, or else the copy that a unit keeps."""
    words = []
    for sha256 in filter(None, own.files(experiment)):
        source = own.source(sha256)
        places = [source.path] if source else _copies(root, experiment)
        words += ["--experiment", str(next(iter(places), "FILE"))]
    return words


def _copies(root: Path, experiment: c.Experiment) -> list[Path]:
    """Of the experiment's file, those that its units keep."""
    return sorted((units.directory(root) / experiment.name).glob(f"seed-*/{rundir.EXPERIMENT_FILE}"))


def unit_named(plan: Plan, name: str) -> c.Experiment:
    """The unit EXPERIMENT/seed-3 of a plan (`UserError` if there is none)."""
    known = {units.name(experiment): experiment for experiment in plan.units()}
    if name not in known:
        raise UserError(
            f"The comparison has no unit {name}{nearest(name, known)}: name EXPERIMENT/seed-K of its plan.json."
        )
    return known[name]
