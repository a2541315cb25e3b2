"""What follows from a comparison's units: comparison.json, the tables and the report."""

from __future__ import annotations

import itertools
import json
import math
import re
import shlex
from pathlib import Path
from typing import Any

from gvlab import __version__, compare
from gvlab import config as c
from gvlab.compare import outputs, report, results, units
from gvlab.compare.proof.outcome import Verified
from gvlab.files import read_json
from gvlab.types import Json, UserError

WRITTEN = ("comparison.json", "comparison.csv", "table.md", "table.tex", "report.html")
DIGITS = 1e-9
"""Relative: by so much statistics of the same numbers differ from machine to machine."""


def derived(plan: compare.Plan, root: Path) -> list[Verified]:
    """Those of comparison.json, the tables and the report that are not what the units give.

    comparison.json is compared by value, but for the version of gvlab, the fields that configurations gained since, and
    in its commands the name of the directory and the experiment files, which earlier ones lacked; the tables and the
    report are made anew from it.
    """
    try:
        complete = [unit for experiment in plan.units() if (unit := units.read(root, experiment))]
    except UserError:
        complete = []  # the unit itself will say so
    if len(complete) < len(list(plan.units())):
        written = [file for file in WRITTEN if (root / file).is_file()]
        why = f"cannot be verified: not all units of {root} are complete and as they were recorded."
        return [Verified(written[0], "unverified", f"{', '.join(written)} {why}")] if written else []
    fresh = json.loads(
        json.dumps(results.collect(plan.experiments, plan.seeds, plan.match, complete, root, plan.directory))
    )
    try:
        stored = read_json(root / "comparison.json") or {}
    except UserError:
        stored = {}
    version = stored.get("gvlab")
    if isinstance(version, str):
        fresh["gvlab"] = version
    commands = _moved(fresh["commands"])
    if commands and _moved(stored.get("commands")) in (commands, _without_files(commands)):
        fresh["commands"] = stored["commands"]
    experiments = stored.get("experiments")
    for old, new in zip(experiments if isinstance(experiments, list) else (), fresh["experiments"], strict=False):
        if isinstance(old, dict) and _is_written_as(new["config"], old.get("config")):
            new["config"] = old["config"]
    wrong = _of_comparison(root, stored, fresh)
    source = fresh if wrong else stored
    texts = outputs.texts(source) | {"report.html": report.html(root, source)}
    texts.pop("comparison.json")
    differences = [
        _not_derived(root, file, fresh["gvlab"]) for file, text in texts.items() if not _reads(root / file, text)
    ]
    return [*filter(None, [wrong]), *differences]


def _of_comparison(root: Path, stored: Json, fresh: Json) -> Verified | None:
    """What is wrong with comparison.json; another version may have known more or fewer fields, but it excuses no
    other value."""
    file, anew = "comparison.json", f"gvlab report {root} makes it anew."
    version, newest = fresh["gvlab"], max(map(_version, _versions(fresh)), default=())
    if stored and _version(version) < newest:
        units_of = ".".join(map(str, newest))
        return Verified(file, "different", f"{file} is of gvlab {version}, its units of gvlab {units_of}: {anew}")
    gap = difference(stored, fresh)
    if gap is None:
        return None
    where, only_one = gap
    if not stored or version == __version__ or not only_one:
        ending = f" ({where})" if where else ""
        return Verified(file, "different", f"{file} is not what the units give{ending}: {anew}")
    sentence = (
        f"{file} is of gvlab {version}, and of gvlab {__version__} only one has {where}, so it cannot be verified"
    )
    return Verified(file, "unverified", f"{sentence}: {anew}")


def _versions(found: Json) -> list[str]:
    """Those by which the units were trained and measured."""
    environments = [unit["environment"] or {} for unit in found["units"]]
    return [str(environment["gvlab"]) for environment in environments if "gvlab" in environment]


def _version(text: str) -> tuple[int, ...]:
    """0.10.2 -> (0, 10, 2)."""
    return tuple(map(int, re.findall(r"\d+", text)))


def _moved(commands: Any) -> dict[str, list[str]] | None:
    """The commands as lists of words, without the name that the directory had; None if they are no such commands."""
    try:
        words = {name: shlex.split(command) for name, command in commands.items()}
        name = words["report"][-1]
        own = re.compile(rf"^{re.escape(name)}(?=/|$)")
        return {key: [*line[:2], *(own.sub("DIR", word) for word in line[2:])] for key, line in words.items()}
    except (AttributeError, KeyError, IndexError, ValueError, TypeError):
        return None


def _without_files(commands: dict[str, list[str]]) -> dict[str, list[str]]:
    """The commands as lists of words without --experiment FILE, which stands at their end."""
    return {key: list(itertools.takewhile(lambda word: word != "--experiment", line)) for key, line in commands.items()}


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


def difference(first: Any, second: Any, at: str = "") -> tuple[str, bool] | None:
    """Where two JSON values differ, numbers but for their last digits, and whether that is in a key that only one has.

    A value that differs counts before a key that is missing.
    """
    gaps: list[tuple[str, bool]] = []
    if isinstance(first, dict) and isinstance(second, dict):
        both = [key for key in first if key in second]
        gaps += filter(None, (difference(first[key], second[key], f"{at}.{key}".lstrip(".")) for key in both))
        gaps += [(f"{at}.{key}".lstrip("."), True) for key in sorted(first.keys() ^ second.keys())]
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        gaps += filter(None, (difference(*two, f"{at}.{i}") for i, two in enumerate(zip(first, second, strict=True))))
    elif isinstance(first, float) and isinstance(second, float):
        gaps += [] if math.isclose(first, second, rel_tol=DIGITS, abs_tol=DIGITS) else [(at, False)]
    elif type(first) is not type(second) or first != second:
        gaps += [(at, False)]
    return min(gaps, key=lambda gap: gap[1], default=None)
