"""Models of sounds by pictures of them: what is between the model and the sound, whatever the model."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from zoo import quick_jit

from gvlab import build, data, families, rng, tree
from gvlab import config as c
from gvlab.audio import standardised
from gvlab.evaluate import ranking, stamps
from gvlab.types import Batch, UserError

INNER_GAN = c.GAN(c.MLP((8,)), latent_dim=4)
INNER_VAE = c.VAE(c.MLP((8,)), latent_dim=4, likelihood=c.LearnedGaussian(), conditional=True)
OPTIONS = {"n_fft": 32, "hop": 16, "rounds": 4}
KEY = rng.root(0)


@pytest.fixture(scope="module")
def sounds():
    time = np.arange(256) / 4000
    tones = np.stack([np.sin(2 * np.pi * f * time) for f in np.linspace(200, 1800, 16)])
    waves = np.round(16000 * tones).astype(np.int16)[..., None]
    y = np.arange(16, dtype=np.int32) % 2
    return data.from_arrays("tones", waves[:12], waves[12:], y[:12], y[12:], rate=4000)


def program(model, dataset, **fields):
    return build.program(c.Experiment("e", model, steps=3, batch_size=4, **fields), dataset)


@pytest.fixture(scope="module", params=[INNER_GAN, INNER_VAE], ids=["gan", "vae"])
def one_step(request, sounds):
    """(program, first state, state after a step and its terms, batch, the configuration within)."""
    made = program(c.Spectrograms(request.param, **OPTIONS), sounds)
    x = quick_jit(made.preprocess)(jnp.asarray(sounds.train.x[:4]), KEY)
    batch = Batch(x, jnp.asarray(sounds.train.y[:4]))
    first = quick_jit(made.model.init)(KEY, batch)
    return made, first, *quick_jit(made.model.train_step)(first, batch, KEY), batch, request.param


def test_a_step_is_that_of_the_model_within_on_standardised_spectra(one_step, sounds):
    _, first, state, info, batch, within = one_step
    of = standardised.frequencies(sounds.train.x, 32, 16)
    log_spectrum = quick_jit(standardised.log_spectrum, static_argnums=(1, 2))
    logarithms = np.asarray(log_spectrum(np.asarray(batch.x)[..., 0], 32, 16))
    # A GAN's pictures have three deviations as their 1, and end there; a VAE's have one, and no end.
    scaled = (logarithms - of.mean) / of.deviation
    picture = np.clip(scaled / 3, -1, 1) if within is INNER_GAN else scaled
    inner = build.model(within, (16, 16, 1), 2)
    expected, terms = quick_jit(inner.train_step)(first.pictured, Batch(jnp.asarray(picture)[..., None], batch.y), KEY)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5), state.pictured, expected)
    assert set(info) == {f"spectra/{name}" if name.endswith("_nats") else name for name in terms}
    assert int(state.step) == 1
    assert tree.digest(state.frequencies) == tree.digest(first.frequencies)  # nothing learns them


def test_samples_are_sounds_of_what_the_model_within_makes(one_step):
    made, _, state, _, _, within = one_step
    classes = 2 if within is INNER_VAE else 0
    bounds = (-1.0, 1.0) if within is INNER_GAN else (-np.inf, np.inf)
    setting = families.Setting((16, 16, 1), classes, bounds, None, lambda network: network, None, None)
    inner = (families.gan if within is INNER_GAN else families.vae)(within, setting)
    found = quick_jit(made.model.sample, static_argnums=2)(state, KEY, 3)
    picture = np.asarray(quick_jit(inner.sample, static_argnums=2)(state.pictured, KEY, 3))[..., 0]
    mean, deviation = map(np.asarray, state.frequencies)
    logarithms = picture * (3 if within is INNER_GAN else 1) * deviation + mean
    expected = quick_jit(standardised.wave, static_argnums=(1, 2))(logarithms, 16, 4)
    assert found.shape == (3, 256, 1)
    np.testing.assert_allclose(np.asarray(found)[..., 0], expected, atol=1e-3)


def test_the_state_brings_the_frequencies_where_the_data_are_absent(one_step):
    made, first, *_ = one_step
    other = build.model(made.experiment.model, (256, 1), 2)  # which knows no data
    one, two = (quick_jit(model.sample, static_argnums=2)(first, KEY, 2) for model in (made.model, other))
    np.testing.assert_array_equal(one, two)


def test_in_bfloat16_and_of_flows_it_is_what_the_model_within_is(sounds):
    for within in (INNER_GAN, INNER_VAE):
        made = program(c.Spectrograms(within, **OPTIONS), sounds, precision="bfloat16")
        state = jax.eval_shape(made.model.init, KEY, made.first_batch())
        new, _ = jax.eval_shape(made.model.train_step, state, made.first_batch(), KEY)
        assert new == state
    flow = replace(INNER_VAE, conditional=False, posterior=c.Planar(1))
    assert ranking.can_be_ranked(program(c.Spectrograms(INNER_VAE, **OPTIONS), sounds))
    assert not ranking.can_be_ranked(program(c.Spectrograms(flow, **OPTIONS), sounds))
    stamp = stamps.of_likelihood(program(c.Spectrograms(INNER_VAE, **OPTIONS), sounds))
    assert stamp == {"likelihood": c.member_to_dict(c.LearnedGaussian()), "spectra": {"n_fft": 32, "hop": 16}}


def test_sounds_of_another_length_are_refused(one_step):
    made = one_step[0]
    with pytest.raises(UserError, match=r"\[batch, 256, 1\] is declared"):
        made.model.init(KEY, Batch(jnp.zeros((2, 128, 1)), jnp.zeros(2, jnp.int32)))


def test_of_a_waves_likelihood_nothing_is_said(one_step):
    made, _, state, _, batch, within = one_step
    assert made.model.log_weights is made.model.log_likelihood is None
    held_out = quick_jit(made.model.evaluate)(state, batch, KEY)
    assert not [name for name in held_out if name.endswith("_nats") and not name.startswith("spectra/")]
    if within is INNER_VAE:
        assert held_out["spectra/elbo_nats"].shape == (4,)
        assert quick_jit(made.model.encode)(state, batch)[0].shape == (4, 4)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n_fft": 33}, "n_fft = 33 and hop = 16"),
        ({"hop": 48}, "n_fft = 32 and hop = 48"),
        ({"rounds": 0}, "rounds"),
        ({"pictured": c.VAE()}, "likelihood is Bernoulli, but spectra are real numbers"),
    ],
)
def test_what_cannot_be_is_refused(options, sentence):
    with pytest.raises(UserError, match=sentence):
        c.Spectrograms(**{"pictured": INNER_GAN} | OPTIONS | options)


def test_other_data_and_hops_that_leave_samples_over_are_refused(sounds):
    with pytest.raises(UserError, match="hop is 12, which does not divide the 256 samples"):
        program(c.Spectrograms(INNER_GAN, n_fft=32, hop=12), sounds)
    with pytest.raises(UserError, match="Spectrograms is of sounds, but the data are images"):
        program(c.Spectrograms(INNER_GAN), data.load("digits"))
    with pytest.raises(UserError, match=r"batch_size is 4, which packs of GAN\.packing = 3"):
        program(c.Spectrograms(c.GAN(c.MLP((8,)), packing=3), **OPTIONS), sounds)
