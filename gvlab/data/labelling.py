"""The classes of a folder's pictures: its sub-folders, or a column of a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gvlab.files import require_regular
from gvlab.types import UserError

_SHOWN = 3


def class_order(names: Iterable[str]) -> tuple[str, ...]:
    """The different names in the order of their classes: as numbers where all are whole numbers, else as text."""
    different = set(names)
    if all(name.isascii() and name.isdecimal() for name in different):
        return tuple(sorted(different, key=lambda name: (int(name), name)))
    return tuple(sorted(different))


def of_folders(names: Sequence[str], path: Path) -> list[str]:
    """Of each picture, by its path within the folder, the sub-folder that it lies in, the outermost one.

    Raises:
        UserError: a picture lies in none.
    """
    direct = [name for name in names if "/" not in name]
    if direct:
        raise UserError(
            f"{len(direct)} of {len(names)} pictures lie directly in {path} ({few(direct)}), so they have no class: "
            "move them into a sub-folder, or take all without labels (--labels none)."
        )
    return [name.partition("/")[0] for name in names]


def of_file(file: Path, names: Sequence[str], path: Path) -> list[str]:
    """Of each picture, by its path within the folder, what a CSV file says.

    The file's first line names its columns; `file`, and `label` or `class`, are read, others are left alone.

    Raises:
        UserError: the file is no such table, lacks a picture, or names one that is not there.
    """
    require_regular(file)
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            table = list(csv.reader(opened, strict=True))
    except (ValueError, csv.Error) as error:
        raise UserError(f"{file} cannot be read as a CSV file ({error}): save it anew, in UTF-8.") from error
    head = [cell.strip() for cell in table[0]] if table else []
    if head.count("file") != 1 or head.count("label") + head.count("class") != 1:
        raise UserError(
            f"{file} begins with {','.join(head)[:80]!r}, but its first line must name the columns, file and label "
            "among them: add it."
        )
    of_label = head.index("label" if "label" in head else "class")
    labels: dict[str, str] = {}
    for number, row in enumerate(table[1:], start=2):
        if not row:
            continue
        if len(row) != len(head):
            raise UserError(
                f"Line {number} of {file} has {_cells(len(row))}, but the first has {len(head)}: correct it."
            )
        name, label = row[head.index("file")].strip().removeprefix("./"), row[of_label].strip()
        if not label:
            raise UserError(f"Line {number} of {file} has no label for {name!r}: give one, or take the picture away.")
        if labels.setdefault(name, label) != label:
            raise UserError(f"{file} gives {name!r} both the labels {labels[name]!r} and {label!r}: leave one.")
    _check_all(file, labels, names, path)
    return [labels[name] for name in names]


def _cells(count: int) -> str:
    return f"{count} cell{'s' * (count > 1)}"


def few(names: Sequence[str]) -> str:
    """The first of them, in a sentence."""
    shown = [" ".join(name.split()) for name in names[:_SHOWN]]
    return ", ".join([*shown, "..."] if len(names) > _SHOWN else shown)


def _check_all(file: Path, labels: Mapping[str, str], names: Sequence[str], path: Path) -> None:
    unlabelled = [name for name in names if name not in labels]
    if unlabelled:
        raise UserError(
            f"{file} has no label for {len(unlabelled)} of {len(names)} pictures in {path} ({few(unlabelled)}): add "
            "them, or take these pictures away."
        )
    there = set(names)
    unknown = [name for name in labels if name not in there]
    if unknown:
        raise UserError(
            f"{file} names {len(unknown)} picture{'s' * (len(unknown) > 1)} not in {path} ({few(unknown)}): names are "
            "paths from that folder on, with their suffixes; correct them, or take these lines away."
        )
