"""The figures, by their kind."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from gvlab.compare.paper import canvas
from gvlab.compare.paper.choice import chosen
from gvlab.compare.paper.curves import curves
from gvlab.compare.paper.forest import forest
from gvlab.compare.paper.samples import samples
from gvlab.compare.paper.sweep import sweep
from gvlab.types import Json, UserError

Kind = Literal["forest", "curves", "samples", "sweep"]


def figure(kind: Kind, root: Path, comparison: Json, named: Sequence[str] | None, format: str) -> tuple[bytes, str]:
    """A figure of a comparison as a file, and its caption.

    Args:
        kind: of figure.
        root: the comparison's directory, where curves and pictures are read.
        comparison: comparison.json's object.
        named: measures, or terms of training for curves; by default what tells most. Samples have none.
        format: of the file.

    Raises:
        UserError: there is nothing of that kind to show, or no such measure.
    """
    remarks: list[str] = []
    drawing = _drawing(kind, root, comparison, named, remarks)
    for remark in remarks:
        print(remark, file=sys.stderr)
    return canvas.rendered(drawing, format), drawing.caption


def _drawing(
    kind: Kind, root: Path, comparison: Json, named: Sequence[str] | None, remarks: list[str]
) -> canvas.Drawing:
    if kind == "curves":
        return curves(root, comparison, named, remarks)
    if kind == "samples":
        return samples(root, comparison, remarks)
    measures = chosen(comparison, named)
    if not measures:
        raise UserError(f"No run of {root} came to its end, so there is nothing to measure: see {root}/report.html.")
    return forest(comparison, measures) if kind == "forest" else sweep(root, comparison, measures)
