"""comparison.json: read as it lies in a comparison's directory, and asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypedDict

from gvlab.compare import results
from gvlab.files import read_json
from gvlab.schema import Count
from gvlab.spelling import nearest_path
from gvlab.types import Json, UserError


class _Measure(TypedDict):
    value: float
    stamp: Json


class _Unit(TypedDict):
    experiment: str
    seed: Count
    directory: str
    status: Literal["complete", "diverged"]
    failure: str | None
    measures: dict[str, _Measure] | None


class _Summary(TypedDict):
    experiment: str
    measure: str
    better: Literal["lower", "higher"] | None
    protocol: str
    other_protocol: str | None
    n: Count
    total: Count
    failures: Count
    failure_low: float
    failure_high: float
    mean: float | None
    sd: float | None
    median: float | None
    iqm: float | None
    low: float | None
    high: float | None
    minimum: float | None
    maximum: float | None


class _Pair(TypedDict):
    measure: str
    first: str
    second: str
    verdict: Literal["first", "second", "undecided"]
    p_holm: float | None


class _Named(TypedDict):
    name: str


class _Comparison(TypedDict):
    """What of comparison.json is shown in a notebook and in a paper; `results` describes all of it."""

    gvlab: str
    match: str | None
    seeds: list[Count]
    units: list[_Unit]
    summaries: list[_Summary]
    pairs: list[_Pair]
    experiments: list[_Named]
    primary: str | None
    verdict: str
    remarks: list[str]


def read(root: Path) -> Json:
    """comparison.json's object.

    Raises:
        UserError: there is none, it is damaged, or it is of another schema.
    """
    file = root / "comparison.json"
    found = read_json(file)
    if found is None:
        if not root.is_dir():
            raise UserError(f"There is no {root}{nearest_path(root)}: name the directory of a comparison.")
        raise UserError(f"{root} has no comparison.json: run gvlab compare or gvlab report first.")
    if found.get("schema") != results.SCHEMA:
        raise UserError(
            f"comparison.json in {root} has schema {found.get('schema')}, but this gvlab reads {results.SCHEMA}: "
            f"run gvlab report {root}."
        )
    return read_json(file, _Comparison)


def values_by_seed(units: Sequence[Json], experiment: str, measure: str) -> list[tuple[int, float]]:
    """(seed, value) of an experiment's units that have the measure; `units` are those of comparison.json."""
    own = [unit for unit in units if unit["experiment"] == experiment and measure in (unit["measures"] or {})]
    return [(unit["seed"], unit["measures"][measure]["value"]) for unit in own]


def finished(comparison: Json, experiment: str) -> int:
    """How many of an experiment's seeds came to their end."""
    own = [unit for unit in comparison["units"] if unit["experiment"] == experiment]
    return sum(unit["status"] == "complete" for unit in own)
