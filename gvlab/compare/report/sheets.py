"""Pictures, shrunk to what the page may weigh."""

from __future__ import annotations

import base64
import itertools
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gvlab.compare.report.curves import evenly
from gvlab.compare.report.reading import Unit, relative
from gvlab.pictures.lines import visible
from gvlab.pictures.sheets import png_bytes, read_png
from gvlab.types import Json, UserError

SAMPLE_BYTES = 2_600_000
"""What all sample sheets together may add to the page."""


PICTURE_BYTES = 450_000
"""What one experiment's pictures of one kind may add to the page."""


SAMPLE_SIZES = ((3, 12), (2, 12), (1, 12), (1, 6), (1, 3), (1, 2))
"""(rows of a sheet, positions of the slider), the first that fits."""


PICTURE_ROWS = (8, 4, 2)
_NEIGHBOURS = (
    *("neighbours", "Nearest training neighbours"),
    "Each row: a sample, then the training images nearest to it.",
)
KINDS = {
    "VAE": (
        ("reconstructions", "Reconstructions", "Each row of test images stands above its reconstructions."),
        ("traversals", "Traversals", "One latent per row goes from -3 to 3, the most active latent first."),
    ),
    "GAN": (_NEIGHBOURS,),
    "HierarchicalVAE": (
        (
            "layers",
            "KL by layer",
            "A bar for each layer of latents, or for each resolution of many layers, the top one first. Lengths are "
            "shares of the greatest KL; in nats they are among the measures, under kl_nats/.",
        ),
        _NEIGHBOURS,
    ),
}


class Sheet(NamedTuple):
    """A picture as it goes into the page, or sentences."""

    step: int | None
    uri: str
    width: int
    height: int
    sentences: tuple[str, ...] = ()
    """Where they are no picture; with names for what could not be seen."""
    sound: str = ""
    """What is heard of them, where they are sounds."""


def samples(directory: Path, names: list[str], units: list[Unit], remarks: list[str]) -> Json:
    """The sheets of all seeds at the slider's steps, as large as the page may afford."""
    files = [sample_files(unit.run) for unit in units]
    for unit, own in zip(units, files, strict=True):
        if not own and unit.exists:
            remarks.append(
                f"{unit.run.relative_to(directory)}/samples has no pictures, so none are shown for that seed."
            )
    steps = sorted({step for own in files for step in own})
    read = reader(directory, remarks)
    texts = any(file.suffix == ".txt" for own in files for file in own.values())
    rows, shown = 0, steps
    sheets: list[list[Sheet]] = []
    for rows, positions in SAMPLE_SIZES:
        shown = evenly(steps, positions)
        sheets = []
        for own in files:
            # The newest sheet at each position: experiments of different length share one slider.
            before = [[step for step in own if step <= at] for at in shown]
            pixels = {step: read(own[step]) for step in sorted({max(steps) for steps in before if steps})}
            drawn = [_shown(p, rows, step) for step, p in pixels.items() if p is not None]
            if drawn and drawn[-1].step is not None:  # of the newest sheet alone: sounds are large
                drawn[-1] = drawn[-1]._replace(sound=_heard(own[drawn[-1].step].with_suffix(".wav")))
            sheets.append(drawn)
        if sum(map(_bytes, itertools.chain(*sheets))) <= SAMPLE_BYTES:
            break
    together = [(unit, own) for unit, own in zip(units, sheets, strict=True)]
    return {
        "steps": shown,
        "rows": rows,
        "texts": texts,
        "sounds": any(sheet.sound for own in sheets for sheet in own),
        "left_out": len(steps) - len(shown),
        "experiments": [(name, [(unit, own) for unit, own in together if unit.experiment == name]) for name in names],
    }


def sample_files(run: Path) -> dict[int, Path]:
    drawn = [*(run / "samples").glob("step-*.png"), *(run / "samples").glob("step-*.txt")]
    named = [(re.fullmatch(r"step-(\d+)\.(?:png|txt)", file.name), file) for file in drawn]
    return {int(match[1]): file for match, file in named if match}


def pictures(directory: Path, experiments: list[Json], units: list[Unit], remarks: list[str]) -> list[Json]:
    """The pictures of each kind that the families have: [(unit, its sheet or None)] for each experiment."""
    kinds_drawn = []
    read = reader(directory, remarks)
    others = {  # sentences and sounds, of which there are no pictures
        unit.experiment
        for unit in units
        if any(file.suffix == ".txt" or file.with_suffix(".wav").exists() for file in sample_files(unit.run).values())
    }
    for drawn in dict.fromkeys(kind for kinds in KINDS.values() for kind in kinds):
        kind, title, caption = drawn
        families = {one["name"]: one["family"] for one in experiments}
        members = [name for name in families if drawn in KINDS.get(families[name], ()) and name not in others]
        shown = []
        for name in members:
            own = [unit for unit in units if unit.experiment == name]
            files = [unit.run / "pictures" / f"{kind}.png" for unit in own]
            pixels = [read(file) if file.exists() else None for file in files]
            sheets: list[Sheet | None] = []
            for rows in PICTURE_ROWS:
                sheets = [None if p is None else _embedded(first_rows(p, rows)) for p in pixels]
                if sum(len(sheet.uri) for sheet in sheets if sheet) <= PICTURE_BYTES:
                    break
            if any(sheets):
                remarks += [
                    f"{file.relative_to(directory)} is missing."
                    for unit, file in zip(own, files, strict=True)
                    if not file.exists() and unit.exists and not unit.diverged
                ]
            shown.append((name, list(zip(own, sheets, strict=True)) if any(sheets) else []))
        if members:
            kinds_drawn.append({"kind": kind, "title": title, "caption": caption, "experiments": shown})
    return kinds_drawn


def reader(directory: Path, remarks: list[str]) -> Callable[[Path], Any]:
    """Reads each sheet once, at one pixel per pixel, or its sentences; of a damaged one comes a remark and None."""
    known: dict[Path, Any] = {}

    def read(file: Path) -> Any:
        if file not in known:
            try:
                known[file] = read_lines(file) if file.suffix == ".txt" else _shrunk(read_png(file))
            except UserError as error:
                known[file] = None
                remarks.append(relative(error, directory))
        return known[file]

    return read


def read_lines(file: Path) -> tuple[str, ...]:
    """The sentences of a text, one a line (`UserError` if it is none), with names for what could not be seen."""
    try:
        return tuple(map(visible, file.read_text("utf-8").split("\n")[:-1]))
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is no UTF-8 text: restore it from a copy.") from error


def _shrunk(sheet: np.ndarray) -> np.ndarray:
    """Undoes `sheets.enlarge`: the smallest picture of which the sheet is a whole enlargement."""
    common = math.gcd(*sheet.shape[:2])
    for times in range(common, 1, -1):
        if common % times == 0:
            small = sheet[::times, ::times]
            if np.array_equal(small.repeat(times, 0).repeat(times, 1), sheet):
                return small
    return sheet


def first_rows(sheet: np.ndarray, rows: int) -> np.ndarray:
    """The first rows of images of a grid; the whole sheet where it is none, as a scatter of points."""
    grey = (sheet == 128).all(axis=(1, 2))  # the gaps between the rows
    height = len(sheet) - 1
    pitch = next((p for p in range(3, height + 1) if height % p == 0 and grey[::p].all()), None)
    return sheet if pitch is None else sheet[: rows * pitch + 1]


def _shown(drawn: Any, rows: int, step: int) -> Sheet:
    """The first rows of images, or eight times as many sentences."""
    return (
        Sheet(step, "", 0, 0, drawn[: 8 * rows])
        if isinstance(drawn, tuple)
        else _embedded(first_rows(drawn, rows), step)
    )


def _bytes(sheet: Sheet) -> int:
    return len(sheet.uri) + len(sheet.sound) + sum(map(len, sheet.sentences))


def _heard(file: Path) -> str:
    """A sound as it goes into the page; nothing where there is none."""
    if not file.is_file():
        return ""
    return f"data:audio/wav;base64,{base64.b64encode(file.read_bytes()).decode()}"


def _embedded(sheet: np.ndarray, step: int | None = None) -> Sheet:
    data = base64.b64encode(png_bytes(sheet)).decode()
    return Sheet(step, f"data:image/png;base64,{data}", sheet.shape[1], sheet.shape[0])
