"""The filters of adaptive augmentation as matrices: along one side of an image each of them is a product.

They are fixed but for their weights, so a banded matrix does what padding, resampling and a convolution would, and no
channel is a group of a convolution, which XLA:CPU runs slowly.
"""

from __future__ import annotations

import functools

import numpy as np

SYM2 = np.array([-0.1294095225509214, 0.2241438680418573, 0.836516303737469, 0.4829629131446903])
"""Daubechies' symlet of 4 coefficients."""
SYM6 = np.array([
    0.01540410932702737, 0.00349071208421747, -0.1179901111481906, -0.048311742585633, 0.4910559419267466,
    0.787641141030194, 0.3379294217276218, -0.07263752278646252, -0.02106029251230056, 0.04472490177066578,
    0.001767711864242804, -0.007800708325034148,
])  # fmt: skip
"""Daubechies' symlet of 12 coefficients."""
LOW_PASS = SYM6 / SYM6.sum()
MARGIN = len(LOW_PASS) // 4
"""Pixels by which an image must be sampled beyond its border, so that it is known when it has been made smaller."""


def _reflected(size: int, border: int) -> np.ndarray:
    """[size + 2 border, size]: a side with itself mirrored at both ends, the last pixel not repeated."""
    return np.eye(size)[np.pad(np.arange(size), border, mode="reflect")]


@functools.cache
def enlargement(size: int) -> np.ndarray:
    """[2 (3 size - 2) + 2, size]: mirrored at both ends as far as can be, twice as large, with a 0 at each end.

    Zeros are put between the pixels and the low-pass filter goes over them, with the gain 2.
    """
    mirrored = _reflected(size, size - 1)
    taps = len(LOW_PASS)
    enlarged = np.zeros((2 * len(mirrored) + 2, len(mirrored)))
    for row in range(2 * len(mirrored)):
        for pixel in range(len(mirrored)):
            tap = 2 * pixel - row + taps // 2
            if 0 <= tap < taps:
                enlarged[row + 1, pixel] = 2 * LOW_PASS[taps - 1 - tap]
    return enlarged @ mirrored


@functools.cache
def reduction(size: int) -> np.ndarray:
    """[size, 2 (size + 2 MARGIN)]: the low-pass filter, mirrored, at every second place inside of the margin."""
    reduced = np.zeros((size, 2 * (size + 2 * MARGIN)))
    for row in range(size):
        reduced[row, 2 * row + 1 : 2 * row + 1 + len(LOW_PASS)] = LOW_PASS
    return reduced


@functools.cache
def band_filters() -> np.ndarray:
    """[4, 43]: band-pass filters that sum to 1, from the lowest frequencies, each band twice as wide as the one below.

    Reference: Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, appendix B.
    """
    low = SYM2
    high = low * (-1.0) ** np.arange(len(low))
    half, other_half = np.convolve(low, low[::-1]) / 2, np.convolve(high, high[::-1]) / 2
    bank = np.eye(4, 1)
    for band in range(1, 4):
        spread = np.zeros((4, 2 * bank.shape[1] - 1))
        spread[:, ::2] = bank
        bank = np.stack([np.convolve(row, half) for row in spread])
        first = (bank.shape[1] - len(other_half)) // 2
        bank[band, first : first + len(other_half)] += other_half
    return bank


SMALLEST_FILTERED = band_filters().shape[1] // 2 + 1
"""Pixels of a side that can be mirrored as far as these filters reach."""


@functools.cache
def bands(size: int) -> np.ndarray:
    """[4, size, size]: each of the filters along a side that is mirrored at both ends."""
    filters = band_filters()
    taps = filters.shape[1]
    mirrored = _reflected(size, taps // 2)
    shifts = np.stack([mirrored[tap : tap + size] for tap in range(taps)])
    return np.einsum("bt,tij->bij", filters, shifts)
