"""What the user may have meant by a name or a path that is not there, for the end of a sentence."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path

_ALIKE = 0.65
"""From this likeness on a part of a dotted name, or of a path, is taken for another one that was misspelt."""


def likeness(a: str, b: str) -> float:
    """From 0 to 1, where they are equal."""
    return difflib.SequenceMatcher(None, a, b).ratio()


def nearest(name: str, names: Iterable[str]) -> str:
    """' (did you mean ...?)' for the name most like `name`, or nothing."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return _hint(close[0]) if close else ""


def nearest_field(name: str, fields: Iterable[str]) -> str:
    """As `nearest`, of dotted names: the last part says what is meant, and where it lies is easily forgotten."""
    fields = list(fields)

    def alike(field: str) -> tuple[float, float]:
        return likeness(_last(name), _last(field)), likeness(name, field)

    close = [field for field in fields if alike(field)[0] >= _ALIKE]
    return _hint(max(close, key=alike)) if close else ""


def nearest_path(path: Path) -> str:
    """As `nearest`, of a path that is not there: a part of it may be misspelt, of what lies in its place."""
    meant = _lying_there(path)
    return _hint(str(meant)) if meant not in (None, path) else ""


def _lying_there(path: Path) -> Path | None:
    if os.path.exists(path):
        return path
    directory = _lying_there(path.parent) if path.parent != path else None
    if directory is None:
        return None
    try:
        names = sorted(name for name in os.listdir(directory) if not name.startswith("."))
    except OSError:  # it is a file, or nobody may look into it
        return None
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=_ALIKE)
    return directory / close[0] if close else None


def _last(name: str) -> str:
    return name.rpartition(".")[2].lstrip("-")


def _hint(meant: str) -> str:
    return f" (did you mean {meant}?)"
