"""Experiments from files that the user wrote, and their fields set on the command line."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gvlab.types import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.config import Experiment
    from gvlab.reproduce import Published


def load(file: Path) -> Experiment:
    """What `config()` in an experiment file returns.

    Raises:
        UserError: there is no such file, it does not run, or it has no `config` that gives an `Experiment`.
    """
    from gvlab.config import Experiment, from_json, to_json

    experiment = _called(file, "config")
    if not isinstance(experiment, Experiment):
        raise UserError(f"config() in {file} returns {type(experiment).__name__}, but must return an Experiment.")
    return from_json(to_json(experiment))  # which checks every type; a dataclass by itself does not


def load_published(file: Path) -> Published:
    """What `published()` in the experiment file of a reproduction returns.

    Raises:
        UserError: as `load`.
    """
    from gvlab.reproduce import Published

    found = _called(file, "published")
    if not isinstance(found, Published):
        raise UserError(f"published() in {file} returns {type(found).__name__}, but must return a Published.")
    return found


def _called(file: Path, function: str) -> Any:
    """What a function without arguments in the user's file returns; `UserError` for whatever goes wrong there."""
    if not file.is_file():
        raise UserError(f"There is no experiment file {file}.")
    spec = importlib.util.spec_from_file_location("experiment", file)
    if spec is None or spec.loader is None:
        raise UserError(f"{file} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        if not callable(getattr(module, function, None)):
            raise UserError(f"It does not define a function {function}().")
        return getattr(module, function)()
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    except (Exception, SystemExit) as error:  # whatever the user's own code raises
        raise UserError(f"{file} fails with {type(error).__name__}: {' '.join(str(error).split())}.") from error


def override(experiment: Experiment, args: list[str], prog: str) -> Experiment:
    """The experiment with the fields that `args` set (`--model.latent-dim 64`), parsed and checked by tyro.

    Raises:
        UserError: a field does not exist (the nearest is named), or a value is of the wrong type.
    """
    import tyro

    from gvlab.config import Experiment, nearest

    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            made, unknown = tyro.cli(
                Experiment,
                default=experiment,
                args=args,
                prog=prog,
                return_unknown_args=True,
                config=(tyro.conf.AvoidSubcommands, tyro.conf.FlagConversionOff),
            )
    except SystemExit as stop:
        if stop.code == 0:
            raise
        # The box that tyro prints: the lines before the first rule say what is wrong.
        lines = [line.strip("│ ") for line in printed.getvalue().splitlines()[1:]]
        wrong = " ".join(lines[: next((i for i, line in enumerate(lines) if set(line) <= set("─╰╯")), None)])
        raise UserError(f"{wrong.rstrip('.')} (see {prog} --help).") from stop
    if unknown:
        field = unknown[0].split("=")[0]
        raise UserError(f"Unknown field {field}{nearest(field, options(experiment))} (see {prog} --help).")
    return made


def options(config: Any, prefix: str = "--") -> list[str]:
    """The options of all fields of a configuration, as tyro spells them."""
    names: list[str] = []
    for f in dataclasses.fields(config):
        name, value = prefix + f.name.replace("_", "-"), getattr(config, f.name)
        names += options(value, name + ".") if dataclasses.is_dataclass(value) else [name]
    return names
