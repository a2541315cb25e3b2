"""Spectrograms against librosa's numbers (`tests/golden/audio.json`), in float64."""

import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import audio
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "audio.json").read_text())
OF = GOLDEN["audio_stft"]
N = 4096


@pytest.fixture(autouse=True)
def in_float64():
    with jax.enable_x64(True):
        yield


def chirp():
    t = np.arange(N) / 8000
    return (
        0.5 * np.sin(2 * np.pi * (200 * t + 900 * t**2))
        + 0.25 * np.sin(2 * np.pi * 1500 * t) * np.exp(-3 * t)
        + 0.05 * np.cos(0.37 * np.arange(N))
    )


def test_amplitudes_are_librosas():
    spectrum = np.asarray(jax.jit(audio.stft)(jnp.asarray(chirp())))
    assert list(spectrum.T.shape) == OF["centered_shape"]
    found = spectrum.T[np.ix_([0, 6, 12, 48], [0, 1, 20, 64])]
    expected = OF["stft_centered"]["bins_0_6_12_48_frames_0_1_20_64"]
    np.testing.assert_allclose(found, np.array(expected["re"]) + 1j * np.array(expected["im"]), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(np.abs(spectrum).sum(), OF["magnitude_sum"], rtol=1e-8)
    np.testing.assert_allclose((np.abs(spectrum) ** 2).sum(), OF["power_sum"], rtol=1e-8)


@pytest.mark.parametrize("samples", [N, N + 17, 600])
def test_there_and_back(samples):
    """Also a wave that doesn't end with a hop, and several at once."""
    x = jnp.asarray(np.resize(chirp(), (2, samples)))
    back = jax.jit(lambda x: audio.istft(audio.stft(x), samples))(x)
    np.testing.assert_allclose(back, x, atol=OF["inverse"]["tolerance"])


def test_mel_bands_are_librosas():
    filters = audio.mel_filters(8000, 256, 40, 60, 3800)
    np.testing.assert_allclose(filters.sum(1), OF["mel_slaney"]["row_sums"], rtol=1e-7)
    found = filters[np.ix_([0, 20, 39], [0, 4, 40, 110])]
    np.testing.assert_allclose(found, OF["mel_slaney"]["rows_0_20_39_bins_0_4_40_110"], rtol=1e-7)
    found = np.asarray(audio.log_mel(jnp.asarray(chirp()), filters, floor=1e-10))
    expected = OF["log_mel"]
    places = np.ix_([0, 1, 20, 64], [0, 10, 30, 39])
    np.testing.assert_allclose(found[places].T, expected["mels_0_10_30_39_frames_0_1_20_64"], rtol=1e-6)
    np.testing.assert_allclose([found.mean(), found.std()], [expected["mean"], expected["std"]], rtol=1e-6)


def golden_phase():
    k, f = np.arange(129)[None], np.arange(65)[:, None]
    return 2 * np.pi * ((0.61803398875 * (65 * k + f)) % 1)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("momentum=0.0,iterations=2", {"momentum": 0.0, "rounds": 2}),
        ("momentum=0.99,iterations=16", {"momentum": 0.99, "rounds": 16}),
        ("zero_phase,momentum=0.99,iterations=16", {"momentum": 0.99, "rounds": 16, "phase": None}),
    ],
)
def test_waves_of_magnitudes(name, given):
    expected = GOLDEN["griffin_lim"]["runs"][name]
    phase = jnp.asarray(golden_phase())
    magnitude = jnp.abs(audio.stft(jnp.asarray(chirp())))
    found = jax.jit(partial(audio.griffin_lim, samples=N, **{"phase": phase} | given))(magnitude)
    np.testing.assert_allclose(found[1000:1008], expected["samples_1000_1008"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(np.sqrt((found**2).mean()), expected["rms"], rtol=1e-7)
    if "spectral_convergence" in expected:
        error = audio.spectral_convergence(jnp.abs(audio.stft(found)), magnitude)
        np.testing.assert_allclose(error, expected["spectral_convergence"], rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: audio.stft(jnp.zeros(63)), "A wave of 63 samples is shorter than one hop of 64"),
        (lambda: audio.stft(jnp.zeros(630), n_fft=255), "n_fft = 255 samples are not possible: choose an even number"),
        (lambda: audio.stft(jnp.zeros(630), hop=0), "hop of 0 samples .* choose 1 to 256"),
        (lambda: audio.istft(jnp.zeros((9, 129), complex), 640), "9 frames, but a wave of 640 samples has 11"),
        (lambda: audio.mel_filters(8000, 256, 40, 60, 5000), "from 60 to 5000 Hz are not possible at 8000"),
        (lambda: audio.mel_filters(8000, 256, 200, 0), "200 mel filters are too many .* fewer filters"),
    ],
)
def test_what_cannot_be_is_refused(call, words):
    with pytest.raises(UserError, match=words):
        call()
