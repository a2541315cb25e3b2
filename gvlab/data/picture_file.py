"""One picture from any program: read with nothing lost or changed in silence, or refused."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

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


Colour = tuple[int, int, int]
"""Red, green and blue, from 0 to 255."""


class Header(NamedTuple):
    """Of a picture as a person sees it, in pixels."""

    height: int
    width: int
    grey: bool
    alpha: bool


class Unreadable(UserError):
    """The file is damaged, or no picture at all; `reason` says so without its name."""

    def __init__(self, sentence: str, reason: str) -> None:
        super().__init__(sentence)
        self.reason = reason


def read(file: Path) -> UInt8[np.ndarray, "height width channel"]:
    """The pixels of a picture, of 1 channel (grey) or 3 (RGB).

    Palettes are looked up, one bit becomes 0 and 255, and an alpha channel that is opaque everywhere is dropped. Colour
    profiles and gamma are left unapplied, as in other programs that measure images.

    Raises:
        UserError: the file is damaged or no picture, or something of it would be lost: 16 bits a channel, transparency,
            further frames, an orientation that is not applied, colours of another kind.
    """
    with opened(file) as picture:
        _check_kind(file, picture)
        _check_upright(file, picture)
        # Palettes with an alpha of their own go through RGBA: Pillow warns of the direct way.
        alpha = picture.has_transparency_data
        whole = picture.convert("RGBA") if alpha else picture
        if alpha and np.asarray(whole)[..., 3].min() < 255:
            raise UserError(f"{file} has transparent pixels: put it on a background, and save it without.")
        if picture.mode in ("1", "L", "LA"):
            return np.asarray(picture.convert("L"))[..., None]
        return np.asarray(whole.convert("RGB"))


def upright(file: Path, background: Colour | None) -> UInt8[np.ndarray, "height width channel"]:
    """The pixels of a picture as a person sees it, of 1 channel (grey) or 3 (RGB).

    It is turned as its orientation tag asks, and its transparent pixels are put on the background. Palettes are looked
    up (as RGB), one bit becomes 0 and 255; colour profiles and gamma are left unapplied.

    Args:
        file: a regular one.
        background: for what is transparent; a colour makes a transparent grey picture RGB, a grey one does not.

    Raises:
        Unreadable: the file is damaged or no picture.
        UserError: something of it would be lost: 16 bits a channel, further frames, colours of another kind; or it has
            transparent pixels, and there is no background.
    """
    from PIL import Image, ImageOps

    with opened(file) as picture:
        _check_kind(file, picture)
        grey, alpha = picture.mode in ("1", "L", "LA"), picture.has_transparency_data
        turned = ImageOps.exif_transpose(picture)
        if not alpha:
            pixels = np.asarray(turned.convert("L" if grey else "RGB"))
            return pixels[..., None] if grey else pixels
        turned = turned.convert("RGBA")
        if np.asarray(turned)[..., 3].min() < 255:
            if background is None:
                raise UserError(
                    f"{file} has transparent pixels, which need something behind them: name a colour with "
                    "--background R,G,B (background=(R, G, B) in Python), such as 255,255,255."
                )
            grey = grey and len(set(background)) == 1
            turned = Image.alpha_composite(Image.new("RGBA", turned.size, (*background, 255)), turned)
        pixels = np.asarray(turned.convert("RGB"))
        return pixels[..., :1] if grey else pixels


def header(file: Path) -> Header:
    """What a picture's first bytes tell, without its pixels.

    Raises:
        Unreadable: it does not begin as a picture does.
        UserError: something of it would be lost, as by `upright`.
    """
    from PIL import Image

    require_regular(file)
    with warnings.catch_warnings(), _unreadable(file):
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(file, formats=tuple(FORMATS)) as picture:
            _check_kind(file, picture)
            width, height = picture.size
            if picture.getexif().get(_ORIENTATION, 1) in range(5, 9):  # turned by a quarter
                width, height = height, width
            return Header(height, width, picture.mode in ("1", "L", "LA"), picture.has_transparency_data)


@contextlib.contextmanager
def opened(file: Path, formats: tuple[str, ...] = tuple(FORMATS)) -> Iterator[ImageFile]:
    """The picture in a file, for as long as it is needed; a PNG only if all its checksums are right.

    Args:
        file: a regular one.
        formats: what it may be, of `FORMATS`.

    Raises:
        Unreadable: it is no such picture, or damaged, or would fill the memory; also if that is found only inside.
    """
    from PIL import Image

    require_regular(file)
    with warnings.catch_warnings(), _unreadable(file, formats):
        warnings.simplefilter("error", UserWarning)  # of tags that are damaged, say
        # A header that claims a billion pixels is refused before they are made.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(file, formats=formats) as picture:
            if picture.format == "PNG":
                picture.verify()  # decoding alone would take many a wrong byte for a pixel
        with Image.open(file, formats=formats) as picture:
            yield picture


@contextlib.contextmanager
def _unreadable(file: Path, formats: tuple[str, ...] = tuple(FORMATS)) -> Iterator[None]:
    """Makes `Unreadable` of whatever Pillow raises."""
    from PIL import UnidentifiedImageError

    try:
        yield
    except UserError:
        raise
    except Exception as error:  # of a damaged file's bytes Pillow makes exceptions of any kind
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            kinds = " or ".join(filter(None, [", ".join(formats[:-1]), formats[-1]]))
            reason = f"its first bytes are those of no {kinds}"
        sentence = f"{file} cannot be read as a picture ({reason}): replace it, or move it away."
        raise Unreadable(sentence, reason) from error


def _check_kind(file: Path, picture: ImageFile) -> None:
    """Raises `UserError` for what would be lost."""
    if picture.format == "PNG" and ";16" in str(picture.tile[0][3]):  # Pillow drops half of them, but for grey
        raise UserError(f"{file} has 16 bits per channel, of which 8 would be dropped: round it to 8 bits.")
    if picture.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
        raise UserError(f"{file} has the mode {picture.mode}, but 8-bit grey or RGB is wanted: convert it.")
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        raise UserError(f"{file} holds {frames} frames, of which all but the first would be left out: save each alone.")


def _check_upright(file: Path, picture: ImageFile) -> None:
    """Raises `UserError` for a picture that has to be turned."""
    orientation = picture.getexif().get(_ORIENTATION, 1)
    if orientation in range(2, 9):
        raise UserError(
            f"{file} has the orientation tag {orientation}, which asks whoever shows it to turn or mirror it: save it "
            "turned and without the tag."
        )
