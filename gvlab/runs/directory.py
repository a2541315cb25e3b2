"""The run directory: the truth about one run."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from gvlab import config as c
from gvlab.config import experiment_file, own
from gvlab.files import MADE_AGAIN, read_json, read_json_lines, write_atomically
from gvlab.files import sha256 as file_sha256
from gvlab.schema import Count
from gvlab.spelling import nearest_path
from gvlab.types import UserError

EXPERIMENT_FILE = "experiment.py"
"""The copy of the file that a run's own parts are of. It is executed only where the user names it: it shows what was,
and how another version differs."""


class Status(TypedDict):
    """Of status.json."""

    status: Literal["new", "running", "interrupted", "diverged", "complete"]
    """running: also after a kill."""
    step: Count
    reason: NotRequired[str]
    """Why it diverged."""


class _State(TypedDict):
    """A line of states.jsonl."""

    step: Count
    sha256: str


class _Group(TypedDict):
    """A line of groups.jsonl."""

    step: Count
    group: list[str]


class Training(TypedDict):
    """By what a run is trained, as `compare.programs.identity` gives it."""

    program: dict[str, str] | None
    versions: dict[str, str]
    settings: dict[str, str]


class _Program(TypedDict):
    """A line of programs.jsonl."""

    step: Count
    program: Training | None


TRAINED = ("metrics.jsonl", "origin.json", "states.jsonl")
"""What a run directory has only after its config.json was written."""


def path(root: Path, experiment: c.Experiment) -> Path:
    """<root>/<experiment>/seed-<k>."""
    return root / experiment.name / f"seed-{experiment.seed}"


def read_config(run: Path) -> c.Experiment:
    """The experiment that made the run.

    Raises:
        UserError: there is none, or it is damaged.
    """
    file = run / "config.json"
    values = read_json(file)
    if values is None:
        raise UserError(_no_run(run))
    try:
        return c.from_dict(values)
    except UserError as error:
        raise UserError(f"{file} is damaged ({str(error).rstrip('.')}): restore it from a copy.") from error


def _no_run(run: Path) -> str:
    """Why a directory without config.json is none, and what may be meant."""
    if not run.exists():
        return f"There is no {run}{nearest_path(run)}: name a run directory, such as runs/digits_vae/seed-0."
    if not run.is_dir():
        return f"{run} is a file, but a run directory is wanted: name the directory that it is in."
    inner = sorted(path.parent for path in (*run.glob("*/config.json"), *run.glob("*/*/config.json")))
    hint = f"name one within it, such as {inner[0]}" if inner else "name one, such as runs/digits_vae/seed-0"
    return f"{run} is not a run directory, since it has no config.json: {hint}."


def check_config(run: Path, experiment: c.Experiment, ignore: Sequence[str] = c.WITHOUT_INFLUENCE) -> None:
    """Refuses an experiment that would not continue this run.

    Args:
        run: whose config.json is read, if it has one.
        experiment: that is to continue it.
        ignore: the fields that may be others.

    Raises:
        UserError: a field differs, which it names.
    """
    if not os.path.lexists(run / "config.json"):
        saved = any(path.name.isdecimal() for path in (run / "checkpoints").glob("*"))
        if saved or any((run / name).exists() for name in TRAINED):
            raise UserError(
                f"{run} was trained, but by what configuration nobody knows, since its config.json is gone: restore "
                "that file from a copy, or use another --out."
            )
        return
    found = c.difference(read_config(run), experiment, ignore=tuple(ignore))
    if found:
        name, old, new = found
        _check_file(run, experiment)
        if name.startswith("model.first.") and isinstance(experiment.model, c.SecondStage):
            raise UserError(
                f"{run} stands on another first stage than {experiment.model.on} is now ({name}): train under another "
                "--out, or name the run that it stands on."
            )
        raise UserError(
            f"{run} was made with {name} = {_plain(old)}, not {_plain(new)}: use the old value, or another --out."
        )


def _check_file(run: Path, experiment: c.Experiment) -> None:
    """Raises UserError if the experiment's own parts are of another version of the file than the run's."""
    recorded, now = own.files(read_config(run)), own.files(experiment)
    copies = {sha256: [run / EXPERIMENT_FILE] for sha256 in recorded}
    for sha256 in now:
        source = own.source(sha256)
        if source and recorded and sha256 not in recorded:
            experiment_file.check_version(source.path, source.text, copies, "give {copy} instead, or use another --out")


def open_parts(run: Path, file: Path | None) -> None:
    """Executes the experiment file that the user named for a run whose own parts are of it; does nothing without one.

    Raises:
        UserError: the run has no such parts, or they are of another file, or of another version of it.
    """
    if file is None:
        return
    recorded = [sha256 for sha256 in own.files(read_config(run)) if sha256]
    if not recorded:
        raise UserError(f"{run} has no parts of an experiment file's own: leave --experiment {file} out.")
    experiment_file.open_parts(file, {sha256: [run / EXPERIMENT_FILE] for sha256 in recorded})


def copy_is_true(run: Path) -> bool:
    """Whether the copy of the experiment file, where a run's own parts are of one, is the file that was recorded."""
    recorded, copy = [sha256 for sha256 in own.files(read_config(run)) if sha256], run / EXPERIMENT_FILE
    return all(copy.is_file() and file_sha256(copy) == sha256 for sha256 in recorded)


def _plain(value: Any) -> str:
    return json.dumps(value, default=c.member_to_dict)


def status(run: Path) -> Status:
    """What status.json says; a run without one is new."""
    return read_json(run / "status.json", Status, remedy=MADE_AGAIN) or Status(status="new", step=0)


def check_new(run: Path) -> None:
    """Refuses, where there are no checkpoints, a run that had some; after a kill there need not have been any yet."""
    known = status(run)
    if known["status"] in ("complete", "interrupted") and known["step"] > 0:
        raise UserError(
            f"{run} is at step {known['step']} by its status.json, but its checkpoints are gone: restore "
            f"{run / 'checkpoints'} from a copy, or train under another --out."
        )


def write_status(run: Path, status: str, step: int, **more: Any) -> None:
    write_atomically(run / "status.json", json.dumps({"status": status, "step": step, **more}) + "\n")


def write_states(run: Path, states: dict[int, str]) -> None:
    """Writes states.jsonl: the SHA-256 of the state at each step that was saved."""
    _write_by_step(run / "states.jsonl", "sha256", states)


def read_states(run: Path) -> dict[int, str]:
    """What `write_states` wrote; nothing if there is no file (`UserError` if it is damaged)."""
    return _read_by_step(run / "states.jsonl", "sha256", _State)


def write_groups(run: Path, groups: dict[int, list[str]]) -> None:
    """Writes groups.jsonl: the runs EXPERIMENT/seed-k that were trained in one program, from each step on."""
    _write_by_step(run / "groups.jsonl", "group", groups)


def read_groups(run: Path) -> dict[int, list[str]]:
    """What `write_groups` wrote; nothing if there is no file (`UserError` if it is damaged)."""
    return _read_by_step(run / "groups.jsonl", "group", _Group)


def write_programs(run: Path, programs: dict[int, Any]) -> None:
    """Writes programs.jsonl: by what program the run was trained from each step on; null where that is not known."""
    _write_by_step(run / "programs.jsonl", "program", programs)


def read_programs(run: Path) -> dict[int, Any]:
    """What `write_programs` wrote; nothing if there is no file (`UserError` if it is damaged)."""
    return _read_by_step(run / "programs.jsonl", "program", _Program)


def _write_by_step(file: Path, key: str, values: dict[int, Any]) -> None:
    write_atomically(file, "".join(json.dumps({"step": step, key: values[step]}) + "\n" for step in sorted(values)))


def _read_by_step(file: Path, key: str, schema: Any) -> dict[int, Any]:
    return {line["step"]: line[key] for line in read_json_lines(file, schema)}
