"""Experiments from files that the user wrote: what `python FILE.py` runs, runs here, too."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import importlib
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gvlab.config import own
from gvlab.errors import UserError
from gvlab.spelling import nearest_path

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.config.experiment import Experiment


def load(file: Path) -> Experiment:
    """What `config()` in an experiment file returns.

    Raises:
        UserError: there is no such file, it does not run, or it has no `config` that gives an `Experiment`.
    """
    from gvlab.config.experiment import Experiment, from_json, to_json

    module, experiment = _called(file, "config")
    if not isinstance(experiment, Experiment):
        raise UserError(f"config() in {file} returns {type(experiment).__name__}, but must return an Experiment.")
    try:
        experiment = _on_its_data(experiment, module)
        _check_own_parts(experiment, module, _before.found if _before else set())
        return from_json(to_json(experiment))  # of a class of the file's own, only what is the experiment's
    except UserError as error:
        raise UserError(f"{file}: {error}") from error


def call(file: Path, function: str) -> Any:
    """What a function without arguments in the user's file returns; `UserError` for whatever goes wrong there.

    The file is a module in `sys.modules` under a name of its own, and the modules beside it can be imported. It is read
    anew every time, and so are they.
    """
    return _called(file, function)[1]


def open_parts(file: Path, recorded: Mapping[str, Sequence[Path]]) -> None:
    """Executes an experiment file for the classes that it defines: the user's word that it may be.

    Args:
        file: that is to be the one of which parts were recorded.
        recorded: the SHA-256 of the files that may be meant, each with the places where copies may lie.

    Raises:
        UserError: it is none of them, and which lines differ; or it does not run.
    """
    if not file.is_file():
        raise UserError(f"There is no experiment file {file}{nearest_path(file)}: name one that is there.")
    check_version(file, file.read_bytes(), recorded)
    _called(file, None)


def check_version(
    file: Path,
    text: bytes,
    recorded: Mapping[str, Sequence[Path]],
    remedy: str = "name that copy with --experiment {copy}",
) -> None:
    """Raises `UserError` unless the file's text is that of which parts were recorded; arguments as in `open_parts`, and
    what is to be done, `{copy}` standing for the copy of the version that was recorded."""
    found = hashlib.sha256(text).hexdigest()
    if found in recorded:
        return
    for sha256, places in recorded.items():
        for copy in places:
            if copy.is_file() and hashlib.sha256(before := copy.read_bytes()).hexdigest() == sha256:
                raise UserError(
                    f"{file} is not the version that was trained with, of which {copy} is a copy: "
                    f"{_first_lines(before, text)}; {remedy.format(copy=shlex.quote(str(copy)))}."
                )
    known = " or ".join(sha256[:12] for sha256 in recorded)
    raise UserError(f"{file} has the SHA-256 {found[:12]}, but {known} was recorded: name the file that was used.")


def _first_lines(before: bytes, now: bytes, most: int = 3) -> str:
    """In which lines two texts differ, by their numbers in the second."""
    old, new = (text.decode(errors="replace").splitlines() for text in (before, now))
    blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    lines = [start + 1 for kind, _, _, start, _ in blocks if kind != "equal"]
    if not lines:
        return "they differ in how lines end"
    more = f" and {len(lines) - most} more places" if len(lines) > most else ""
    return f"they differ at line{'s'[: len(lines) > 1]} {', '.join(map(str, lines[:most]))}{more}"


def _on_its_data(experiment: Experiment, module: ModuleType) -> Experiment:
    """The experiment on what `data()` in its file returns, if there is such a function and no other source."""
    if experiment.data.source is not None or not hasattr(module, own.FROM_FILE):
        return experiment
    return replace(experiment, data=replace(experiment.data, source=getattr(module, own.FROM_FILE)()))


def _check_own_parts(experiment: Experiment, module: ModuleType, siblings: set[str]) -> None:
    """Raises `UserError` if a copy of the file would not be all that the experiment's own parts are made of."""
    for name, part in own.parts(experiment):
        cls = type(part)
        if vars(module).get(cls.__name__) is not cls or cls.__module__ != module.__name__:
            raise UserError(
                f"{name} is of the class {cls.__name__}, of which a run could keep no copy: define it in the file "
                "itself, outside of any function."
            )
        if siblings:
            raise UserError(
                f"{name} is of the class {cls.__name__}, but the file imports {' and '.join(sorted(siblings))} from "
                "beside it, of which a run keeps no copy: put that into the file, or install it as a package."
            )


def _called(file: Path, function: str | None) -> tuple[ModuleType, Any]:
    """The file's module, and what its function returns."""
    if file.is_dir():
        raise UserError(f"{file} is a directory, but an experiment file is wanted: name one, such as {file}/NAME.py.")
    if not file.is_file():
        raise UserError(f"There is no experiment file {file}{nearest_path(file)}: name one that is there.")
    if file.suffix != ".py":
        raise UserError(f"{file} is not a Python file: its name does not end in .py.")
    try:
        with _importable_beside(file.resolve().parent):
            module = _module(file)
            if function is None:
                return module, None
            if not callable(getattr(module, function, None)):
                raise UserError(f"It does not define a function {function}().")
            return module, getattr(module, function)()
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    except (Exception, SystemExit) as error:  # whatever the user's own code raises
        raise UserError(f"{file} fails with {type(error).__name__}: {' '.join(str(error).split())}.") from error


def _module(file: Path) -> ModuleType:
    """The file as a module, which `sys.modules` has from its first line on: dataclasses and pickle look there.

    It is named after its path and its text: classes of two versions of a file are of two modules.
    """
    path, text = str(file.absolute()), file.read_bytes()
    name = f"experiment_{hashlib.sha256(path.encode(errors='surrogateescape') + text).hexdigest()[:16]}"
    loader = SourceFileLoader(name, path)
    spec = spec_from_file_location(name, path, loader=loader)
    assert spec is not None  # which it only is without a loader
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        # Not by the loader, which would take what it compiled a moment ago for the file as it now is.
        exec(loader.source_to_code(text, path), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    own.with_data(module)
    own.add(own.Source(file.absolute(), text, module))
    return module


class _Siblings:
    """Finds the modules in a directory, except under names that are Python's or gvlab's: theirs would be shadowed."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.found: set[str] = set()
        """The names of those that were asked for."""
        self.on_path = False
        """Whether it was put on `sys.path` for this file."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        if path is not None or not self.may_be(name):
            return None
        spec = PathFinder.find_spec(name, [self.directory])
        if spec is None or spec.loader is None:  # a directory without __init__.py, before which any module comes
            return None
        self.found.add(name)
        return spec

    def may_be(self, name: str) -> bool:
        return name not in sys.stdlib_module_names and name != "gvlab"


_before: _Siblings | None = None
"""Of the file that was loaded last, whose directory is still on `sys.path`."""


@contextlib.contextmanager
def _importable_beside(directory: Path) -> Iterator[None]:
    """The modules of the directory come first, as `python FILE.py` has them; afterwards last, so that none of them is
    taken for one that gvlab needs. What another file imported from its own directory is forgotten."""
    global _before
    if _before is not None:
        _forget(_before.found)
        if _before.on_path:
            with contextlib.suppress(ValueError):  # somebody else took it away
                sys.path.remove(_before.directory)
    siblings = _before = _Siblings(str(directory))
    homonyms = {name for name in _tops() if siblings.may_be(name) and _is_module(directory, name)}
    elsewhere = _forget(homonyms)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # nobody asked for files there
    importlib.invalidate_caches()
    sys.meta_path.insert(0, siblings)
    try:
        yield
    finally:
        sys.meta_path.remove(siblings)
        sys.dont_write_bytecode = writes
        _forget({name for name in siblings.found if _is_elsewhere(name, directory)} | homonyms)
        sys.modules.update(elsewhere)
        siblings.on_path = siblings.directory not in sys.path
        if siblings.on_path:
            sys.path.append(siblings.directory)


def _tops() -> set[str]:
    return {name.partition(".")[0] for name in sys.modules}


def _is_module(directory: Path, name: str) -> bool:
    return (directory / f"{name}.py").is_file() or (directory / name / "__init__.py").is_file()


def _is_elsewhere(name: str, directory: Path) -> bool:
    """Whether there is a module of that name outside of the directory."""
    spec = PathFinder.find_spec(name)
    return spec is not None and spec.origin is not None and directory not in Path(spec.origin).parents


def _forget(names: set[str]) -> dict[str, ModuleType]:
    """Takes modules and what is in them out of `sys.modules`, and returns them."""
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in names}
