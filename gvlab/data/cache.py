"""A data set as a directory of `.npy` files that are mapped into memory, believed only when whole.

The directory appears by one rename, after every byte of it is on disk. `card.json` records the length of each file,
so that a copy that was cut short is seen without reading it, and its SHA-256, which `read` verifies.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal, NotRequired, TypedDict

import numpy as np

from gvlab.data.alphabets import Alphabet
from gvlab.data.dataset import Dataset, Split, fingerprint
from gvlab.files import read_json, sha256
from gvlab.schema import Count
from gvlab.types import UserError

CARD = "card.json"
NAMES = ("train_x.npy", "train_y.npy", "test_x.npy", "test_y.npy")


class _File(TypedDict):
    bytes: Count
    sha256: str


class Symbols(TypedDict):
    """Of an alphabet."""

    level: Literal["characters", "words"]
    symbols: list[str]


class _Card(TypedDict):
    """Of card.json, as much as is read of it."""

    name: str
    num_classes: Count
    class_names: NotRequired[list[str]]
    checksum: NotRequired[str]
    files: dict[str, _File]
    alphabet: NotRequired[Symbols]
    rate: NotRequired[int]
    """Of sentences."""


def write(directory: Path, dataset: Dataset, origin: dict[str, Any]) -> None:
    """Writes `dataset` into `directory`, replacing a damaged one; to be called under `lock(directory)`.

    Args:
        directory: of the data set.
        dataset: what is kept.
        origin: what else the card shall say, such as versions.
    """
    with part_of(directory) as part:
        for name, array in _arrays(dataset).items():
            with (part / name).open("wb") as file:
                np.save(file, array)
        finish(part, directory, dataset, origin)


@contextlib.contextmanager
def part_of(directory: Path) -> Iterator[Path]:
    """A directory beside `directory` in which its files are made; to be used under `lock(directory)`.

    It is gone afterwards, unless `finish` gave it its place.
    """
    for leftover in directory.parent.glob(
        f".{glob.escape(directory.name)}.*.part"
    ):  # of killed writers: we hold the lock
        _remove(leftover)
    part = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", suffix=".part", dir=directory.parent))
    part.chmod(0o755)  # mkdtemp's 0700 would lock out the others who share the data directory
    try:
        yield part
    finally:
        if part.exists():
            _remove(part)


def finish(part: Path, directory: Path, dataset: Dataset, origin: dict[str, Any]) -> None:
    """Writes the card of the arrays that lie in `part`, and gives that the place of `directory` by one rename.

    Args:
        part: of `part_of`, with the files that `write` names and nothing else.
        directory: of the data set.
        dataset: of which they are.
        origin: what else the card shall say, such as versions.
    """
    files = {}
    for name, array in _arrays(dataset).items():
        with (part / name).open("rb") as file:
            os.fsync(file.fileno())
        files[name] = {
            "dtype": str(array.dtype),
            "shape": list(array.shape),
            "bytes": (part / name).stat().st_size,
            "sha256": sha256(part / name),
        }
    card = {
        "name": dataset.name,
        "num_classes": dataset.num_classes,
        "class_names": list(dataset.class_names),
        "checksum": dataset.checksum,
        "origin": origin,
        "files": files,
    }
    if dataset.alphabet is not None:
        card["alphabet"] = {"level": dataset.alphabet.level, "symbols": list(dataset.alphabet.symbols)}
    if dataset.rate is not None:
        card["rate"] = dataset.rate
    with (part / CARD).open("w", encoding="utf-8") as file:
        json.dump(card, file, indent=2)
        _flush(file)
    _flush_directory(part)
    if os.path.lexists(directory):  # damaged; moved aside in one step, so whoever has it mapped keeps it
        damaged = part.with_suffix(".damaged.part")
        directory.rename(damaged)
        part.rename(directory)
        _remove(damaged)
    else:
        part.rename(directory)
    _flush_directory(directory.parent)


def is_whole(directory: Path) -> bool:
    """Whether `directory` holds a card and every file that it names, at the length that it records."""
    card = _card(directory)
    return card is not None and all(
        (directory / name).is_file() and (directory / name).stat().st_size == file["bytes"]
        for name, file in card["files"].items()
    )


def read(directory: Path, anew: str = "it is prepared anew") -> Dataset:
    """The data set of a whole directory, its arrays mapped read-only.

    Args:
        directory: of the data set.
        anew: what happens, or is to be done, when a damaged directory has been moved away.

    Raises:
        UserError: a file is not the one that was written.
    """
    card = _card(directory)
    anew = f"move {directory} away, and {anew}"
    if card is None:
        raise UserError(f"{directory / CARD} is missing or damaged: {anew}.")
    arrays = {}
    for name in card["files"]:
        try:
            arrays[name] = np.load(directory / name, mmap_mode="r")
        except ValueError as error:  # of an array of objects, or cut off
            raise UserError(f"{directory / name} is damaged: {anew}.") from error
    train, test = (Split(arrays[f"{split}_x.npy"], arrays.get(f"{split}_y.npy")) for split in ("train", "test"))
    # Of the arrays, not of the card: who changes both has another data set.
    alphabet = alphabet_of_card(card.get("alphabet"))
    rate = card.get("rate")
    checksum = fingerprint(train, test, alphabet, rate)
    if checksum != card.get("checksum"):
        for name, file in card["files"].items():
            if sha256(directory / name) != file["sha256"]:
                raise UserError(f"{directory / name} is damaged: {anew}.")
    names = tuple(card.get("class_names", ()))
    return Dataset(card["name"], train, test, card["num_classes"], checksum, names, alphabet=alphabet, rate=rate)


def alphabet_of_card(written: Symbols | None) -> Alphabet | None:
    """As a card has it."""
    return written and Alphabet(tuple(written["symbols"]), written["level"])


@contextlib.contextmanager
def lock(directory: Path) -> Iterator[None]:
    """Waits until no other process prepares `directory`; the kernel gives the lock back when its owner dies.

    Its file is gone afterwards. Who waited for a file that is gone waits again, for the one that is there.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    path = directory.parent / f".{directory.name}.lock"
    while True:
        with path.open("w", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_at(file, path):
                continue
            try:
                yield
            finally:
                path.unlink()
            return


def _is_at(file: IO[str], path: Path) -> bool:
    """Whether an open file is the one at the path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _arrays(dataset: Dataset) -> dict[str, np.ndarray]:
    arrays = (dataset.train.x, dataset.train.y, dataset.test.x, dataset.test.y)
    return {name: array for name, array in zip(NAMES, arrays, strict=True) if isinstance(array, np.ndarray)}


def _card(directory: Path) -> _Card | None:
    """What `write` says of the files; None if there is no card, or another one."""
    if not (directory / CARD).is_file():
        return None
    try:
        card: _Card = read_json(directory / CARD, _Card)
    except UserError:
        return None
    return card if {"train_x.npy", "test_x.npy"} <= card["files"].keys() <= set(NAMES) else None


def _remove(path: Path) -> None:
    """Whatever it is; what a link leads to is left alone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _flush(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _flush_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
