"""Archives of arrays from any program, before anything in them is unpacked."""

from __future__ import annotations

import zipfile
from pathlib import Path

from gvlab.types import UserError

_BOMB = 2**30
"""Bytes that any archive may hold."""


def names(path: Path, times: int) -> list[str]:
    """The members of an .npz file, which `np.load` does not insist on its being.

    Args:
        path: of the file.
        times: its own size that it may hold, beyond `_BOMB`.

    Raises:
        UserError: it claims more than that.
        zipfile.BadZipFile: it is no archive.
    """
    with zipfile.ZipFile(path) as archive:
        claimed, size = sum(member.file_size for member in archive.infolist()), path.stat().st_size
        members = archive.namelist()
    if claimed > max(_BOMB, times * size):
        raise UserError(f"{path} claims {claimed} bytes within {size}, which no arrays of numbers are: save it anew.")
    return members
