"""A data set of one's own from a file of text, one sentence a line."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np

from gvlab.data import own, rows
from gvlab.data.alphabets import UNKNOWN, Alphabet, Level, alphabet_of, split
from gvlab.data.stamps import Stamp
from gvlab.files import require_regular
from gvlab.types import UserError

LONGEST = 4_096
"""Symbols of a row, at most: a network attends to all pairs of them."""


def add_text(
    name: str,
    path: str | Path,
    *,
    level: Level = "characters",
    length: int = 0,
    symbols: int = 0,
    test: float = 0.1,
    data_dir: str | None = None,
) -> own.Own:
    """Makes the data set `name` of the lines of a UTF-8 file, once.

    Lines are normalised (Unicode's NFC), and empty ones left out. The alphabet is that of the training lines alone:
    what other symbols the test lines have is unknown, and counted.

    Args:
        name: of the data set.
        path: of the file.
        level: whether a symbol is a character or a word, between blanks.
        length: of a row, which has room for so many symbols less one, and the end; 0: for the longest line.
        symbols: at most, the most frequent ones; 0: all.
        test: the share of the lines that is for testing; lines that are the same are for one of both.
        data_dir: as `load` has it.

    Returns:
        What was made, or was there.

    Raises:
        UserError: whatever would be lost or guessed; nothing is left then.
    """
    path = Path(path)
    settings = {"level": level, "length": length, "symbols": symbols, "test": test}

    def write(part: Path) -> rows.Rows:
        return _read(name, path, level, length, symbols, test)

    stamp = (lambda: Stamp({"file": path})) if path.exists() else None
    return own.make(name, own.Recipe("file of text", own.source_of(path), settings, stamp, write, test), data_dir)


def _read(name: str, path: Path, level: Level, length: int, symbols: int, test: float) -> rows.Rows:
    lines, empty = read_lines(path)
    length = length or 1 + max(len(split(line, level)) for line in lines)
    _check_lengths(path, lines, level, length)
    keys = [rows.digest(line.encode()) for line in lines]
    is_test = rows.test_rows(rows.Rows(np.zeros((len(lines), 1), np.uint8), keys, {}), test, name)
    alphabet = alphabet_of((line for line, tests in zip(lines, is_test, strict=True) if not tests), level, symbols)
    x = alphabet.encode(lines, length)
    remarks = [f"{empty} line{'s are' if empty > 1 else ' is'} empty, and left out."] if empty else []
    remarks += _of_unknown(x[is_test], "test", level, alphabet) + _of_unknown(x[~is_test], "training", level, alphabet)
    return rows.Rows(x, keys, {}, is_test=is_test, remarks=tuple(remarks), alphabet=alphabet)


def read_lines(path: Path) -> tuple[list[str], int]:
    """The lines of a UTF-8 file that are not empty, in NFC, and how many are.

    Raises:
        UserError: it is no UTF-8 text, a line has a control character, or there are fewer than two lines.
    """
    require_regular(path)
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path} is no UTF-8 text (the byte {content[error.start]:#04x} at {error.start}, in line {line}): save it "
            "as UTF-8."
        ) from error
    whole = unicodedata.normalize("NFC", text.replace("\r\n", "\n")).removesuffix("\n").split("\n")
    for number, content_of_line in enumerate(whole, start=1):
        bad = next((c for c in content_of_line if unicodedata.category(c) == "Cc"), None)
        if bad is not None:
            named = {"\t": "a tab", "\0": "NUL", "\r": "a carriage return"}.get(bad, "a control character")
            raise UserError(f"{path} has {named} (U+{ord(bad):04X}) in line {number}: replace it, by a blank perhaps.")
    lines = [line for line in whole if line.strip()]
    if len(lines) < 2:
        raise UserError(
            f"{path} has {len(lines) or 'no'} line{'s' * (not lines)} with text, but at least one is needed to train "
            "on and one to test with: add others."
        )
    return lines, len(whole) - len(lines) if text else 0


def _check_lengths(path: Path, lines: list[str], level: Level, length: int) -> None:
    if length > LONGEST:
        raise UserError(
            f"{path} needs rows of {length} symbols, but at most {LONGEST} are possible here: give shorter lines."
        )
    for line in lines:
        count = len(split(line, level))
        if count >= length:
            raise UserError(
                f"{path} has a line of {count} {level} ({line[:30]!r}...), but --length {length} has room for "
                f"{length - 1} and the end: give a greater length, or shorten the line."
            )


def _of_unknown(x: np.ndarray, of: str, level: Level, alphabet: Alphabet) -> list[str]:
    """A sentence, where there are symbols that are none of the alphabet."""
    count = int((x == UNKNOWN).sum())
    if not count:
        return []
    total = int((x != 0).sum())
    return [
        f"{count} of {total} {level} of the {of} lines are none of the {len(alphabet.symbols)} symbols, and stand as "
        "unknown: bits of them say less than they seem to."
    ]
