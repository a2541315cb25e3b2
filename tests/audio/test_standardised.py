"""Sounds as pictures, and back."""

import jax.numpy as jnp
import numpy as np
import pytest

from gvlab.audio import spectral_convergence, standardised, stft
from gvlab.types import UserError


@pytest.fixture(scope="module")
def sounds():
    """Tones with three harmonics, int16 [12, 1024, 1], the last of them silent in its second half."""
    time = np.arange(1024) / 8000
    tones = [sum(np.sin(2 * np.pi * h * f * time) / h for h in (1, 2, 3)) for f in np.linspace(100, 240, 12)]
    tones[-1] = tones[-1] * (time < time[512])
    return np.round(8000 * np.stack(tones)).astype(np.int16)[..., None]


def test_a_picture_is_the_spectrum_without_its_last_frame_and_frequency(sounds):
    x = jnp.asarray(sounds[:2, :, 0] / 32768, jnp.float32)
    picture = standardised.log_spectrum(x, 128, 32)
    assert picture.shape == (2, 32, 64)
    np.testing.assert_allclose(picture, np.log(np.abs(stft(x, 128, 32))[:, :32, :64] + 1e-6), atol=1e-5)


def test_frequencies_are_those_of_all_frames(sounds):
    found = standardised.frequencies(sounds, 128, 32)
    # Fourier sums written out, in float64: these tones have next to nothing at frequency 0, and float32 rounds it away.
    x = np.pad(sounds[..., 0] / 32768, ((0, 0), (64, 64)))
    time = np.arange(128)
    sums = (np.sin(np.pi * time / 128) ** 2)[:, None] * np.exp(-2j * np.pi * np.outer(time, np.arange(64)) / 128)
    rows = np.stack([np.log(np.abs(x[:, 32 * k : 32 * k + 128] @ sums) + 1e-6) for k in range(32)])
    np.testing.assert_allclose(found.mean, rows.mean((0, 1)), rtol=1e-4)
    np.testing.assert_allclose(found.deviation, rows.std((0, 1)), rtol=1e-4)


def test_a_frequency_that_never_changes_is_not_divided_by_nothing():
    found = standardised.frequencies(np.zeros((3, 256, 1), np.int16), 64, 16)
    np.testing.assert_allclose(found.deviation, 1e-3, rtol=1e-5)


def test_a_picture_becomes_the_sound_again_but_for_its_phases(sounds):
    x = jnp.asarray(sounds[:4, :, 0] / 32768, jnp.float32)
    again = standardised.wave(standardised.log_spectrum(x, 128, 32), 32)
    assert again.shape == x.shape
    lost = spectral_convergence(jnp.abs(stft(again, 128, 32)), jnp.abs(stft(x, 128, 32)))
    assert (lost < 0.15).all()


def test_sounds_that_no_frames_divide_are_refused():
    with pytest.raises(UserError, match="hop of 48 samples does not divide the 1024"):
        standardised.log_spectrum(jnp.zeros((1, 1024)), 128, 48)
