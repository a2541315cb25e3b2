"""Files that are never half-written, directories that are owned by one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gvlab.errors import UserError

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def require_regular(file: Path) -> None:
    """Refuses, before it is opened, what would not be read to an end: opening a pipe waits, some devices never end.

    Symbolic links are followed.

    Raises:
        UserError: there is no such file, or something else of that name.
    """
    try:
        mode = file.stat().st_mode
    except (OSError, ValueError) as error:  # the latter for a name with a NUL
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(f"{file} cannot be read ({reason}): name a file that is there.") from error
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise UserError(f"{file} is {kind}, but a file is wanted: name one.")


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
