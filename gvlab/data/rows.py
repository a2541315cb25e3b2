"""Images on their way into the cache: written one after another, ordered, split and counted, never all in memory."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Int32, UInt8

from gvlab.data.alphabets import Alphabet
from gvlab.data.dataset import Dataset, Split, Stored, fingerprint
from gvlab.types import UserError

_CHUNK = 2**24
"""Bytes that are copied at a time."""
_DIGEST = 16
"""Bytes of the hash of one image."""


def digest(content: bytes | memoryview) -> bytes:
    """Of a picture's file or of its pixels: by it the order and the split are decided."""
    return blake2b(content, digest_size=_DIGEST).digest()


class Writer:
    """An .npy file of uint8 images, or others, that grows row by row; its header says how many when it is `finished`.

    A map into memory would need the count beforehand, and a full disk would end the process by a signal.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: str = "|u1") -> None:
        """`shape` is that of one image, `dtype` its type as NumPy describes it."""
        self.path, self.shape, self.dtype, self.count = path, shape, dtype, 0
        self._file = path.open("w+b")
        self._begin = self._header()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        with contextlib.suppress(OSError):  # what was not written before is what failed, and is being told
            self._file.close()

    def append(self, rows: Stored) -> None:
        """Adds images of the shape."""
        assert rows.shape[1:] == self.shape
        self._file.write(np.ascontiguousarray(rows).data)
        self.count += len(rows)

    def finished(self) -> Stored:
        """All images, mapped read-only; nothing more can be added."""
        self._file.seek(0)
        assert self._header() == self._begin  # NumPy leaves room for the count
        self._file.flush()
        os.fsync(self._file.fileno())
        return np.load(self.path, mmap_mode="r")

    def _header(self) -> int:
        about = {"descr": self.dtype, "fortran_order": False, "shape": (self.count, *self.shape)}
        np.lib.format.write_array_header_1_0(self._file, about)
        return self._file.tell()


@dataclass(frozen=True, eq=False)
class Rows:
    """What was read of a source, in the order of the source."""

    x: Stored | UInt8[np.ndarray, "n 1"]
    keys: Sequence[bytes]
    """One a row: their order is that of the examples, and where the source has no test split they choose one."""
    origin: dict[str, Any]
    """What the card shall say of how they were made."""
    y: Int32[np.ndarray, " n"] | None = None
    class_names: tuple[str, ...] = ()
    is_test: Bool[np.ndarray, " n"] | None = None
    """Where the source has a test split of its own."""
    remarks: tuple[str, ...] = field(default=())
    """Sentences for the user."""
    alphabet: Alphabet | None = None
    """Where the rows are sentences."""
    rate: int | None = None
    """Where the rows are waves, samples a second."""


def test_rows(rows: Rows, share: float, name: str) -> Bool[np.ndarray, " n"]:
    """Which rows are for testing: of each class the share with the smallest keys, at least one and not all.

    Keys are hashes, so this is as good as chance, and neither names nor places of files have a part in it; copies of
    one picture, which have one key, are not torn apart except at the border.

    Raises:
        UserError: a class, or the whole, has a single example.
    """
    labels = np.zeros(len(rows.x), np.int32) if rows.y is None else rows.y
    by_key = np.array(sorted(range(len(rows.keys)), key=rows.keys.__getitem__))
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = by_key[labels[by_key] == label]
        if len(members) == 1:
            what = "one image" if rows.y is None else f"one image of the class {_class_name(rows, int(label))}"
            raise UserError(
                f"{name} has only {what}, which cannot be both trained on and tested with: add another, or give the "
                "test split apart (--test-dir)" + ("." if rows.y is None else ", or leave the labels out.")
            )
        chosen[members[: min(max(round(share * len(members)), 1), len(members) - 1)]] = True
    return chosen


def gathered(part: Path, rows: Rows, is_test: Bool[np.ndarray, " n"], name: str) -> tuple[Dataset, dict[str, int]]:
    """Writes both splits into the directory in the order of their keys, and counts exact copies.

    Args:
        part: where train_x.npy, ... go.
        rows: what was read.
        is_test: which of them are for testing.
        name: of the data set.

    Returns:
        The data set, mapped; the numbers of training and of test images whose pixels an earlier one of the same split
        has, and of test images whose pixels a training image has.
    """
    splits, pixels = [], []
    for split, wanted in (("train", ~is_test), ("test", is_test)):
        order = np.array(sorted(map(int, np.flatnonzero(wanted)), key=rows.keys.__getitem__), np.int64)
        seen = []
        with Writer(part / f"{split}_x.npy", rows.x.shape[1:], rows.x.dtype.str) as writer:
            for chunk in _chunks(rows.x, order):
                writer.append(chunk)
                seen += [digest(image.data) for image in chunk]
            x, y = writer.finished(), None
        if rows.y is not None:
            with (part / f"{split}_y.npy").open("wb") as file:
                file.write(_as_npy(rows.y[order]))
            y = np.load(part / f"{split}_y.npy", mmap_mode="r")
        splits.append(Split(x, y))
        pixels.append(seen)
    train, test = splits
    known = set(pixels[0])
    copies = {
        "train": len(pixels[0]) - len(known),
        "test": len(pixels[1]) - len(set(pixels[1])),
        "across": sum(one in known for one in pixels[1]),
    }
    classes = 0 if rows.y is None else len(rows.class_names) or int(rows.y.max()) + 1
    checksum = fingerprint(train, test, rows.alphabet, rows.rate)
    names, alphabet, rate = rows.class_names, rows.alphabet, rows.rate
    return Dataset(name, train, test, classes, checksum, names, alphabet=alphabet, rate=rate), copies


def _class_name(rows: Rows, label: int) -> str:
    return repr(rows.class_names[label]) if rows.class_names else str(label)


def _chunks(x: np.ndarray, order: Int[np.ndarray, " n"]) -> Iterator[np.ndarray]:
    size = max(1, _CHUNK // max(1, int(np.prod(x.shape[1:]))))
    return (np.ascontiguousarray(x[order[start : start + size]]) for start in range(0, len(order), size))


def _as_npy(array: np.ndarray) -> bytes:
    """Through memory, so that a full disk is an `OSError` with its reason."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
