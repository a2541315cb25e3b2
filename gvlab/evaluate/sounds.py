"""Measures of sounds that need no features: how loud they are, which a GAN that has collapsed into silence shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float64, Int16

from gvlab import data
from gvlab.evaluate.held_out import Measure, mean
from gvlab.types import UserError

Sounds = Int16[np.ndarray, "_ samples channel"]
"""Generated and real ones differ in number."""
QUIET = 1e-3
"""What is nearer to 0 is silence, of a full wave of 1: 60 dB below it."""
OF_SOUNDS = ("spectrum", "vowels", "spoken_digit")
"""Features of sounds."""
TOO_QUIET = 0.1
"""Sounds of less than this share of the loudness of real ones are warned of."""


def _loudness(generated: Sounds, real: Sounds) -> dict[str, Measure]:
    measures: dict[str, Measure] = {}
    for name, each in {"rms": _rms, "peak": _peak, "silence_share": _silence, "full_share": _full}.items():
        of_generated, of_real = each(generated), each(real)
        measures[name] = mean(of_generated, of_real=float(of_real.mean()))
        if name == "rms" and of_generated.mean() < TOO_QUIET * of_real.mean():
            share = of_generated.mean() / of_real.mean()
            measures[name]["stamp"]["warning"] = f"the sounds are nearly silent: {share:.2g} of real ones' loudness"
    return measures


def _rms(x: Sounds) -> Float64[np.ndarray, " _"]:
    """The root of the mean square of each sound."""
    return np.sqrt((_unit(x) ** 2).mean((1, 2)))


def _peak(x: Sounds) -> Float64[np.ndarray, " _"]:
    return np.abs(_unit(x)).max((1, 2))


def _silence(x: Sounds) -> Float64[np.ndarray, " _"]:
    """The share of samples that are silence."""
    return (np.abs(_unit(x)) < QUIET).mean((1, 2))


def _full(x: Sounds) -> Float64[np.ndarray, " _"]:
    """The share of samples at the end of the range, where they may have been clipped."""
    return ((x == -32768) | (x == 32767)).mean((1, 2))


def _unit(x: Sounds) -> Float64[np.ndarray, "_ samples channel"]:
    return x / 32768.0


OF_SOUND: dict[str, Callable[[Sounds, Sounds], dict[str, Measure]]] = {"loudness": _loudness}
"""By the name that each is asked for by."""


def check(names: Iterable[str], dataset: data.Dataset) -> None:
    """Raises UserError for measures of sounds where there are none."""
    for name in names:
        if name in OF_SOUND and dataset.modality != data.WAVES:
            raise UserError(
                f"The measure {name} is of sounds, but {dataset.name} has {dataset.modality.name}: leave it out."
            )


def check_features(names: Iterable[str], dataset: data.Dataset) -> None:
    """Raises UserError for features of sounds where there are none, and for others where there are, before any weights
    are fetched."""
    for name in names:
        if (name in OF_SOUNDS) != (dataset.modality == data.WAVES) and dataset.modality != data.TOKENS:
            of = "sounds" if name in OF_SOUNDS else "images or points"
            instead = ", ".join(OF_SOUNDS) if dataset.modality == data.WAVES else "pixels"
            raise UserError(
                f"The features {name} are of {of}, but {dataset.name} has {dataset.modality.name}: choose from "
                f"{instead}."
            )


def measured(generated: Sounds, dataset: data.Dataset, split: str, names: Iterable[str]) -> dict[str, Measure]:
    """The measures of those names that are of sounds, beside those of the split."""
    real = np.asarray(getattr(dataset, split).x)
    shared = {"generated": len(generated), "examples": len(real)}
    found: dict[str, Measure] = {}
    for name in names:
        found |= OF_SOUND[name](generated, real)
    return {name: measure | {"stamp": shared | measure["stamp"]} for name, measure in found.items()}
