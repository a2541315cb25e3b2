"""What is said of a unit that was trained again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from gvlab import build, evaluate
from gvlab.compare import units
from gvlab.types import Json

TOLERANCE = 1e-3
"""Relative to the largest value of a term in the run, where not every bit must be the same. Within it two runs are the
same run, differently rounded; training magnifies rounding, so a long run of a GAN leaves it."""

Outcome = Literal["identical", "equal", "different", "unverified"]


@dataclass(frozen=True)
class Verified:
    """What retraining a unit showed."""

    unit: str
    outcome: Outcome
    sentence: str
    unchecked: tuple[str, ...] = ()
    """What of it nothing is said about."""


class Doubted(NamedTuple):
    """A unit that nothing is wrong with by itself."""

    unit: units.Unit
    program: build.Program
    """With the unit's own experiment."""
    reasons: list[str]
    """Why its bits may be others when it is trained again; none where they must be the same."""
    other_program: str | None = None
    """The words for it where it is known that another program trained it: then a difference refutes nothing."""
    other_measuring: str | None = None
    """The words for it where other code measured it: then a difference of the measures alone refutes nothing."""


class Redone(NamedTuple):
    """A unit that was trained again, up to its end or a part of the way."""

    run: Path
    """Its run directory, with the pictures that were drawn again."""
    steps: int
    """How far."""
    whole: bool
    """Whether those are all of its steps."""
    failure: str | None
    """Why it diverged."""
    measures: evaluate.Measures | None
    """As JSON gives them; None if it was trained a part of the way only, or diverged."""
    protocol: Json | None
    """Of evaluation.json; None where there are no measures."""
    flops_per_step: float | None
    """None if it was trained a part of the way only, or the back-end doesn't say."""
