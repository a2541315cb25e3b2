"""Speech by a formula: ten vowels, made of harmonics under three formants.

The classes, their equal shares and everything that varies within them are known, as the modes of `ring` are.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int16, Int32

RATE = 8_000
"""Samples a second."""
SAMPLES = 2_048
NAMES = ("iy", "ih", "eh", "ae", "aa", "ao", "uh", "uw", "ah", "er")
"""In ARPABET: beat, bit, bet, bat, father, bought, book, boot, but, bird."""
FORMANTS = np.array(
    [
        [270, 2290, 3010],
        [390, 1990, 2550],
        [530, 1840, 2480],
        [660, 1720, 2410],
        [730, 1090, 2440],
        [570, 840, 2410],
        [440, 1020, 2240],
        [300, 870, 2240],
        [640, 1190, 2390],
        [490, 1350, 1690],
    ],
    np.float64,
)
"""Of men, in Hz (Peterson & Barney, "Control Methods Used in a Study of the Vowels", 1952, table II)."""
BANDWIDTHS = np.array([60.0, 90.0, 150.0])
"""Of the three formants, in Hz."""
HIGHEST = 3_900.0
"""No harmonic is above it, in Hz."""


def vowel(
    which: int, pitch: float, glide: float = 0.0, scale: float = 1.0, samples: int = SAMPLES
) -> Float[np.ndarray, " samples"]:
    """One vowel, with a peak of 0.5.

    Args:
        which: its place in `NAMES`.
        pitch: at the beginning, in Hz.
        glide: by which part of itself the pitch has changed at the end.
        scale: of the formants: smaller for a longer vocal tract.
        samples: how many, at `RATE`.

    Returns:
        [samples].
    """
    time = np.arange(samples) / RATE
    duration = samples / RATE
    phase = 2 * np.pi * (pitch * time + glide * pitch * time**2 / (2 * duration))
    harmonics = np.arange(1, int(np.ceil(HIGHEST / (pitch * (1 + max(glide, 0.0))))))
    frequency = harmonics * pitch * (1 + glide / 2)
    formants = scale * FORMANTS[which]
    resonances = formants**2 / np.hypot(formants**2 - frequency[:, None] ** 2, BANDWIDTHS * frequency[:, None])
    amplitude = resonances.prod(1) / harmonics
    wave = amplitude @ np.sin(harmonics[:, None] * phase[None])
    wave *= np.sin(np.pi * (np.arange(samples) + 0.5) / samples) ** 2
    return 0.5 * wave / np.abs(wave).max()


def vowels(n: int, seed: int) -> tuple[Int16[np.ndarray, "n samples 1"], Int32[np.ndarray, " n"]]:
    """n vowels, the classes in turn, in 16 bits, and their classes.

    The pitch is log-uniform from 90 to 250 Hz, the glide uniform within 20 %, the formants' scale from 0.9 to 1.15.
    """
    draw = np.random.default_rng(seed)
    which = np.arange(n) % len(NAMES)
    pitch = np.exp(draw.uniform(np.log(90), np.log(250), n))
    glide, scale = draw.uniform(-0.2, 0.2, n), draw.uniform(0.9, 1.15, n)
    numbers = zip(which.tolist(), pitch.tolist(), glide.tolist(), scale.tolist(), strict=True)
    waves = np.stack([vowel(*of) for of in numbers])
    return np.round(waves * 32767).astype(np.int16)[..., None], which.astype(np.int32)
