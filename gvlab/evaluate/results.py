"""evaluation.json: measures as they lie in a run directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

from gvlab import config as c
from gvlab import tree
from gvlab.build import Program
from gvlab.evaluate import usual
from gvlab.evaluate.stamps import stamp
from gvlab.extractors import catalogue
from gvlab.files import MADE_AGAIN, json_sha256, read_json, write_atomically
from gvlab.schema import Count, Least
from gvlab.types import PyTree, UserError

Measures = dict[str, dict[str, Any]]
"""By name: {"value", "stamp"} and, where there is one, "standard_error" or "spread"."""


class _Stamp(TypedDict):
    """What of a stamp is read for more than to be shown and compared."""

    k: NotRequired[Count]
    warning: NotRequired[str]
    note: NotRequired[str]


class _Measure(TypedDict):
    value: float
    standard_error: NotRequired[Annotated[float, Least(0)] | None]
    spread: NotRequired[Annotated[float, Least(0)] | None]
    points_per_second: NotRequired[float]
    stamp: _Stamp


class _Evaluation(TypedDict):
    """Of evaluation.json."""

    protocol: dict[str, Any]
    made: list[str]
    """Those of the measures that are not kept of earlier."""
    measures_sha256: NotRequired[str]
    measures: dict[str, _Measure]


def read_file(file: Path) -> dict[str, Any] | None:
    """evaluation.json of a run; None where there is none (`UserError` if it is damaged)."""
    return read_json(file, _Evaluation, remedy=MADE_AGAIN)


def write(run: Path, program: Program, state: PyTree, measures: Measures, kept: Measures | None = None) -> Path:
    """Writes evaluation.json into the run directory: the measures, and the protocol they share.

    Beside them stand those that are `kept`, of `earlier`, where they were not made anew.
    """
    return write_file(run / "evaluation.json", protocol(program, state), measures, kept)


def write_file(file: Path, protocol: dict[str, Any], measures: Measures, kept: Measures | None = None) -> Path:
    """Writes measures, their digest and the protocol they share as JSON; `made` names those that are not `kept`."""
    everything = (kept or {}) | measures
    content = {
        "protocol": protocol,
        "made": list(measures),
        "measures_sha256": json_sha256(everything),
        "measures": everything,
    }
    text = json.dumps(content, indent=2, allow_nan=False)
    write_atomically(file, text + "\n")
    return file


def read(run: Path, program: Program, state: PyTree) -> Measures | None:
    """What this evaluation measured of this state, by evaluation.json; None if it must be made anew.

    So it must where gvlab, its `features.PROTOCOL` or the weights of an extractor are others than they were.
    """
    recorded = read_file(run / "evaluation.json")
    if not recorded or completed(recorded["protocol"]) != completed(_as_json(protocol(program, state))):
        return None
    measures = recorded["measures"]
    return {name: measures[name] for name in recorded["made"]} if measures.keys() >= set(recorded["made"]) else None


def completed(protocol: Any) -> dict[str, Any]:
    """A protocol whose evaluation has the fields that came after it was written; empty if it is none."""
    try:
        return protocol | {"evaluation": c.completed(c.Evaluation, protocol["evaluation"])}
    except (TypeError, KeyError, UserError):
        return {}


def earlier(run: Path, program: Program, state: PyTree) -> Measures:
    """All that evaluation.json has of this state on these data by this gvlab, whatever was asked for, on any device.

    That is nothing where there is no digest of the measures, since they could be anybody's.

    Raises:
        UserError: a measure was changed after it was written, or its stamp is of something else than the protocol.
    """
    file = run / "evaluation.json"
    recorded = read_file(file) or {}
    identity = {k: v for k, v in _identity(program, state).items() if k not in ("backend", "matmul_precision")}
    if "measures_sha256" not in recorded or not identity.items() <= recorded["protocol"].items():
        return {}
    measures = recorded["measures"]
    stamps = {name: measure["stamp"] for name, measure in measures.items()}
    foreign = [name for name, stamp in stamps.items() if any(stamp.get(k, v) != v for k, v in _bound(identity).items())]
    if foreign or recorded["measures_sha256"] != json_sha256(measures):
        which = f"{foreign[0]} is of another state or other data" if foreign else "its digest is another one"
        raise UserError(
            f"The measures in {file} are not those that gvlab wrote there ({which}): restore the file, or move it away "
            "to measure anew."
        )
    return measures


def _bound(identity: dict[str, Any]) -> dict[str, Any]:
    """What every stamp shares with the protocol."""
    return {name: identity[name] for name in ("step", "seed", "dataset_sha256", "protocol")}


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _identity(program: Program, state: PyTree) -> dict[str, Any]:
    """What all measures of a state depend on."""
    return stamp(program, state) | {"state_sha256": tree.digest(state)}


def protocol(program: Program, state: PyTree) -> dict[str, Any]:
    """What is measured, too, and by which weights."""
    asked = program.experiment.evaluation
    names = asked.features or usual.usual_features(program.dataset)
    hashes = {name: catalogue.sha256(name) for name in names}
    return _identity(program, state) | {"extractors": hashes, "evaluation": c.to_dict(asked)}
