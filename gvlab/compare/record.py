"""unit.json as a schema: the record of a unit, of which the rest of `compare` relies on these fields and types.

Schema 1 has the digest of nearly all of gvlab's source, `code`, in place of program and measuring.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from gvlab.files import read_json
from gvlab.runs import directory as rundir
from gvlab.schema import Count, Least
from gvlab.types import Json, UserError

SCHEMA = 2
_Positive = Annotated[float, Least(0)]


class _Dataset(TypedDict):
    name: str
    sha256: str


class _Cost(TypedDict):
    """Of one step of one unit on one device."""

    parameters: Count
    flops_per_step: _Positive | None
    memory_bytes: Count | None


class _Timing(TypedDict):
    seconds: _Positive | None
    images_per_second: float | None
    """Below 0 where lines of the curves are in another order, which is for `verify` to find."""


class _Common(TypedDict):
    """What both schemas have."""

    experiment: str
    seed: Count
    status: Literal["complete", "diverged"]
    failure: str | None
    config_sha256: str
    dataset: _Dataset
    state_sha256: str | None
    curves_sha256: str
    measures_sha256: str
    pictures_sha256: str
    group: list[str]
    regrouped: list[Count]
    cost: _Cost
    timing: _Timing


class _First(_Common):
    """Schema 1."""

    code: Any


class _Measuring(TypedDict):
    """As `measuring.identity` gives it."""

    asked: list[str]
    protocol: int
    extractors: dict[str, str | None]
    code: str
    model: str
    lowered: list[str]


class _Second(_Common, rundir.Training):
    """Schema 2; its program is None where a run was trained before programs were recorded."""

    reprogrammed: list[Count]
    measuring: _Measuring | None


_OF: dict[int, Any] = {1: _First, SCHEMA: _Second}
"""By the number that the file says."""


def read_record(run: Path) -> Json | None:
    """unit.json of a run; None where there is none.

    Raises:
        UserError: it is damaged, or of a schema that this gvlab does not know.
    """
    file = run / "unit.json"
    record = read_json(file)
    if record is None:
        return None
    schema = record.get("schema")
    if type(schema) is not int or schema not in _OF:
        raise UserError(
            f"{file} is no record of schema {SCHEMA}: restore it from a copy, or move {run} away and repeat the "
            "comparison."
        )
    return read_json(file, _OF[schema])
