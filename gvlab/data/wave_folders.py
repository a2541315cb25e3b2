"""A data set of one's own from a folder of WAV files."""

from __future__ import annotations

import fnmatch
import wave
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int16

from gvlab.data import labelling, own, rows
from gvlab.data.listing import is_hidden
from gvlab.data.stamps import Stamp
from gvlab.files import require_regular
from gvlab.types import UserError

SUFFIX = ".wav"


def add_waves(
    name: str,
    path: str | Path,
    *,
    samples: int = 0,
    peak: float = 0.0,
    labels: Literal["auto", "folders", "names", "none"] = "auto",
    test: float = 0.1,
    test_names: str = "",
    data_dir: str | None = None,
    listen: Callable[[int, int], None] = lambda done, total: None,
) -> own.Own:
    """Makes the data set `name` of the WAV files (16 bits, one channel) in a folder and its sub-folders, once.

    Shorter sounds are filled with zeros at their ends. Nothing is resampled: all must have one rate.

    Args:
        name: of the data set.
        path: of the folder.
        samples: of an example: of longer sounds the first so many; 0: as many as the longest has.
        peak: to which each sound is scaled, in (0, 1]; 0: they stay as loud as they are.
        labels: auto: folders where every sound lies in a sub-folder, else none. names: what stands before the first
            underscore of the file's name.
        test: the share of the sounds of each class that is for testing.
        test_names: which files are for testing instead, as a pattern such as *_[0-4].wav.
        data_dir: as `load` has it.
        listen: hears how many sounds are read, of how many.

    Returns:
        What was made, or was there.

    Raises:
        UserError: whatever would be lost or guessed; nothing is left then.
    """
    path = Path(path)
    files = sounds_in(path) if path.is_dir() else {}
    if path.is_file():
        raise UserError(f"{path} is a file, but a folder of WAV files is wanted: name one.")
    if path.is_dir() and not files:
        raise UserError(f"{path} has no files of {SUFFIX}: name a folder of sounds.")
    if labels == "auto" and files:
        deep = sum("/" in one for one in files)
        if 0 < deep < len(files):
            raise UserError(
                f"{deep} of {len(files)} sounds in {path} lie in sub-folders, and the others do not: say what their "
                "classes are by --labels none, names or folders (labels in Python)."
            )
        labels = "folders" if deep else "none"
    settings = {"samples": samples, "peak": peak, "labels": labels, "test": test_names or test}

    def write(part: Path) -> rows.Rows:
        return _read(files, path, samples, peak, labels, test_names, listen)

    stamp = (lambda: Stamp(files)) if files else None
    return own.make(name, own.Recipe("folder of sounds", own.source_of(path), settings, stamp, write, test), data_dir)


def sounds_in(path: Path) -> dict[str, Path]:
    """The WAV files in a folder and its sub-folders, by their paths within it, with slashes."""
    found = (file for file in path.rglob("*") if file.suffix.lower() == SUFFIX and not is_hidden(file.name))
    return {file.relative_to(path).as_posix(): file for file in sorted(found)}


def _read(
    files: dict[str, Path],
    path: Path,
    samples: int,
    peak: float,
    labels: str,
    test_names: str,
    listen: Callable[[int, int], None],
) -> rows.Rows:
    read, rates = [], Counter[int]()
    for done, file in enumerate(files.values(), start=1):
        sound, rate = read_wav(file)
        if not sound.any():
            raise UserError(f"{file} is silent from end to end: leave it out.")
        rates[rate] += 1
        if len(rates) > 1:
            (other,) = rates.keys() - {rate}
            raise UserError(
                f"{file} has {rate} samples a second, but others in {path} have {other}: bring all to one rate, which "
                "is not done here."
            )
        read.append(sound)
        listen(done, len(files))
    length = samples or max(map(len, read))
    x = np.zeros((len(read), length, 1), np.int16)
    for row, sound in zip(x, read, strict=True):
        kept = sound[:length]
        row[: len(kept), 0] = kept if not peak else np.round(kept * (peak * 32767 / np.abs(sound.astype(int)).max()))
    if (silent := np.flatnonzero(~x.any((1, 2)))).size:
        raise UserError(
            f"{list(files.values())[silent[0]]} is silent in its first {length} samples: take more, or leave it out."
        )
    of_class = _classes(list(files), labels, path)
    names = labelling.class_order(of_class or ())
    return rows.Rows(
        x,
        [rows.digest(file.read_bytes()) for file in files.values()],
        {},
        None if of_class is None else np.array([names.index(one) for one in of_class], np.int32),
        names,
        _tests(list(files), test_names, path),
        _remarks(read, length),
        rate=next(iter(rates)),
    )


def read_wav(file: Path) -> tuple[Int16[np.ndarray, " samples"], int]:
    """The samples of a WAV file, and how many there are a second.

    Raises:
        UserError: it is no WAV file, has other samples than those of 16 bits, several channels, or no samples.
    """
    require_regular(file)
    try:
        with wave.open(str(file)) as sound:
            bits, channels, count = 8 * sound.getsampwidth(), sound.getnchannels(), sound.getnframes()
            rate, content = sound.getframerate(), sound.readframes(count)
    except (wave.Error, EOFError) as error:
        why = str(error) or "it is none, or cut off"
        raise UserError(f"{file} cannot be read as a WAV file of whole numbers ({why}): convert it to one.") from error
    if bits != 16:
        raise UserError(f"{file} has samples of {bits} bits, but 16 are read here: convert it.")
    if channels != 1:
        raise UserError(f"{file} has {channels} channels, but one is read here: mix them, or take one of them.")
    samples = np.frombuffer(content[: len(content) // 2 * 2], "<i2").astype(np.int16)
    if len(samples) < count:
        raise UserError(f"{file} is cut off after {len(samples)} of {count} samples: copy it anew.")
    if not len(samples):
        raise UserError(f"{file} has no samples: leave it out.")
    return samples, rate


def _classes(names: list[str], labels: str, path: Path) -> list[str] | None:
    match labels:
        case "folders":
            return labelling.of_folders(names, path)
        case "names":
            plain = [name for name in names if "_" not in name.rpartition("/")[2]]
            if plain:
                raise UserError(
                    f"{path / plain[0]} has no underscore in its name, before which its class would stand: "
                    "rename it, or take other --labels."
                )
            return [name.rpartition("/")[2].partition("_")[0] for name in names]
    return None


def _tests(names: list[str], pattern: str, path: Path) -> np.ndarray | None:
    if not pattern:
        return None
    found = np.array([fnmatch.fnmatchcase(name.rpartition("/")[2], pattern) for name in names])
    if found.all() or not found.any():
        raise UserError(
            f"{'All' if found.all() else 'None'} of the {len(names)} sounds in {path} have names like {pattern}: "
            "choose a pattern that some have, which are then for testing."
        )
    return found


def _remarks(read: list[np.ndarray], length: int) -> tuple[str, ...]:
    longer = sum(len(sound) > length for sound in read)
    padding = 1 - sum(min(len(sound), length) for sound in read) / (length * len(read))
    remarks = [f"{longer} of {len(read)} sounds are longer than {length} samples, and were cut."] if longer else []
    shorter = sum(len(sound) < length for sound in read)
    if shorter:
        remarks.append(
            f"{shorter} of {len(read)} sounds are shorter than {length} samples, and were filled with zeros, which are "
            f"{padding:.0%} of all samples."
        )
    return tuple(remarks)
