"""Experiments from files that the user wrote."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.config.experiment import Experiment


def load(file: Path) -> Experiment:
    """What `config()` in an experiment file returns.

    Raises:
        UserError: there is no such file, it does not run, or it has no `config` that gives an `Experiment`.
    """
    from gvlab.config.experiment import Experiment, from_json, to_json

    experiment = call(file, "config")
    if not isinstance(experiment, Experiment):
        raise UserError(f"config() in {file} returns {type(experiment).__name__}, but must return an Experiment.")
    return from_json(to_json(experiment))  # which checks every type; a dataclass by itself does not


def call(file: Path, function: str) -> Any:
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
