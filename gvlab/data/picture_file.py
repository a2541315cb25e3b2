"""One picture from any program: read with nothing lost or changed in silence, or refused."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from gvlab.files import require_regular
from gvlab.types import UserError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

FORMATS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "WEBP": (".webp",),
    "BMP": (".bmp", ".dib"),
}
"""By Pillow's name the suffixes of a format whose decoder may run, whatever a file is called. Pillow knows forty more,
some long unmaintained; for EPS it would start another program."""

_ORIENTATION = 0x0112
"""EXIF's tag: 1 is upright, 2 to 8 are turned or mirrored."""


def read(file: Path) -> UInt8[np.ndarray, "height width channel"]:
    """The pixels of a picture, of 1 channel (grey) or 3 (RGB).

    Palettes are looked up, one bit becomes 0 and 255, and an alpha channel that is opaque everywhere is dropped. Colour
    profiles and gamma are left unapplied, as in other programs that measure images.

    Raises:
        UserError: the file is damaged or no picture, or something of it would be lost: 16 bits a channel, transparency,
            further frames, an orientation that is not applied, colours of another kind.
    """
    with opened(file) as picture:
        _check(file, picture)
        # Palettes with an alpha of their own go through RGBA: Pillow warns of the direct way.
        alpha = picture.has_transparency_data
        whole = picture.convert("RGBA") if alpha else picture
        if alpha and np.asarray(whole)[..., 3].min() < 255:
            raise UserError(f"{file} has transparent pixels: put it on a background, and save it without.")
        if picture.mode in ("1", "L", "LA"):
            return np.asarray(picture.convert("L"))[..., None]
        return np.asarray(whole.convert("RGB"))


@contextlib.contextmanager
def opened(file: Path, formats: tuple[str, ...] = tuple(FORMATS)) -> Iterator[ImageFile]:
    """The picture in a file, for as long as it is needed; a PNG only if all its checksums are right.

    Args:
        file: a regular one.
        formats: what it may be, of `FORMATS`.

    Raises:
        UserError: it is no such picture, or damaged, or would fill the memory; also if that is found only inside.
    """
    from PIL import Image, UnidentifiedImageError

    require_regular(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # of tags that are damaged, say
            # A header that claims a billion pixels is refused before they are made.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=formats) as picture:
                if picture.format == "PNG":
                    picture.verify()  # decoding alone would take many a wrong byte for a pixel
            with Image.open(file, formats=formats) as picture:
                yield picture
    except UserError:
        raise
    except UnidentifiedImageError as error:
        kinds = " or ".join([", ".join(formats[:-1]), formats[-1]] if len(formats) > 1 else formats)
        raise UserError(f"{file} holds no picture of the kind {kinds}: save it as one, or move it away.") from error
    except Exception as error:  # of a damaged file's bytes Pillow makes exceptions of any kind
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{file} cannot be read as a picture ({reason}): replace it, or move it away.") from error


def _check(file: Path, picture: ImageFile) -> None:
    """Raises `UserError` for what would be lost."""
    if picture.format == "PNG" and ";16" in str(picture.tile[0][3]):  # Pillow drops half of them, but for grey
        raise UserError(f"{file} has 16 bits per channel, of which 8 would be dropped: round it to 8 bits.")
    if picture.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
        raise UserError(f"{file} has the mode {picture.mode}, but 8-bit grey or RGB is wanted: convert it.")
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        raise UserError(f"{file} holds {frames} frames, of which all but the first would be left out: save each alone.")
    orientation = picture.getexif().get(_ORIENTATION, 1)
    if orientation in range(2, 9):
        raise UserError(
            f"{file} has the orientation tag {orientation}, which asks whoever shows it to turn or mirror it: save it "
            "turned and without the tag."
        )
