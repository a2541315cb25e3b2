"""The user's own data sets: each is made once of pictures, arrays, text or a builder of TFDS, and lies in the cache.

A set is found by its name. Its card keeps how it was made, so that what is asked for again in the same way is there
already, and what is asked for in another way under the same name is refused. Where the source lies is no part of it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from gvlab.data import cache
from gvlab.data.alphabets import Alphabet
from gvlab.data.catalogue import CATALOGUE
from gvlab.data.dataset import Dataset
from gvlab.data.places import data_dir as place
from gvlab.data.places import own_directory
from gvlab.data.rows import Rows, gathered, test_rows
from gvlab.data.stamps import Stamp
from gvlab.files import read_json
from gvlab.schema import Count
from gvlab.spelling import nearest
from gvlab.types import UserError

_LONGEST = 200
"""Bytes of a name; a file's has at most 255, and ours are longer."""


class Origin(TypedDict):
    """Of card.json: how a set was made."""

    kind: str
    source: str
    settings: dict[str, Any]
    stats: str
    contents: str
    pixels: str
    """What resampled them."""
    copies: dict[str, Count]
    skipped: list[str]
    remarks: list[str]


class _File(TypedDict):
    shape: list[Count]


class _Card(TypedDict):
    name: str
    num_classes: Count
    class_names: list[str]
    checksum: str
    origin: Origin
    files: dict[str, _File]
    alphabet: NotRequired[cache.Symbols]
    rate: NotRequired[int]


@dataclass(frozen=True)
class Own:
    """A data set of the user's as its card describes it."""

    name: str
    directory: Path
    shape: tuple[int, ...]
    train: int
    test: int
    num_classes: int
    class_names: tuple[str, ...]
    origin: Origin
    is_new: bool = False
    """Whether it has just been made."""
    alphabet: Alphabet | None = None
    """Of sentences."""
    rate: int | None = None
    """Of waves, samples a second."""


@dataclass(frozen=True)
class Recipe:
    """How a set is made, for `make`."""

    kind: str
    source: str
    """Where the source lies, for the record."""
    settings: dict[str, Any]
    """What decides the examples besides the source's bytes, as JSON has it."""
    stamp: Callable[[], Stamp] | None
    """Of the source's files; None where they are not here, which is no matter once the set is made."""
    write: Callable[[Path], Rows]
    """Reads the source; `rows.npy` and whatever else it needs go into the directory given."""
    share: float
    """Of the examples that are for testing, where the source has no test split of its own."""


def make(name: str, recipe: Recipe, data_dir: str | None = None) -> Own:
    """The set of that name, made by the recipe unless it is there already.

    Raises:
        UserError: the name is taken or cannot be one, the source is refused, or the disk is full. Nothing is left then.
    """
    if name in CATALOGUE:
        raise UserError(f"{name} is the name of one of gvlab's own data sets: give yours another.")
    directory = own_directory(place(data_dir)) / name
    if _is_name(name) and (known := _read(directory)) is not None:  # also where nothing can be written, nor locked
        _check_same(known, recipe)
        return known
    _check_new_name(name)
    try:
        with cache.lock(directory):
            if (known := _read(directory)) is not None:  # another process was faster
                _check_same(known, recipe)
                return known
            if recipe.stamp is None:
                raise UserError(
                    f"{recipe.source} is not there, and no data set {name} was made of it here: name what is there."
                )
            with cache.part_of(directory) as part:
                _write(name, recipe, part, directory)
            made = _read(directory)
            assert made is not None
            return Own(**{**vars(made), "is_new": True})
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(
            f"{name} does not fit into {directory.parent} ({error.strerror}): make room there, or name another "
            "directory in TFDS_DATA_DIR."
        ) from error


def load(name: str, data_dir: str | None = None) -> Dataset | None:
    """The set of that name, its arrays mapped read-only; None if there is none.

    Raises:
        UserError: a file of it is damaged.
    """
    if not _is_name(name):
        return None
    directory = own_directory(place(data_dir)) / name
    if not (directory / cache.CARD).exists():
        return None
    return cache.read(directory, f"add {name} anew")


def find(name: str, data_dir: str | None = None) -> Own | None:
    """What the card of that set says; None if there is none, or it is not whole."""
    return _read(own_directory(place(data_dir)) / name) if _is_name(name) else None


def listed(data_dir: str | None = None) -> list[Own]:
    """All sets that are whole, by name."""
    return [own for where in _places(data_dir) if (own := _read(where)) is not None]


def damaged(data_dir: str | None = None) -> list[Path]:
    """The directories of those that are not."""
    return [where for where in _places(data_dir) if where.is_dir() and _read(where) is None]


def _places(data_dir: str | None) -> list[Path]:
    directory = own_directory(place(data_dir))
    places = sorted(directory.iterdir()) if directory.is_dir() else []
    return [where for where in places if not where.name.startswith(".")]


def remove(name: str, data_dir: str | None = None) -> Path:
    """Removes the set of that name; the pictures or arrays that it was made of stay where they are.

    Returns:
        Where it lay.

    Raises:
        UserError: there is none of that name.
    """
    directory = own_directory(place(data_dir)) / name
    if name in CATALOGUE:
        raise UserError(f"{name} is one of gvlab's own data sets, and only what was added can be removed.")
    if not _is_name(name) or not directory.is_dir():
        added = [own.name for own in listed(data_dir)]
        hint = nearest(repr(name), map(repr, added))
        choice = f"choose one of {', '.join(added)}" if added else "none was added, and no other can be removed"
        raise UserError(f"Unknown data set {name!r}{hint}: {choice}.")
    with cache.lock(directory):
        away = directory.with_name(f".{name}.removed.part")  # in one step, so that nobody sees a half of it
        if away.exists():
            shutil.rmtree(away)
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            directory.rename(away)
            shutil.rmtree(away)
    return directory


def _write(name: str, recipe: Recipe, part: Path, directory: Path) -> None:
    assert recipe.stamp is not None
    stamp = recipe.stamp()
    before = stamp.of_stats()
    rows = recipe.write(part)
    if len(rows.x) < 2:
        raise UserError(
            f"{recipe.source} has {len(rows.x) or 'no'} image{'s' * (not len(rows.x))}, but at least one is needed to "
            "train on and one to test with: add others."
        )
    is_test = test_rows(rows, recipe.share, name) if rows.is_test is None else rows.is_test
    if is_test.all() or not is_test.any():
        raise UserError(
            f"{recipe.source} has no {'training' if is_test.all() else 'test'} image that could be read: add some."
        )
    dataset, copies = gathered(part, rows, is_test, name)
    for leftover in set(part.iterdir()) - {part / file for file in cache.NAMES}:
        leftover.unlink()
    contents = stamp.of_contents()
    if stamp.of_stats() != before:
        raise UserError(f"{recipe.source} changed while it was read: repeat the command.")
    origin: Origin = {
        "kind": recipe.kind,
        "source": recipe.source,
        "settings": recipe.settings,
        "stats": before,
        "contents": contents,
        "pixels": rows.origin.get("pixels", "as they were"),
        "copies": copies,
        "skipped": rows.origin.get("skipped", []),
        "remarks": list(rows.remarks),
    }
    cache.finish(part, directory, dataset, dict(origin))


def _read(directory: Path) -> Own | None:
    """What the card says of a whole set; None if there is none, or it is damaged."""
    if not cache.is_whole(directory):
        return None
    try:
        card: _Card = read_json(directory / cache.CARD, _Card)
    except UserError:
        return None
    train, test = (card["files"][f"{split}_x.npy"]["shape"] for split in ("train", "test"))
    names, shape = tuple(card["class_names"]), tuple(train[1:])
    alphabet = cache.alphabet_of_card(card.get("alphabet"))
    counts = (train[0], test[0], card["num_classes"])
    origin, rate = card["origin"], card.get("rate")
    return Own(directory.name, directory, shape, *counts, names, origin, alphabet=alphabet, rate=rate)


def _check_same(known: Own, recipe: Recipe) -> None:
    """Raises `UserError` if the set was made of something else, or in another way.

    Where the source lies elsewhere it is named, unless it is a copy: other settings may only follow from it.
    """
    name, before, old = known.name, known.origin, known.origin["settings"]
    then = f"use another name, or `gvlab data remove {name}` first"
    changed = next((setting for setting, new in recipe.settings.items() if old.get(setting) != new), None)
    same_files = before["kind"] == recipe.kind and _same_files(before, recipe)
    if same_files and changed is None:
        return
    if not same_files and before["source"] != recipe.source:
        raise UserError(f"{name} exists, made of {before['source']}, not of {recipe.source}: {then}.")
    if changed is None:
        raise UserError(f"{name} exists, made of other files than now lie in {recipe.source}: {then}.")
    was, new = ("none" if one is None else json.dumps(one) for one in (old.get(changed), recipe.settings[changed]))
    raise UserError(f"{name} exists with {changed} = {was}, not {new}: {then}.")


def _same_files(before: Origin, recipe: Recipe) -> bool:
    """Whether the source's files are the ones that the set was made of, as far as they are here."""
    stamp = recipe.stamp and recipe.stamp()
    return stamp is None or stamp.of_stats() == before["stats"] or stamp.of_contents() == before["contents"]


def source_of(path: Path) -> str:
    """Where a source lies, for the record: not from the working directory on, and without `..`."""
    return str(path.resolve() if ".." in path.parts else path.absolute())  # behind a link `..` leads elsewhere


def _is_name(name: str) -> bool:
    """Whether it names a directory; earlier versions gave such names."""
    plain = bool(name) and not name.startswith(".") and name.isprintable() and not set(name) & set("/\\:")
    return plain and len(name.encode(errors="replace")) <= _LONGEST


def _check_new_name(name: str) -> None:
    """Refuses names that a shell, a pattern or a table would read otherwise."""
    if not (_is_name(name) and re.fullmatch(r"\w[\w.-]*", name)):
        plain = re.sub(r"[^\w.-]+", "_", name[:80]).strip("_.-") or "flowers"
        raise UserError(
            f"A data set cannot be called {name[:80]!r}: take letters, digits, _, - and ., at most {_LONGEST} bytes "
            f"and no - or . at the front, such as {plain!r}."
        )
