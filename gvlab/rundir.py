"""The run directory: the truth about one run, owned by one process at a time, never half-written."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from gvlab import __version__
from gvlab import config as c
from gvlab.types import UserError


def path(root: Path, experiment: c.Experiment) -> Path:
    """<root>/<experiment>/seed-<k>."""
    return root / experiment.name / f"seed-{experiment.seed}"


def write_atomically(target: Path, text: str) -> None:
    """The whole text or nothing, also when the process or the machine dies meanwhile."""
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    with part.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(target)


@contextlib.contextmanager
def owned(directory: Path, lock_file: str = "lock") -> Iterator[None]:
    """Makes the directory and holds its lock; the kernel lets go of it however the process ends.

    Args:
        directory: of a run, or of a comparison.
        lock_file: another name is another lock: training holds `lock` while who makes a unit holds `unit.lock`.

    Raises:
        UserError: another process holds it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / lock_file).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            raise UserError(
                f"{directory} is in use by another process (number {owner}): wait for it, or use another --out."
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def read_config(run: Path) -> c.Experiment:
    """The experiment that made the run.

    Raises:
        UserError: there is none, or it is damaged.
    """
    file = run / "config.json"
    if not file.is_file():
        raise UserError(f"{run} is not a run directory: it has no config.json.")
    try:
        return c.from_json(file.read_text())
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
    return json.dumps(c.to_dict(value) if hasattr(value, "__dataclass_fields__") else value)


def status(run: Path) -> dict[str, Any]:
    """{"status": ..., "step": ...}: new, running (also after a kill), interrupted, diverged or complete."""
    return read_json(run / "status.json") or {"status": "new", "step": 0}


def read_json(file: Path) -> dict[str, Any] | None:
    """The object in a file that gvlab wrote; None if there is no such file.

    Raises:
        UserError: the file is damaged.
    """
    if not file.exists():
        return None
    try:
        made = json.loads(file.read_text())
        if not isinstance(made, dict):
            raise ValueError("not an object")
    except ValueError as error:
        raise UserError(f"{file} is damaged ({error}): delete it and run the command again.") from error
    return made


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


def _write_by_step(file: Path, key: str, values: dict[int, Any]) -> None:
    write_atomically(file, "".join(json.dumps({"step": step, key: values[step]}) + "\n" for step in sorted(values)))


def _read_by_step(file: Path, key: str) -> dict[int, Any]:
    if not file.exists():
        return {}
    try:
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        return {line["step"]: line[key] for line in lines}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is damaged ({error}): restore it, or delete the run directory.") from error


_NUMERICS = ("jax", "jaxlib", "flax", "optax", "numpy", "scipy", "scikit-learn")
DECISIVE = (*_NUMERICS, "backend", "device", "devices", "processes", "cpu", "cpu_threads", "xla_flags")
"""Of the environment: what bits depend on."""


def write_environment(run: Path) -> list[str]:
    """Writes environment.json; gives a sentence if the run goes on in another environment than it began in.

    The others that it was in are kept under `earlier`.
    """
    before, now = read_json(run / "environment.json") or {}, environment()
    earlier = before.pop("earlier", [])
    changed = [name for name in DECISIVE if before and before.get(name) != now[name]]
    earlier += [before] if changed else []
    text = json.dumps(now | ({"earlier": earlier} if earlier else {}), indent=2)
    write_atomically(run / "environment.json", text + "\n")
    if not changed:
        return []
    what = ", ".join(f"{name} was {before.get(name)} and is {now[name]}" for name in changed)
    return [f"{run} goes on in another environment ({what}), so its bits may differ from an undisturbed run's."]


def environment() -> dict[str, Any]:
    """What the numbers of a run depend on besides its config: versions, device, threads, code revision."""
    packages = (*_NUMERICS, "orbax-checkpoint")
    return {
        "gvlab": __version__,
        "git_revision": _git_revision(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
        "platform": platform.platform(),
        "backend": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
        "processes": jax.process_count(),
        "cpu": _processor(),
        # Training on CPU is repeatable bit for bit only for the same number of threads.
        "cpu_threads": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def _processor() -> str:
    """The processor's name and a digest of what it can do, by which XLA chooses instructions, where Linux tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    known = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = " ".join(sorted(known.get("flags", known.get("Features", "")).split()))
    return f"{known.get('model name', platform.machine())} {hashlib.sha256(flags.encode()).hexdigest()[:8]}"


def _git_revision() -> str | None:
    """The revision of gvlab's own checkout, '+' appended if it has uncommitted changes; None outside of git."""
    here = Path(__file__).parent
    try:
        revision = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()
        dirty = subprocess.run(
            ["git", "status", "--porcelain", "--", "."], cwd=here, capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return revision + ("+" if dirty else "")
