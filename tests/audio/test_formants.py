"""Vowels by the formula: its golden values, and that the classes can be heard apart."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from sklearn.linear_model import LogisticRegression

from gvlab import audio
from gvlab.audio import formants

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "audio.json").read_text())["formant_vowels"]


def test_a_vowel_is_that_of_the_formula():
    np.testing.assert_array_equal(formants.FORMANTS, GOLDEN["formants"])
    for name, given in {
        "iy_f0=120_glide=0.1_scale=1": (0, 120.0, 0.1, 1.0),
        "aa_f0=200_glide=-0.2_scale=1.1": (4, 200.0, -0.2, 1.1),
    }.items():
        wave = audio.vowel(*given)
        np.testing.assert_allclose(wave[1000:1008], GOLDEN[name]["samples_1000_1008"], rtol=1e-7)
        np.testing.assert_allclose(np.sqrt((wave**2).mean()), GOLDEN[name]["rms"], rtol=1e-7)
        assert abs(np.abs(wave).max() - 0.5) < 1e-12


def test_waves_are_stored_in_16_bits_the_classes_in_turn():
    x, y = audio.vowels(25, seed=0)
    assert (x.shape, x.dtype, y.dtype) == ((25, formants.SAMPLES, 1), np.int16, np.int32)
    np.testing.assert_array_equal(y, np.arange(25) % 10)
    assert set(np.abs(x.astype(int)).max((1, 2))) <= {16383, 16384}
    again, _ = audio.vowels(25, seed=0)
    np.testing.assert_array_equal(x, again)
    assert (audio.vowels(25, seed=1)[0] != x).any()


def test_a_linear_classifier_of_mel_bands_hears_them_apart():
    filters = audio.mel_filters(formants.RATE, 256, 40, 60)
    sets = []
    for seed, n in ((0, 300), (1, 100)):
        x, y = audio.vowels(n, seed)
        bands = audio.log_mel(jnp.asarray(x[..., 0] / 32768, jnp.float32), filters)
        sets.append((np.asarray(bands).reshape(n, -1), y))
    (seen, of_seen), (held_out, of_held_out) = sets
    mean, deviation = seen.mean(0), seen.std(0) + 1e-3
    classifier = LogisticRegression(max_iter=200, C=0.01).fit((seen - mean) / deviation, of_seen)
    assert classifier.score((held_out - mean) / deviation, of_held_out) > 0.9  # by chance 0.1
