"""What the kernel is told of arrays that are mapped from files; of arrays in memory it is told nothing."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64, Integer, UInt8

from gvlab.data.ground_truth import Rendered

_PIECE = 2**26
"""Bytes that are read, one after another, before their pages are given back."""
_ROWS = 2**8
"""Rows here and there before that: with each of them the kernel may map a megabyte."""


def take(array: np.ndarray | Rendered, index: Integer[np.ndarray, "*n"]) -> np.ndarray:
    """The rows `array[index]`, in memory, of which the pages of a mapped array keep nothing."""
    found = np.empty((index.size, *array.shape[1:]), array.dtype)
    for start in range(0, index.size, _ROWS):
        part = index.reshape(-1)[start : start + _ROWS]
        found[start : start + len(part)] = array[part]
        release(array)
    return found.reshape(*index.shape, *array.shape[1:])


def at_random(array: np.ndarray | Rendered) -> None:
    """Rows will be read here and there: so nothing around them is read ahead."""
    _advise(array, mmap.MADV_RANDOM)


def release(array: np.ndarray | Rendered) -> None:
    """Gives back the memory of the pages that were read; they come again when they are wanted."""
    _advise(array, mmap.MADV_DONTNEED)


def update(digest: hashlib._Hash, array: np.ndarray) -> None:
    """Feeds the bytes of an array, in C order, without ever holding all of a mapped one."""
    for piece in _pieces(np.atleast_1d(array)):
        digest.update(np.ascontiguousarray(piece).data)


def mean(array: UInt8[np.ndarray, "n *shape"] | Rendered) -> Float64[np.ndarray, "*shape"]:
    """Over the rows: exact, since sums of so small whole numbers are."""
    total = np.zeros(array.shape[1:])
    for piece in _pieces(array):
        total += piece.sum(axis=0, dtype=np.float64)
    return total / len(array)


def _pieces(array: np.ndarray | Rendered) -> Iterator[np.ndarray]:
    """Runs of rows, each of which is let go when the next is asked for."""
    rows = max(1, _PIECE // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        yield array[start : start + rows]
        release(array)


def _advise(array: np.ndarray | Rendered, what: int) -> None:
    file = getattr(array, "base", None)  # images that are drawn when they are asked for have none
    while isinstance(file, np.ndarray):
        file = file.base
    if isinstance(file, mmap.mmap):
        file.madvise(what)
