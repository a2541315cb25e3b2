"""What the kernel is told of arrays that are mapped from files; of arrays in memory it is told nothing."""

from __future__ import annotations

import hashlib
import mmap

import numpy as np

_PIECE = 2**26
"""Bytes that are read before their pages are given back."""


def at_random(array: np.ndarray) -> None:
    """Rows will be read here and there: so nothing around them is read ahead."""
    _advise(array, mmap.MADV_RANDOM)


def release(array: np.ndarray) -> None:
    """Gives back the memory of the pages that were read; they come again when they are wanted."""
    _advise(array, mmap.MADV_DONTNEED)


def update(digest: hashlib._Hash, array: np.ndarray) -> None:
    """Feeds the bytes of an array, in C order, without ever holding all of a mapped one."""
    array = np.atleast_1d(array)
    rows = max(1, _PIECE // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        digest.update(np.ascontiguousarray(array[start : start + rows]).data)
        release(array)


def _advise(array: np.ndarray, what: int) -> None:
    file = array.base
    while isinstance(file, np.ndarray):
        file = file.base
    if isinstance(file, mmap.mmap):
        file.madvise(what)
