"""Images of other systems are measured by the same ruler, and odd files get one sentence each."""

from __future__ import annotations

import functools
import io
import json
import os
import struct
import zipfile
import zlib

import harness
import jax
import numpy as np
import pytest
from harness import assert_refused, call
from PIL import Image

from gvlab import config as c
from gvlab import data, evaluate, parallel, rng
from gvlab.data import image_sets
from gvlab.evaluate import distances, measure, sampling, stamps
from gvlab.extractors import catalogue
from gvlab.train import loop
from gvlab.types import UserError

SAMPLES = 64


@pytest.fixture(autouse=True, scope="module")
def one_device():
    """Of which two programs give the same bits; and the tests' own cache directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", os.environ["GVLAB_TESTS_CACHE"])
        patch.setattr(parallel, "devices_for", lambda size: jax.devices()[:1])
        sampling._sampler.cache_clear()
        yield
    sampling._sampler.cache_clear()


@functools.cache
def generated() -> np.ndarray:
    """What a run makes for its own evaluation, uint8 [64, 16, 16, 1]."""
    program = harness.program("vae")
    state = loop.restore(program, harness.trained("vae"))
    key = rng.stream(rng.root(0), rng.EVALUATE, 0)
    return np.concatenate([np.asarray(x) for x in sampling.generate(program, state, key)])


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
    sets = [image_sets.read(folder), image_sets.read(archive)]
    for images in sets:
        assert (images.count, images.shape) == (SAMPLES, (16, 16, 1))
        batches = list(images.batches(24, 60))
        assert [len(batch) for batch in batches] == [24, 24, 12]
        assert all(batch.dtype == np.uint8 for batch in batches)
        (whole,) = images.batches(100, SAMPLES)
        np.testing.assert_array_equal(np.concatenate(batches), whole[:60])
        assert contents(whole) == contents(generated())
    assert sets[0].sha256 == sets[1].sha256
    for first, second in zip(sets[0].batches(24, 60), sets[1].batches(24, 60), strict=True):
        np.testing.assert_array_equal(first, second)


def contents(images: np.ndarray) -> list[bytes]:
    return sorted(image.tobytes() for image in images)


def archived(directory, images):
    np.savez(directory / "set.npz", images)
    return image_sets.read(directory / "set.npz")


def test_the_order_of_the_images_changes_no_number(tmp_path):
    """Sorted by class or shuffled: the same numbers to the last bit, of all or of a part of them."""
    digits = data.load("digits")
    x, y = digits.train.x[:600], digits.train.y[:600]
    orders = [np.argsort(y, kind="stable"), np.random.RandomState(0).permutation(len(x))]
    extractor = catalogue.extractor("digits")
    for samples in (0, 400):
        asked = c.Evaluation(samples=samples, measures=("inception_score", "prdc", "frechet"))
        first, second = (
            evaluate.of_images(archived(tmp_path, x[order]), digits, asked, [extractor]) for order in orders
        )
        assert first == second
        # As a random sample does: splits and subsets in the order of a folder sorted by class gave a score of 1.2
        # instead of 9.7, and a recall of 0.2 instead of 0.96.
        assert first[extractor.measure("class_score")]["value"] > 8
        assert first[extractor.measure("recall")]["value"] > 0.8
        stamp = first[extractor.measure("recall")]["stamp"]
        assert (stamp["images_seed"], stamp["subset_seed"]) == (image_sets.ORDER_SEED, distances.SUBSET_SEED)
        assert first[extractor.measure("class_score")]["stamp"]["shuffle_seed"] == 2020
        frechet = first[extractor.measure("frechet")]["stamp"]
        assert frechet["generated"] == (samples or 600)


def test_a_part_of_the_images_is_a_random_one(tmp_path):
    """Repetitions are drawn one by one: each of three images, in unequal numbers, as often as its share says."""
    x = np.zeros((900, 4, 4, 1), np.uint8)
    x[300:], x[800:] = 1, 2
    (part,) = archived(tmp_path, x).batches(450, 450)
    found = np.bincount(part[:, 0, 0, 0])
    shares = np.array([300, 500, 100]) / 900
    errors = np.sqrt(450 * shares * (1 - shares) / 2)  # half of all, without replacement
    assert (np.abs(found - 450 * shares) < 4 * errors).all()


def test_images_from_files_measure_as_the_run_that_made_them(folder, archive):
    """Folder and archive to the last digit, and the run itself, whose images come in another order, to rounding."""
    program, key = harness.program("vae"), rng.stream(rng.root(0), rng.EVALUATE, 0)
    state = loop.restore(program, harness.trained("vae"))
    asked = c.Evaluation(samples=SAMPLES)
    extractors = evaluate.extractors_of(asked, program.dataset)
    own = measure._distances(program, state, key, extractors, ("frechet", "kernel", "prdc"))
    first, second = (
        evaluate.of_images(image_sets.read(path), program.dataset, asked, extractors) for path in (folder, archive)
    )
    assert first.keys() == second.keys() == own.keys()
    assert len(own) == 12  # six on the pixels, six on the classifier
    for name, one in own.items():
        assert first[name]["value"] == second[name]["value"]
        assert first[name]["value"] == pytest.approx(one["value"], rel=1e-4), name  # features in float32
        assert first[name]["stamp"] | {"images": str(archive)} == second[name]["stamp"]
        assert first[name]["stamp"]["dataset_sha256"] == program.dataset.checksum
        assert evaluate.difference(stamps.stamp(program, state) | one["stamp"], first[name]["stamp"]) is None


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
    for samples in (0, 10_000):
        asked = c.Evaluation(samples=samples, measures=("kernel",))
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
    assert f"{whole}: beside the images lie {images.left_out}" in capsys.readouterr().out
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


def npy(array):
    def make(directory):
        np.save(directory / "set.npy", array)
        return directory / "set.npy"

    return make


def special(name, make_it):
    def make(directory):
        make_it(directory / name)
        return directory / name

    return make


def with_special(name, make_it):
    return lambda directory: special(name, make_it)(good(directory)).parent


def with_only(name, content):
    return lambda directory: raw(content, name)(directory).parent


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
                file.writestr(name, content() if callable(content) else content)
        return directory / "set.npz"

    return make


def cut_archive(directory):
    np.savez(directory / "whole.npz", np.zeros((4, 16, 16, 1), np.uint8))
    content = (directory / "whole.npz").read_bytes()
    (directory / "whole.npz").unlink()
    return content[: len(content) // 2]


def cut_array(directory):
    return bare_array(directory)[:-1]


def archive_bomb(directory):
    """Whose headers alone say 2 GiB; they are not made."""
    with zipfile.ZipFile(directory / "set.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.npy", claimed((2**31 // 3072, 32, 32, 3)))
    content = bytearray((directory / "set.npz").read_bytes())
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = struct.pack("<I", 2**31)
    (directory / "set.npz").write_bytes(content)
    return directory / "set.npz"


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


def claimed(shape):
    """An array of 64 bytes whose header says otherwise."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue() + bytes(64)


def marked(local, central, value):
    """A whole archive, but for a byte in each of its two headers."""
    buffer = io.BytesIO()
    np.savez(buffer, IMAGES)
    content = bytearray(buffer.getvalue())
    content[local] = content[content.index(b"PK\x01\x02") + central] = value
    return bytes(content)


def png(picture, **options):
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **options)
    return buffer.getvalue()


def sized(side):
    return struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)


def header(fields):
    """A PNG file that begins well."""
    chunks = [(b"IHDR", fields), (b"IDAT", zlib.compress(bytes(10))), (b"IEND", b"")]
    parts = [struct.pack(">I", len(x)) + kind + x + struct.pack(">I", zlib.crc32(kind + x)) for kind, x in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


IMAGES = np.zeros((4, 16, 16, 1), np.uint8)
MISTAKES = {
    "nothing there": (lambda directory: directory / "nowhere", ["nowhere", "neither a directory"]),
    "no archive there": (lambda directory: directory / "no.npz", ["no.npz", "No such file"]),
    "another kind of file": (raw(b"x", "set.tar"), ["set.tar", "neither a directory"]),
    "empty folder": (lambda directory: directory, ["no PNG, JPEG, WebP or BMP files:"]),
    "folder of folders": (
        lambda directory: good_below(directory),
        ["no PNG, JPEG, WebP or BMP files, but a sub-folder (class-0, 1 entries)"],
    ),
    "files of another kind": (with_only("a.tif", b""), ["no PNG, JPEG, WebP or BMP files, but 1 file of .tif"]),
    "mixed sizes": (with_picture("b.png", size=(16, 8)), ["b.png", "16x8 pixels", "16x16 pixels"]),
    "corrupt picture": (with_file("b.png", flipped), ["b.png", "cannot be read as a picture"]),
    "truncated picture": (with_file("b.png", truncated), ["b.png", "cannot be read as a picture"]),
    "empty picture": (with_file("b.jpg", b""), ["b.jpg", "cannot be read as a picture"]),
    "no picture": (with_file("b.png", b"text, in truth"), ["b.png", "cannot be read as a picture"]),
    "16 bits": (with_picture("0.png", mode="I;16"), ["0.png", "16 bits per channel", "round it to 8 bits"]),
    "CMYK": (with_picture("b.jpg", mode="CMYK"), ["b.jpg", "CMYK", "8-bit"]),
    "a pipe": (with_special("b.png", os.mkfifo), ["b.png is a pipe"]),
    "a device": (with_special("b.png", lambda file: file.symlink_to("/dev/zero")), ["b.png is a device"]),
    "a link to nothing": (with_special("b.png", lambda file: file.symlink_to("nothing")), ["b.png", "No such file"]),
    "a link to itself": (with_special("b.png", lambda file: file.symlink_to("b.png")), ["b.png", "symbolic links"]),
    "a pipe for an archive": (special("set.npz", os.mkfifo), ["set.npz is a pipe"]),
    "a device for an array": (special("set.npy", lambda file: file.symlink_to("/dev/zero")), ["set.npy is a device"]),
    "transparent": (with_file("b.png", lambda directory: png(Image.new("RGBA", (16, 16)))), ["transparent pixels"]),
    "a palette with holes": (
        with_file("b.png", lambda directory: png(Image.new("P", (16, 16)), transparency=0)),
        ["b.png", "transparent pixels"],
    ),
    "a header cut short": (with_file("b.png", lambda directory: header(b"\0\0\0\x10\0\0\0\x10")), ["b.png", "picture"]),
    "a bomb": (with_file("b.png", lambda directory: header(sized(20_000))), ["b.png", "decompression bomb"]),
    "a smaller bomb": (with_file("b.png", lambda directory: header(sized(11_000))), ["b.png", "decompression bomb"]),
    "another size than the data": (functools.partial(good, size=(8, 8)), ["(8, 8, 1)", "(16, 16, 1)", "digits"]),
    "colour against grey": (
        npz(np.arange(4 * 16 * 16 * 3).reshape(4, 16, 16, 3).astype(np.uint8)),
        ["(16, 16, 3)", "(16, 16, 1)"],
    ),
    "one image": (good, ["frechet", "1 generated", "at least 2"]),
    "floats in [0, 1]": (
        npz(IMAGES / 255 + 0.5),
        ["float64[4, 16, 16, 1]", "from 0.5 to 0.5", "scale them to 0..255 and round"],
    ),
    "truth values": (npz(IMAGES > 0), ["bool[4, 16, 16, 1]", "multiply by 255 and cast to uint8"]),
    "negative numbers": (npz(IMAGES.astype(np.int16) - 1), ["int16", "from -1 to -1", "scale them to 0..255"]),
    "numbers beyond": (npz(IMAGES.astype(np.float32) + 256), ["float32", "from 256 to 256", "scale them to 0..255"]),
    "not a number": (npz(np.full((4, 16, 16, 1), np.nan, np.float32)), ["float32", "nan"]),
    "wide integers": (npz(IMAGES.astype(np.int64)), ["int64[4, 16, 16, 1]", "wanted: cast them to uint8."]),
    "three axes": (npz(IMAGES[..., 0]), ["uint8[4, 16, 16]", "wanted: give each image an axis of one channel (x[...,"]),
    "channels first": (
        npz(IMAGES.reshape(4, 1, 16, 16)),
        ["uint8[4, 1, 16, 16]", "wanted: this is channels first, so move them last (x.transpose(0, 2, 3, 1))."],
    ),
    "floats with channels first": (
        npz(np.zeros((4, 3, 16, 16), np.float32)),
        ["this is channels first", "; scale them to 0..255 and round, and cast"],
    ),
    "an alpha channel": (npz(IMAGES.repeat(4, -1)), ["wanted: keep one channel, or red, green and blue."]),
    "a matrix": (npz(IMAGES[..., 0, 0]), ["uint8[4, 16]", "wanted: give images four axes."]),
    "an array of 8-bit integers with channels first": (
        npy(IMAGES.reshape(4, 1, 16, 16)),
        ["set.npy", "this is channels first"],
    ),
    "objects": (npy(np.array([{"a": 1}], object)), ["set.npy cannot be read as an .npy file"]),
    "an array cut off": (raw(cut_array, "set.npy"), ["set.npy cannot be read as an .npy file"]),
    "an array that claims terabytes": (
        raw(lambda directory: claimed((10**9, 32, 32, 3)), "set.npy"),
        ["set.npy cannot"],
    ),
    "a bomb in an archive": (archive_bomb, ["set.npz claims 2147483648 bytes", "which no images are"]),
    "many arrays": (npz(*[IMAGES] * 9), ["9 arrays (arr_0.npy, arr_1.npy, arr_2.npy, ...)", "alone"]),
    "images without an extent": (npz(IMAGES[:, :0]), ["no images, but [4, 0, 16, 1]"]),
    "two arrays": (npz(images=IMAGES, others=IMAGES), ["2 arrays (images, others)", "alone"]),
    "labels of others": (npz(images=IMAGES, labels=np.arange(5)), ["2 arrays (images, labels)", "alone"]),
    "a claim of terabytes": (archive_of(**{"a.npy": lambda: claimed((10**9, 32, 32, 3))}), ["cannot be read"]),
    "a negative size": (archive_of(**{"a.npy": lambda: claimed((-1, 32, 32, 3))}), ["cannot be read"]),
    "encrypted": (raw(lambda directory: marked(6, 8, 1)), ["set.npz", "cannot be read", "encrypted"]),
    "an unknown compression": (raw(lambda directory: marked(8, 10, 99)), ["set.npz", "cannot be read"]),
    "no array": (npz(), ["0 arrays"]),
    "no images": (npz(IMAGES[:0]), ["no images"]),
    "one image in an array": (npz(IMAGES[:1]), ["1 generated", "at least 2"]),
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
