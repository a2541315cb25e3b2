"""Images of other systems are measured by the same ruler, and odd files get one sentence each."""

from __future__ import annotations

import functools
import json
import os
import zipfile

import harness
import jax
import numpy as np
import pytest
from harness import assert_refused, call
from PIL import Image

from gvlab import config as c
from gvlab import data, distances, evaluate, image_sets, loop, parallel, rng
from gvlab.types import UserError

SAMPLES = 64


@pytest.fixture(autouse=True, scope="module")
def one_device():
    """Of which two programs give the same bits; and the tests' own cache directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", os.environ["GVLAB_TESTS_CACHE"])
        patch.setattr(parallel, "devices_for", lambda size: jax.devices()[:1])
        evaluate._sampler.cache_clear()
        yield
    evaluate._sampler.cache_clear()


@functools.cache
def generated() -> np.ndarray:
    """What a run makes for its own evaluation, uint8 [64, 16, 16, 1]."""
    program = harness.program("vae")
    state = loop.restore(program, harness.trained("vae"))
    key = rng.stream(rng.root(0), rng.EVALUATE, 0)
    return np.concatenate([np.asarray(x) for x in evaluate._generated(program, state, key)])


def save(directory, images, suffix=".png", **options):
    directory.mkdir(exist_ok=True)
    for number, image in enumerate(images):
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        picture.save(directory / f"{number:05}{suffix}", **options)
    return directory


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(tmp_path_factory.mktemp("images") / "made", generated())


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    file = tmp_path_factory.mktemp("images") / "made.npz"
    np.savez_compressed(file, generated())
    return file


# --- the same ruler ---------------------------------------------------------------------------------------------------


def test_a_folder_and_an_archive_hold_the_same_images(folder, archive):
    (folder / "readme.txt").write_text("no image")
    sets = [image_sets.read(folder), image_sets.read(archive)]
    for images in sets:
        assert (images.count, images.shape) == (SAMPLES, (16, 16, 1))
        batches = list(images.batches(24, 60))
        assert [len(batch) for batch in batches] == [24, 24, 12]
        assert all(batch.dtype == np.uint8 for batch in batches)
        np.testing.assert_array_equal(np.concatenate(batches), generated()[:60])
    assert sets[0].sha256 == sets[1].sha256


def test_images_from_files_measure_as_the_run_that_made_them(folder, archive):
    """Folder, archive and the run itself: the same numbers to the last digit, under comparable stamps."""
    program, key = harness.program("vae"), rng.stream(rng.root(0), rng.EVALUATE, 0)
    state = loop.restore(program, harness.trained("vae"))
    asked = c.Evaluation(samples=SAMPLES)
    extractors = evaluate.extractors_of(asked, program.dataset)
    own = evaluate._distances(program, state, key, extractors, ())
    first, second = (
        evaluate.of_images(image_sets.read(path), program.dataset, asked, extractors) for path in (folder, archive)
    )
    assert first.keys() == second.keys() == own.keys()
    assert len(own) == 12  # six on the pixels, six on the classifier
    for name, one in own.items():
        assert first[name]["value"] == second[name]["value"] == one["value"], name
        assert first[name]["stamp"] | {"images": str(archive)} == second[name]["stamp"]
        assert first[name]["stamp"]["dataset_sha256"] == program.dataset.checksum
        assert evaluate.difference(evaluate._stamp(program, state) | one["stamp"], first[name]["stamp"]) is None


def test_the_command_measures_a_folder(folder, tmp_path, capsys):
    out = tmp_path / "numbers.json"
    args = ("evaluate", "--images", folder, "--against", "digits", "--metrics", "frechet", "prdc", "--out", out)
    assert call(*args, "--features", "pixels", "--samples", 60) == 0
    printed = capsys.readouterr().out
    written = json.loads(out.read_text())
    digest = image_sets.read(folder).sha256
    assert written["protocol"]["images_sha256"] == digest
    assert written["protocol"]["against"] == "digits"
    assert written["measures"].keys() == {
        *("frechet_pixels", "precision_pixels", "recall_pixels", "density_pixels", "coverage_pixels")
    }
    for name, one in written["measures"].items():
        assert one["stamp"]["images"] == str(folder)
        assert one["stamp"]["images_sha256"] == digest
        assert one["stamp"]["generated"] == 60
        assert one["stamp"]["examples"] == (300 if name == "frechet_pixels" else 60)  # neighbours: equal numbers
        assert one["stamp"]["split"] == "test"
        assert one["stamp"]["dataset"] == "digits"
        row = next(line for line in printed.splitlines() if line.startswith(name + " "))
        assert f"{one['value']:.4g}" in row
    assert "frechet_pixels: 60 examples for 256 features" in printed
    assert printed.splitlines()[-1] == str(out)


@pytest.mark.parametrize("name", [".", "made"])
def test_without_out_the_numbers_lie_beside_the_images(name, tmp_path, monkeypatch, capsys):
    made = save(tmp_path / "made", generated()[:8])
    monkeypatch.chdir(made if name == "." else tmp_path)
    args = ("evaluate", "--images", name, "--against", "digits", "--metrics", "kernel", "--features", "pixels")
    assert call(*args, "--split", "train") == 0
    measures = json.loads((tmp_path / "made.evaluation.json").read_text())["measures"]
    assert measures["kernel_pixels"]["stamp"]["split"] == "train"
    assert measures["kernel_pixels"]["stamp"]["examples"] == 1497
    assert len(list(made.iterdir())) == 8


def test_all_images_are_used_where_more_samples_are_asked_for(archive):
    dataset = data.load("digits")
    extractors = evaluate.extractors_of(c.Evaluation(features=("pixels",)), dataset)
    asked = c.Evaluation(samples=10_000, measures=("kernel",))
    found = evaluate.of_images(image_sets.read(archive), dataset, asked, extractors)
    assert found["kernel_pixels"]["stamp"]["generated"] == SAMPLES


# --- kinds of files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG"])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_files_are_read(suffix, channels, tmp_path):
    y, x = np.mgrid[:32, :32]
    smooth = np.stack([(4 * x + 4 * y + 20 * channel) % 256 for channel in range(channels)], -1)[None].astype(np.uint8)
    smooth = np.minimum(smooth, 200)
    images = image_sets.read(save(tmp_path / "set", smooth, suffix, quality=98, subsampling=0))
    (batch,) = images.batches(5, 1)
    assert batch.shape == smooth.shape
    assert np.abs(batch.astype(int) - smooth).mean() < 3


@pytest.mark.parametrize(("mode", "channels"), [("1", 1), ("L", 1), ("P", 3), ("RGB", 3), ("RGBA", 3)])
def test_pictures_of_eight_bits_become_grey_or_rgb(mode, channels, tmp_path):
    grey = np.where(np.arange(16).reshape(4, 4, 1) % 3 == 0, 255, 0).astype(np.uint8)
    made = Image.fromarray(grey[..., 0]).convert("RGB").convert(mode)
    made.save(tmp_path / "a.png")
    (batch,) = image_sets.read(tmp_path).batches(1, 1)
    np.testing.assert_array_equal(batch, np.broadcast_to(grey, (1, 4, 4, channels)))


def test_files_come_in_the_order_of_their_names(tmp_path):
    for name, value in (("b.png", 2), ("a.png", 1), ("c.PNG", 3)):
        Image.fromarray(np.full((2, 2), value, np.uint8)).save(tmp_path / name)
    (batch,) = image_sets.read(tmp_path).batches(9, 3)
    assert batch[:, 0, 0, 0].tolist() == [1, 2, 3]


# --- mistakes ---------------------------------------------------------------------------------------------------------


def good(directory, size=(16, 16), mode="L", name="a.png"):
    noise = Image.fromarray(np.random.RandomState(0).randint(0, 256, size[::-1]).astype(np.uint8))
    (Image.new(mode, size) if mode == "I;16" else noise.convert(mode)).save(directory / name)
    return directory


def with_file(name, content):
    def make(directory):
        good(directory)
        (directory / name).write_bytes(content if isinstance(content, bytes) else content(directory))
        return directory

    return make


def with_picture(name, **options):
    def make(directory):
        good(directory)
        return good(directory, name=name, **options)

    return make


def npz(*arrays, **named):
    def make(directory):
        np.savez(directory / "set.npz", *arrays, **named)
        return directory / "set.npz"

    return make


def raw(content, name="set.npz"):
    def make(directory):
        (directory / name).write_bytes(content(directory) if callable(content) else content)
        return directory / name

    return make


def truncated(directory):
    content = (directory / "a.png").read_bytes()
    return content[: len(content) // 2]


def flipped(directory):
    content = bytearray((directory / "a.png").read_bytes())
    content[content.index(b"IDAT") + 8] ^= 255
    return bytes(content)


def archive_of(**members):
    def make(directory):
        with zipfile.ZipFile(directory / "set.npz", "w") as file:
            for name, content in members.items():
                file.writestr(name, content)
        return directory / "set.npz"

    return make


def cut_archive(directory):
    np.savez(directory / "whole.npz", np.zeros((4, 16, 16, 1), np.uint8))
    content = (directory / "whole.npz").read_bytes()
    (directory / "whole.npz").unlink()
    return content[: len(content) // 2]


def damaged_archive(directory):
    np.savez_compressed(directory / "whole.npz", np.arange(1024, dtype=np.uint8).reshape(4, 16, 16, 1))
    content = bytearray((directory / "whole.npz").read_bytes())
    (directory / "whole.npz").unlink()
    content[120:140] = bytes(20)
    return bytes(content)


def bare_array(directory):
    np.save(directory / "a.npy", np.zeros((4, 16, 16, 1), np.uint8))
    content = (directory / "a.npy").read_bytes()
    (directory / "a.npy").unlink()
    return content


IMAGES = np.zeros((4, 16, 16, 1), np.uint8)
MISTAKES = {
    "nothing there": (lambda directory: directory / "nowhere", ["nowhere", "neither a directory"]),
    "no archive there": (lambda directory: directory / "no.npz", ["no.npz", "No such file"]),
    "another kind of file": (raw(b"x", "set.tar"), ["set.tar", "neither a directory"]),
    "empty folder": (lambda directory: directory, ["no PNG or JPEG files"]),
    "folder of folders": (lambda directory: good_below(directory), ["no PNG or JPEG files"]),
    "mixed sizes": (with_picture("b.png", size=(16, 8)), ["b.png", "16x8 pixels", "16x16 pixels"]),
    "grey and colour": (with_picture("b.png", mode="RGB"), ["b.png", "3 channel(s)", "1 channel(s)"]),
    "corrupt picture": (with_file("b.png", flipped), ["b.png", "cannot be read as a picture"]),
    "truncated picture": (with_file("b.png", truncated), ["b.png", "cannot be read as a picture"]),
    "empty picture": (with_file("b.jpg", b""), ["b.jpg", "cannot be read as a picture"]),
    "no picture": (with_file("b.png", b"text, in truth"), ["b.png", "cannot be read as a picture"]),
    "16 bits": (with_picture("0.png", mode="I;16"), ["0.png", "I;16", "8-bit"]),
    "CMYK": (with_picture("b.jpg", mode="CMYK"), ["b.jpg", "CMYK", "8-bit"]),
    "grey with alpha": (with_picture("b.png", mode="LA"), ["b.png", "LA", "8-bit"]),
    "another size than the data": (functools.partial(good, size=(8, 8)), ["(8, 8, 1)", "(16, 16, 1)", "digits"]),
    "colour against grey": (functools.partial(good, mode="RGB"), ["(16, 16, 3)", "(16, 16, 1)"]),
    "one image": (good, ["1 row", "more examples"]),
    "floats in [0, 1]": (
        npz(IMAGES / 255 + 0.5),
        ["float64[4, 16, 16, 1]", "from 0.5 to 0.5", "scale them to 0..255 and round"],
    ),
    "not a number": (npz(np.full((4, 16, 16, 1), np.nan, np.float32)), ["float32", "nan"]),
    "wide integers": (npz(IMAGES.astype(np.int64)), ["int64[4, 16, 16, 1]", "uint8"]),
    "three axes": (npz(IMAGES[..., 0]), ["uint8[4, 16, 16]"]),
    "channels first": (npz(IMAGES.reshape(4, 1, 16, 16)), ["uint8[4, 1, 16, 16]", "[n, height, width, 1 or 3]"]),
    "two arrays": (npz(images=IMAGES, labels=np.arange(4)), ["2 arrays (images, labels)", "alone"]),
    "no array": (npz(), ["0 arrays"]),
    "no images": (npz(IMAGES[:0]), ["no images"]),
    "one image in an array": (npz(IMAGES[:1]), ["1 row"]),
    "pickled": (npz(np.array([{"a": 1}], object)), ["cannot be read as an .npz file", "Object arrays"]),
    "cut off": (raw(cut_archive), ["set.npz", "cannot be read as an .npz file"]),
    "damaged": (raw(damaged_archive), ["set.npz", "cannot be read as an .npz file"]),
    "empty file": (raw(b""), ["set.npz", "cannot be read as an .npz file"]),
    "text": (raw(b"text, in truth"), ["set.npz", "cannot be read as an .npz file"]),
    "one array without its archive": (raw(bare_array), ["set.npz", "cannot be read as an .npz file"]),
    "a text in an archive": (archive_of(a="text"), ["uint8 images"]),
}


def good_below(directory):
    (directory / "class-0").mkdir()
    good(directory / "class-0")
    return directory


@pytest.mark.parametrize(("make", "words"), MISTAKES.values(), ids=MISTAKES)
def test_odd_files_get_one_sentence_and_nothing_is_written(make, words, tmp_path, capsys):
    (tmp_path / "set").mkdir()
    path = make(tmp_path / "set")
    before = harness.contents(tmp_path)
    code = call("evaluate", "--images", path, "--against", "digits", "--features", "pixels")
    assert_refused(code, *capsys.readouterr(), *words)
    assert harness.contents(tmp_path) == before


ARGUMENTS = {
    "neither": (["evaluate"], ["either a RUN or --images FOLDER"]),
    "both": (["evaluate", "RUN", "--images", "FOLDER", "--against", "digits"], ["either a RUN or --images FOLDER"]),
    "against nothing": (["evaluate", "--images", "FOLDER"], ["--against"]),
    "a run against": (["evaluate", "RUN", "--against", "digits"], ["--against", "--images"]),
    "a run's numbers elsewhere": (["evaluate", "RUN", "--out", "x.json"], ["--out", "--images"]),
    "unknown data": (["evaluate", "--images", "FOLDER", "--against", "digitz"], ["digitz", "'digits'?"]),
    "points": (["evaluate", "--images", "FOLDER", "--against", "ring"], ["(16, 16, 1)", "(2,)"]),
    "unknown measure": (["evaluate", "--images", "FOLDER", "--against", "digits", "--metrics", "fid"], ["'fid'"]),
    "a measure of models": (["evaluate", "--images", "FOLDER", "--against", "digits", "--metrics", "ais"], ["'ais'"]),
    "unknown features": (["evaluate", "--images", "FOLDER", "--against", "digits", "--features", "x"], ["'x'"]),
    "too few samples": (["evaluate", "--images", "FOLDER", "--against", "digits", "--samples", "1"], ["samples is 1"]),
    "too few for k": (["evaluate", "--images", "FOLDER", "--against", "digits", "--samples", "4"], ["prdc", "4 gen"]),
    "no directory for it": (
        ["evaluate", "--images", "FOLDER", "--against", "digits", "--metrics", "kernel", "--out", "no/where.json"],
        ["where.json", "file system"],
    ),
}


@pytest.mark.parametrize(("args", "words"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_wrong_arguments_get_one_sentence_and_nothing_is_written(args, words, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = harness.trained("vae")
    before = harness.contents(run), harness.contents(folder.parent)
    code = call(*({"RUN": run, "FOLDER": folder}.get(arg, arg) for arg in args))
    assert_refused(code, *capsys.readouterr(), *words)
    assert (harness.contents(run), harness.contents(folder.parent)) == before
    assert list(tmp_path.iterdir()) == []


def test_from_python_a_measure_of_models_is_refused(archive):
    asked = c.Evaluation(samples=SAMPLES, measures=("ais",))
    with pytest.raises(UserError, match="no measure 'ais'"):
        evaluate.of_images(image_sets.read(archive), data.load("digits"), asked, [distances.extractor("pixels")])
