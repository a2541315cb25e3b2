"""The run directory: the truth about one run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gvlab import config as c
from gvlab.files import read_json, write_atomically
from gvlab.types import UserError


def path(root: Path, experiment: c.Experiment) -> Path:
    """<root>/<experiment>/seed-<k>."""
    return root / experiment.name / f"seed-{experiment.seed}"


def read_config(run: Path) -> c.Experiment:
    """The experiment that made the run.

    Raises:
        UserError: there is none, or it is damaged.
    """
    file = run / "config.json"
    if not file.is_file():
        raise UserError(f"{run} is not a run directory: it has no config.json.")
    try:
        return c.from_json(file.read_text(encoding="utf-8"))
    except (UserError, UnicodeDecodeError) as error:
        raise UserError(
            f"{file} is damaged ({str(error).rstrip('.')}): restore it from a copy, or delete the run directory."
        ) from error


def check_config(run: Path, experiment: c.Experiment) -> None:
    """Refuses an experiment that would not continue this run (`UserError` names the field that differs)."""
    if not (run / "config.json").exists():
        return
    found = c.difference(read_config(run), experiment, ignore=c.WITHOUT_INFLUENCE)
    if found:
        name, old, new = found
        raise UserError(
            f"{run} was made with {name} = {_plain(old)}, not {_plain(new)}: use the old value, or another --out."
        )


def _plain(value: Any) -> str:
    return json.dumps(c.member_to_dict(value) if hasattr(value, "__dataclass_fields__") else value)


def status(run: Path) -> dict[str, Any]:
    """{"status": ..., "step": ...}: new, running (also after a kill), interrupted, diverged or complete."""
    return read_json(run / "status.json") or {"status": "new", "step": 0}


def write_status(run: Path, status: str, step: int, **more: Any) -> None:
    write_atomically(run / "status.json", json.dumps({"status": status, "step": step, **more}) + "\n")


def write_states(run: Path, states: dict[int, str]) -> None:
    """Writes states.jsonl: the SHA-256 of the state at each step that was saved."""
    _write_by_step(run / "states.jsonl", "sha256", states)


def read_states(run: Path) -> dict[int, str]:
    """What `write_states` wrote; nothing if there is no file (`UserError` if it is damaged)."""
    return _read_by_step(run / "states.jsonl", "sha256")


def write_groups(run: Path, groups: dict[int, list[str]]) -> None:
    """Writes groups.jsonl: the runs EXPERIMENT/seed-k that were trained in one program, from each step on."""
    _write_by_step(run / "groups.jsonl", "group", groups)


def read_groups(run: Path) -> dict[int, list[str]]:
    """What `write_groups` wrote; nothing if there is no file (`UserError` if it is damaged)."""
    return _read_by_step(run / "groups.jsonl", "group")


def write_programs(run: Path, programs: dict[int, Any]) -> None:
    """Writes programs.jsonl: by what program the run was trained from each step on; null where that is not known."""
    _write_by_step(run / "programs.jsonl", "program", programs)


def read_programs(run: Path) -> dict[int, Any]:
    """What `write_programs` wrote; nothing if there is no file (`UserError` if it is damaged)."""
    return _read_by_step(run / "programs.jsonl", "program")


def _write_by_step(file: Path, key: str, values: dict[int, Any]) -> None:
    write_atomically(file, "".join(json.dumps({"step": step, key: values[step]}) + "\n" for step in sorted(values)))


def _read_by_step(file: Path, key: str) -> dict[int, Any]:
    if not file.exists():
        return {}
    try:
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        return {line["step"]: line[key] for line in lines}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is damaged ({error}): restore it, or delete the run directory.") from error
