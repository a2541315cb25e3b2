"""Spectrograms of waves: the short-time Fourier transform and its inverse, mel bands, and waves from magnitudes alone.

A frame is `n_fft` samples under a periodic Hann window, every `hop` samples. As in librosa since 0.10, the first frame
is centred on the first sample, with zeros beyond both ends. Everything is differentiable and may be jitted.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from gvlab.types import UserError


def hann(n: int) -> Float[Array, " n"]:
    """The periodic Hann window, 0.5 - 0.5 cos(2 pi k / n)."""
    return 0.5 - 0.5 * jnp.cos(2 * jnp.pi * jnp.arange(n) / n)


def stft(
    x: Float[Array, "*batch samples"], n_fft: int = 256, hop: int = 64
) -> Complex[Array, "*batch frames frequencies"]:
    """The short-time Fourier transform, of 1 + samples // hop frames.

    Args:
        x: waves [..., samples].
        n_fft: samples of a frame, even.
        hop: samples from one frame to the next.

    Returns:
        complex amplitudes [..., 1 + samples // hop, n_fft / 2 + 1], from 0 Hz to half the rate.

    Raises:
        UserError: the waves are shorter than one hop, n_fft is odd, or hop isn't between 1 and n_fft.

    Reference: Allen & Rabiner, "A Unified Approach to Short-Time Fourier Analysis and Synthesis", 1977.
    """
    _check(n_fft, hop)
    if x.shape[-1] < hop:
        raise UserError(f"A wave of {x.shape[-1]} samples is shorter than one hop of {hop}: give a longer one.")
    half = n_fft // 2
    padded = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(half, half)])
    frames = 1 + x.shape[-1] // hop
    places = hop * np.arange(frames)[:, None] + np.arange(n_fft)[None]
    window = jnp.broadcast_to(hann(n_fft).astype(x.dtype), (*x.shape[:-1], frames, n_fft))
    return jnp.fft.rfft(padded[..., places] * window, axis=-1)


def istft(
    spectrum: Complex[Array, "*batch frames frequencies"], samples: int, hop: int = 64
) -> Float[Array, "*batch samples"]:
    """The wave whose transform is nearest to the spectrum, in squares; of a wave's own spectrum the wave itself.

    Args:
        spectrum: complex amplitudes as `stft` gives them.
        samples: of the wave; the frames must reach over them.
        hop: samples from one frame to the next.

    Returns:
        waves [..., samples].

    Raises:
        UserError: so many frames are not those of so many samples.

    Reference: Griffin & Lim, "Signal Estimation from Modified Short-Time Fourier Transform", 1984, eq. 6.
    """
    frames, n_fft = spectrum.shape[-2], 2 * (spectrum.shape[-1] - 1)
    _check(n_fft, hop)
    if frames != 1 + samples // hop:
        raise UserError(
            f"The spectrum has {frames} frames, but a wave of {samples} samples has {1 + samples // hop} with a hop of "
            f"{hop}: give the number of samples that the spectrum was made of."
        )
    pieces = jnp.fft.irfft(spectrum, n=n_fft, axis=-1)
    window = hann(n_fft).astype(pieces.dtype)
    pieces = pieces * jnp.broadcast_to(window, pieces.shape)
    length = hop * (frames - 1) + n_fft
    places = (hop * np.arange(frames)[:, None] + np.arange(n_fft)[None]).reshape(-1)
    shape = pieces.shape[:-2]
    wave = jnp.zeros((*shape, length), pieces.dtype).at[..., places].add(pieces.reshape(*shape, -1))
    weight = jnp.zeros(length, pieces.dtype).at[places].add(jnp.tile(window**2, frames))
    wave = wave / jnp.broadcast_to(jnp.where(weight > 1e-11, weight, 1.0), wave.shape)
    half = n_fft // 2
    missing = max(half + samples - length, 0)  # samples behind the last frame
    return jnp.pad(wave, [(0, 0)] * len(shape) + [(0, missing)])[..., half : half + samples]


def mel_filters(
    rate: float, n_fft: int, mels: int, lowest: float = 0.0, highest: float | None = None
) -> Float[np.ndarray, "mels frequencies"]:
    """Triangular filters on Slaney's mel scale, each of area 1 in Hz (librosa's default).

    Args:
        rate: samples a second.
        n_fft: samples of a frame.
        mels: how many filters.
        lowest, highest: in Hz, the ends of the first and the last filter; None: half the rate.

    Returns:
        weights of power [mels, n_fft / 2 + 1].

    Raises:
        UserError: the bounds are not in order within 0 and half the rate, or a filter has no frequency.

    Reference: Slaney, "Auditory Toolbox", version 2, 1998.
    """
    highest = rate / 2 if highest is None else highest
    if not 0 <= lowest < highest <= rate / 2:
        raise UserError(
            f"Mel filters from {lowest:g} to {highest:g} Hz are not possible at {rate:g} samples a second: choose "
            f"bounds in order between 0 and {rate / 2:g} Hz."
        )
    frequencies = np.linspace(0, rate / 2, n_fft // 2 + 1)
    edges = _hertz(np.linspace(_mel(lowest), _mel(highest), mels + 2))
    rising = (frequencies[None] - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - frequencies[None]) / np.diff(edges)[1:, None]
    filters = np.maximum(0.0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    if not filters.any(1).all():
        raise UserError(
            f"{mels} mel filters are too many for frames of {n_fft} samples, since "
            f"{int((~filters.any(1)).sum())} of them have no frequency: choose fewer filters or longer frames."
        )
    return filters


def log_mel(
    x: Float[Array, "*batch samples"],
    filters: Float[np.ndarray, "mels frequencies"],
    hop: int = 64,
    floor: float = 1e-6,
) -> Float[Array, "*batch frames mels"]:
    """ln max(power in each band, floor).

    Args:
        x: waves [..., samples].
        filters: of `mel_filters`.
        hop: samples from one frame to the next.
        floor: the least power.

    Returns:
        [..., 1 + samples // hop, mels].
    """
    n_fft = 2 * (filters.shape[1] - 1)
    power = jnp.abs(stft(x, n_fft, hop)) ** 2
    return jnp.log(jnp.maximum(power @ jnp.asarray(filters.T, power.dtype), floor))


def log_bands(
    x: Float[Array, "*batch samples"], bands: int = 32, floor: float = 1e-6
) -> Float[Array, "*batch frames bands"]:
    """ln max(power, floor) in equal bands of frequencies, of frames of 256 samples every 128; the rate plays no part.

    Args:
        x: waves [..., samples], at least 128 of them.
        bands: a divisor of 128; the highest frequency is left out.
        floor: the least power.

    Returns:
        [..., 1 + samples // 128, bands].
    """
    power = jnp.abs(stft(x, 256, 128))[..., :128] ** 2
    return jnp.log(jnp.maximum(power.reshape(*power.shape[:-1], bands, -1).sum(-1), floor))


def griffin_lim(
    magnitude: Float[Array, "*batch frames frequencies"],
    samples: int,
    hop: int = 64,
    rounds: int = 60,
    momentum: float = 0.99,
    phase: Float[Array, "*batch frames frequencies"] | None = None,
) -> Float[Array, "*batch samples"]:
    """A wave of which the magnitudes are nearly those that are given.

    Args:
        magnitude: of the frames, as `abs(stft(x))` gives them.
        samples: of the wave.
        hop: samples from one frame to the next.
        rounds: of going to a wave and back.
        momentum: 0 is the algorithm of 1984, 0.99 the fast one.
        phase: where to begin, in radians; None: 0 everywhere.

    Returns:
        waves [..., samples].

    Raises:
        UserError: so many frames are not those of so many samples.

    References:
        Griffin & Lim, "Signal Estimation from Modified Short-Time Fourier Transform", 1984.
        Perraudin, Balazs & Søndergaard, "A fast Griffin-Lim algorithm", 2013.
    """
    n_fft = 2 * (magnitude.shape[-1] - 1)
    begin = jnp.zeros_like(magnitude) if phase is None else phase
    angles = jnp.exp(1j * begin)

    def one(carry, _):
        angles, before = carry
        again = stft(istft(magnitude * angles, samples, hop), n_fft, hop)
        moved = again - momentum / (1 + momentum) * before
        return (moved / jnp.maximum(jnp.abs(moved), jnp.finfo(magnitude.dtype).tiny), again), None

    (angles, _), _ = jax.lax.scan(one, (angles, jnp.zeros_like(angles)), length=rounds)
    return istft(magnitude * angles, samples, hop)


def spectral_convergence(
    found: Float[Array, "*batch frames frequencies"], wanted: Float[Array, "*batch frames frequencies"]
) -> Float[Array, "*batch"]:
    """The error of magnitudes relative to those that are wanted, |found - wanted| / |wanted|; 0 is perfect.

    Reference: Sturmel & Daudet, "Signal Reconstruction from STFT Magnitude: A State of the Art", 2011.
    """
    axes = (-2, -1)
    return jnp.sqrt(((found - wanted) ** 2).sum(axes) / (wanted**2).sum(axes))


def _check(n_fft: int, hop: int) -> None:
    if n_fft < 2 or n_fft % 2:
        raise UserError(f"Frames of n_fft = {n_fft} samples are not possible: choose an even number of at least 2.")
    if not 1 <= hop <= n_fft:
        raise UserError(f"A hop of {hop} samples is not possible with frames of {n_fft}: choose 1 to {n_fft}.")


_LINEAR, _KNEE, _STEP = 200 / 3, 1000.0, np.log(6.4) / 27
"""Slaney's scale: Hz of a mel up to the knee in Hz, and the logarithm of the factor of a mel above it."""


def _mel(hertz: float) -> float:
    return hertz / _LINEAR if hertz < _KNEE else _KNEE / _LINEAR + float(np.log(hertz / _KNEE)) / _STEP


def _hertz(mel: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    knee = _KNEE / _LINEAR
    return np.where(mel < knee, mel * _LINEAR, _KNEE * np.exp(_STEP * (mel - knee)))
