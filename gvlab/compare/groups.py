"""Which units are trained as one program."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from gvlab import config as c
from gvlab.build import Program
from gvlab.compare import units
from gvlab.runs import directory as rundir
from gvlab.train import engines
from gvlab.types import UserError


def title(group: Sequence[c.Experiment]) -> str:
    """What a group of units is called on the terminal."""
    names = list(dict.fromkeys(experiment.name for experiment in group))
    seeds = list(dict.fromkeys(experiment.seed for experiment in group))
    return f"{names[0] if len(names) == 1 else f'{len(names)} experiments'} seed{'s'[: len(seeds) > 1]} " + (
        f"{seeds[0]}-{seeds[-1]}" if len(seeds) > 1 else str(seeds[0])
    )


def groups_of(
    missing: Sequence[c.Experiment], programs: dict[str, Program], root: Path, together: int | None
) -> Iterator[tuple[engines.Engine, list[c.Experiment]]]:
    """The units that are trained at once, each group with its engine, which is made when its turn comes."""
    families: dict[str, list[c.Experiment]] = {}
    for experiment in missing:
        families.setdefault(shape_of(experiment), []).append(experiment)
    for family in families.values():
        size = engines.group_size(programs[family[0].name]) if together is None else together
        for part in _batchable(family, programs, root) if size > 1 else _by_name(family):
            engine, start = None, 0
            for count in _sizes(len(part), size, jax.device_count()):
                group = part[start : start + count]
                start += count
                if engine is None or size > 1:
                    engine = _engine(replace(programs[group[0].name], experiment=group[0]), group)
                yield engine, group


def _sizes(runs: int, most: int, devices: int) -> Iterator[int]:
    """Groups of at most `most` runs, each as many as the devices share equally or fewer than there are devices."""
    while runs:
        count = min(runs, most)
        if count > devices:
            count -= count % devices
        yield count
        runs -= count


def shape_of(experiment: c.Experiment) -> str:
    """The configuration without what can differ within a program: name, seed and numbers that are no integers."""
    config = c.to_dict(replace(experiment, name="any", seed=0))
    return json.dumps(_without_numbers(config))


def _without_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_numbers(item) for key, item in value.items()}
    if isinstance(value, tuple):  # of terms; the numbers of another tuple are one value
        return [_without_numbers(item) if isinstance(item, dict) else item for item in value]
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
