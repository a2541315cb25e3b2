"""Checks of numbers, for the dataclasses' `__post_init__`."""

from __future__ import annotations

import math

from gvlab.types import UserError


def check_positive(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not (value > 0 and math.isfinite(value)):
            raise UserError(f"{owner}.{name} is {value}, but must be a positive number.")


def check_fraction(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < 1:
            raise UserError(f"{owner}.{name} is {value}, but must be at least 0 and below 1.")


def check_layers(owner: str, **layers: tuple[int, ...]) -> None:
    for name, widths in layers.items():
        if not widths:
            raise UserError(f"{owner}.{name} is empty, but needs at least one layer.")
        for units in widths:
            check_positive(owner, **{name: units})
