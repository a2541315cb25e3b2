"""A data set from the arrays of a file: layouts, ranges, labels, and what has more than one reading."""

import zipfile

import numpy as np
import pytest
from test_folders import home, leftovers, pixels

from gvlab.data import add_arrays, archives, load
from gvlab.types import UserError

__all__ = ["home"]

GREY = pixels(0, (12, 6, 5))


def saved(path, array=None, **arrays):
    if array is not None:
        np.save(path / "x.npy", array)
        return path / "x.npy"
    np.savez_compressed(path / "x.npz", **arrays)
    return path / "x.npz"


def everything(name) -> set[bytes]:
    dataset = load(name)
    return {image.tobytes() for split in (dataset.train, dataset.test) for image in np.asarray(split.x)}


def images(x) -> set[bytes]:
    return {np.ascontiguousarray(image).tobytes() for image in x}


@pytest.mark.parametrize(
    ("array", "shape", "options"),
    [
        (GREY, (6, 5, 1), {}),
        (GREY[..., None], (6, 5, 1), {}),
        (pixels(0, (12, 6, 5, 2)), (6, 5, 2), {}),
        (pixels(0, (12, 6, 5, 4)), (6, 5, 4), {}),
        (pixels(0, (12, 3, 8, 8)).transpose(0, 2, 3, 1), (8, 8, 3), {}),
    ],
)
def test_bytes_stay_what_they_are(array, shape, options, home, tmp_path):
    own = add_arrays("mine", saved(tmp_path, array), **options)
    assert (own.shape, own.train, own.test, own.num_classes) == (shape, 11, 1, 0)
    assert everything("mine") == images(array)


def test_channels_may_be_first(home, tmp_path):
    x = pixels(0, (9, 3, 8, 7))
    assert add_arrays("guessed", saved(tmp_path, x)).shape == (8, 7, 3)
    assert everything("guessed") == images(x.transpose(0, 2, 3, 1))
    both = pixels(0, (9, 3, 5, 4))
    assert add_arrays("last", saved(tmp_path, both), layout="NHWC").shape == (3, 5, 4)
    assert add_arrays("first", saved(tmp_path, both), layout="NCHW").shape == (5, 4, 3)


@pytest.mark.parametrize(
    ("array", "options", "expected"),
    [
        (GREY / 255, {}, GREY),
        ((GREY / 255).astype(np.float32), {"value_range": "1"}, GREY),
        ((GREY / 127.5 - 1).astype(np.float32), {"value_range": "-1..1"}, GREY),
        (GREY.astype(np.float16), {}, GREY),
        (GREY.astype(np.int64), {}, GREY),
        (GREY > 99, {}, (GREY > 99) * np.uint8(255)),
        ((GREY > 99).astype(np.uint8), {"value_range": "1"}, (GREY > 99) * np.uint8(255)),
        ((GREY > 99).astype(np.uint8), {"value_range": "255"}, (GREY > 99).astype(np.uint8)),
    ],
)
def test_ranges(array, options, expected, home, tmp_path):
    add_arrays("mine", saved(tmp_path, array), **options)
    assert everything("mine") == images(expected[..., None])


def test_labels_and_their_names(home, tmp_path):
    y = np.array([3, 5, 3] * 4)
    own = add_arrays("mine", saved(tmp_path, images=GREY, labels=y), test=0.25)
    assert (own.class_names, own.train, own.test) == (("3", "5"), 9, 3)
    of_image = {image.tobytes(): label for image, label in zip(GREY, y, strict=True)}
    dataset = load("mine")
    for split in (dataset.train, dataset.test):
        found = [int(own.class_names[label]) for label in split.y]
        assert [of_image[np.asarray(image).tobytes()] for image in split.x] == found
    plain = add_arrays("plain", saved(tmp_path, images=GREY, labels=np.arange(12) % 3), test=0.25)
    assert (plain.num_classes, plain.class_names) == (3, ())


@pytest.mark.parametrize(
    "names", [("train_x", "test_x", "train_y", "test_y"), ("x_train", "x_test", "y_train", "y_test")]
)
def test_splits_of_its_own(names, home, tmp_path):
    file = saved(
        tmp_path, **dict(zip(names, (GREY[:9], GREY[9:], np.arange(9)[:, None] % 3, np.arange(3)), strict=True))
    )
    own = add_arrays("mine", file)
    assert (own.train, own.test, own.num_classes, own.class_names) == (9, 3, 3, ())
    assert images(load("mine").test.x) == images(GREY[9:, ..., None])


def with_nan():
    x = GREY / 255
    x[3, 2, 1] = np.nan
    return x


BAD = {
    "NaN": (with_nan(), {}, "values that are NaN or infinite"),
    "negative": (GREY / 127.5 - 1, {}, r"values from -1 to 1: .* say --range -1..1"),
    "beyond": (GREY.astype(np.uint16) * 2, {}, "8-bit images end at 255"),
    "negative beyond": (GREY / 40 - 2.8, {}, r"values from -2\.8 to .*, which no --range holds: scale them to -1\.\.1"),
    "range too small": (GREY, {"value_range": "1"}, "from 0 to 2.., which --range 1 does not hold"),
    "range of a tanh": (GREY, {"value_range": "-1..1"}, r"which --range -1..1 does not hold"),
    "two readings of 1": ((GREY > 99).astype(np.uint8), {}, "say --range 1 or --range 255"),
    "two readings of a shape": (pixels(0, (9, 3, 5, 3)), {}, "channels may be first or last: say --layout NHWC"),
    "many channels": (pixels(0, (9, 6, 6, 7)), {}, "7 channels by --layout auto, but images have 1 to 4"),
    "channels of a plain image": (GREY, {"layout": "NCHW"}, "has no channels to be first"),
    "a vector": (GREY[:, 0, 0], {}, r"has the shape \[12\], but images are"),
    "one image": (GREY[:1], {}, "has 1 image, but at least one is needed"),
    "no images": (GREY[:0], {}, "which is empty"),
    "texts": (np.full((3, 4, 4), "a"), {}, "values of type <U1, but images are numbers"),
    "complex": (GREY * 1j, {}, "values of type complex128"),
    "objects": (np.array([[[{}]]] * 3), {}, "cannot be read as a file of arrays .*convert its objects"),
}


@pytest.mark.parametrize(("array", "options", "words"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_what_would_be_lost_or_guessed_is_refused(kind, array, options, words, home, tmp_path):
    file = saved(tmp_path, array) if kind == "npy" else saved(tmp_path, x=array)
    with pytest.raises(UserError, match=words):
        add_arrays("mine", file, **options)
    assert not leftovers(home)


ARCHIVES = {
    "three arrays": ({"a": GREY, "b": GREY, "c": GREY}, r"holds a \[12, 6, 5\], b .*, but wanted are images"),
    "half the labels": ({"train_x": GREY, "test_x": GREY, "train_y": np.arange(12)}, "but wanted are images"),
    "few labels": ({"x": GREY, "y": np.arange(5)}, r"y has the shape \[5\] for 12 images"),
    "broken labels": ({"x": GREY, "y": np.arange(12) / 2}, "y has the type float64; labels are whole numbers"),
    "a lonely class": ({"x": GREY, "y": np.arange(12) // 11}, "only one image of the class 1, which cannot"),
    "unequal splits": ({"train_x": GREY, "test_x": GREY[:, :4]}, "shapes .* in its two splits"),
    "unlearned": (
        {"train_x": GREY, "test_x": GREY[:2], "train_y": np.zeros(12, int), "test_y": np.arange(2)},
        "class 1 is among the test labels, but has no training images",
    ),
}


@pytest.mark.parametrize(("arrays", "words"), ARCHIVES.values(), ids=ARCHIVES)
def test_an_archive_that_is_not_plain(arrays, words, home, tmp_path):
    with pytest.raises(UserError, match=words):
        add_arrays("mine", saved(tmp_path, **arrays))
    assert not leftovers(home)


@pytest.mark.parametrize("name", ["x.npz", "x.npy"])
def test_damaged_files(name, home, tmp_path):
    (tmp_path / name).write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(UserError, match="cannot be read as a file of arrays"):
        add_arrays("mine", tmp_path / name)
    assert not leftovers(home)


def test_an_archive_that_would_fill_the_disk(home, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_BOMB", 1000)
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("x.npy", bytes(10_000_000))
    with pytest.raises(UserError, match="claims 10000000 bytes within"):
        add_arrays("mine", tmp_path / "x.npz")
    assert not leftovers(home)


def test_other_content_is_refused(home, tmp_path):
    add_arrays("mine", saved(tmp_path, GREY))
    assert not add_arrays("mine", saved(tmp_path, GREY)).is_new
    with pytest.raises(UserError, match="mine exists, made of other files"):
        add_arrays("mine", saved(tmp_path, GREY[::-1]))
    with pytest.raises(UserError, match='mine exists with layout = "auto", not "NHWC"'):
        add_arrays("mine", saved(tmp_path, GREY), layout="NHWC")
