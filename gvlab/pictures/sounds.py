"""Sounds as what is heard, files of 16 bits, and as what is seen: the wave above its spectrum."""

from __future__ import annotations

import io
import itertools
import wave
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int16

from gvlab.audio import stft
from gvlab.data import Dataset
from gvlab.files import replacing
from gvlab.pictures import sheets
from gvlab.types import UserError

WIDTH, OF_WAVE, OF_SPECTRUM = 128, 32, 64
"""Pixels of one sound's picture: along time, and of the heights of its two parts."""
DECIBELS = 60.0
"""From black to white in a spectrum, of which white is the power of a full wave."""
HEARD = 8
"""Sounds that one file holds where nobody asks for a number."""
SILENCE = 0.2
"""Seconds between sounds that follow each other in one file."""


def rate_of(dataset: Dataset) -> int:
    """Samples a second (`UserError` if the data are no waves)."""
    if dataset.rate is None:
        raise UserError(f"{dataset.name} has {dataset.modality.name}, but only waves can be heard.")
    return dataset.rate


def as_stored(waves: Float[np.ndarray, "n samples channel"]) -> Int16[np.ndarray, "n samples channel"]:
    """Waves in [-1, 1] in 16 bits."""
    return np.clip(np.round(np.asarray(waves) * 32768), -32768, 32767).astype(np.int16)


def wav(waves: Int16[np.ndarray, "n samples channel"], rate: int) -> bytes:
    """A WAV file of waves, one after the other with silence between them.

    Args:
        waves: in 16 bits.
        rate: samples a second.
    """
    gap = np.zeros((round(SILENCE * rate), waves.shape[2]), np.int16)
    pieces = [piece for one in waves for piece in (one, gap)][:-1]
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(waves.shape[2])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.concatenate(pieces).astype("<i2").tobytes())
    return out.getvalue()


def write(target: Path, waves: Int16[np.ndarray, "n samples channel"], rate: int) -> None:
    """Writes a WAV file, the whole file or nothing."""
    with replacing(target) as file:
        file.write(wav(waves, rate))


def sheet(waves: Float[np.ndarray, "n samples channel"], columns: int = 8) -> np.ndarray:
    """Waves in [-1, 1] (their first channel) as a picture: each one's envelope above its spectrum.

    The spectrum has low frequencies below and is white at the power of a full wave, black 60 dB under it.
    """
    cells = np.concatenate([_envelopes(waves[..., 0]), _spectra(waves[..., 0])], axis=1)
    return sheets.grid(cells[..., None], columns)


def _envelopes(waves: Float[np.ndarray, "n samples"]) -> Float[np.ndarray, "n height width"]:
    """From the least to the greatest sample of each column of pixels, white on black."""
    edges = np.linspace(0, waves.shape[1], WIDTH + 1).astype(int)
    pieces = [waves[:, start : max(end, start + 1)] for start, end in itertools.pairwise(edges)]
    low, high = (np.stack([limit(piece, axis=1) for piece in pieces], axis=1) for limit in (np.min, np.max))
    level = np.linspace(1, -1, OF_WAVE)[None, :, None]
    half = 1 / (OF_WAVE - 1)
    return ((level >= low[:, None] - half) & (level <= high[:, None] + half)).astype(np.float32)


@jax.jit
def _decibels(waves: Float[Array, "n samples"]) -> Float[Array, "n frames frequencies"]:
    n_fft = min(256, 2 * (waves.shape[1] // 2))
    hop = max(1, min(n_fft, waves.shape[1] // WIDTH))
    power = jnp.abs(stft(waves, n_fft, hop)) ** 2
    return 10 * jnp.log10(jnp.maximum(power / (n_fft / 4) ** 2, 1e-12))


def _spectra(waves: Float[np.ndarray, "n samples"]) -> Float[np.ndarray, "n height width"]:
    decibels = np.asarray(_decibels(jnp.asarray(waves, jnp.float32)))
    shown = np.clip(1 + decibels / DECIBELS, 0, 1)  # [n, frames, frequencies]
    frames = np.linspace(0, shown.shape[1] - 1, WIDTH).round().astype(int)
    frequencies = np.linspace(shown.shape[2] - 1, 0, OF_SPECTRUM).round().astype(int)
    return shown[:, frames][:, :, frequencies].swapaxes(1, 2)
