"""Images of other systems: the files that are read, and the arguments that are refused."""

from __future__ import annotations

import json
import os

import harness
import numpy as np
import pytest
from harness import assert_refused, call
from made_images import SAMPLES, archived, contents, generated, save
from PIL import Image

from gvlab import config as c
from gvlab import data, evaluate
from gvlab.data import image_sets
from gvlab.extractors import catalogue
from gvlab.types import UserError

pytestmark = pytest.mark.usefixtures("one_device")


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


def test_every_file_is_read_whatever_its_name(tmp_path):
    for name, value in (("b.png", 2), ("a.png", 1), ("c.PNG", 3)):
        Image.fromarray(np.full((2, 2), value, np.uint8)).save(tmp_path / name)
    (batch,) = image_sets.read(tmp_path).batches(9, 3)
    assert sorted(batch[:, 0, 0, 0].tolist()) == [1, 2, 3]


@pytest.mark.parametrize("mode", ["RGB", "P"])
def test_grey_images_of_three_channels_are_grey(mode, folder, tmp_path):
    """As many programs save them; measured as if they had one channel, and the stamp says it."""
    tripled = tmp_path / "rgb"
    tripled.mkdir()
    for number, image in enumerate(generated()):
        Image.fromarray(image[..., 0]).convert(mode).save(tripled / f"{number}.png")
    images, asked = image_sets.read(tripled), c.Evaluation(measures=("frechet", "prdc"))
    assert images.shape == (16, 16, 3)
    digits, extractors = data.load("digits"), [catalogue.extractor("pixels")]
    found = evaluate.of_images(images, digits, asked, extractors)
    plain = evaluate.of_images(image_sets.read(folder), digits, asked, extractors)
    for name, one in found.items():
        assert one["value"] == plain[name]["value"]
        assert one["stamp"].pop("channels") == "three equal ones, taken for one"
        assert one["stamp"] == plain[name]["stamp"] | {"images": str(tripled)}
    odd = generated().repeat(3, axis=-1)
    odd[7, 3, 4, 1] ^= 1
    assert archived(tmp_path, odd).twin is None


@pytest.mark.parametrize("mode", ["RGB", "P", "LA", "RGBA", "1"])
def test_grey_among_others_is_grey(mode, tmp_path):
    """Each image saved in one of two modes, as by programs that choose the smallest: no number changes."""
    x = np.where(generated() > 99, 255, 0).astype(np.uint8) if mode == "1" else generated()
    mixed = save(tmp_path / "mixed", x[::2])
    for number, image in enumerate(x[1::2]):
        Image.fromarray(image[..., 0]).convert(mode).save(mixed / f"other-{number}.png")
    digits, asked = data.load("digits"), c.Evaluation(measures=("frechet",))
    (found,), (plain,) = (
        evaluate.of_images(images, digits, asked, [catalogue.extractor("pixels")]).values()
        for images in (image_sets.read(mixed), archived(tmp_path, x))
    )
    assert found["value"] == plain["value"]
    assert found["stamp"]["images_sha256"] == plain["stamp"]["images_sha256"]


def test_grey_among_colour_gets_three_equal_channels(tmp_path):
    x = np.random.RandomState(0).randint(0, 256, (6, 8, 8, 3)).astype(np.uint8)
    x[::2] = x[::2, :, :, :1]
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for number, image in enumerate(x):
        Image.fromarray(image if number % 2 else image[..., 0]).save(mixed / f"{number}.png")
    images = image_sets.read(mixed)
    assert (images.shape, images.sha256, images.twin) == ((8, 8, 3), archived(tmp_path, x).sha256, None)
    (batch,) = images.batches(6, 6)
    assert contents(batch) == contents(x)


def test_grey_images_against_colour_have_three_equal_channels(tmp_path):
    x = generated()[:20]
    colour = data.from_arrays("mine", x.repeat(3, axis=-1), x.repeat(3, axis=-1))
    asked = c.Evaluation(measures=("frechet",))
    grey, same = (
        evaluate.of_images(archived(tmp_path, images), colour, asked, [catalogue.extractor("pixels")])["frechet_pixels"]
        for images in (x, x.repeat(3, axis=-1))
    )
    assert grey["value"] == same["value"]
    assert grey["stamp"].pop("channels") == "one, taken for three equal ones"
    assert grey["stamp"] == same["stamp"]


def test_labels_beside_the_images_are_left_alone(archive, tmp_path):
    """As guided-diffusion writes them: arr_0 of images and arr_1 of classes."""
    np.savez(tmp_path / "samples.npz", generated(), np.arange(SAMPLES))
    images = image_sets.read(tmp_path / "samples.npz")
    assert (images.sha256, images.left_out) == (image_sets.read(archive).sha256, "a vector of labels")
    assert image_sets.read(archive).left_out == ""


def test_an_array_is_read_as_an_archive_of_it(archive, tmp_path):
    np.save(tmp_path / "samples.npy", generated())
    images = image_sets.read(tmp_path / "samples.npy")
    assert images.sha256 == image_sets.read(archive).sha256
    assert repr(images) == f"<64 images (16, 16, 1) of {tmp_path / 'samples.npy'}, sha256 {images.sha256[:8]}>"


# --- what lies beside the images --------------------------------------------------------------------------------------


def test_hidden_files_and_texts_may_lie_beside_the_images(tmp_path, capsys):
    whole = save(tmp_path / "set", generated()[:8])
    sha256 = image_sets.read(whole).sha256
    (whole / "._00001.png").write_bytes(b"\x00\x05\x16\x07Mac OS X")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "labels.csv", "dataset.json"):
        (whole / name).touch()
    (whole / ".cache").mkdir()
    save(whole / ".cache" / "", generated()[:3])
    (whole / "__MACOSX").mkdir()
    (whole / "empty").mkdir()
    (whole / "empty" / ".DS_Store").touch()
    images = image_sets.read(whole)
    assert (images.sha256, images.count) == (sha256, 8)
    assert images.left_out == "6 files that are hidden or the system's and 2 files of text"
    out = tmp_path / "numbers.json"
    args = ("--against", "digits", "--metrics", "kernel", "--features", "pixels", "--out", out)
    assert call("evaluate", "--images", whole, *args) == 0
    assert f"{whole}: nobody measures what else is there ({images.left_out})." in capsys.readouterr().out
    assert json.loads(out.read_text())["protocol"]["left_out"] == images.left_out


def beside(*names):
    """Ten images, and fifty of another kind."""

    def make(directory):
        save(directory, generated()[:10])
        for number in range(50):
            file = directory / names[number % len(names)].format(number)
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(b"x")
        return directory

    return make


LEFT_OUT = {
    "TIFF": (beside("{}.tif"), ["10 pictures", "50 files of .tif"]),
    "GIF, TIFF": (beside("{}.gif", "{}.TIFF"), ["25 files of .gif and 25 files of .tiff"]),
    "no suffix": (beside("{}"), ["50 files without a suffix"]),
    "an archive": (beside("more.npz"), ["1 file of .npz"]),
    "a sub-folder": (beside("more/{}.png"), ["a sub-folder (more, 50 entries)"]),
    "sub-folders": (beside(*(f"{n}/{{}}.png" for n in range(10))), ["(0, 5 entries)", "(3, 5 entries) and 6 more"]),
    "a folder named as a picture": (beside("more.png/{}.png"), ["a sub-folder (more.png, 50 entries)"]),
}


@pytest.mark.parametrize(("make", "words"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_would_be_left_out_is_counted_and_refused(make, words, tmp_path):
    with pytest.raises(UserError) as refused:
        image_sets.read(make(tmp_path / "set"))
    for word in ["would be left out", *words]:
        assert word in str(refused.value)


def test_links_are_followed(folder, tmp_path):
    (tmp_path / "set").symlink_to(folder)
    assert image_sets.read(tmp_path / "set").sha256 == image_sets.read(folder).sha256
    (tmp_path / "links").mkdir()
    for file in folder.glob("*.png"):
        (tmp_path / "links" / file.name).symlink_to(file)
    assert image_sets.read(tmp_path / "links").sha256 == image_sets.read(folder).sha256
    (tmp_path / "links" / "more").symlink_to(folder)
    with pytest.raises(UserError, match=r"a sub-folder \(more, 64 entries\)"):
        image_sets.read(tmp_path / "links")


def test_names_that_are_no_text_are_read(tmp_path):
    for number, image in enumerate(generated()[:4]):
        Image.fromarray(image[..., 0]).save(os.fsencode(tmp_path) + b"/\xff%d.png" % number)
    assert image_sets.read(tmp_path).count == 4


def test_images_that_change_meanwhile_are_refused(tmp_path):
    images = image_sets.read(save(tmp_path / "set", generated()[:4]))
    Image.fromarray(255 - generated()[2, ..., 0]).save(tmp_path / "set" / "00002.png")
    with pytest.raises(UserError, match=r"00002\.png has changed since"):
        list(images.batches(4, 4))


# --- wrong arguments --------------------------------------------------------------------------------------------------

ARGUMENTS = {
    "neither": (["evaluate"], ["either a RUN, or --images FOLDER"]),
    "both": (["evaluate", "RUN", "--images", "FOLDER", "--against", "digits"], ["either a RUN, or --images FOLDER"]),
    "against nothing": (["evaluate", "--images", "FOLDER"], ["--against"]),
    "a run against": (["evaluate", "RUN", "--against", "digits"], ["--against", "--images"]),
    "a run's numbers elsewhere": (["evaluate", "RUN", "--out", "x.json"], ["--out", "--images"]),
    "unknown data": (["evaluate", "--images", "FOLDER", "--against", "digitz"], ["digitz", "'digits'?"]),
    "points": (["evaluate", "--images", "FOLDER", "--against", "ring"], ["(16, 16, 1)", "(2,)"]),
    "unknown measure": (["evaluate", "--images", "FOLDER", "--against", "digits", "--metrics", "fid"], ["'fid'"]),
    "a measure of models": (
        ["evaluate", "--images", "FOLDER", "--against", "digits", "--metrics", "ais"],
        ["ais needs a model"],
    ),
    "a bound of models": (["evaluate", "--images", "FOLDER", "--against", "digits", "--k", "50"], ["--k is 50"]),
    "weights for nothing": (
        ["evaluate", "--images", "FOLDER", "--against", "digits", "--weights", "x.pth"],
        ["--weights x.pth", "Inception"],
    ),
    "too many samples": (
        ["evaluate", "--images", "FOLDER", "--against", "digits", "--samples", "10000000000000"],
        ["samples is 10000000000000", "1000000"],
    ),
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
    with pytest.raises(UserError, match="measure ais needs a model"):
        evaluate.of_images(image_sets.read(archive), data.load("digits"), asked, [catalogue.extractor("pixels")])
