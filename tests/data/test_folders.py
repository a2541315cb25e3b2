"""A data set from a folder of pictures: what every picture becomes, and what is refused."""

import os

import numpy as np
import pytest
from PIL import Image

from gvlab.data import add_folder, fitting, load, picture_file, remove
from gvlab.types import UserError


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty data directory."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data" / "gvlab" / "own"


def pixels(seed: int, shape=(6, 5)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(file, array, mode=None, **options):
    file.parent.mkdir(parents=True, exist_ok=True)
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    (image.convert(mode) if mode else image).save(file, **options)
    return file


def folder(path, count=10, classes=(), shape=(6, 5)):
    for number in range(count):
        place = path / classes[number % len(classes)] if classes else path
        save(place / f"{number:03}.png", pixels(number, shape))
    return path


def everything(dataset) -> set[bytes]:
    return {image.tobytes() for split in (dataset.train, dataset.test) for image in np.asarray(split.x)}


def leftovers(home) -> list[str]:
    """All that lies in the directory of own data sets."""
    return os.listdir(home) if home.is_dir() else []


# What a folder becomes.


def test_a_flat_folder(home, tmp_path):
    own = add_folder("mine", folder(tmp_path / "pictures", 20))
    assert (own.is_new, own.shape, own.train, own.test) == (True, (6, 5, 1), 18, 2)
    assert (own.num_classes, own.class_names, own.directory) == (0, (), home / "mine")
    dataset = load("mine")
    assert everything(dataset) == {pixels(number).tobytes() for number in range(20)}
    assert dataset.train.y is dataset.test.y is None
    assert isinstance(dataset.train.x, np.memmap)


def test_sub_folders_are_classes_and_every_class_is_in_both_splits(home, tmp_path):
    own = add_folder("mine", folder(tmp_path / "pictures", 33, ("10", "9", "cat")), test=0.3)
    assert own.class_names == ("10", "9", "cat")
    dataset = load("mine")
    assert dataset.class_names == own.class_names
    assert (dataset.num_classes, dataset.train.y.dtype) == (3, np.int32)
    assert np.bincount(dataset.train.y).tolist() == [8, 8, 8]
    assert np.bincount(dataset.test.y).tolist() == [3, 3, 3]
    of_number = {pixels(number).tobytes(): number % 3 for number in range(33)}
    for split in (dataset.train, dataset.test):
        assert [of_number[np.asarray(image).tobytes()] for image in split.x] == split.y.tolist()


def test_classes_that_are_numbers_are_in_their_order(home, tmp_path):
    assert add_folder("mine", folder(tmp_path / "p", 12, ("10", "9", "0"))).class_names == ("0", "9", "10")


def test_the_outermost_sub_folder_is_the_class(home, tmp_path):
    for number in range(4):
        save(tmp_path / "p" / "ab"[number % 2] / str(number) / "x.png", pixels(number))
    assert add_folder("mine", tmp_path / "p").class_names == ("a", "b")
    assert add_folder("bare", tmp_path / "p", labels="none").num_classes == 0


def test_names_and_places_of_files_decide_nothing(home, tmp_path):
    add_folder("one", folder(tmp_path / "one", 30, ("a", "b")))
    for number in range(30):
        name = f"{(number * 7) % 30}_renamed.png"
        os.renames(
            tmp_path / "one" / "ab"[number % 2] / f"{number:03}.png", tmp_path / "other" / "ab"[number % 2] / name
        )
    add_folder("other", tmp_path / "other")
    assert load("one").checksum == load("other").checksum


def test_the_split_is_the_same_at_every_size(home, tmp_path):
    folder(tmp_path / "p", 30)
    add_folder("large", tmp_path / "p")
    add_folder("small", tmp_path / "p", size=(3, 4))
    large, small = load("large").test.x, load("small").test.x
    assert all(np.array_equal(fitting.fit(a, (3, 4), "crop", (0, 0, 0)), b) for a, b in zip(large, small, strict=True))


def test_a_folder_of_test_pictures(home, tmp_path):
    train, test = folder(tmp_path / "train", 8, ("a", "b")), tmp_path / "test"
    save(test / "b" / "x.png", pixels(100))
    own = add_folder("mine", train, test_path=test)
    assert (own.train, own.test) == (8, 1)
    assert load("mine").test.y.tolist() == [1]
    save(test / "c" / "x.png", pixels(101))
    with pytest.raises(UserError, match=r"class 'c' is among the test pictures, but has none in .*train"):
        add_folder("other", train, test_path=test)


def test_test_pictures_among_the_others_are_refused(home, tmp_path):
    folder(tmp_path / "p", 8, ("train", "test"))
    with pytest.raises(UserError, match="lie within each other, so test pictures would be trained on"):
        add_folder("mine", tmp_path / "p", test_path=tmp_path / "p" / "test")


def test_a_test_folder_without_a_readable_picture(home, tmp_path):
    folder(tmp_path / "train", 3)
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "a.png").write_bytes(b"")
    with pytest.raises(UserError, match="has no test image that could be read"):
        add_folder("mine", tmp_path / "train", test_path=tmp_path / "test", unreadable="skip")
    assert not leftovers(home)


def test_labels_of_a_csv_file(home, tmp_path):
    folder(tmp_path / "p", 6)
    table = tmp_path / "labels.csv"
    rows = "".join(f"{'dog' if number % 2 else 'cat'},{number:03}.png,7\n" for number in range(6))
    table.write_text(f"label,file,age\n{rows}")
    own = add_folder("mine", tmp_path / "p", labels=str(table))
    assert (own.class_names, own.train, own.test) == (("cat", "dog"), 4, 2)
    table.write_text(table.read_text().replace("label", "class"))  # as `gvlab sample` writes it
    assert add_folder("other", tmp_path / "p", labels=str(table)).class_names == ("cat", "dog")


def test_exact_copies_are_counted(home, tmp_path):
    folder(tmp_path / "train", 4)
    save(tmp_path / "train" / "copy.bmp", pixels(0))  # other bytes, same pixels
    save(tmp_path / "test" / "copy.png", pixels(1))
    own = add_folder("mine", tmp_path / "train", test_path=tmp_path / "test")
    assert own.origin["copies"] == {"train": 1, "test": 0, "across": 1}


def test_the_card_says_how_it_was_made(home, tmp_path):
    own = add_folder("mine", folder(tmp_path / "p", 4), size=(3, 3), fit="pad", background=(255, 255, 255))
    assert own.origin["source"] == str(tmp_path / "p")
    assert own.origin["settings"] == {
        "size": [3, 3],
        "fit": "pad",
        "test": 0.1,
        "background": [255, 255, 255],
        "unreadable": "refuse",
        "labels": "none",
    }
    assert "Lanczos" in own.origin["pixels"]


# What a picture becomes.


def only_picture(tmp_path, **options) -> np.ndarray:
    """The first of two pictures in tmp_path/p."""
    add_folder("mine", tmp_path / "p", **options)
    dataset = load("mine")
    remove("mine")
    return np.asarray(dataset.train.x[0])


def test_an_orientation_tag_is_applied(home, tmp_path):
    array = pixels(0, (6, 5, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    for name in ("a", "b"):
        save(tmp_path / "p" / f"{name}.png", array, exif=exif)
    np.testing.assert_array_equal(only_picture(tmp_path), np.rot90(array, -1))


def test_palettes_bits_and_alpha(home, tmp_path):
    array = pixels(0, (6, 5, 3)) // 64 * 64
    upright = picture_file.upright
    assert upright(save(tmp_path / "bit.png", pixels(0) > 99, "1"), None).shape == (6, 5, 1)
    assert set(np.unique(upright(tmp_path / "bit.png", None))) == {0, 255}
    palette = Image.fromarray(array).quantize(256)
    np.testing.assert_array_equal(upright(save(tmp_path / "p.png", palette), None), np.asarray(palette.convert("RGB")))
    opaque = np.dstack([array, np.full((6, 5), 255, np.uint8)])
    np.testing.assert_array_equal(upright(save(tmp_path / "rgba.png", opaque), None), array)


@pytest.mark.parametrize(("background", "channels"), [((255, 255, 255), 1), ((255, 0, 0), 3)])
def test_a_transparent_picture_is_put_on_the_background(background, channels, tmp_path):
    grey = np.dstack([np.full((2, 2), 100, np.uint8), np.array([[255, 0], [0, 255]], np.uint8)])
    save(tmp_path / "a.png", Image.fromarray(grey, "LA") if channels else None)
    made = picture_file.upright(tmp_path / "a.png", background)
    assert made.shape == (2, 2, channels)
    assert made[0, 0].tolist() == [100] * channels
    assert made[0, 1].tolist() == list(background)[:channels]


def test_transparent_without_a_background_is_refused(home, tmp_path):
    folder(tmp_path / "p", 3)
    save(tmp_path / "p" / "glass.png", pixels(0, (6, 5, 4)))
    with pytest.raises(UserError, match=r"glass.png has transparent pixels.*--background R,G,B"):
        add_folder("mine", tmp_path / "p")
    assert not leftovers(home)
    assert add_folder("mine", tmp_path / "p", background=(0, 0, 255)).shape == (6, 5, 3)


def test_grey_among_colour_becomes_rgb_and_is_said(home, tmp_path):
    folder(tmp_path / "p", 3)
    save(tmp_path / "p" / "colour.png", pixels(9, (6, 5, 3)))
    own = add_folder("mine", tmp_path / "p")
    assert own.shape == (6, 5, 3)
    assert own.origin["remarks"] == ["3 of 4 pictures are grey, and became RGB like the others."]


@pytest.mark.parametrize("how", ["crop", "pad", "stretch"])
def test_one_resampling_makes_the_size(how, tmp_path):
    array = pixels(0, (40, 30, 3))
    made = fitting.fit(array, (8, 12), how, (9, 8, 7))
    assert made.shape == (8, 12, 3)
    image = Image.fromarray(array)
    if how == "stretch":
        expected = image.resize((12, 8), Image.Resampling.LANCZOS)
        np.testing.assert_array_equal(made, np.asarray(expected))
    if how == "crop":  # 30 wide, so 20 high: the middle
        expected = image.resize((12, 8), Image.Resampling.LANCZOS, (0, 10, 30, 30))
        np.testing.assert_array_equal(made, np.asarray(expected))
    if how == "pad":  # 8 high, so 6 wide
        expected = image.resize((6, 8), Image.Resampling.LANCZOS)
        np.testing.assert_array_equal(made[:, 3:9], np.asarray(expected))
        assert (made[:, :3] == [9, 8, 7]).all()
        assert (made[:, 9:] == [9, 8, 7]).all()


@pytest.mark.parametrize("how", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_picture_of_that_size_keeps_every_bit_and_any_other_fits(how, channels):
    array = pixels(0, (7, 5, channels))
    assert fitting.fit(array, (7, 5), how, (0, 0, 0)) is array
    for size in ((1, 1), (7, 6), (33, 2), (3, 1000)):
        assert fitting.fit(array, size, how, (0, 0, 0)).shape == (*size, channels)


# What is refused, or said.


def broken(path):
    (path / "broken.png").write_bytes((path / "000.png").read_bytes()[:50])


def test_unreadable_files_are_named_and_refused_or_left_out(home, tmp_path):
    folder(tmp_path / "p", 8)
    broken(tmp_path / "p")
    (tmp_path / "p" / "empty.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"2 of 10 files in .*p cannot be read as pictures \(.*empty.jpg.*--skip-unre"):
        add_folder("mine", tmp_path / "p")
    assert not leftovers(home)
    own = add_folder("mine", tmp_path / "p", unreadable="skip")
    assert (own.train + own.test, own.origin["skipped"]) == (8, ["broken.png", "empty.jpg"])
    assert own.origin["remarks"] == ["2 of 10 files could not be read and were left out: broken.png, empty.jpg."]


def test_a_size_beyond_most_pictures_is_said(home, tmp_path):
    own = add_folder("mine", folder(tmp_path / "p", 4), size=(12, 12))
    assert own.origin["remarks"][0].startswith("4 of 4 pictures are smaller than 12x12 and were enlarged")
    assert not add_folder("fits", tmp_path / "p", size=(4, 4)).origin["remarks"]


def with_cmyk(path):
    save(path / "c.jpg", pixels(0, (6, 5, 3)), "CMYK")


def with_16_bits(path):
    save(path / "deep.png", pixels(0).astype(np.uint16) * 256)


def with_frames(path):
    frames = [Image.fromarray(pixels(number, (6, 5, 3))) for number in range(3)]
    frames[0].save(path / "moving.webp", save_all=True, append_images=frames[1:])


def with_a_gif(path):
    (path / "a.gif").write_bytes(b"GIF89a")


def with_a_picture_in_a_sub_folder(path):
    save(path / "sub" / "a.png", pixels(77))


def with_another_size(path):
    save(path / "large.png", pixels(77, (9, 9)))


def with_a_loop(path):
    (path / "sub").mkdir()
    (path / "sub" / "back").symlink_to(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (with_cmyk, "c.jpg has the mode CMYK"),
        (with_16_bits, "deep.png has (the mode I;16|16 bits)"),
        (with_frames, "moving.webp holds 3 frames"),
        (with_a_gif, "holds 10 pictures, and beside them 1 file of .gif, which would be left out"),
        (with_a_picture_in_a_sub_folder, "1 of 11 pictures lie in sub-folders .* and the others directly in it"),
        (with_another_size, r"have 2 sizes \(width x height: 10 of 5x6, 1 of 9x9\).*--size"),
        (with_a_loop, "leads back to"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_would_be_lost_or_guessed_is_refused(change, words, home, tmp_path):
    folder(tmp_path / "p")
    change(tmp_path / "p")
    with pytest.raises(UserError, match=words):
        add_folder("mine", tmp_path / "p")
    assert not leftovers(home)


def test_what_may_lie_beside_pictures(home, tmp_path):
    folder(tmp_path / "p", 4)
    for name in ("Thumbs.db", ".hidden.png", "README.md", "labels.csv"):
        (tmp_path / "p" / name).write_text("")
    assert add_folder("mine", tmp_path / "p").train == 3


TABLES = {
    "no head": ("000.png,cat\n", "must name the columns, file and label"),
    "empty": ("", "must name the columns"),
    "missing": ("file,label\n000.png,cat\n", r"has no label for 3 of 4 pictures in .*p \(001.png, 002.png, 003.png\)"),
    "unknown": (
        "file,label\n" + "".join(f"00{n}.png,cat\n" for n in range(5)),
        r"names 1 picture not in .*004.p",
    ),
    "no label": ("file,label\n000.png,\n", "Line 2 of .* has no label for '000.png'"),
    "cells": ("file,label\n000.png\n", "Line 2 of .* has 1 cell, but the first has 2"),
    "two labels": ("file,label\n000.png,a\n000.png,b\n", "gives '000.png' both the labels 'a' and 'b'"),
    "no text": (b"file,label\n\xff\xfe", "cannot be read as a CSV file"),
}


@pytest.mark.parametrize(("text", "words"), TABLES.values(), ids=TABLES)
def test_a_bad_table_of_labels(text, words, home, tmp_path):
    folder(tmp_path / "p", 4)
    table = tmp_path / "labels.csv"
    table.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=words):
        add_folder("mine", tmp_path / "p", labels=str(table))
    assert not leftovers(home)


def test_a_class_of_one_picture(home, tmp_path):
    folder(tmp_path / "p", 6, ("a", "b"))
    save(tmp_path / "p" / "lonely" / "x.png", pixels(50))
    with pytest.raises(UserError, match="mine has only one image of the class 'lonely', which cannot be both trained"):
        add_folder("mine", tmp_path / "p")
    assert not leftovers(home)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pictures(count, home, tmp_path):
    (tmp_path / "p").mkdir()
    with pytest.raises(UserError, match="holds no PNG" if count == 0 else "has 1 image, but at least one is needed"):
        add_folder("mine", folder(tmp_path / "p", count))
    assert not leftovers(home)
