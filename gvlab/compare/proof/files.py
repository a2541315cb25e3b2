"""What follows from a comparison's units: comparison.json, the tables and the report."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from gvlab import __version__, compare
from gvlab import config as c
from gvlab.compare import report, results, tables, units
from gvlab.compare.proof.outcome import Verified
from gvlab.files import read_json
from gvlab.types import Json, UserError

DIGITS = 1e-9
"""Relative: by so much statistics of the same numbers differ from machine to machine."""


def derived(plan: compare.Plan, root: Path) -> list[Verified]:
    """Those of comparison.json, the tables and the report that are not what the units give.

    comparison.json is compared by value, but for the version of gvlab, the fields that configurations gained since, and
    the commands, which hold the name that the directory had; the tables and the report are made anew from it.
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
    experiments = stored.get("experiments")
    for old, new in zip(experiments if isinstance(experiments, list) else (), fresh["experiments"], strict=False):
        if isinstance(old, dict) and _is_written_as(new["config"], old.get("config")):
            new["config"] = old["config"]
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


def _is_written_as(config: Json, written: Any) -> bool:
    """Whether a configuration is what was written, fields that came after that at their defaults."""
    try:
        return c.completed(c.Experiment, written) == c.completed(c.Experiment, config)
    except UserError:
        return False


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
