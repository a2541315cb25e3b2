"""What a run leaves of its training: metrics.jsonl and TensorBoard events."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, TypedDict

from gvlab.files import REMEDY, read_json_lines, write_atomically
from gvlab.schema import Count, check
from gvlab.types import UserError

WALL_CLOCK = ("seconds", "images_per_second")
"""The fields of metrics.jsonl that two runs of one seed do not share."""


class Line(TypedDict):
    """What each line of metrics.jsonl has besides its terms."""

    step: Count
    seconds: float
    """Of training so far."""
    images_per_second: float


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The complete lines of metrics.jsonl; a last line that was cut off by a kill is not one."""
    file = run / "metrics.jsonl"
    lines: list[dict[str, Any]] = []
    for line in read_json_lines(file, dict[str, float], until_newline=True):
        try:
            check(line, Line)
        except ValueError as error:
            raise UserError(f"{file} is damaged ({error}): {REMEDY}.") from error
        lines.append(line)
    return lines


class MetricsLog:
    """Appends one flat JSON object per logged step to metrics.jsonl, and the same curves to TensorBoard."""

    def __init__(self, run: Path, step: int) -> None:
        """Continues after `step`: lines of later steps, which will be computed again, are dropped."""
        kept = [line for line in read_metrics(run) if line["step"] <= step]
        write_atomically(run / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept))
        self.seconds = kept[-1]["seconds"] if kept else 0.0
        self._file = (run / "metrics.jsonl").open("a", encoding="utf-8")
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
