"""metrics.jsonl, the event files and the pictures."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gvlab.pictures import sheets
from gvlab.runs.curves import MetricsLog, read_metrics
from gvlab.types import UserError


def write(run: Path, *steps: int, after: int = 0, seconds: float = 0.0) -> None:
    """A process that continues after the step `after` and logs some steps."""
    metrics = MetricsLog(run, after)
    for step in steps:
        metrics.write(step, {"loss": 1 / step}, metrics.seconds + seconds + step / 1000, 123.456)
    metrics.sync()
    metrics.close()


def test_a_line_keeps_every_digit_and_rounds_only_the_clock(tmp_path):
    third = float(np.float32(1) / np.float32(3))
    metrics = MetricsLog(tmp_path, 0)
    metrics.write(7, {"loss": third, "grad_norm/generator": 1e-30}, 1.23456, 78.96)
    metrics.close()
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "step": 7,
        "loss": third,
        "grad_norm/generator": 1e-30,
        "seconds": 1.235,
        "images_per_second": 79.0,
    }
    assert read_metrics(tmp_path) == [json.loads(line)]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_json_is_not_written(value, tmp_path):
    metrics = MetricsLog(tmp_path, 0)
    with pytest.raises(ValueError, match="JSON"):
        metrics.write(1, {"loss": value}, 0.0, 0.0)
    metrics.close()
    assert read_metrics(tmp_path) == []


def test_a_run_without_metrics_has_none(tmp_path):
    assert read_metrics(tmp_path) == []


def test_continuing_drops_the_lines_that_will_come_again(tmp_path):
    write(tmp_path, 1, 10, 20, 30)
    write(tmp_path, 20, 30, 40, after=15)
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 10, 20, 30, 40]


def test_a_line_that_a_kill_cut_off_is_dropped(tmp_path):
    write(tmp_path, 1, 10)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 20, "lo')
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 10]
    write(tmp_path, 20, after=10)
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 10, 20]


def test_the_clock_goes_on_where_it_stopped(tmp_path):
    write(tmp_path, 10, seconds=100.0)
    write(tmp_path, 20, after=10)
    first, second = (line["seconds"] for line in read_metrics(tmp_path))
    assert first == 100.01
    assert second == 100.03


def test_synced_lines_can_be_read_while_the_log_is_open(tmp_path):
    metrics = MetricsLog(tmp_path, 0)
    metrics.write(1, {"loss": 1.0}, 0.0, 0.0)
    metrics.sync()
    assert [line["step"] for line in read_metrics(tmp_path)] == [1]
    metrics.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
@pytest.mark.parametrize("which", ["metrics", "events"])
def test_a_full_disk_is_raised_where_it_happens_and_nothing_is_lost(which, tmp_path):
    metrics = MetricsLog(tmp_path, 0)
    metrics.sync()
    file = metrics._file if which == "metrics" else metrics._events._writer._py_recordio_writer._writer
    room = os.dup(file.fileno())
    with open("/dev/full", "wb") as full:
        os.dup2(full.fileno(), file.fileno())
    metrics.write(1, {"loss": 1.0}, 0.0, 0.0)
    with pytest.raises(OSError, match="No space left"):
        metrics.sync()
    os.dup2(room, file.fileno())
    os.close(room)
    metrics.close()
    assert [line["step"] for line in read_metrics(tmp_path)] == [1]
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"loss" in events.read_bytes()


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_a_grid_holds_the_images_in_rows():
    images = np.arange(5, dtype=np.float32)[:, None, None, None] / 4 * np.ones((5, 2, 3, 1), np.float32)
    sheet = sheets.grid(images, columns=2)
    assert sheet.shape == (3 * 3 + 1, 2 * 4 + 1, 1)
    assert sheet.dtype == np.uint8
    for i, grey in enumerate((0, 64, 128, 191, 255)):
        top, left = i // 2 * 3 + 1, i % 2 * 4 + 1
        assert (sheet[top : top + 2, left : left + 3] == grey).all()
    assert (sheet[7:, 5:] == 128).all()  # where there is no image
    assert (sheet[::3] == 128).all()
    assert (sheet[:, ::4] == 128).all()


def test_a_grid_clips_what_is_outside_of_its_range():
    sheet = sheets.grid(np.array([-3.0, 7.0], np.float32).reshape(2, 1, 1, 1), columns=2)
    assert sheet[1, [1, 3], 0].tolist() == [0, 255]


@pytest.mark.parametrize(("side", "times"), [(100, 6), (256, 2), (512, 1), (700, 1)])
def test_enlarging_repeats_pixels(side, times):
    sheet = np.random.RandomState(0).randint(256, size=(side, side // 2, 3)).astype(np.uint8)
    large = sheets.enlarge(sheet)
    assert large.shape == (side * times, side // 2 * times, 3)
    assert np.array_equal(large[::times, ::times], sheet)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_saved_picture_is_the_sheet(channels, tmp_path):
    sheet = np.random.RandomState(0).randint(256, size=(7, 9, channels)).astype(np.uint8)
    sheets.save_png(tmp_path / "sheet.png", sheet)
    read = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert np.array_equal(read, sheet[..., 0] if channels == 1 else sheet)
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_a_picture_that_is_not_called_png_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"Pictures are PNG files, but .*a\.jpg is no name of one"):
        sheets.save_png(tmp_path / "a.jpg", np.zeros((2, 2, 1), np.uint8))
    assert not list(tmp_path.iterdir())


def test_a_scatter_shows_both_kinds_of_points_where_they_are():
    real = np.array([[0.0, 0.0], [1.0, 1.0]], np.float32)
    sheet = sheets.scatter(np.array([[1.0, 0.0], [50.0, 0.0]], np.float32), real, pixels=121)
    assert sheet.shape == (121, 121, 3)
    grey, orange = (np.argwhere((sheet == colour).all(-1)) for colour in ((190, 190, 190), (213, 94, 0)))
    # x to the right, y upwards, with a margin of a tenth; each point is 3 x 3 pixels; what is far outside is left out.
    assert len(grey) == 18
    assert grey.min(0).tolist() == [9, 9]
    assert grey.max(0).tolist() == [111, 111]
    assert orange.mean(0).tolist() == [110, 110]
    assert len(orange) == 9
