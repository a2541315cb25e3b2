"""What verifying shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from gvlab import build
from gvlab.compare import units

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


class Doubted(NamedTuple):
    """A unit that nothing is wrong with by itself."""

    unit: units.Unit
    program: build.Program
    """With the unit's own experiment."""
    reasons: list[str]
    """Why its bits may be others when it is trained again; none where they must be the same."""
