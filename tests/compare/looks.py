"""What several tests look at: the files of a finished comparison, and what `gvlab verify` finds in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import call, edit_json

from gvlab import compare
from gvlab.compare import identity, verify
from gvlab.compare.proof.files import derived
from gvlab.compare.proof.outcome import Verified
from gvlab.files import read_json

TABLES = {"comparison.json", "comparison.csv", "table.md", "table.tex", "report.html"}


def found_in(root: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads((root / "comparison.json").read_text(), parse_constant=refuse)


def timeless(root: Path) -> dict[str, Any]:
    """comparison.json without what two equal comparisons do not share: the wall clock, and how they were called."""
    found = found_in(root)
    del found["commands"]
    for unit in found["units"]:
        del unit["timing"], unit["environment"]["command"]
        for one in (unit["measures"] or {}).values():
            one.pop("points_per_second", None)
    return found


def found(root: Path, unit: str | None = "vae/seed-0", fraction: float | None = None) -> list[Verified]:
    """What is found of the unit, or of all of them; not of the tables, which follow from them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify, "derived", lambda plan, root: [])
        return verify.verify(root, None if unit is None else [unit], fraction, lambda title: None)


def files(root: Path) -> list[Verified]:
    """What is found of the tables."""
    return derived(compare.read_plan(root), root)


def code(*args: object) -> int | str | None:
    """The exit code of `gvlab ARGS`."""
    try:
        return call(*args)
    except SystemExit as stop:
        return stop.code


def different(root: Path, *words: str, fraction: float | None = None) -> None:
    """The unit vae/seed-0 is found to be different, in a sentence that holds the words."""
    (one,) = found(root, fraction=fraction)
    assert (one.unit, one.outcome) == ("vae/seed-0", "different"), one
    for word in words:
        assert word in one.sentence, one


def unit_of(root: Path, unit: str = "vae/seed-0") -> Path:
    return root / "units" / unit


def sign(run: Path) -> None:
    """Makes unit.json agree with what was tampered with, as a thorough forger would."""
    measures = read_json(run / "evaluation.json")["measures"]
    edit_json(run / "unit.json", lambda record: record.update(identity.contents(run, measures)))


def edit_lines(run: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        edit(line)
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
