"""Sentences as lines of text: as they are written into files, and as they are shown."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Int

from gvlab.data import Dataset
from gvlab.files import write_atomically
from gvlab.types import UserError

_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Categories of Unicode of characters that have no look of their own, or change that of others: control characters,
marks of direction, line separators."""


def of(dataset: Dataset, rows: Int[np.ndarray, "n length"]) -> list[str]:
    """The sentences of rows, by the data set's alphabet.

    Raises:
        UserError: it has none.
    """
    if dataset.alphabet is None:
        raise UserError(f"{dataset.name} has {dataset.modality.name}, but only sentences are text.")
    return dataset.alphabet.decode(rows)


_BREAKING = ("Cc", "Zl", "Zp")
"""Categories of characters at which a reader may end a line, or that a text file should not have."""


def one_each(sentences: Iterable[str]) -> str:
    """A text of one sentence a line. The end of a line within one is written as a backslash and n or r, any other
    control character but a tab, and any separator of lines, as a backslash, u and its number: \\u000c."""
    return "".join(f"{_on_one_line(sentence)}\n" for sentence in sentences)


def _on_one_line(sentence: str) -> str:
    if not any(map(_breaks, sentence)):
        return sentence
    return "".join(map(_escaped, sentence))


def _breaks(character: str) -> bool:
    return character != "\t" and unicodedata.category(character) in _BREAKING


def _escaped(character: str) -> str:
    named = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}.get(character)
    return named or (f"\\u{ord(character):04x}" if _breaks(character) else character)


def write(target: Path, sentences: Iterable[str]) -> None:
    """Writes sentences as UTF-8, one a line, the whole file or nothing."""
    write_atomically(target, one_each(sentences))


def visible(sentence: str) -> str:
    """The sentence with the number of every character that could not be seen, as <U+202E>."""
    return "".join(f"<U+{ord(c):04X}>" if unicodedata.category(c) in _UNSEEN else c for c in sentence)
