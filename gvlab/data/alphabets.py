"""Alphabets: which symbol each integer of a sentence stands for.

0 ends a sentence and fills the row after it, 1 stands for a symbol that is not of the alphabet, and the symbols follow.
Every row ends with at least one 0, so a row of length T holds at most T - 1 symbols.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from jaxtyping import Int, Int32

from gvlab.losses.sentences import END
from gvlab.types import UserError

UNKNOWN, FIRST = 1, 2
"""What stands for a symbol that is none of the alphabet, and the first that is one."""
Level = Literal["characters", "words"]
_SHOWN = {"characters": "\N{REPLACEMENT CHARACTER}", "words": "<unk>"}
"""What stands for an unknown symbol where text is shown."""


@dataclass(frozen=True)
class Alphabet:
    """The symbols of a language, each a character or a word."""

    symbols: tuple[str, ...]
    """Those that the integers from 2 on stand for."""
    level: Level

    def __post_init__(self) -> None:
        if self.level not in ("characters", "words"):
            raise UserError(f"The level of an alphabet is {self.level!r}, but must be characters or words.")
        if twice := [symbol for symbol, count in Counter(self.symbols).items() if count > 1]:
            raise UserError(f"The alphabet has the symbol {twice[0]!r} twice: give each once.")

    @property
    def levels(self) -> int:
        """How many integers there are, with those of the end and of what is unknown."""
        return len(self.symbols) + FIRST

    @property
    def sha256(self) -> str:
        """Of the symbols and the level, hex."""
        return hashlib.sha256("\0".join((self.level, *self.symbols)).encode()).hexdigest()

    def encode(self, sentences: Sequence[str], length: int) -> Int32[np.ndarray, "n length"]:
        """Sentences as rows of integers.

        Raises:
            UserError: a sentence has `length` symbols or more, so that no end has room behind it.
        """
        numbers = {symbol: number for number, symbol in enumerate(self.symbols, start=FIRST)}
        rows = np.full((len(sentences), length), END, np.int32)
        for row, sentence in zip(rows, sentences, strict=True):
            symbols = split(sentence, self.level)
            if len(symbols) >= length:
                raise UserError(
                    f"A sentence has {len(symbols)} {self.level}, but rows of {length} have room for {length - 1} and "
                    f"the end: take a greater length, or cut it ({sentence[:40]!r})."
                )
            row[: len(symbols)] = [numbers.get(symbol, UNKNOWN) for symbol in symbols]
        return rows

    def decode(self, rows: npt.ArrayLike) -> list[str]:
        """The sentences of rows, each up to its end; an unknown symbol is shown as one.

        Raises:
            UserError: they are no rows of this alphabet.
        """
        of = np.asarray(rows)
        self.check(of)
        shown = ("", _SHOWN[self.level], *self.symbols)
        between = " " if self.level == "words" else ""
        sentences = []
        for row in of.tolist():
            end = row.index(END) if END in row else len(row)
            sentences.append(between.join(shown[number] for number in row[:end]))
        return sentences

    def check(self, of: np.ndarray) -> None:
        """Raises `UserError` unless they are rows of this alphabet."""
        if of.ndim != 2 or not np.issubdtype(of.dtype, np.integer):
            raise UserError(
                f"The sentences have type {of.dtype} and shape {of.shape}, but rows are integers [n, length]."
            )
        if of.size and not (of.min() >= 0 and of.max() < self.levels):
            raise UserError(
                f"The sentences have integers from {of.min()} to {of.max()}, but the alphabet those from 0 to "
                f"{self.levels - 1}: give rows of this alphabet."
            )


def split(sentence: str, level: Level) -> list[str]:
    """The symbols of a sentence."""
    return list(sentence) if level == "characters" else sentence.split()


def lengths(rows: Int[np.ndarray, "n length"]) -> Int[np.ndarray, " n"]:
    """Symbols up to and including the first end, which is what a likelihood counts; all where a row has no end."""
    ends = rows == END
    return np.where(ends.any(1), ends.argmax(1) + 1, rows.shape[1])


def alphabet_of(sentences: Iterable[str], level: Level, most: int = 0) -> Alphabet:
    """The symbols of sentences, in the order of their code points.

    Args:
        sentences: of the training split alone, so that what only the test split has is unknown.
        level: characters or words.
        most: symbols at most, the most frequent ones; 0: all.
    """
    counts: dict[str, int] = {}
    for sentence in sentences:
        for symbol in split(sentence, level):
            counts[symbol] = counts.get(symbol, 0) + 1
    kept = sorted(counts, key=lambda symbol: (-counts[symbol], symbol))[: most or None]
    return Alphabet(tuple(sorted(kept)), level)
