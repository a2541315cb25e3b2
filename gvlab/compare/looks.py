"""By what experiments are told apart in pictures: colours and marks, the same in the report and in figures."""

from __future__ import annotations

LOOKS = 6
"""Colours and marks; experiments beyond these get other pairs of the two."""


def look(number: int) -> tuple[int, int]:
    """(colour, mark) of a comparison's experiment by its number."""
    return number % LOOKS, (number + number // LOOKS) % LOOKS
