"""The pictures of a unit, held against those that were drawn again."""

from __future__ import annotations

import re
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gvlab.compare import identity
from gvlab.compare.proof.outcome import Redone
from gvlab.data import picture_file
from gvlab.types import UserError

LEVELS = 1
"""Of 255: by so much a pixel may be off where bits may differ, which is rounding on its way to a whole number."""
OTHERWISE = 256
"""Levels by which a picture is off that cannot be read, or is of another size or kind."""


def steps_drawn(run: Path) -> list[int]:
    """The steps of which the run has samples."""
    names = (re.fullmatch(r"samples/step-(\d{8})\.(?:png|txt|wav)", file) for file in identity.drawn(run))
    return [int(name[1]) for name in names if name]


def difference(run: Path, redone: Redone, due: set[int]) -> str | None:
    """Which picture is missing, or is none that training and measuring draw, or has other pixels by more than `LEVELS`.

    Args:
        run: the unit's directory.
        redone: what came out.
        due: the steps at which samples must have been drawn.
    """
    made, recorded = identity.drawn(redone.run), _until(run, redone)
    needed = [file for file in made if not file.startswith("samples/") or file in _samples(due)]
    for file in needed:
        if file not in recorded:
            return f"{file}, which was drawn again, is not there"
    for file in recorded:
        if file not in made:
            return f"{file} is none of the pictures that were drawn again"
    return None


def off(run: Path, redone: Redone) -> Iterator[tuple[str, int, str]]:
    """The pictures that were drawn again and have other bytes: (file, by how many levels, in words).

    The levels are 0 if the pixels are the same, `OTHERWISE` if it is of another size or kind, or damaged.
    """
    for file in _until(run, redone):
        first, second = run / file, redone.run / file
        if not second.is_file() or first.read_bytes() == second.read_bytes():
            continue
        if first.suffix == ".txt":
            yield file, OTHERWISE, "has other sentences than those that were drawn again"
            continue
        try:
            (kind, recorded), (made_kind, made) = _read(first), _read(second)
        except UserError as error:
            yield file, OTHERWISE, f"cannot be read ({error})"
            continue
        if kind != made_kind:
            yield file, OTHERWISE, f"is {made_kind}, but was recorded as {kind}"
            continue
        gaps = np.ceil(np.abs(recorded.astype(float) - made)).astype(int)
        count, levels = int((gaps > 0).sum()), int(gaps.max())
        if levels:
            yield (
                file,
                levels,
                f"has other pixels than what was drawn again ({count} values, by up to {levels} of 255 levels)",
            )
        else:
            yield file, 0, "has the pixels that were drawn again, but other bytes than are written for them"


def share_an_encoder(run: Path, redone: Redone) -> bool:
    """Whether a picture has the very bytes that are written now: others of the same pixels must, too."""
    both = ((run / file, redone.run / file) for file in _until(run, redone))
    return any(new.is_file() and old.read_bytes() == new.read_bytes() for old, new in both)


def left(run: Path, redone: Redone) -> list[str]:
    """The pictures of which nothing can be said, since only a part was trained."""
    return sorted(set(identity.drawn(run)) - set(_until(run, redone)))


def _until(run: Path, redone: Redone) -> list[str]:
    """Those of the run's pictures that training as far as this draws."""
    files = identity.drawn(run)
    if redone.whole:
        return files
    later = _samples({step for step in steps_drawn(run) if step > redone.steps})
    return [file for file in files if file.startswith("samples/") and file not in later]


def _read(file: Path) -> tuple[str, np.ndarray]:
    """(what kind of picture it is, its pixels [height, width] or [height, width, channel]); of a sound its samples, in
    levels of 8 bits, too."""
    if file.suffix == ".wav":
        try:
            with wave.open(str(file)) as sound:
                kind = f"a sound of {sound.getnframes()} samples at {sound.getframerate()} a second"
                return kind, np.frombuffer(sound.readframes(sound.getnframes()), "<i2") / 256
        except (wave.Error, EOFError, ValueError) as error:
            raise UserError(f"{file} is no WAV file ({error}): restore it from a copy.") from error
    with picture_file.opened(file, ("PNG",)) as picture:
        frames = getattr(picture, "n_frames", 1)
        width, height = picture.size
        kind = f"{width} x {height} pixels of mode {picture.mode}" + (f" in {frames} frames" if frames > 1 else "")
        return kind, np.asarray(picture)


def _samples(steps: set[int]) -> set[str]:
    return {f"samples/step-{step:08d}.{kind}" for step in steps for kind in ("png", "txt", "wav")}
