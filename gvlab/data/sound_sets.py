"""Sets of sounds from any other system: a folder of WAV files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int16

from gvlab.data import own
from gvlab.data.dataset import Dataset
from gvlab.data.image_sets import ORDER_SEED
from gvlab.data.wave_folders import SUFFIX, read_wav, sounds_in
from gvlab.spelling import nearest_path
from gvlab.types import UserError


@dataclass(frozen=True, eq=False, repr=False)
class SoundSet:
    """Sounds as long as those of a data set, in an order that depends on nothing but the sounds themselves, as that of
    `image_sets.ImageSet`."""

    path: Path
    x: Int16[np.ndarray, "n samples 1"]
    sha256: str
    """Of the sounds as they are here, whatever the names and the order of their files."""
    filled: int
    """How many were shorter than those of the data set, and have zeros at their ends."""

    def __repr__(self) -> str:
        return f"<{len(self.x)} sounds {self.x.shape[1:]} of {self.path}, sha256 {self.sha256[:8]}>"


def read(path: Path, dataset: Dataset) -> SoundSet:
    """The WAV files in a folder and its sub-folders, to be compared with a data set of sounds.

    Shorter sounds are filled with zeros at their ends, as those of a data set are. Silent ones count, too.

    Raises:
        UserError: there are none, `read_wav` refuses one, one has another rate than the data set or is longer, or the
            data set's sounds were all scaled to one peak and one here has another.
    """
    if not path.is_dir():
        what = "a file" if path.exists() else "not there"
        raise UserError(f"{path} is {what}{nearest_path(path)}: name a directory of {SUFFIX} files.")
    files = sounds_in(path)
    if not files:
        raise UserError(f"{path} has no {SUFFIX} files: name a directory of sounds.")
    samples, known = dataset.shape[0], own.find(dataset.name)
    peak = round(32767 * known.origin["settings"].get("peak", 0.0)) if known else 0
    rows: list[tuple[bytes, np.ndarray]] = []
    filled = 0
    for file in files.values():
        sound, rate = read_wav(file)
        if rate != dataset.rate:
            raise UserError(
                f"{file} has {rate} samples a second, but {dataset.name} has {dataset.rate}: bring all to that rate, "
                "which is not done here."
            )
        if len(sound) > samples:
            raise UserError(
                f"{file} has {len(sound)} samples, but the sounds of {dataset.name} have {samples}: cut all alike, so "
                "that no cut of ours enters the number."
            )
        loudest = int(np.abs(sound.astype(int)).max())
        if peak and abs(loudest - peak) > 1:
            raise UserError(
                f"{file} has a peak of {loudest / 32767:.2g}, but the sounds of {dataset.name} were all scaled to "
                f"{peak / 32767:.2g} (--peak): scale yours, too."
            )
        row = np.zeros((samples, 1), np.int16)
        row[: len(sound), 0] = sound
        filled += len(sound) < samples
        rows.append((hashlib.blake2b(row.tobytes(), digest_size=16).digest(), row))
    rows.sort(key=lambda row: row[0])
    order = np.random.RandomState(ORDER_SEED).permutation(len(rows))
    digest = hashlib.sha256(b"".join(digest for digest, _ in rows)).hexdigest()
    return SoundSet(path, np.stack([rows[place][1] for place in order]), digest, filled)
