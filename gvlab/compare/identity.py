"""Digests of all that decides a unit's numbers, and of the numbers themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gvlab import evaluate
from gvlab.build import Program
from gvlab.compare import measuring, programs
from gvlab.files import json_sha256, read_json, sha256
from gvlab.runs.curves import WALL_CLOCK, read_metrics
from gvlab.types import Json


def identity(program: Program, record: Json | None = None) -> Json:
    """What a unit's numbers depend on besides its configuration and the device: `dataset`, what `programs.identity`
    tells of the training, and `measuring`.

    Args:
        program: the experiment on its data.
        record: of the unit that it will be held against: it is lowered for the platforms that this was.
    """
    trained, measured = ((record or {}).get(field) or {} for field in ("program", "measuring"))
    return {
        "experiment": program.experiment.name,
        "dataset": dataset(program),
        **programs.identity(program, trained.get("platform")),
        "measuring": measuring.identity(program, next(iter(measured.get("lowered", ())), None)),
    }


def dataset(program: Program) -> Json:
    return {"name": program.dataset.name, "sha256": program.dataset.checksum}


def config_sha256(run: Path) -> str:
    """Of config.json as it lies on the disk: decoded, it would gain the fields that came after it was written."""
    return json_sha256(read_json(run / "config.json"))


def curves(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without the wall clock."""
    return [{k: v for k, v in line.items() if k not in WALL_CLOCK} for line in read_metrics(run)]


def contents(run: Path, measures: evaluate.Measures | None) -> dict[str, str]:
    sheets = {file: sha256(run / file) for file in drawn(run)}
    return {
        "curves_sha256": json_sha256(curves(run)),
        "measures_sha256": json_sha256(_timeless(measures)),
        "pictures_sha256": json_sha256(sheets),
    }


def drawn(run: Path) -> list[str]:
    """The pictures of samples, reconstructions, ..., sentences and sounds, by their paths within the run."""
    kinds = ("samples/*.png", "samples/*.txt", "samples/*.wav", "pictures/*.png")
    return sorted(file.relative_to(run).as_posix() for kind in kinds for file in run.glob(kind))


def _timeless(measures: evaluate.Measures | None) -> Any:
    """Without the speed at which they were made."""
    return measures and {
        name: {key: value for key, value in one.items() if key != "points_per_second"} for name, one in measures.items()
    }
