"""Where a command is to write: the types of --out, which refuse what cannot be before JAX is imported, which takes
seconds."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection
from pathlib import Path

from gvlab.errors import UserError
from gvlab.files import require_new_folder

EXAMPLES = (".png", ".npz", ".npy", ".txt")
"""The endings of files of examples; without one they become a folder."""


def file(endings: Collection[str], what: str) -> Callable[[str], Path]:
    """The type of a file whose name has one of these endings; `what` is written to it, for the sentence."""

    def of(text: str) -> Path:
        out = Path(text)
        if out.suffix.lower() not in endings:
            raise UserError(f"--out is {out}, but {what}: let its name end in {_either(endings)}.")
        return _new_file(out)

    return of


picture = file([".png"], "a picture is a PNG file")
picture_or_text = file([".png", ".txt"], "images, points and sounds are shown in a PNG file, and sentences in a text")


def new_folder(text: str) -> Path:
    """The type of a folder that is new or empty."""
    out = Path(text)
    require_new_folder(out)
    _check_place(out)
    return out


def new_folder_anywhere(text: str) -> Path:
    """As `new_folder`; what it lies in is made with it."""
    require_new_folder(Path(text))
    out = directory(text)
    there = next(place for place in out.absolute().parents if place.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        raise _refusal(errno.EACCES, out)
    return out


def examples(text: str) -> Path:
    """The type of what takes examples: a picture or an array of them, or a folder."""
    out = Path(text)
    if out.suffix.lower() in EXAMPLES:
        return _new_file(out)
    if out.suffix or out.name.startswith("."):
        raise UserError(
            f"--out is {out}, but must end in {_either(EXAMPLES)}, or be a folder, whose name has no ending (of sounds "
            "it has WAV files)."
        )
    return new_folder(text)


def directory(text: str) -> Path:
    """The type of a directory that may be there already, and is made with all that it lies in where it is not."""
    out = Path(text)
    there = next((place for place in (out, *out.parents) if os.path.exists(place)), Path())
    if not there.is_dir():
        raise _refusal(errno.ENOTDIR, out)
    return out


def _new_file(out: Path) -> Path:
    _check_place(out)
    if out.is_dir():
        raise UserError(f"--out is {out}, which is a directory: name a file.")
    return out


def _check_place(out: Path) -> None:
    """Raises `OSError` unless the directory of that file or folder is there and may be written to."""
    try:
        out.parent.stat()
    except OSError as error:
        raise _refusal(error.errno or errno.ENOENT, out) from error
    if not out.parent.is_dir():
        raise _refusal(errno.ENOTDIR, out)
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise _refusal(errno.EACCES, out)


def _refusal(number: int, out: Path) -> OSError:
    """As the file system would give it later."""
    return OSError(number, os.strerror(number), str(out))


def _either(endings: Collection[str]) -> str:
    *first, last = endings
    return f"{', '.join(first)} or {last}" if first else last
