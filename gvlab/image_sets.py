"""Sets of images from any other system: a folder of PNG or JPEG files, or an array in an .npz file."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from gvlab.types import UserError

SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images that are read as they are asked for; `sha256` is over what was read from the files, in order."""

    path: Path
    count: int
    shape: tuple[int, int, int]
    sha256: str
    _files: tuple[Path, ...]
    _array: UInt8[np.ndarray, "n height width channel"] | None

    def batches(self, size: int, count: int) -> Iterator[UInt8[np.ndarray, "n height width channel"]]:
        """The first `count` images in batches of at most `size`."""
        for start in range(0, count, size):
            stop = min(start + size, count)
            if self._array is not None:
                yield self._array[start:stop]
            else:
                yield np.stack([_picture(file, self.shape) for file in self._files[start:stop]])


def read(path: Path) -> ImageSet:
    """Opens a set of images, and looks at every file of it once.

    Args:
        path: a directory, whose PNG and JPEG files are taken in the order of their names, or an .npz file that holds
            one array of uint8 images [n, height, width, 1 or 3].

    Raises:
        UserError: there is nothing there, a picture is damaged or of another size than the first, or the array is no
            set of 8-bit images.
    """
    if path.is_dir():
        return _folder(path)
    if path.suffix == ".npz":
        return _archive(path)
    raise UserError(f"{path} is neither a directory of PNG or JPEG files nor an .npz file: name one of these.")


def _folder(path: Path) -> ImageSet:
    files = tuple(sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES))
    if not files:
        raise UserError(f"{path} has no PNG or JPEG files: name the directory that directly holds the images.")
    first = _picture(files[0], None)
    digest = hashlib.sha256()
    for file in files:  # damaged or odd files are refused before anything is computed
        digest.update(_picture(file, first.shape).tobytes())
    return ImageSet(path, len(files), first.shape, digest.hexdigest(), files, None)


def _picture(file: Path, shape: tuple[int, int, int] | None) -> UInt8[np.ndarray, "height width channel"]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as picture:
            grey = picture.mode in ("1", "L")
            if not grey and picture.mode not in ("RGB", "P", "RGBA"):
                raise UserError(f"{file} has the mode {picture.mode}, but 8-bit grey or RGB is wanted: convert it.")
            pixels = np.asarray(picture.convert("L" if grey else "RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError) as error:  # what Pillow raises for a damaged file
        raise UserError(f"{file} cannot be read as a picture ({error}): remove or replace it.") from error
    pixels = pixels[..., None] if grey else pixels
    if shape is not None and pixels.shape != shape:
        raise UserError(
            f"{file} is {_size(pixels.shape)}, but the first image is {_size(shape)}: give images of one size."
        )
    return pixels


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]} pixels of {shape[2]} channel(s)"


def _archive(path: Path) -> ImageSet:
    try:
        with zipfile.ZipFile(path):  # which `np.load` does not insist on
            pass
        with np.load(path, allow_pickle=False) as file:
            names = list(file)
            if len(names) != 1:
                raise UserError(
                    f"{path} holds {len(names)} arrays ({', '.join(names)}), but one is wanted: save it alone."
                )
            array = np.asarray(file[names[0]])  # a member that is no array comes as bytes
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{path} cannot be read as an .npz file ({' '.join(str(error).split())}): save it anew."
        ) from error
    if array.ndim != 4 or array.shape[-1] not in (1, 3) or array.dtype != np.uint8:
        span = (
            f" from {array.min():g} to {array.max():g}" if array.size and np.issubdtype(array.dtype, np.number) else ""
        )
        raise UserError(
            f"{path} holds {array.dtype}{list(array.shape)}{span}, but uint8 images [n, height, width, 1 or 3] are "
            "wanted: scale them to 0..255 and round."
        )
    if not len(array):
        raise UserError(f"{path} holds no images: save at least two.")
    digest = hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
    return ImageSet(path, len(array), array.shape[1:], digest, (), array)
