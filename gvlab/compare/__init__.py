"""Comparisons: a directory of units, the statistics over them, tables, a report, and the proof."""

from gvlab.compare.budgets import MATCHES, matched, seconds_per_step
from gvlab.compare.frame import load
from gvlab.compare.groups import differing, title
from gvlab.compare.loop import UNEQUAL, Listen, notes, pending, programs_of, run, run_unit, write
from gvlab.compare.plan import (
    LONGEST_NAME,
    MOST_SEEDS,
    SCHEMA,
    SEEDS,
    Plan,
    open_parts,
    read_plan,
    unit_named,
    write_plan,
)
from gvlab.compare.variations import grid, swept

__all__ = [
    "LONGEST_NAME",
    "MATCHES",
    "MOST_SEEDS",
    "SCHEMA",
    "SEEDS",
    "UNEQUAL",
    "Listen",
    "Plan",
    "differing",
    "grid",
    "load",
    "matched",
    "notes",
    "open_parts",
    "pending",
    "programs_of",
    "read_plan",
    "run",
    "run_unit",
    "seconds_per_step",
    "swept",
    "title",
    "unit_named",
    "write",
    "write_plan",
]


def __dir__() -> list[str]:
    """What a notebook completes: the public names, and none of the modules that they come from."""
    return __all__
