"""Fields of an experiment set on the command line."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gvlab.config.inside import has_inside, inside
from gvlab.errors import UserError
from gvlab.spelling import nearest_field

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.config import Experiment


def override(experiment: Experiment, args: list[str], prog: str) -> Experiment:
    """The experiment with the fields that `args` set (`--model.latent-dim 64`), parsed and checked by tyro.

    Where a field holds one of several classes its name chooses another one, with its defaults (`--model.contest hinge`,
    `--model.network MLP --model.network.hidden 8`).

    Raises:
        UserError: a field does not exist (the nearest is named), or a value is of the wrong type.
    """
    import tyro

    from gvlab.config import Experiment

    experiment, args = _chosen(experiment, args)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed), _unwrapped(args):
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
        raise UserError(f"{_plainly(_first_block(printed.getvalue()))} (see {prog} --help).") from stop
    if unknown:
        field = unknown[0].split("=")[0]
        raise UserError(f"Unknown field {field}{nearest_field(field, options(experiment))} (see {prog} --help).")
    return made


def put_on(experiments: list[Experiment], on: str | None) -> list[Experiment]:
    """The experiments with their second stages on that run (`--on`).

    Raises:
        UserError: none of them is a second stage.
    """
    from gvlab.config import SecondStage

    if on is None:
        return experiments
    if not any(isinstance(experiment.model, SecondStage) for experiment in experiments):
        name, kind = experiments[0].name, type(experiments[0].model).__name__
        raise UserError(f"--on is {on}, but {name} is a {kind} and no second stage: leave it out.")
    return [
        replace(one, model=replace(one.model, on=on, first=None)) if isinstance(one.model, SecondStage) else one
        for one in experiments
    ]


def _plainly(error: str) -> str:
    """Without Python's words for what is no number."""
    error = re.sub(r"invalid literal for int\(\) with base 10: ('.*?')", r"\1 is no whole number", error)
    return re.sub(r"could not convert string to float: ('.*?')", r"\1 is no number", error)


def _chosen(experiment: Experiment, args: list[str]) -> tuple[Experiment, list[str]]:
    """The experiment with the classes that `args` choose, and the other arguments.

    Whether the classes fit their fields' neighbours is checked when tyro has set the rest.
    """
    from gvlab.config import choices, holds_several, with_choice

    rest, waiting = [], list(args)
    while waiting:
        option, separator, value = waiting.pop(0).partition("=")
        name, names = option.removeprefix("--").replace("-", "_"), choices(experiment)
        if not option.startswith("--") or name not in names:
            rest.append(option + separator + value)
            continue
        if not separator:
            if not waiting or waiting[0].startswith("--"):
                members = ", ".join(cls.__name__ for cls in names[name])
                raise UserError(f"The argument {option} needs a value: one of {members}.")
            value = waiting.pop(0)
            while holds_several(experiment, name) and waiting and not waiting[0].startswith("--"):
                value += f" {waiting.pop(0)}"  # which is refused by saying how several are written
        experiment = with_choice(experiment, name, value)
    return experiment, rest


@contextlib.contextmanager
def _unwrapped(args: list[str]) -> Iterator[None]:
    """Lets tyro print an error in unbroken lines; those of --help, for people, are as wide as the terminal."""
    before = os.environ.get("COLUMNS")
    if "--help" not in args:
        os.environ["COLUMNS"] = "100000"
    try:
        yield
    finally:
        os.environ.pop("COLUMNS", None)
        if before is not None:
            os.environ["COLUMNS"] = before


def _first_block(box: str) -> str:
    """What a box of tyro's says before its first rule, without its title and a final stop; drawn in ASCII where the
    terminal has no other letters."""
    lines = [line.strip("│| ") for line in box.splitlines()[1:]]
    rule = set("─╰╯-+")
    block = itertools.takewhile(
        lambda line: set(line) - rule, itertools.dropwhile(lambda line: set(line) <= rule, lines)
    )
    return " ".join(block).rstrip(".")


def options(config: Any, prefix: str = "--") -> list[str]:
    """The options of all fields of a configuration, as tyro spells them, and of those that hold one of several
    classes."""
    names: list[str] = []
    for field, value in inside(config).items():
        name = prefix + field.replace("_", "-")
        if value is not None:  # nothing was chosen there, and only the file can
            names += options(value, name + ".") if has_inside(value) else [name]
    if prefix == "--":
        from gvlab.config import choices

        names += [f"--{name.replace('_', '-')}" for name in choices(config)]
    return list(dict.fromkeys(names))  # an empty tuple of members is a value and a choice


def classes(experiment: Experiment) -> str:
    """The fields that hold one of several classes, a line each: --model.contest NonSaturating|Minimax|... ."""
    from gvlab.config import choices, holds_several

    return "\n".join(
        f"  --{name.replace('_', '-')} {'|'.join(cls.__name__ for cls in members)}"
        + (", or several joined by +, or none" if holds_several(experiment, name) else "")
        for name, members in choices(experiment).items()
    )
