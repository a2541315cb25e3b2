"""Models of sounds by pictures of them, of a configuration."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from gvlab import config as c
from gvlab import data
from gvlab.audio import standardised
from gvlab.families.setting import Setting
from gvlab.models.spectrograms import of_spectrograms
from gvlab.types import Model, UserError

_UNBOUNDED = (-float("inf"), float("inf"))


def spectrograms(config: c.Spectrograms, setting: Setting, build: Callable[[Any, Setting], Model]) -> Model:
    """The model of pictures, between a sound and its spectrogram.

    Args:
        config: of both.
        setting: of the sounds.
        build: (configuration of a model, setting) -> the model.

    Raises:
        UserError: the data are no sounds, or none that could have such a picture.
    """
    if setting.modality != data.WAVES:
        raise UserError(f"Spectrograms is of sounds, but the data are {setting.modality.name} {setting.shape}.")
    samples = setting.shape[0]
    if samples % config.hop:
        raise UserError(
            f"Spectrograms.hop is {config.hop}, which does not divide the {samples} samples of a sound: choose a "
            "divisor of them."
        )
    of_gan = isinstance(config.pictured, c.GAN)
    bounds = (-1.0, 1.0) if of_gan else _UNBOUNDED
    picture = setting._replace(shape=(samples // config.hop, config.n_fft // 2, 1), values=bounds)
    return of_spectrograms(
        build(config.pictured, picture),
        setting.frequencies or _unknown(config.n_fft),
        n_fft=config.n_fft,
        hop=config.hop,
        rounds=config.rounds,
        samples=samples,
        deviations=3.0 if of_gan else 1.0,
        bounds=bounds,
    )


def frequencies(config: Any, dataset: data.Dataset) -> standardised.Frequencies | None:
    """Of the training sounds; None where no model asks, or they are absent: then a trained state holds them."""
    if not isinstance(config, c.Spectrograms) or isinstance(dataset, data.Absent):
        return None
    if dataset.modality != data.WAVES or dataset.shape[0] % config.hop:  # which `spectrograms` refuses
        return None
    return _measured(_Known(dataset), config.n_fft, config.hop)


class _Known:
    """A data set that the cache below knows by its checksum."""

    def __init__(self, dataset: data.Dataset) -> None:
        self.dataset = dataset

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Known) and self.dataset.checksum == other.dataset.checksum

    def __hash__(self) -> int:
        return hash(self.dataset.checksum)


@functools.lru_cache(maxsize=8)
def _measured(known: _Known, n_fft: int, hop: int) -> standardised.Frequencies:
    return standardised.frequencies(np.asarray(known.dataset.train.x), n_fft, hop)


def _unknown(n_fft: int) -> standardised.Frequencies:
    return standardised.Frequencies(np.zeros(n_fft // 2, np.float32), np.ones(n_fft // 2, np.float32))
