"""Odd files of images get one sentence each."""

from __future__ import annotations

import functools
import io
import os
import struct
import zipfile
import zlib

import harness
import numpy as np
import pytest
from harness import assert_refused, call
from PIL import Image

pytestmark = pytest.mark.usefixtures("one_device")


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
    "nothing there": (lambda directory: directory / "nowhere", ["nowhere is not there"]),
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
    "a bomb in an archive": (archive_bomb, ["set.npz claims 2147483648 bytes", "which no arrays of numbers are"]),
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
