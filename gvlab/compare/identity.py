"""Digests of all that decides a unit's numbers, and of the numbers themselves."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from gvlab import __version__, evaluate
from gvlab.build import Program
from gvlab.files import read_json
from gvlab.runs.curves import WALL_CLOCK, read_metrics

_DECIDE_NOTHING = (
    *("rundir", "log", "checkpoint", "image_sets", "terminal", "pictures", "units", "statistics", "comparison"),
    *("tables", "frame", "report", "compare", "verify", "launch", "reproduce", "comparing", "experiment_files", "cli"),
)
"""Modules on which no number of a unit depends."""


@functools.cache
def code_sha256() -> str:
    """Of the modules that decide what a unit's numbers are."""
    package = Path(__file__).parents[1]
    hasher = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        path = file.relative_to(package)
        if path.parts[0].removesuffix(".py") not in _DECIDE_NOTHING:
            hasher.update(f"{path.as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return hasher.hexdigest()


def json_sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def identity(program: Program) -> dict[str, Any]:
    """What a unit's numbers depend on besides its configuration and the device."""
    return {
        "dataset": {"name": program.dataset.name, "sha256": program.dataset.checksum},
        "code": {"gvlab": __version__, "sha256": code_sha256()},
    }


def config_sha256(run: Path) -> str:
    """Of config.json as it lies on the disk: decoded, it would gain the fields that came after it was written."""
    return json_sha256(read_json(run / "config.json"))


def curves(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without the wall clock."""
    return [{k: v for k, v in line.items() if k not in WALL_CLOCK} for line in read_metrics(run)]


def contents(run: Path, measures: evaluate.Measures | None) -> dict[str, str]:
    sheets = {file: _sha256_of(run / file) for file in drawn(run)}
    return {
        "curves_sha256": json_sha256(curves(run)),
        "measures_sha256": json_sha256(_timeless(measures)),
        "pictures_sha256": json_sha256(sheets),
    }


def drawn(run: Path) -> list[str]:
    """The pictures of samples, reconstructions, ..., by their paths within the run."""
    return sorted(
        file.relative_to(run).as_posix() for kind in ("samples", "pictures") for file in run.glob(f"{kind}/*.png")
    )


def _sha256_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _timeless(measures: evaluate.Measures | None) -> Any:
    """Without the speed at which they were made."""
    return measures and {
        name: {key: value for key, value in one.items() if key != "points_per_second"} for name, one in measures.items()
    }
