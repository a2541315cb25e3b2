"""What goes in: values over seeds, checked, and their mean and spread."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from gvlab.types import UserError

FEWEST = 3
"""Seeds below which there is no interval and no test."""


ALPHA = 0.05
"""The level of every test, and of a family of tests after Holm's correction."""


_LARGEST = 1e150  # squares of larger values overflow


def checked(values: Sequence[float | None], name: str) -> Sequence[float | None]:
    if len(values) == 0:
        raise UserError(f"{name} is empty: give one value per seed.")
    for index, value in enumerate(values):
        if value is not None and not abs(value) < _LARGEST:
            raise UserError(
                f"{name}[{index}] is {value}, but must be a finite number (below {_LARGEST:g}), or None for a "
                "seed that failed."
            )
    return values


def finite(values: Sequence[float | None], name: str) -> Float64[np.ndarray, " n"]:
    if None in values:
        raise UserError(f"{name}[{values.index(None)}] is None, but must be a number: leave failed seeds out.")
    return np.array(checked(values, name), dtype=np.float64)


def check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise UserError(f"confidence is {confidence}, but must be above 0 and below 1, such as 0.95.")


def check_family(family: int) -> None:
    if family < 1:
        raise UserError(f"family is {family}, but must be at least 1: it counts the test itself.")


def is_constant(x: Float64[np.ndarray, " n"]) -> bool:
    return bool(x.min() == x.max())


def mean_of(x: Float64[np.ndarray, " n"]) -> float:
    """Exact for equal values, whose sum may be rounded."""
    return float(x[0]) if is_constant(x) else float(x.mean())


def deviation_of(x: Float64[np.ndarray, " n"]) -> float:
    return 0.0 if is_constant(x) else float(x.std(ddof=1))
