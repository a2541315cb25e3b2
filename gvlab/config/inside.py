"""What a configuration holds, by name: the fields of its dataclasses, and members of tuples by their numbers."""

from __future__ import annotations

import dataclasses
from typing import Any


def has_inside(value: Any) -> bool:
    """Whether a value holds others that have names: it is a dataclass, or a tuple of members of a union.

    A tuple of plain values is one value, and so is a part whose class is not here.
    """
    if isinstance(value, tuple):
        return any(not isinstance(item, bool | int | float | str | tuple) for item in value)
    return dataclasses.is_dataclass(value)


def inside(value: Any) -> dict[str, Any]:
    """What it holds: {"weight": 10.0} of a dataclass, {"0": R1(), "1": LeCam()} of a tuple."""
    if isinstance(value, tuple):
        return {str(i): item for i, item in enumerate(value)}
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
