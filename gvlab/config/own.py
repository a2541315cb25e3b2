"""Parts that a user's own file brings: whose they are, which file they are of, and what stands for them without it.

In JSON such a part is `{"type": "own:Wide", "file_sha256": ..., its fields}`. The class is that of the file of this
hash, if this process has been given the file; from JSON alone nothing is ever executed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from gvlab.config.inside import has_inside, inside
from gvlab.errors import UserError

PREFIX = "own:"
"""Of the `type` in JSON."""
FILE = "file_sha256"
"""Beside it, the hash of the file; empty of a class that no experiment file defines."""


class Source:
    """An experiment file as it was executed in this process."""

    def __init__(self, path: Path, text: bytes, module: ModuleType) -> None:
        self.path, self.text, self.module = path, text, module
        self.sha256 = hashlib.sha256(text).hexdigest()


_SOURCES: dict[str, Source] = {}
"""By hash. Who executes a file twice gets the classes of the first time, so that configurations stay equal."""
_MODULES: dict[str, str] = {}
"""The hash of the file by the name of its module, which is one of its text."""
_OF_PYTHON: dict[str, Any] = {}
"""Classes from elsewhere, such as a notebook, by name: the last that a program was built of."""


def add(source: Source) -> None:
    """Takes note of a file that the user named, and that was executed."""
    _SOURCES.setdefault(source.sha256, source)
    _MODULES[source.module.__name__] = source.sha256


def source(sha256: str) -> Source | None:
    """The file of that hash, if it was executed here."""
    return _SOURCES.get(sha256)


FROM_FILE = "FromFile"
"""The class that `data()` in an experiment file stands for in a configuration."""


def said(name: str, before: str = "") -> str:
    """What the user calls a class of an experiment file, with that before it if it is a class in their eyes, too."""
    return "data()" if name == FROM_FILE else before + name


def with_data(module: ModuleType) -> None:
    """Gives the module of an experiment file that class, if it defines a function `data()` at its top.

    So what the function returns is a source of examples like any of one's own: known by the hash of the file.
    """
    function: Any = vars(module).get("data")
    if not inspect.isfunction(function) or function.__module__ != module.__name__:
        return
    if any(one.default is one.empty and one.kind < one.VAR_POSITIONAL for one in _parameters(function)):
        return  # a helper

    @dataclasses.dataclass(frozen=True)
    class FromFile:
        """What `data()` in the file returns."""

        def data(self) -> Any:
            return function()

    FromFile.__module__, FromFile.__qualname__ = module.__name__, FROM_FILE
    setattr(module, FROM_FILE, FromFile)


def _parameters(function: Any) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())


def note_class(cls: Any) -> None:
    """Takes note of a class that no experiment file defines, so that this process can read its configurations."""
    _OF_PYTHON[cls.__name__] = cls


def is_own(cls: Any) -> bool:
    """Whether a class of a part is none of gvlab's."""
    return not cls.__module__.startswith("gvlab.config.")


def file_sha256(cls: Any) -> str:
    """Of the experiment file that defines the class; empty if none does."""
    return _MODULES.get(cls.__module__, "")


class Unopened:
    """A part whose class is not here: it equals itself, is written as it was read, and makes nothing."""

    __slots__ = ("file_sha256", "name", "text")
    name: str
    file_sha256: str
    text: str

    def __init__(self, name: str, file_sha256: str, fields: dict[str, Any]) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "file_sha256", file_sha256)
        object.__setattr__(self, "text", json.dumps(fields))

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"{self!r} cannot be changed")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unopened) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.name, self.file_sha256))

    def __repr__(self) -> str:
        return f"{PREFIX}{self.name}{self.text}"

    def to_dict(self) -> dict[str, Any]:
        """As it stood in JSON."""
        return {"type": f"{PREFIX}{self.name}", FILE: self.file_sha256} | json.loads(self.text)

    def refuse(self, *args: Any, **options: Any) -> NoReturn:
        """Stands for every method of a part.

        Raises:
            UserError: always.
        """
        if not self.file_sha256:
            raise UserError(
                f"The class {self.name} was given from Python, by no experiment file: build the program where it is "
                "defined, with gvlab.build.program."
            )
        raise UserError(f"{self._unasked()}.")

    def refuse_naming(self, copy: Path) -> NoReturn:
        """As `refuse`, where a copy of the file is known: whoever lost the file, or does not know it, may name that.

        Raises:
            UserError: always.
        """
        raise UserError(f"{self._unasked()}, or the copy that was kept with --experiment {shlex.quote(str(copy))}.")

    def _unasked(self) -> str:
        return (
            f"{said(self.name, 'The class ')} is of an experiment file (SHA-256 {self.file_sha256[:12]}), and nothing "
            "that lies in a run directory is executed by itself: name the file with --experiment FILE"
        )

    data = model = networks = coders = contest = term = augmentation = refuse
    observation = transformation = schedule = refuse


def is_json(value: Any) -> bool:
    """Whether this is the JSON of a part of one's own."""
    return isinstance(value, dict) and isinstance(kind := value.get("type"), str) and kind.startswith(PREFIX)


def class_of(value: dict[str, Any]) -> Any:
    """The class of a part's JSON; None if this process has not been given its file."""
    name, sha256 = value["type"].removeprefix(PREFIX), value.get(FILE)
    if not sha256:
        return _OF_PYTHON.get(name)
    known = _SOURCES.get(sha256)
    cls = known and vars(known.module).get(name)
    return cls if isinstance(cls, type) and dataclasses.is_dataclass(cls) and file_sha256(cls) == sha256 else None


def parts(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The parts of one's own in a configuration, those within them included, by dotted name."""
    for last, value in inside(config).items():
        name = prefix + last
        if isinstance(value, Unopened):
            yield name, value
        elif has_inside(value):
            if dataclasses.is_dataclass(value) and is_own(type(value)):
                yield name, value
            yield from parts(value, f"{name}.")


def check_opened(wanted: Iterable[Any], copies: Sequence[Path]) -> None:
    """Raises `UserError` if this process has not been given the file that a part is of; the sentence names one of the
    copies, if it is that file."""
    for part in wanted:
        if not isinstance(part, Unopened) or not part.file_sha256:
            continue
        for copy in copies:
            if copy.is_file() and hashlib.sha256(copy.read_bytes()).hexdigest() == part.file_sha256:
                part.refuse_naming(copy)
        part.refuse()


def files(config: Any) -> dict[str, str]:
    """The hashes of the files that a configuration's own parts are of, each with the names of the classes."""
    found: dict[str, list[str]] = {}
    for _, part in parts(config):
        opened = not isinstance(part, Unopened)
        sha256 = file_sha256(type(part)) if opened else part.file_sha256
        found.setdefault(sha256, []).append(said(type(part).__name__ if opened else part.name))
    return {sha256: " and ".join(dict.fromkeys(names)) for sha256, names in found.items()}
