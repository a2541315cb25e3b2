"""Checks of numbers, for the dataclasses' `__post_init__`."""

from __future__ import annotations

import math
import os
import sys

from gvlab.errors import UserError


def check_positive(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not (value > 0 and math.isfinite(value)):
            raise UserError(f"{owner}.{name} is {value}, but must be a positive number.")


MOST_LAYERS = 1_000
"""Of a network; XLA would compile more of them for hours."""


def check_size(owner: str, **values: int) -> None:
    """Of what is the side of an array, whose memory is estimated where its other sides are known."""
    for name, value in values.items():
        if not 0 < value < 2**31:
            raise UserError(f"{owner}.{name} is {value}, but must be from 1 to {2**31 - 1}.")


def check_fraction(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < 1:
            raise UserError(f"{owner}.{name} is {value}, but must be at least 0 and below 1.")


def check_probability(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise UserError(f"{owner}.{name} is {value}, but must be from 0 to 1.")


def check_not_negative(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not (value >= 0 and math.isfinite(value)):
            raise UserError(f"{owner}.{name} is {value}, but must be a number of at least 0.")


def check_layers(owner: str, **layers: tuple[int, ...]) -> None:
    for name, widths in layers.items():
        if not widths:
            raise UserError(f"{owner}.{name} is empty, but needs at least one layer.")
        if len(widths) > MOST_LAYERS:
            raise UserError(f"{owner}.{name} has {len(widths)} layers, but at most {MOST_LAYERS} can be compiled.")
        for units in widths:
            check_size(owner, **{name: units})


def check_directory_name(owner: str, name: str) -> None:
    if not name or "/" in name or "\0" in name or name.startswith("."):
        raise UserError(f"{owner}.name is {name!r}, but must be a plain directory name.")
    if len(name.encode(errors="replace")) > 255:
        raise UserError(
            f"{owner}.name is {name[:40]!r}... of {len(name)} letters, but a directory's name has at most 255 bytes: "
            "choose a shorter name."
        )
    try:
        name.encode()
        os.fsencode(name)
    except UnicodeEncodeError as error:
        raise UserError(
            f"{owner}.name is {name!a}, but no directory can be called so in {sys.getfilesystemencoding()}, the file "
            "system's encoding here: choose another name, or set LC_ALL=C.UTF-8."
        ) from error
