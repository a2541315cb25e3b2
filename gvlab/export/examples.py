"""Examples written as they come: a folder of PNG files, an .npz or .npy file, or sentences as lines of text, of any
number in constant memory.

What is written is what `gvlab evaluate --images` reads.
"""

from __future__ import annotations

import contextlib
import csv
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from gvlab.data import Alphabet, Split
from gvlab.data.modalities import modality_of_shape
from gvlab.files import appearing, replacing, require_new_folder
from gvlab.pictures import lines, sheets, sounds
from gvlab.types import UserError

LABELS = "labels.csv"
"""In a folder of examples with classes: a line `file,class` of each, or `file,class,name` where classes have names."""
TEXT = ".txt"
_IMAGES, _CLASSES = "arr_0.npy", "arr_1.npy"
"""In an .npz file, as `np.savez` calls what it is given without a name, and as guided-diffusion names them."""


def write(
    out: Path,
    batches: Iterable[Split],
    n: int,
    shape: tuple[int, ...],
    listen: Callable[[int], None] = lambda done: None,
    class_names: Sequence[str] = (),
    alphabet: Alphabet | None = None,
    rate: int | None = None,
) -> None:
    """Writes examples to `out`, all of them or, when something goes wrong, nothing.

    Args:
        out: a file that ends in .npz, .npy or, of sentences, .txt; anything else is a folder, which must be new or
            empty.
        batches: the examples, as stored (images uint8), n in all.
        n: how many.
        shape: of one example.
        listen: hears how many are written.
        class_names: of the classes, in their order, where they have names; a folder's `labels.csv` then has them, too.
        alphabet: of sentences.
        rate: of waves, samples a second; a folder then has WAV files.

    Raises:
        UserError: the folder has something in it, or the examples are no images of 1, 3 or 4 channels and so cannot be
            PNG files, or no sentences and so cannot be text.
    """
    check(out, shape, alphabet, rate)
    if alphabet is not None and out.suffix.lower() == TEXT:
        _write_lines(out, batches, alphabet, listen)
    elif out.suffix.lower() in (".npz", ".npy"):
        _write_array(out, batches, n, shape, listen)
    else:
        _write_folder(out, batches, n, listen, class_names, rate)


def check(out: Path, shape: tuple[int, ...], alphabet: Alphabet | None = None, rate: int | None = None) -> None:
    """Raises `UserError` for what `write` would refuse."""
    suffix = out.suffix.lower()
    if alphabet is not None and suffix not in (TEXT, ".npz", ".npy"):
        raise UserError(f"--out is {out}, but sentences are text: let it end in .txt, or in .npz or .npy.")
    if suffix == TEXT:
        if alphabet is None:
            kind, ending = modality_of_shape(shape).shown, "let it end in .npz or .npy"
            files = {"images": "PNG", "sounds": "WAV"}.get(kind)
            advice = f"name a folder for {files} files, or {ending}" if files else ending
            raise UserError(f"--out is {out}, but only sentences are text, and these are {kind}: {advice}.")
        return
    if suffix in (".npz", ".npy"):
        return
    if rate is None and (len(shape) != 3 or shape[2] not in (1, 3, 4)):
        raise UserError(f"Examples of the shape {shape} are no PNG files: choose an --out that ends in .npz.")
    if suffix or out.name.startswith("."):
        raise UserError(f"--out is {out}, but must end in .npz or .npy, or be a folder, whose name has no ending.")
    require_new_folder(out)


def _write_array(
    out: Path, batches: Iterable[Split], n: int, shape: tuple[int, ...], listen: Callable[[int], None]
) -> None:
    classes: list[np.ndarray] = []
    with replacing(out) as file, contextlib.ExitStack() as stack:
        archive = None
        target: IO[bytes] = file
        if out.suffix.lower() == ".npz":
            archive = stack.enter_context(zipfile.ZipFile(file, "w", zipfile.ZIP_STORED))
            target = stack.enter_context(archive.open(_IMAGES, "w", force_zip64=True))
        for done, batch in _counted(batches):
            if done == len(batch.x):
                dtype = np.lib.format.dtype_to_descr(batch.x.dtype)
                header = {"descr": dtype, "fortran_order": False, "shape": (n, *shape)}
                np.lib.format.write_array_header_2_0(target, header)
            target.write(np.ascontiguousarray(batch.x).data)
            classes += [] if batch.y is None else [batch.y]
            listen(done)
        if archive is not None:
            target.close()
            if classes:
                with archive.open(_CLASSES, "w") as labels:
                    np.lib.format.write_array(labels, np.concatenate(classes))


def _write_lines(out: Path, batches: Iterable[Split], alphabet: Alphabet, listen: Callable[[int], None]) -> None:
    with replacing(out) as file:
        for done, batch in _counted(batches):
            assert isinstance(batch.x, np.ndarray)
            file.write(lines.one_each(alphabet.decode(batch.x)).encode())
            listen(done)


def _write_folder(
    out: Path,
    batches: Iterable[Split],
    n: int,
    listen: Callable[[int], None],
    class_names: Sequence[str],
    rate: int | None,
) -> None:
    digits, first = len(str(n - 1)), 0
    ending = "png" if rate is None else "wav"
    with appearing(out) as part, contextlib.ExitStack() as stack:
        table = None
        for done, batch in _counted(batches):
            names = [f"{first + i:0{digits}}.{ending}" for i in range(len(batch.x))]
            for name, one in zip(names, batch.x, strict=True):
                (part / name).write_bytes(sheets.png_bytes(one) if rate is None else sounds.wav(one[None], rate))
            if batch.y is not None:
                if table is None:
                    file = stack.enter_context((part / LABELS).open("w", encoding="utf-8", newline=""))
                    table = csv.writer(file, lineterminator="\n")
                    table.writerow(["file", "class", "name"] if class_names else ["file", "class"])
                columns = [names, batch.y.tolist()]
                if class_names:
                    columns.append([class_names[y] for y in batch.y])
                table.writerows(zip(*columns, strict=True))
            first = done
            listen(done)


def _counted(batches: Iterable[Split]) -> Iterator[tuple[int, Split]]:
    """Each batch with how many examples there are up to its end."""
    done = 0
    for batch in batches:
        done += len(batch.x)
        yield done, batch
