"""What the report reads of a unit."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from gvlab.runs.curves import read_metrics
from gvlab.types import Json, UserError


class Unit(NamedTuple):
    """One (experiment, seed) and what its run directory still holds."""

    experiment: str
    seed: int
    run: Path
    exists: bool
    diverged: bool
    lines: list[Json]
    """Of metrics.jsonl."""


def load(directory: Path, unit: Json, remarks: list[str]) -> Unit:
    """The unit's curves; what is missing is remarked upon."""
    run = directory / unit["directory"]
    lines: list[Json] = []
    if not run.is_dir():
        remarks.append(f"{unit['directory']} is missing, so the curves and pictures of that seed are left out.")
    else:
        try:
            lines = read_metrics(run)
            if not lines:
                remarks.append(f"{unit['directory']} has no lines in metrics.jsonl, so that seed has no curve.")
        except UserError as error:
            remarks.append(f"That seed has no curve: {relative(error, directory)}")
    return Unit(unit["experiment"], unit["seed"], run, run.is_dir(), unit["status"] != "complete", lines)


def relative(error: UserError, directory: Path) -> str:
    """The sentence with paths as they are seen from the comparison's directory."""
    return str(error).replace(f"{directory}/", "")
