"""Files that are never half-written, directories that are owned by one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gvlab.errors import UserError


def write_atomically(target: Path, text: str) -> None:
    """The whole text or nothing, also when the process or the machine dies meanwhile."""
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    with part.open("w", encoding="utf-8") as file:
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
    with (directory / lock_file).open("a+", encoding="utf-8") as lock:
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


def read_json(file: Path) -> dict[str, Any] | None:
    """The object in a file that gvlab wrote; None if there is no such file.

    Raises:
        UserError: the file is damaged.
    """
    if not file.exists():
        return None
    try:
        made = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(made, dict):
            raise ValueError("not an object")
    except ValueError as error:
        raise UserError(f"{file} is damaged ({error}): delete it and run the command again.") from error
    return made
