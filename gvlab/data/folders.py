"""A data set of one's own from a folder of pictures."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from gvlab.data import fitting, labelling, own, picture_file, rows
from gvlab.data.listing import KINDS, SUFFIXES, TEXTS, counted, in_words, is_hidden, of_suffix
from gvlab.data.picture_file import Colour, Header
from gvlab.data.stamps import Stamp
from gvlab.files import require_regular
from gvlab.spelling import nearest
from gvlab.types import UserError

_BLACK: Colour = (0, 0, 0)


@dataclass(frozen=True)
class _Picture:
    name: str
    """Its path within its folder, with slashes."""
    file: Path
    is_test: bool


def add_folder(
    name: str,
    path: str | Path,
    *,
    size: tuple[int, int] | None = None,
    fit: fitting.Fit = "crop",
    test: float = 0.1,
    test_path: str | Path | None = None,
    labels: str = "auto",
    background: Colour | None = None,
    unreadable: Literal["refuse", "skip"] = "refuse",
    data_dir: str | None = None,
    listen: Callable[[int, int], None] = lambda done, total: None,
) -> own.Own:
    """Makes the data set `name` of the PNG, JPEG, WebP and BMP files in a folder and its sub-folders, once.

    Each picture is decoded once, turned as its orientation tag asks, put on the background where it is transparent, and
    brought to the size by one resampling. The set is grey where all pictures are, else RGB.

    Args:
        name: of the data set.
        path: of the folder.
        size: height and width; None where all pictures have one already.
        fit: what happens to pictures of another shape (`fitting.fit`).
        test: the share of the pictures of each class that is for testing.
        test_path: a folder of test pictures instead, for which `test` is not used.
        labels: auto: the outermost sub-folders where every picture lies in one, and none where no picture does.
            folders, none, or the path of a CSV file with the columns file and label.
        background: red, green and blue behind transparent pixels, and around padded pictures (black where not given).
        unreadable: skip: damaged files are left out, and named in the card.
        data_dir: as `load` has it.
        listen: hears how many pictures are read, of how many.

    Returns:
        What was made, or was there.

    Raises:
        UserError: whatever would be lost, guessed or left out in silence; nothing is left then.
    """
    path, test_path = Path(path), None if test_path is None else Path(test_path)
    table = Path(labels) if labels not in ("auto", "folders", "none") else None
    if table is not None and table.suffix.lower() != ".csv":
        hint = nearest(labels, ("auto", "folders", "none"))
        raise UserError(f"The labels are {labels!r}{hint}, but must be auto, folders, none or a .csv file: name one.")
    if test_path is not None:
        _check_apart(path.resolve(), test_path.resolve())
    is_here = path.is_dir() and (test_path is None or test_path.is_dir())
    pictures = _listed(path, test_path) if is_here else []
    if is_here and table is not None:
        require_regular(table)
    settings = {
        "size": None if size is None else list(size),
        "fit": None if size is None else fit,
        "test": test if test_path is None else "a folder",
        "background": None if background is None else list(background),
        "unreadable": unreadable,
    }
    if is_here or labels != "auto":
        settings["labels"] = "a table" if table else _resolved(labels, pictures, path)

    def stamp() -> Stamp:
        named = {f"{'test' if one.is_test else 'train'}/{one.name}": one.file for one in pictures}
        return Stamp(named | ({"labels.csv": table} if table else {}))

    def write(part: Path) -> rows.Rows:
        given = _labels_of(pictures, path, str(settings["labels"]), table)
        return _read(pictures, given, part, path, size, fit, background, unreadable, listen)

    recipe = own.Recipe("folder", own.source_of(path), settings, stamp if is_here else None, write, test)
    return own.make(name, recipe, data_dir)


def _check_apart(path: Path, test_path: Path) -> None:
    if path == test_path or path in test_path.parents or test_path in path.parents:
        raise UserError(
            f"{test_path} and {path} lie within each other, so test pictures would be trained on: move one out, or let "
            "--test choose them."
        )


def _listed(path: Path, test_path: Path | None) -> list[_Picture]:
    """The pictures of both folders, by their names.

    Raises:
        UserError: there are none, or something is there that may be one and is not read.
    """
    return [
        _Picture(file.relative_to(folder).as_posix(), file, folder is test_path)
        for folder in (path, test_path)
        if folder is not None
        for file in _walked(folder)
    ]


def _walked(path: Path) -> list[Path]:
    pictures, unread = [], Counter[str]()
    for file in _files(path, ()):
        suffix = file.suffix.lower()
        if suffix in SUFFIXES:
            pictures.append(file)
        elif suffix not in TEXTS:
            unread[of_suffix(suffix)] += 1
    others = in_words(counted(unread))
    if not pictures:
        raise UserError(
            f"{path} holds no {KINDS} files{others and ', but '}{others}: name the folder of the pictures, or save "
            "them so."
        )
    if others:
        raise UserError(
            f"{path} holds {len(pictures)} picture{'s' * (len(pictures) > 1)}, and beside them {others}, which would "
            f"be left out: save them as {KINDS}, or move them away."
        )
    return pictures


def _files(path: Path, within: tuple[str, ...]) -> Iterator[Path]:
    """All files below, links followed, hidden ones left out."""
    real = os.path.realpath(path)
    if real in within:
        raise UserError(f"{path} leads back to {real}, in which it lies: take this link away.")
    for entry in sorted(path.iterdir()):
        if is_hidden(entry.name):
            continue
        if entry.is_symlink() and not entry.exists():
            raise UserError(f"{entry} leads nowhere: take this link away, or restore what it leads to.")
        if entry.is_dir():
            yield from _files(entry, (*within, real))
        else:
            yield entry


def _resolved(labels: str, pictures: Sequence[_Picture], path: Path) -> str:
    """Where labels come from, folders or none, where that is for the pictures to say."""
    nested = sum("/" in picture.name for picture in pictures)
    if labels != "auto":
        return labels
    if 0 < nested < len(pictures):
        direct = [picture.name for picture in pictures if "/" not in picture.name]
        raise UserError(
            f"{nested} of {len(pictures)} pictures lie in sub-folders of {path} and the others directly in it "
            f"({labelling.few(direct)}): move these into a class's sub-folder, or take all without labels (--labels "
            "none)."
        )
    return "folders" if nested else "none"


def _labels_of(pictures: Sequence[_Picture], path: Path, source: str, table: Path | None) -> list[str] | None:
    names = [picture.name for picture in pictures]
    if source == "none":
        return None
    return labelling.of_folders(names, path) if table is None else labelling.of_file(table, names, path)


def _read(
    pictures: Sequence[_Picture],
    given: Sequence[str] | None,
    part: Path,
    path: Path,
    size: tuple[int, int] | None,
    fit: fitting.Fit,
    background: Colour | None,
    unreadable: Literal["refuse", "skip"],
    listen: Callable[[int, int], None],
) -> rows.Rows:
    """All pictures, looked at twice: their headers, which decide the shape and what is refused, then their pixels."""
    damaged: dict[str, str] = {}
    headers: dict[int, Header] = {}
    for number, picture in enumerate(pictures):
        try:
            headers[number] = picture_file.header(picture.file)
        except picture_file.Unreadable as error:
            damaged[picture.name] = error.reason
    sizes = Counter((header.height, header.width) for header in headers.values())
    if size is None and len(sizes) > 1:
        shown = ", ".join(f"{count} of {width}x{height}" for (height, width), count in sizes.most_common(3))
        raise UserError(
            f"The pictures in {path} have {len(sizes)} sizes (width x height: {shown}{', ...' * (len(sizes) > 3)}), "
            "but a data set has one: choose it with --size N or --size HxW (size=(H, W) in Python)."
        )
    new_size = size or next(iter(sizes), (1, 1))
    coloured = background is not None and len(set(background)) > 1
    rgb = [not header.grey or (header.alpha and coloured) for header in headers.values()]
    channels = 3 if any(rgb) else 1
    keys, kept = [], []
    with rows.Writer(part / "rows.npy", (*new_size, channels)) as writer:
        for number in headers:
            picture = pictures[number]
            try:
                pixels = picture_file.upright(picture.file, background)
            except picture_file.Unreadable as error:
                damaged[picture.name] = error.reason
                continue
            fitted = fitting.fit(pixels, new_size, fit, background or _BLACK)
            writer.append((fitted if fitted.shape[2] == channels else fitted.repeat(channels, -1))[None])
            keys.append(rows.digest(picture.file.read_bytes()))
            kept.append(number)
            listen(len(kept), len(headers))
        x = writer.finished()
    if damaged and unreadable == "refuse":
        raise UserError(_of_damaged(damaged, len(pictures), path))
    of_class = None if given is None else [given[number] for number in kept]
    names = () if of_class is None else labelling.class_order(of_class)
    is_test = np.array([pictures[number].is_test for number in kept], bool)
    if is_test.any() and of_class is not None:
        _check_classes(of_class, is_test, path)
    return rows.Rows(
        x,
        keys,
        {"pixels": fitting.stamp() if size else "as they were", "skipped": sorted(damaged)},
        None if of_class is None else np.array([names.index(one) for one in of_class], np.int32),
        names,
        is_test if any(picture.is_test for picture in pictures) else None,
        _remarks(sizes, size, rgb, damaged, len(pictures)),
    )


def _of_damaged(damaged: dict[str, str], count: int, path: Path) -> str:
    return (
        f"{len(damaged)} of {count} files in {path} cannot be read as pictures ({labelling.few(list(damaged))}; the "
        f"first: {next(iter(damaged.values()))}): replace them, or leave them out with --skip-unreadable (unreadable="
        "'skip' in Python)."
    )


def _check_classes(of_class: Sequence[str], is_test: np.ndarray, path: Path) -> None:
    train = {one for one, test in zip(of_class, is_test, strict=True) if not test}
    only_test = sorted(set(of_class) - train)
    if only_test:
        raise UserError(
            f"The class {only_test[0]!r} is among the test pictures, but has none in {path} to be learned from: give "
            "it some, or take its test pictures away."
        )


def _remarks(
    sizes: Counter[tuple[int, int]],
    size: tuple[int, int] | None,
    rgb: Sequence[bool],
    damaged: dict[str, str],
    count: int,
) -> tuple[str, ...]:
    """What a user should know of pictures that were taken."""
    remarks = []
    if damaged:
        remarks.append(
            f"{len(damaged)} of {count} files could not be read and were left out: {labelling.few(list(damaged))}."
        )
    if any(rgb) and not all(rgb):
        remarks.append(f"{len(rgb) - sum(rgb)} of {len(rgb)} pictures are grey, and became RGB like the others.")
    if size is not None:
        smaller = sum(number for shape, number in sizes.items() if shape[0] < size[0] or shape[1] < size[1])
        if 2 * smaller > sum(sizes.values()):
            remarks.append(
                f"{smaller} of {sum(sizes.values())} pictures are smaller than {size[0]}x{size[1]} and were enlarged, "
                "which adds pixels and no detail: a smaller --size would do."
            )
    return tuple(remarks)
