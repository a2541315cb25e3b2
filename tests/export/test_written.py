"""Examples written as they come: whole or not at all, and read back by others."""

from __future__ import annotations

import csv
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from gvlab import export
from gvlab.data import Split, add_folder, image_sets
from gvlab.types import UserError

SHAPE = (6, 5, 3)


def batches(n, shape=SHAPE, labels=True, size=4):
    images = np.random.default_rng(0).integers(0, 256, (n, *shape), np.uint8)
    for start in range(0, n, size):
        x = images[start : start + size]
        yield Split(x, np.arange(start, start + len(x), dtype=np.int32) % 3 if labels else None)


def all_of(n, **options):
    return np.concatenate([batch.x for batch in batches(n, **options)])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_folder_of_pictures(channels, tmp_path):
    shape, heard = (6, 5, channels), []
    export.write(tmp_path / "made", batches(11, shape), 11, shape, heard.append)
    assert heard == [4, 8, 11]
    files = sorted((tmp_path / "made").glob("*.png"))
    assert [file.name for file in files] == [f"{i:02}.png" for i in range(11)]
    found = np.stack([np.asarray(Image.open(file)).reshape(shape) for file in files])
    np.testing.assert_array_equal(found, all_of(11, shape=shape))
    with (tmp_path / "made" / "labels.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert [(row["file"], int(row["class"])) for row in rows] == [(f"{i:02}.png", i % 3) for i in range(11)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made"]


def test_a_folder_is_a_set_of_images(tmp_path):
    export.write(tmp_path / "made", batches(11), 11, SHAPE)
    images = image_sets.read(tmp_path / "made")
    assert (images.count, images.shape, images.left_out) == (11, SHAPE, "1 file of text")
    np.testing.assert_array_equal(np.concatenate(list(images.in_order(3))), all_of(11))


def test_classes_that_have_names_have_them_in_the_table(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    folder, names = tmp_path / "made", ("a cat", "a, b", "dog")
    export.write(folder, batches(11), 11, SHAPE, class_names=names)
    with (folder / "labels.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert list(rows[0]) == ["file", "class", "name"]
    assert [(int(row["class"]), row["name"]) for row in rows] == [(i % 3, names[i % 3]) for i in range(11)]
    assert image_sets.read(folder).count == 11
    own = add_folder("again", folder, labels=str(folder / "labels.csv"))
    assert own.class_names == ("0", "1", "2")


@pytest.mark.parametrize("labels", [True, False])
def test_an_archive(labels, tmp_path):
    export.write(tmp_path / "made.npz", batches(11, labels=labels), 11, SHAPE)
    with np.load(tmp_path / "made.npz") as arrays:
        np.testing.assert_array_equal(arrays["arr_0"], all_of(11))
        assert ("arr_1" in arrays) == labels
        if labels:
            np.testing.assert_array_equal(arrays["arr_1"], np.arange(11) % 3)
    np.testing.assert_array_equal(np.concatenate(list(image_sets.read(tmp_path / "made.npz").in_order(3))), all_of(11))


def test_an_array_of_points(tmp_path):
    points = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    export.write(tmp_path / "made.npy", [Split(points[:4]), Split(points[4:])], 7, (2,))
    np.testing.assert_array_equal(np.load(tmp_path / "made.npy"), points)


def test_any_number_in_constant_memory(tmp_path):
    def many(n):
        batch = np.zeros((100, 32, 32, 3), np.uint8)
        return (Split(batch) for _ in range(n))

    peaks = []
    for n in (2, 200):
        tracemalloc.start()
        export.write(tmp_path / f"{n}.npz", many(n), 100 * n, (32, 32, 3))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2**20
    assert np.load(tmp_path / "200.npz")["arr_0"].shape == (20_000, 32, 32, 3)


@pytest.mark.parametrize("name", ["made", "made.npz"])
def test_of_a_failure_nothing_is_left(name, tmp_path):
    def failing():
        yield from batches(4)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        export.write(tmp_path / name, failing(), 11, SHAPE)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays(tmp_path):
    (tmp_path / "made").mkdir()
    export.write(tmp_path / "made", batches(3), 3, SHAPE)  # an empty one may be filled
    before = sorted(path.name for path in (tmp_path / "made").iterdir())
    with pytest.raises(UserError, match="is there already and not an empty folder"):
        export.write(tmp_path / "made", batches(3), 3, SHAPE)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is there already and not an empty folder"):
        export.write(tmp_path / "file", batches(3), 3, SHAPE)
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == before


def test_made_by_somebody_else_meanwhile(tmp_path):
    def slow():
        (tmp_path / "made").mkdir()
        (tmp_path / "made" / "theirs").touch()
        yield from batches(3)

    with pytest.raises(UserError, match="was made by somebody else meanwhile"):
        export.write(tmp_path / "made", slow(), 3, SHAPE)
    assert [path.name for path in tmp_path.rglob("*")] == ["made", "theirs"]


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("made", (2,), r"shape \(2,\) are no PNG files"),
        ("made", (8, 8, 2), r"shape \(8, 8, 2\) are no PNG files"),
        ("made.jpg", SHAPE, "must end in .npz or .npy, or be a folder"),
    ],
)
def test_mistakes(name, shape, words, tmp_path):
    with pytest.raises(UserError, match=words):
        export.write(tmp_path / name, [], 3, shape)
    assert list(tmp_path.iterdir()) == []
