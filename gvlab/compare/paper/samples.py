"""Samples of every experiment beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gvlab.compare.paper.canvas import COLUMN, PAGE, QUIET, Drawing, wrapped
from gvlab.compare.remarks import listed
from gvlab.compare.report import reading
from gvlab.compare.report.sheets import first_rows, reader, sample_files
from gvlab.pictures.sheets import enlarge
from gvlab.types import Json, UserError

ROWS = 4
"""Of a sheet, where there are several."""
PIXELS = 800
"""At least so many along a picture's longer side: viewers blur what they enlarge."""
_PAD = 0.05
"""Inches around a picture and its title."""


def samples(root: Path, comparison: Json, remarks: list[str]) -> Drawing:
    """The newest samples of the first seed of each experiment that came to its end, or of the first if none did.

    Raises:
        UserError: there are no pictures.
    """
    names = [experiment["name"] for experiment in comparison["experiments"]]
    read = reader(root, remarks)
    sheets: dict[str, np.ndarray | None] = {}
    seeds: dict[str, Json] = {}
    for name in names:
        own = [unit for unit in comparison["units"] if unit["experiment"] == name]
        seeds[name] = min(own, key=lambda unit: unit["status"] != "complete")
        files = sample_files(reading.load(root, seeds[name], []).run)
        sheet = read(files[max(files)]) if files else None
        if isinstance(sheet, tuple):
            raise UserError(f"{name} makes sentences, which are no picture: choose another --kind.")
        sheets[name] = None if sheet is None else first_rows(sheet, ROWS if len(names) > 1 else 8)
    if all(sheet is None for sheet in sheets.values()):
        raise UserError(f"No unit of {root} has pictures of samples: choose another --kind.")
    across = {1: 1, 2: 2, 4: 2}.get(len(names), 3)
    width = COLUMN if across == 1 else PAGE
    inches = width / across - 2 * _PAD
    titles = [wrapped(name, inches) for name in names]
    tall = [0.5 if sheet is None else inches * sheet.shape[0] / sheet.shape[1] for sheet in sheets.values()]
    head = 2 * _PAD + 0.04 + 0.125 * max(title.count("\n") + 1 for title in titles)
    rows = [max(tall[i : i + across]) for i in range(0, len(names), across)]

    def draw(figure: Any) -> None:
        figure.get_layout_engine().set(w_pad=_PAD, h_pad=_PAD, wspace=0, hspace=0)
        panels = figure.subplots(len(rows), across, squeeze=False, height_ratios=rows).ravel()
        for panel in panels:
            panel.set_axis_off()
            # In the middle of its place a picture leaves room above, into which the layout moves the title.
            panel.set_anchor("N")
        for panel, name, title in zip(panels, names, titles, strict=False):
            panel.set_title(title, loc="left")
            _show(panel, sheets[name])

    return Drawing(width, sum(rows) + head * len(rows), draw, _caption(seeds))


def _show(panel: Any, sheet: np.ndarray | None) -> None:
    if sheet is None:
        panel.text(0.5, 0.5, "no samples", ha="center", va="center", color=QUIET, transform=panel.transAxes)
        return
    shown = enlarge(sheet, PIXELS)
    colours = shown if shown.shape[-1] == 3 else shown[..., 0]
    panel.imshow(colours, cmap="gray", vmin=0, vmax=255, interpolation="none")


def _caption(seeds: dict[str, Json]) -> str:
    of = list(dict.fromkeys(unit["seed"] for unit in seeds.values()))
    lost = [name for name, unit in seeds.items() if unit["status"] != "complete"]
    which = (
        f"seed {of[0]}" if len(of) == 1 else listed([f"seed {unit['seed']} of {name}" for name, unit in seeds.items()])
    )
    return f"Samples at the end of training, {which}." + (f" {listed(lost)} diverged in every seed." if lost else "")
