"""Files that are never half-written, directories that are owned by one process at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from gvlab.errors import UserError
from gvlab.schema import parse
from gvlab.spelling import nearest_path

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
        raise UserError(f"{file} cannot be read ({reason}){nearest_path(file)}: name a file that is there.") from error
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise UserError(f"{file} is {kind}, but a file is wanted: name one.")


def sha256(file: Path) -> str:
    """Of a file, as 64 hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def json_sha256(value: Any) -> str:
    """Of a value's JSON, its keys in order: the same for equal values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def write_atomically(target: Path, text: str) -> None:
    """The whole text or nothing, also when the process or the machine dies meanwhile."""
    with replacing(target) as file:
        file.write(text.encode())


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the target's place when all is on the disk; of a failure nothing is left.

    It is locked until then: who finds such a part without a lock knows that its process is dead (`remove_parts`). Those
    of this target are removed.
    """
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    for left, _ in _parts_of(target.name, target.parent):
        if left.is_file():
            with contextlib.suppress(OSError):  # another user's: it is not in the way
                _remove_unlocked(left)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:  # begun before there is anything to be left: a signal may come at any time
        with _locked(part) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _locked(part: Path) -> BinaryIO:
    while True:
        file = part.open("wb")
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:  # else somebody took it for a dead process's before it was locked
            return file
        file.close()


def require_new_folder(folder: Path) -> None:
    """Raises `UserError` if something is there of that name which is not an empty folder."""
    if os.path.lexists(folder) and not (folder.is_dir() and not os.listdir(folder)):
        raise UserError(f"{folder} is there already and not an empty folder: choose another --out, or move it away.")


@contextlib.contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A folder that appears by one rename when all is in it; of a failure nothing is left.

    Nor of processes that were killed while they made it: what the name says of them tells whether they live.

    Raises:
        UserError: somebody else made it meanwhile.
    """
    place = folder.resolve()  # "." has no name, and a link is not replaced by a folder
    for left, process in _parts_of(f".{place.name}", place.parent):
        if process == os.getpid() or not _lives(process):  # a number is given again, in a container to every process
            shutil.rmtree(left, ignore_errors=True)
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        part.mkdir()
        yield part
        try:
            part.rename(place)  # an empty one is replaced
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise UserError(f"{folder} was made by somebody else meanwhile: choose another --out.") from error
            raise
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


_PART = re.compile(r".+\.\d+\.part")


def remove_parts(directory: Path) -> None:
    """Removes what `replacing` left in a directory when its process was killed."""
    for part in directory.glob("*.part"):
        if _PART.fullmatch(part.name) and part.is_file():
            _remove_unlocked(part)


def _remove_unlocked(part: Path) -> None:
    with part.open("rb") as file, contextlib.suppress(BlockingIOError):  # somebody is writing it
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        part.unlink(missing_ok=True)


def _parts_of(name: str, directory: Path) -> Iterator[tuple[Path, int]]:
    """The parts of that name in a directory, and the number of the process that each is of."""
    for part in directory.glob(f"{glob.escape(name)}.*.part"):
        process = part.name[len(name) + 1 : -len(".part")]
        if re.fullmatch(r"[0-9]{1,9}", process):
            yield part, int(process)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


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
        for place in (directory, directory / "samples", directory / "pictures"):
            remove_parts(place)
        yield


REMEDY = "restore it from a copy"
"""What to do about a damaged file that a run needs, or it would be taken for another one."""

MADE_AGAIN = f"{REMEDY}, or move it away and run the command again"
"""What to do about a damaged file that can be made from others."""


def read_json(file: Path, schema: Any = dict[str, Any], most: int = 64 * 2**20, remedy: str = REMEDY) -> Any:
    """The value in a file that gvlab wrote; None if there is no such file.

    Args:
        file: to be read.
        schema: what it must be, as `gvlab.schema` has it.
        most: bytes that are read at most.
        remedy: what the user is told to do about a damaged file.

    Raises:
        UserError: the file is too large, damaged, or not of the schema.
    """
    if not os.path.lexists(file):
        return None
    require_regular(file)
    with file.open("rb") as opened, _sentence_of(file, remedy):
        raw = opened.read(most + 1)
        if len(raw) > most:
            raise ValueError(f"larger than {most:,} bytes")
        return parse(raw, schema)


def read_json_lines(file: Path, schema: Any, until_newline: bool = False) -> Iterator[Any]:
    """The values in a file of one JSON text per line, none where there is no such file; empty lines are passed over.

    Args:
        file: to be read.
        schema: of each line.
        until_newline: what follows the last newline was cut off by a kill, and is left out.

    Raises:
        UserError: as `read_json`.
    """
    if not os.path.lexists(file):
        return
    require_regular(file)
    with file.open("rb") as opened, _sentence_of(file, REMEDY):
        number, size = 0, 0
        while line := opened.readline(LONGEST_LINE + 1):
            number, size = number + 1, size + len(line)
            if len(line) > LONGEST_LINE or size > MOST_LINES:
                raise ValueError(f"line {number} is longer than {LONGEST_LINE:,} bytes, or all {MOST_LINES:,}")
            if until_newline and not line.endswith(b"\n"):
                return
            if line.strip():
                try:
                    value = parse(line, schema)
                except ValueError as error:
                    raise ValueError(f"line {number}: {error}") from error
                yield value


LONGEST_LINE = 2**20
"""Bytes."""


MOST_LINES = 2**29
"""Bytes of a whole file of lines."""


@contextlib.contextmanager
def _sentence_of(file: Path, remedy: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise UserError(f"{file} is damaged ({error}): {remedy}.") from error
