"""Sets of images from any other system: a folder of PNG or JPEG files, or an array in an .npz file."""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from gvlab.types import UserError

SUFFIXES = (".png", ".jpg", ".jpeg")
ORDER_SEED = 0
"""Of the order in which images are given: NumPy's legacy generator, whose stream is frozen."""
_DIGEST = 16
"""Bytes of the hash of one image."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images that are read as they are asked for, in an order that depends on nothing but the images themselves.

    Folders are often sorted by class, so the first of them would be no sample of the whole: the images are put into the
    order of their hashes, and then into a random one of a fixed seed. Renaming or shuffling changes no number.
    """

    path: Path
    count: int
    shape: tuple[int, int, int]
    sha256: str
    """Of the images, whatever their order."""
    grey: ImageSet | None
    """The same images of one channel, where the three channels of every image are equal."""
    _order: Int[np.ndarray, " n"]
    _files: tuple[Path, ...]
    _array: UInt8[np.ndarray, "n height width channel"] | None

    def batches(self, size: int, count: int) -> Iterator[UInt8[np.ndarray, "n height width channel"]]:
        """The first `count` images, which are a random sample without replacement, in batches of at most `size`."""
        for start in range(0, count, size):
            rows = self._order[start : min(start + size, count)]
            if self._array is not None:
                yield self._array[rows][..., : self.shape[2]]
            else:
                yield np.stack([_picture(self._files[row])[..., : self.shape[2]] for row in rows])


def read(path: Path) -> ImageSet:
    """Opens a set of images, and looks at every file of it once.

    Args:
        path: a directory, whose PNG and JPEG files are taken, or an .npz file with one array of uint8 images [n,
            height, width, 1 or 3]; a vector of n labels beside it, as guided-diffusion writes one, is left alone.

    Raises:
        UserError: there is nothing there, a picture is damaged or of another size than the first, or the array is no
            set of 8-bit images.
    """
    if path.is_dir():
        return _folder(path)
    if path.suffix == ".npz":
        return _archive(path)
    raise UserError(f"{path} is neither a directory of PNG or JPEG files nor an .npz file: name one of these.")


def _image_set(
    path: Path,
    images: Iterable[UInt8[np.ndarray, "height width channel"]],
    files: tuple[Path, ...] = (),
    array: np.ndarray | None = None,
) -> ImageSet:
    """A set of `images`, which are looked at once and not kept."""
    digests: list[bytes] = []
    of_grey: list[bytes] = []
    shape: tuple[int, int, int] | None = None
    for image in images:
        shape = (image.shape[0], image.shape[1], image.shape[2])
        digests.append(_digest(image))
        if shape[2] == 3 and len(of_grey) == len(digests) - 1 and (image == image[..., :1]).all():
            of_grey.append(_digest(image[..., :1]))
    assert shape is not None

    def made(digests: list[bytes], channels: int, grey: ImageSet | None) -> ImageSet:
        by_digest = np.array(sorted(range(len(digests)), key=digests.__getitem__))
        order = by_digest[np.random.RandomState(ORDER_SEED).permutation(len(digests))]
        sha256 = hashlib.sha256(b"".join(sorted(digests))).hexdigest()
        return ImageSet(path, len(digests), (*shape[:2], channels), sha256, grey, order, files, array)

    grey = made(of_grey, 1, None) if len(of_grey) == len(digests) else None
    return made(digests, shape[2], grey)


def _digest(image: UInt8[np.ndarray, "height width channel"]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=_DIGEST).digest()


def _folder(path: Path) -> ImageSet:
    files = tuple(sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES))
    if not files:
        raise UserError(f"{path} has no PNG or JPEG files: name the directory that directly holds the images.")
    return _image_set(path, _of_one_size(files), files)  # damaged or odd files are refused before anything is computed


def _of_one_size(files: tuple[Path, ...]) -> Iterator[UInt8[np.ndarray, "height width channel"]]:
    first = None
    for file in files:
        picture = _picture(file)
        first = picture.shape if first is None else first
        if picture.shape != first:
            raise UserError(
                f"{file} is {_size(picture.shape)}, but the first image is {_size(first)}: give images of one size."
            )
        yield picture


def _picture(file: Path) -> UInt8[np.ndarray, "height width channel"]:
    from PIL import Image

    try:
        # A header that claims a billion pixels is refused before they are made.
        with (
            warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
            Image.open(file) as found,
        ):
            grey = found.mode in ("1", "L")
            if not grey and found.mode not in ("RGB", "P", "RGBA"):
                raise UserError(f"{file} has the mode {found.mode}, but 8-bit grey or RGB is wanted: convert it.")
            if found.has_transparency_data and np.asarray(found.convert("RGBA"))[..., 3].min() < 255:
                raise UserError(f"{file} has transparent pixels: put it on a background, and save it without.")
            pixels = np.asarray(found.convert("L" if grey else "RGB"))
    except UserError:
        raise
    except Exception as error:  # of a damaged file's bytes Pillow makes exceptions of any kind
        raise UserError(f"{file} cannot be read as a picture ({_one_line(error)}): remove or replace it.") from error
    return pixels[..., None] if grey else pixels


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]} pixels of {shape[2]} channel(s)"


def _archive(path: Path) -> ImageSet:
    try:
        with zipfile.ZipFile(path):  # which `np.load` does not insist on
            pass
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name]) for name in file}  # a member that is no array comes as bytes
    except (
        Exception
    ) as error:  # too large, encrypted, compressed in an unknown way: as many kinds as there are mistakes
        raise UserError(f"{path} cannot be read as an .npz file ({_one_line(error)}): save it anew.") from error
    array = _images_among(arrays, path)
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
    return _image_set(path, array, array=array)


def _images_among(arrays: dict[str, np.ndarray], path: Path) -> np.ndarray:
    """The only array, or the only one that is no vector of labels."""
    images = [array for array in arrays.values() if array.ndim == 4] if len(arrays) > 1 else list(arrays.values())
    if len(images) != 1 or any(array.shape != (len(images[0]),) for array in arrays.values() if array is not images[0]):
        raise UserError(
            f"{path} holds {len(arrays)} arrays ({', '.join(arrays)}), but images are wanted, alone or with a vector "
            "of their labels: save them so."
        )
    return images[0]
