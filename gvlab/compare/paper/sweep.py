"""Measures against the values that were swept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gvlab.compare import sweeps
from gvlab.compare.paper.canvas import Drawing
from gvlab.compare.paper.sweep_lines import lines
from gvlab.compare.paper.sweep_maps import maps
from gvlab.types import Json, UserError


def sweep(root: Path, comparison: Json, measures: Sequence[str]) -> Drawing:
    """Of each measure one panel, or for two fields one of each experiment that was varied.

    Raises:
        UserError: the comparison is no sweep over one field or two.
    """
    swept = sweeps.of_names([experiment["name"] for experiment in comparison["experiments"]])
    if swept is None or len(swept.axes) > 2:
        what = "no sweep" if swept is None else f"a sweep over {len(swept.axes)} fields"
        raise UserError(
            f"--kind sweep shows sweeps over one field or two, but {root} is {what}: choose another --kind."
        )
    return lines(comparison, measures, swept) if len(swept.axes) == 1 else maps(comparison, measures, swept)
