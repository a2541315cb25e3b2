"""Sets of images from any other system: a folder of pictures, or an array in an .npz or .npy file."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from gvlab.data import archives, picture_file
from gvlab.data.listing import KINDS, SUFFIXES, TEXTS, counted, in_words, is_hidden, of_suffix
from gvlab.files import require_regular
from gvlab.spelling import nearest_path
from gvlab.types import UserError

ORDER_SEED = 0
"""Of the order in which images are given: NumPy's legacy generator, whose stream is frozen."""
_DIGEST = 16
"""Bytes of the hash of one image."""


@dataclass(frozen=True, eq=False, repr=False)
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
    left_out: str
    """What lies beside the images and was not read, in words; empty where there is nothing."""
    twin: ImageSet | None
    """The same images with one channel for three equal ones or the other way round, where all of them are grey."""
    _digests: tuple[bytes, ...]
    _order: Int[np.ndarray, " n"]
    _files: tuple[Path, ...]
    _array: UInt8[np.ndarray, "n height width channel"] | None

    def __repr__(self) -> str:
        return f"<{self.count} images {self.shape} of {self.path}, sha256 {self.sha256[:8]}>"

    def batches(self, size: int, count: int) -> Iterator[UInt8[np.ndarray, "n height width channel"]]:
        """The first `count` images, which are a random sample without replacement, in batches of at most `size`.

        Raises:
            UserError: a file is not what it was when the set was opened.
        """
        yield from self._rows(self._order[:count], size)

    def in_order(self, size: int) -> Iterator[UInt8[np.ndarray, "n height width channel"]]:
        """All images in batches of at most `size`, as they lie in the array or, in a folder, by the names of the files.

        Raises:
            UserError: a file is not what it was when the set was opened.
        """
        yield from self._rows(np.arange(self.count), size)

    @property
    def names(self) -> list[str]:
        """Of the files of a folder, in the order of `in_order`; of an array the numbers of its rows."""
        return [file.name for file in self._files] or [str(row) for row in range(self.count)]

    def _rows(
        self, rows: Int[np.ndarray, " count"], size: int
    ) -> Iterator[UInt8[np.ndarray, "n height width channel"]]:
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            if self._array is not None:
                yield _of_channels(self._array[some], self.shape[2])
            else:
                yield np.stack([self._picture(int(row)) for row in some])

    def _picture(self, row: int) -> UInt8[np.ndarray, "height width channel"]:
        image = _of_channels(picture_file.read(self._files[row]), self.shape[2])
        if _digest(image) != self._digests[row]:
            raise UserError(f"{self._files[row]} has changed since the images were counted: measure them again.")
        return image


def read(path: Path) -> ImageSet:
    """Opens a set of images, and looks at every file of it once.

    A folder is its pictures: the PNG, JPEG, WebP and BMP files that lie directly in it. Hidden files (whose names begin
    with a dot), and what `listing` calls SYSTEM_FILES and TEXTS, may lie beside them, and are named in `left_out`; with
    anything else, such as a sub-folder with something in it or files of another kind, the folder is refused.

    Images have one size. Grey ones among RGB ones get three equal channels.

    Args:
        path: a directory, or an .npy file, or an .npz file with one array of uint8 images [n, height, width, 1 or 3]; a
            vector of n labels beside it, as guided-diffusion writes one, is left alone.

    Raises:
        UserError: there is nothing there, something would be left out, a picture is refused by `picture_file.read` or
            of another size than the first, or the array is no set of 8-bit images.
    """
    if path.is_dir():
        files, left_out = _listed(path)
        # Damaged or odd files are refused before anything is computed.
        return _image_set(path, _of_one_size(files), left_out, files=files)
    if path.suffix.lower() in (".npz", ".npy"):
        array, left_out = _stored(path)
        return _image_set(path, array, left_out, array=array)
    what = f"neither a directory of {KINDS} files nor an .npz or .npy file" if path.exists() else "not there"
    raise UserError(f"{path} is {what}{nearest_path(path)}: name a directory of pictures, or an .npz or .npy file.")


def _image_set(
    path: Path,
    images: Iterable[UInt8[np.ndarray, "height width channel"]],
    left_out: str,
    files: tuple[Path, ...] = (),
    array: np.ndarray | None = None,
) -> ImageSet:
    """A set of `images`, which are looked at once and not kept."""
    of_one: list[bytes] = []
    of_three: list[bytes] = []
    size, channels = (0, 0), 1
    for image in images:
        size, channels = (image.shape[0], image.shape[1]), max(channels, image.shape[2])
        if len(of_one) == len(of_three) and (image == image[..., :1]).all():
            of_one.append(_digest(_of_channels(image, 1)))
        of_three.append(_digest(_of_channels(image, 3)))

    def made(digests: list[bytes], channels: int, twin: ImageSet | None) -> ImageSet:
        by_digest = np.array(sorted(range(len(digests)), key=digests.__getitem__))
        order = by_digest[np.random.RandomState(ORDER_SEED).permutation(len(digests))]
        sha256 = hashlib.sha256(b"".join(sorted(digests))).hexdigest()
        shape = (*size, channels)
        return ImageSet(path, len(digests), shape, sha256, left_out, twin, tuple(digests), order, files, array)

    if channels == 1:
        return made(of_one, 1, made(of_three, 3, None))
    return made(of_three, 3, made(of_one, 1, None) if len(of_one) == len(of_three) else None)


def _digest(image: UInt8[np.ndarray, "height width channel"]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=_DIGEST).digest()


def _of_channels(x: UInt8[np.ndarray, "*size _"], channels: int) -> UInt8[np.ndarray, "*size channels"]:
    """Images whose channels are equal, or that have as many already, with so many."""
    return x[..., :channels] if channels <= x.shape[-1] else x.repeat(channels, -1)


def _listed(path: Path) -> tuple[tuple[Path, ...], str]:
    """The pictures of a folder, and what else is there, in words.

    Raises:
        UserError: there are none, or something is there that may be one and is not read.
    """
    pictures: list[Path] = []
    allowed: Counter[str] = Counter()
    unread: Counter[str] = Counter()
    folders: list[str] = []
    for file in sorted(path.iterdir()):
        suffix = file.suffix.lower()
        if is_hidden(file.name):
            allowed["that are hidden or the system's"] += 1
        elif file.is_dir():
            entries = sum(not is_hidden(name) for name in os.listdir(file))
            folders += [f"a sub-folder ({file.name}, {entries} entries)"] if entries else []
        elif suffix in SUFFIXES:
            pictures.append(file)
        elif suffix in TEXTS:
            allowed["of text"] += 1
        else:
            unread[of_suffix(suffix)] += 1
    others = in_words([*counted(unread), *folders])
    if not pictures:
        raise UserError(
            f"{path} directly holds no {KINDS} files{others and ', but '}{others}: name the directory of the images, "
            "or save them so."
        )
    if others:
        count = len(pictures)
        raise UserError(
            f"{path} holds {count} picture{'s' * (count > 1)}, and beside them {others}, which would be left out: save "
            f"all images as {KINDS} files in one directory, and nothing else."
        )
    return tuple(pictures), in_words(counted(allowed))


def _of_one_size(files: tuple[Path, ...]) -> Iterator[UInt8[np.ndarray, "height width channel"]]:
    first = None
    for file in files:
        picture = picture_file.read(file)
        first = picture.shape if first is None else first
        if picture.shape[:2] != first[:2]:
            raise UserError(
                f"{file} is {_size(picture.shape)}, but the first image is {_size(first)}: give images of one size."
            )
        yield picture


def _size(shape: Sequence[int]) -> str:
    return f"{shape[1]}x{shape[0]} pixels"


def _stored(path: Path) -> tuple[UInt8[np.ndarray, "n height width channel"], str]:
    """The images of an .npz or .npy file, and what else is there, in words."""
    require_regular(path)
    kind = path.suffix.lower()
    arrays: dict[str, np.ndarray]
    try:
        arrays = _members(path) if kind == ".npz" else {path.name: np.lib.format.open_memmap(path, mode="r")}
    except UserError:
        raise
    except Exception as error:  # encrypted, compressed in an unknown way: as many kinds as there are mistakes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path} cannot be read as an {kind} file ({reason}): save it anew.") from error
    array = _images_among(arrays, path)
    if array.ndim != 4 or array.shape[-1] not in (1, 3) or array.dtype != np.uint8:
        numbers = array.size and np.issubdtype(array.dtype, np.number)
        span = f" from {array.min():g} to {array.max():g}" if numbers else ""
        raise UserError(
            f"{path} holds {array.dtype}{list(array.shape)}{span}, but uint8 images [n, height, width, 1 or 3] are "
            f"wanted: {_advice(array)}."
        )
    if not array.size:
        raise UserError(f"{path} holds no images, but {list(array.shape)}: save at least two.")
    return array, "a vector of labels" if len(arrays) > 1 else ""


def _members(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an archive by name; a member that is no array comes as bytes."""
    names = archives.names(path, times=100)
    if len(names) > 2:  # before they are read
        raise UserError(_no_images(path, names))
    with np.load(path, allow_pickle=False) as file:
        return {name: np.asarray(file[name]) for name in file}


def _images_among(arrays: dict[str, np.ndarray], path: Path) -> np.ndarray:
    """The only array, or the only one that is no vector of labels."""
    images = [array for array in arrays.values() if array.ndim > 2] if len(arrays) > 1 else list(arrays.values())
    if len(images) != 1 or any(array.shape != (len(images[0]),) for array in arrays.values() if array is not images[0]):
        raise UserError(_no_images(path, list(arrays)))
    return images[0]


def _no_images(path: Path, names: Sequence[str]) -> str:
    shown = ", ".join([*names[:3], "..."] if len(names) > 3 else names)
    return (
        f"{path} holds {len(names)} arrays ({shown}), but images are wanted, alone or with a vector of their labels: "
        "save them so."
    )


def _advice(array: np.ndarray) -> str:
    """What makes uint8 images [n, height, width, 1 or 3] of an array, as the end of a sentence."""
    steps = []
    if array.ndim == 3:
        steps.append("give each image an axis of one channel (x[..., None])")
    elif array.ndim == 4 and array.shape[-1] not in (1, 3):
        channels_first = array.shape[1] in (1, 3)
        move = "this is channels first, so move them last (x.transpose(0, 2, 3, 1))"
        steps.append(move if channels_first else "keep one channel, or red, green and blue")
    elif array.ndim != 4:
        steps.append("give images four axes")
    if array.dtype == bool:
        steps.append("multiply by 255 and cast to uint8")
    elif array.dtype != np.uint8:
        whole = np.issubdtype(array.dtype, np.integer) and array.size and 0 <= array.min() <= array.max() <= 255
        steps.append("cast them to uint8" if whole else "scale them to 0..255 and round, and cast them to uint8")
    return "; ".join(steps)
