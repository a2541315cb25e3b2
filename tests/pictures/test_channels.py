"""Images of any shape and of 1 to 4 channels on a sheet."""

import numpy as np
import pytest

from gvlab.compare.report import sheets as page
from gvlab.pictures import sheets


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_sheet_of_any_channels_is_a_picture(channels, tmp_path):
    images = np.random.default_rng(0).random((5, 6, 10, channels)).astype(np.float32)
    sheet = sheets.enlarge(sheets.grid(images, 3))
    sheets.save_png(tmp_path / "sheet.png", sheet)
    read = page._shrunk(sheets.read_png(tmp_path / "sheet.png"))
    assert read.shape == (2 * 7 + 1, 3 * 11 + 1, 1 if channels == 1 else 3)
    assert page.first_rows(read, 1).shape[0] == 8  # the gaps are found


def test_two_channels_are_red_and_green():
    image = np.zeros((1, 1, 2, 2), np.float32)
    image[0, 0, 0], image[0, 0, 1] = [1, 0], [0, 1]
    assert sheets.grid(image, 1)[1, 1:3].tolist() == [[255, 0, 0], [0, 255, 0]]


def test_the_fourth_channel_is_opacity_over_grey():
    image = np.array([[1, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0.5]], np.float32).reshape(1, 1, 3, 4)
    assert sheets.grid(image, 1)[1, 1:4].tolist() == [[255, 0, 0], [128, 128, 128], [64, 64, 64]]
