"""Limits of numbers in JSON."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Least:
    """The least value of a number, for `Annotated`."""

    value: float
