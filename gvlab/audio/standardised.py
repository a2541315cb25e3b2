"""Sounds as pictures: logarithms of spectra, each frequency in standard deviations of its own, and back to sound.

Reference: Donahue, McAuley & Puckette, "Adversarial Audio Synthesis", 2019, section 3.2 (SpecGAN), and its code.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int16

from gvlab.audio.spectra import griffin_lim, stft
from gvlab.types import UserError

FLOOR = 1e-6
"""What is added to an amplitude before its logarithm is taken, as published."""
_BATCH = 256
"""Waves whose spectra are in memory at once."""


class Frequencies(NamedTuple):
    """What each frequency of a data set's logarithms is, over all its sounds and frames."""

    mean: Float[np.ndarray, " frequencies"] | Float[Array, " frequencies"]
    deviation: Float[np.ndarray, " frequencies"] | Float[Array, " frequencies"]


def log_spectrum(
    x: Float[Array, "*batch samples"], n_fft: int = 128, hop: int = 32
) -> Float[Array, "*batch frames frequencies"]:
    """ln(|stft| + 1e-6), without half the rate and without the frame that is centred behind the last sample.

    Args:
        x: waves [..., samples].
        n_fft: samples of a frame.
        hop: samples from one frame to the next, a divisor of `samples`.

    Returns:
        [..., samples / hop, n_fft / 2]: powers of 2 where samples, n_fft and hop are some, as networks want them.

    Raises:
        UserError: hop does not divide the samples, or there can be no such frames.
    """
    _check_hop(x.shape[-1], hop)
    return jnp.log(jnp.abs(stft(x, n_fft, hop))[..., :-1, :-1] + FLOOR)


def wave(
    logarithms: Float[Array, "*batch frames frequencies"], hop: int = 32, rounds: int = 60
) -> Float[Array, "*batch samples"]:
    """A sound in [-1, 1] with nearly these logarithms, by the fast search of Griffin and Lim's kind from phases of 0.

    Args:
        logarithms: as `log_spectrum` gives them.
        hop: as there.
        rounds: of the search for phases. SpecGAN's code has 16 of the slow one, which of vowels leave an error of the
            amplitudes of 0.24, where these 60 leave 0.07 (`spectral_convergence`).
    """
    frames = logarithms.shape[-2]
    amplitudes = jnp.maximum(jnp.exp(logarithms) - FLOOR, 0.0)
    rest = [(0, 0)] * (logarithms.ndim - 2)
    # The frame and the frequency that were left out are silent, as in the published code.
    whole = jnp.pad(amplitudes, [*rest, (0, 1), (0, 1)])
    return jnp.clip(griffin_lim(whole, frames * hop, hop, rounds), -1.0, 1.0)


def frequencies(waves: Int16[np.ndarray, "n samples 1"], n_fft: int = 128, hop: int = 32) -> Frequencies:
    """Mean and standard deviation of the logarithms of each frequency, over sounds and frames.

    In float64 by NumPy, and rounded: constants of a training, which must not depend on the device that looks at them.

    Args:
        waves: as they are stored, in 16 bits.
        n_fft, hop: as of `log_spectrum`.

    Raises:
        UserError: hop does not divide the samples.
    """
    _check_hop(waves.shape[1], hop)
    sums: Float[np.ndarray, "2 frequencies"] = np.zeros((2, n_fft // 2))
    rows = 0
    half, window = n_fft // 2, 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    places = hop * np.arange(waves.shape[1] // hop)[:, None] + np.arange(n_fft)[None]
    for start in range(0, len(waves), _BATCH):
        part = np.asarray(waves[start : start + _BATCH, :, 0], np.float64) / 32768
        padded = np.pad(part, ((0, 0), (half, half)))
        amplitudes = np.abs(np.fft.rfft(padded[:, places] * window))[..., :-1]
        logarithms = np.log(amplitudes + FLOOR).reshape(-1, half)
        sums += logarithms.sum(0), (logarithms**2).sum(0)
        rows += len(logarithms)
    mean, square = sums / rows
    # A frequency that never changes is no reason to divide by 0.
    deviation = np.sqrt(np.maximum(square - mean**2, 1e-6))
    return Frequencies(mean.astype(np.float32), deviation.astype(np.float32))


def _check_hop(samples: int, hop: int) -> None:
    if hop < 1 or samples % hop:
        raise UserError(f"A hop of {hop} samples does not divide the {samples} of a sound: choose a divisor of them.")
