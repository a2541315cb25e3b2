"""What a run leaves to read: metrics.jsonl, TensorBoard events, sample pictures; and the progress on the terminal."""

from __future__ import annotations

import io
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from gvlab.rundir import write_atomically
from gvlab.types import UserError

WALL_CLOCK = ("seconds", "images_per_second")
"""The fields of metrics.jsonl that two runs of one seed do not share."""


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The complete lines of metrics.jsonl; a last line that was cut off by a kill is not one."""
    file = run / "metrics.jsonl"
    if not file.exists():
        return []
    try:
        lines = file.read_text().split("\n")[:-1]  # what follows the last newline is empty, or cut off
        made = [json.loads(line) for line in lines if line]
        if not all(isinstance(line, dict) and "step" in line for line in made):
            raise ValueError("a line is not an object with a step")
        return made
    except ValueError as error:
        raise UserError(f"{file} is damaged ({error}): restore it, or delete the run directory.") from error


class MetricsLog:
    """Appends one flat JSON object per logged step to metrics.jsonl, and the same curves to TensorBoard."""

    def __init__(self, run: Path, step: int) -> None:
        """Continues after `step`: lines of later steps, which will be computed again, are dropped."""
        kept = [line for line in read_metrics(run) if line["step"] <= step]
        write_atomically(run / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept))
        self.seconds = kept[-1]["seconds"] if kept else 0.0
        self._file = (run / "metrics.jsonl").open("a")
        self._events = _Events(run / "tensorboard")
        for line in kept:  # a kill loses events that were not written yet, so the curves are drawn again
            self._events.add(line)

    def write(self, step: int, values: dict[str, float], seconds: float, images_per_second: float) -> None:
        """One line. Values are written with all their digits, so that equal lines mean equal numbers."""
        line = {"step": step, **values, "seconds": round(seconds, 3), "images_per_second": round(images_per_second, 1)}
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        self._events.add(line)

    def sync(self) -> None:
        """Makes sure that what was written survives the machine."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._events.sync()

    def close(self) -> None:
        try:
            self._file.close()
        finally:
            self._events.close()


class _Events:
    """A TensorBoard event file that replaces the earlier ones of its directory.

    Written without tensorboardX's own thread and queue: what the file system refuses is raised where it happens.
    """

    def __init__(self, directory: Path) -> None:
        from tensorboardX import event_file_writer  # here, because it takes a third of a second to import
        from tensorboardX.proto import event_pb2, summary_pb2

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        directory.mkdir(exist_ok=True)
        self._writer = event_file_writer.EventsWriter(str(directory / "events"))
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._writer.write_event(self._event(wall_time=time.time(), step=0, session_log=start))

    def add(self, line: dict[str, Any]) -> None:
        """One event with all values of a line of metrics.jsonl."""
        values = [self._summary.Value(tag=name, simple_value=value) for name, value in line.items() if name != "step"]
        summary = self._summary(value=values)
        self._writer.write_event(self._event(wall_time=time.time(), step=line["step"], summary=summary))

    def sync(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def grid(images: Float[np.ndarray, "n height width channel"], columns: int, gap: int = 1) -> np.ndarray:
    """Images in [0, 1] side by side in rows of `columns`, as uint8 [height, width, channel]; gaps are mid-grey."""
    n, height, width, channel = images.shape
    rows = -(-n // columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channel), 0.5, np.float32)
    for i, image in enumerate(images):
        top, left = (i // columns) * (height + gap) + gap, (i % columns) * (width + gap) + gap
        sheet[top : top + height, left : left + width] = image
    return np.round(np.clip(sheet, 0, 1) * 255).astype(np.uint8)


def enlarge(sheet: np.ndarray, least: int = 512) -> np.ndarray:
    """The sheet with every pixel repeated, until its longer side has at least `least` pixels."""
    times = max(1, -(-least // max(sheet.shape[:2])))
    return sheet.repeat(times, 0).repeat(times, 1)


def save_png(target: Path, sheet: np.ndarray) -> None:
    """Writes a uint8 picture [height, width, 1 or 3], the whole file or nothing.

    Raises:
        UserError: the file's name does not end in .png.
    """
    from PIL import Image

    if target.suffix.lower() != ".png":
        raise UserError(f"Pictures are PNG files, but {target} does not end in .png: choose such a name.")

    part = target.with_name(f".{target.name}.part")
    Image.fromarray(sheet[..., 0] if sheet.shape[-1] == 1 else sheet).save(part, format="PNG")
    part.replace(target)


def read_png(file: Path) -> np.ndarray:
    """A picture that `save_png` wrote, as uint8 [height, width, 1 or 3].

    Raises:
        UserError: there is no such file, or it is damaged.
    """
    from PIL import Image

    try:
        with Image.open(file) as picture:
            pixels = np.array(picture if picture.mode == "L" else picture.convert("RGB"))
    except FileNotFoundError as error:
        raise UserError(f"{file} is missing: make the picture again.") from error
    except (OSError, SyntaxError) as error:  # what Pillow raises for a damaged file
        raise UserError(f"{file} cannot be read as a picture ({error}): make it again.") from error
    return pixels[..., None] if pixels.ndim == 2 else pixels


def png_bytes(sheet: np.ndarray) -> bytes:
    """A uint8 picture [height, width, 1 or 3] as the smallest PNG file that Pillow makes of it."""
    from PIL import Image

    made = io.BytesIO()
    Image.fromarray(sheet[..., 0] if sheet.shape[-1] == 1 else sheet).save(made, format="PNG", optimize=True)
    return made.getvalue()


def scatter(samples: Float[np.ndarray, "n 2"], real: Float[np.ndarray, "m 2"], pixels: int = 512) -> np.ndarray:
    """Generated points (orange) over real ones (grey), as a uint8 picture that spans the real data."""
    low, high = real.min(0), real.max(0)
    margin = 0.1 * (high - low)
    low, high = low - margin, high + margin
    sheet = np.full((pixels, pixels, 3), 255, np.uint8)
    for points, colour in ((real, (190, 190, 190)), (samples, (213, 94, 0))):
        at = (points - low) / (high - low) * (pixels - 1)
        at = at[((at >= 0) & (at <= pixels - 1)).all(1)].round().astype(int)
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                y, x = np.clip(pixels - 1 - at[:, 1] + dy, 0, pixels - 1), np.clip(at[:, 0] + dx, 0, pixels - 1)
                sheet[y, x] = colour
    return sheet
