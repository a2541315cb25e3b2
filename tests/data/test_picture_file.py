"""A picture is read with nothing lost or changed in silence, or refused in a sentence."""

from __future__ import annotations

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from gvlab.data import picture_file
from gvlab.pictures import sheets
from gvlab.types import UserError

GREY = np.random.RandomState(0).randint(0, 256, (6, 5)).astype(np.uint8)
COLOUR = np.random.RandomState(1).randint(0, 256, (6, 5, 3)).astype(np.uint8)


def png(depth, kind, rows, *chunks):
    """A PNG file as the format's own text has it, which knows more than Pillow writes."""
    height, width = rows.shape[0], rows.shape[1] * max(8 // depth, 1)
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    )


def saved(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def with_alpha(array, alpha):
    return Image.fromarray(np.concatenate([array, np.full((6, 5, 1), alpha, np.uint8)], axis=-1))


def orientation(value):
    tags = Image.Exif()
    tags[0x0112] = value
    return tags


READ = {
    "grey": (saved(Image.fromarray(GREY), "PNG"), GREY),
    "RGB": (saved(Image.fromarray(COLOUR), "PNG"), COLOUR),
    "opaque RGBA": (saved(with_alpha(COLOUR, 255), "PNG"), COLOUR),
    "opaque LA": (saved(with_alpha(GREY[..., None], 255), "PNG"), GREY),
    "one bit": (saved(Image.fromarray(GREY > 127), "PNG"), np.where(GREY > 127, 255, 0)),
    "four bits": (png(4, 0, np.full((6, 3), 0x5F, np.uint8)), np.array([[85, 255] * 3] * 6)),
    "a palette": (saved(Image.fromarray(GREY).convert("P"), "PNG"), GREY[..., None].repeat(3, -1)),
    "an opaque palette with alpha": (
        saved(Image.fromarray(GREY).convert("P"), "PNG", transparency=bytes([255] * 256)),
        GREY[..., None].repeat(3, -1),
    ),
    "a transparent colour that is nowhere": (
        png(8, 2, np.full((6, 5, 3), 7, np.uint8), (b"tRNS", bytes([0, 9, 0, 9, 0, 9]))),
        np.full((6, 5, 3), 7),
    ),
    "lossless WebP": (saved(Image.fromarray(COLOUR), "WEBP", lossless=True), COLOUR),
    "opaque WebP": (saved(with_alpha(COLOUR, 255), "WEBP", lossless=True), COLOUR),
    "BMP": (saved(Image.fromarray(COLOUR), "BMP"), COLOUR),
    "grey BMP": (saved(Image.fromarray(GREY), "BMP"), GREY),
    "upright PNG": (saved(Image.fromarray(GREY), "PNG", exif=orientation(1)), GREY),
    "upright WebP": (saved(Image.fromarray(COLOUR), "WEBP", lossless=True, exif=orientation(1)), COLOUR),
}


@pytest.mark.parametrize(("content", "pixels"), READ.values(), ids=READ)
def test_pictures_are_read_to_the_last_bit(content, pixels, tmp_path):
    (tmp_path / "a.png").write_bytes(content)  # the content says what it is, not the name
    expected = pixels if pixels.ndim == 3 else pixels[..., None]
    np.testing.assert_array_equal(picture_file.read(tmp_path / "a.png"), expected)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_each_format_by_each_of_its_suffixes(kind, mode, tmp_path):
    for suffix in picture_file.FORMATS[kind]:
        (tmp_path / f"a{suffix}").write_bytes(saved(Image.new(mode, (5, 6), 200 if mode == "L" else "white"), kind))
        assert picture_file.read(tmp_path / f"a{suffix}").shape == (6, 5, 3 if mode == "RGB" or kind == "WEBP" else 1)


WIDE = GREY.astype(">u2") * 256 + 255
FRAMES = [Image.fromarray(255 - COLOUR)]
REFUSED = {
    "16 bits of grey": (png(16, 0, WIDE), "16 bits per channel"),
    "16 bits of RGB": (png(16, 2, WIDE[..., None].repeat(3, -1)), "16 bits per channel"),
    "16 bits of grey and alpha": (png(16, 4, WIDE[..., None].repeat(2, -1)), "16 bits per channel"),
    "16 bits of RGBA": (png(16, 6, WIDE[..., None].repeat(4, -1)), "16 bits per channel"),
    "transparent RGBA": (saved(with_alpha(COLOUR, 254), "PNG"), "transparent pixels"),
    "transparent LA": (saved(with_alpha(GREY[..., None], 0), "PNG"), "transparent pixels"),
    "transparent WebP": (saved(with_alpha(COLOUR, 9), "WEBP", lossless=True), "transparent pixels"),
    "a transparent shade": (saved(Image.fromarray(GREY), "PNG", transparency=int(GREY[2, 2])), "transparent pixels"),
    "a transparent bit": (saved(Image.fromarray(GREY > 127), "PNG", transparency=0), "transparent pixels"),
    "a transparent colour": (
        saved(Image.fromarray(COLOUR), "PNG", transparency=tuple(int(value) for value in COLOUR[1, 1])),
        "transparent pixels",
    ),
    "a transparent palette": (saved(Image.new("P", (5, 6)), "PNG", transparency=0), "transparent pixels"),
    "CMYK": (saved(Image.new("CMYK", (5, 6)), "JPEG"), "mode CMYK"),
    "an animated PNG": (saved(Image.fromarray(COLOUR), "PNG", save_all=True, append_images=FRAMES), "holds 2 frames"),
    "an animated WebP": (saved(Image.fromarray(COLOUR), "WEBP", save_all=True, append_images=FRAMES), "holds 2 frames"),
    "two JPEGs in one": (saved(Image.fromarray(COLOUR), "MPO", save_all=True, append_images=FRAMES), "holds 2 frames"),
    **{
        f"orientation {value}": (saved(Image.fromarray(GREY), "JPEG", exif=orientation(value)), f"tag {value}")
        for value in range(2, 9)
    },
    "a turned PNG": (saved(Image.fromarray(GREY), "PNG", exif=orientation(6)), "orientation tag 6"),
    "a turned WebP": (saved(Image.fromarray(COLOUR), "WEBP", exif=orientation(3)), "orientation tag 3"),
    "EXIF that is damaged": (
        saved(Image.fromarray(GREY), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0abc"),
        "cannot be read as a picture (Corrupt EXIF data",
    ),
    "GIF": (saved(Image.fromarray(GREY), "GIF"), "those of no"),
    "TIFF": (saved(Image.fromarray(GREY), "TIFF"), "those of no"),
    "PPM": (saved(Image.fromarray(GREY), "PPM"), "those of no"),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 6\n%%EndComments\n", "those of no"),
    "nothing": (b"", "those of no"),
    "a bomb": (
        png(8, 0, np.zeros((1, 1), np.uint8)).replace(b"\0\0\0\1\0\0\0\1", b"\0\0\x4e\x20" * 2),
        "cannot be read",
    ),
}


@pytest.mark.parametrize(("content", "words"), REFUSED.values(), ids=REFUSED)
def test_what_would_be_lost_is_refused(content, words, tmp_path):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError) as refused:
        picture_file.read(tmp_path / "a.png")
    assert str(refused.value).startswith(str(tmp_path / "a.png"))
    assert str(refused.value).endswith(".")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_other_program_is_started(tmp_path, monkeypatch):
    """Pillow would give an EPS to Ghostscript."""
    ran = tmp_path / "ran"
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {ran}\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "a.png").write_bytes(REFUSED["EPS"][0])
    for reader in (picture_file.read, sheets.read_png):
        with pytest.raises(UserError, match="those of no"):
            reader(tmp_path / "a.png")
    assert not ran.exists()


def test_a_wrong_byte_of_a_png_is_never_taken_for_a_pixel(tmp_path):
    """Its checksums see every one before its empty end."""
    content = saved(Image.fromarray(COLOUR), "PNG")
    for position in range(content.index(b"IEND") - 4):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        (tmp_path / "a.png").write_bytes(damaged)
        with pytest.raises(UserError, match="cannot be read as a picture"):
            picture_file.read(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
def test_files_that_are_cut_off_are_refused(kind, tmp_path):
    content = saved(Image.fromarray(COLOUR), kind)
    empty = {"PNG": 4, "BMP": 1}.get(kind, 0)  # the checksum of an empty end, and what fills up the last row
    for length in [*range(0, len(content) - empty, 3), len(content) - empty - 1]:
        (tmp_path / "a.png").write_bytes(content[:length])
        with pytest.raises(UserError, match="cannot be read as a picture"):
            picture_file.read(tmp_path / "a.png")


def test_the_report_reads_png_files_alone(tmp_path):
    sheets.save_png(tmp_path / "a.png", COLOUR)
    np.testing.assert_array_equal(sheets.read_png(tmp_path / "a.png"), COLOUR)
    (tmp_path / "b.png").write_bytes(saved(Image.fromarray(COLOUR), "JPEG"))
    os.mkfifo(tmp_path / "c.png")
    for name, words in (("b.png", "those of no"), ("c.png", "is a pipe"), ("d.png", "No such file")):
        with pytest.raises(UserError, match=words):
            sheets.read_png(tmp_path / name)
