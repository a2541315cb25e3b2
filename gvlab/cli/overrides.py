"""Fields of an experiment set on the command line."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from typing import TYPE_CHECKING, Any

from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.config import Experiment


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
