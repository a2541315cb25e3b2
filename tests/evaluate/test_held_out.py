"""Likelihoods, their bounds and latents of held-out examples: the pieces add up to the whole."""

from __future__ import annotations

import math
import os
from dataclasses import replace

import harness
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from measured import EXAMPLES, PIXELS, measures, state, with_seed
from scipy.special import logsumexp

from gvlab import build, data, metrics
from gvlab import config as c
from gvlab.evaluate import bounds as held_out_bounds
from gvlab.evaluate import held_out
from gvlab.evaluate import latents as latent_measures


@pytest.fixture(autouse=True, scope="module")
def cache():
    """Reference features go where those of the command line go in tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", os.environ["GVLAB_TESTS_CACHE"])
        yield


# --- likelihoods ------------------------------------------------------------------------------------------------------


def test_the_elbo_is_reconstruction_less_kl():
    found = {name: measure["value"] for name, measure in measures("vae").items()}
    assert found["elbo_nats"] == pytest.approx(found["reconstruction_nats"] - found["kl_nats"], rel=1e-6)
    assert found["kl_nats"] > 0
    assert found["bits_per_dim"] == pytest.approx(-found["elbo_nats"] / (PIXELS * math.log(2)), rel=1e-6)
    assert measures("vae")["bits_per_dim"]["standard_error"] == pytest.approx(
        measures("vae")["elbo_nats"]["standard_error"] / (PIXELS * math.log(2)), rel=1e-5
    )
    errors = math.hypot(
        measures("vae")["elbo_nats"]["standard_error"], measures("vae")["iw_bound_nats"]["standard_error"]
    )
    assert found["iw_bound_nats"] > found["elbo_nats"] - 5 * errors


def test_the_mean_and_its_standard_error():
    values = np.array([1, 2, 3, 6], np.float32)
    assert held_out.mean(values, k=7) == {
        "value": 3.0,
        "standard_error": pytest.approx(math.sqrt(14 / 3 / 4)),
        "stamp": {"k": 7},
    }
    assert held_out.mean(values[:1])["standard_error"] is None


def test_the_bound_in_pieces_is_the_bound_of_all_samples_at_once(monkeypatch):
    assert held_out_bounds.ROWS // EXAMPLES == 3  # samples per call: 3 + 3 + 1
    monkeypatch.setattr(held_out_bounds, "AT_ONCE", 2)  # calls under way
    program, key = harness.program("vae"), jax.random.key(3)
    found = held_out_bounds.bound(program, state("vae"), key)["iw_bound_nats"]

    ((_, _, batch),) = held_out.test_batches(program)
    folded = jax.random.fold_in(key, 0)
    draw = jax.jit(program.model.log_weights, static_argnums=3)
    pieces = [draw(state("vae"), batch, jax.random.fold_in(folded, i), size) for i, size in enumerate((3, 3, 1))]
    log_weights = np.concatenate(pieces).astype(np.float64)
    assert log_weights.shape == (7, EXAMPLES)
    bounds = logsumexp(log_weights, axis=0) - math.log(7)  # Burda et al. 2016, equation 8
    assert found["value"] == pytest.approx(bounds.mean(), rel=1e-6)
    assert found["standard_error"] == pytest.approx(bounds.std(ddof=1) / math.sqrt(EXAMPLES), rel=1e-5)

    # One sample makes the bound an estimate of the ELBO; more samples raise it. The same examples: compare in pairs.
    single = log_weights[0]
    error = (single - bounds).std(ddof=1) / math.sqrt(EXAMPLES)
    assert (bounds - single).mean() > 2 * error
    elbo = measures("vae")["elbo_nats"]
    assert abs(single.mean() - elbo["value"]) < 5 * elbo["standard_error"]


def test_padding_of_the_last_batch_does_not_count(monkeypatch):
    """300 examples in pieces of 128: 84 rows of the last one are padding."""
    whole = held_out.held_out(harness.program("gan"), state("gan"), jax.random.key(0))
    monkeypatch.setattr(held_out, "BATCH", 128)
    batches = list(held_out.test_batches(harness.program("gan")))
    assert [(number, counted, len(batch.x)) for number, counted, batch in batches] == [
        (0, 128, 128),
        (1, 128, 128),
        (2, 44, 128),
    ]
    seen = np.concatenate([batch.x[:counted] for _, counted, batch in batches])
    stored = np.round((seen + 1) * 127.5)  # as a GAN sees it
    assert np.array_equal(stored, harness.program("gan").dataset.test.x)
    pieces = held_out.held_out(harness.program("gan"), state("gan"), jax.random.key(0))
    # The discriminator's view of real examples has no noise in it.
    assert pieces["real_logit"]["value"] == pytest.approx(whole["real_logit"]["value"], rel=1e-5)
    assert pieces["real_logit"]["standard_error"] == pytest.approx(whole["real_logit"]["standard_error"], rel=1e-4)


def test_the_binarised_test_set_is_the_same_for_every_seed():
    program = harness.program("vae")
    first, second = (np.asarray(next(held_out.test_batches(with_seed(program, seed)))[2].x) for seed in (0, 1))
    assert np.array_equal(first, second)
    assert set(np.unique(first)) == {0, 1}
    intensity = program.dataset.test.x / 255
    assert abs(first.mean() - intensity.mean()) < 5 * math.sqrt((intensity * (1 - intensity)).sum()) / first.size
    # Another seed draws other latents, which the KL does not depend on.
    other = held_out.held_out(with_seed(program, 1), state("vae"), jax.random.key(9))
    assert other["kl_nats"]["value"] == measures("vae")["kl_nats"]["value"]
    assert other["reconstruction_nats"]["value"] != measures("vae")["reconstruction_nats"]["value"]


@pytest.mark.parametrize(
    ("observed", "quantization", "offset"),
    [
        (c.Bernoulli(), "binarize", 0.0),
        (c.Bernoulli(), "none", None),
        (c.Bernoulli(), "dequantize", None),
        (c.DiscretizedLogistic(), "none", 0.0),
        (c.MixtureOfLogistics(), "none", 0.0),
        (c.Categorical(), "none", 0.0),
        (c.Categorical(levels=2), "binarize", 0.0),
        (c.Gaussian(), "dequantize", 8.0),
        (c.Gaussian(), "none", None),
        (c.Gaussian(), "binarize", None),
        (c.LearnedGaussian(), "dequantize", 8.0),
        (c.LearnedGaussian(), "none", None),
        (c.SharedGaussian(), "dequantize", 8.0),
    ],
)
def test_bits_per_dimension_exist_only_for_a_likelihood_of_the_data(observed, quantization, offset):
    experiment = c.Experiment("x", c.VAE(c.MLP(), likelihood=observed), steps=1, data=c.Data(quantization=quantization))
    assert held_out.bits_per_dim_offset(build.program(experiment, harness.program("vae").dataset)) == offset


def test_a_gan_and_points_have_no_bits_per_dimension():
    assert held_out.bits_per_dim_offset(harness.program("gan")) is None
    points = c.Experiment("x", c.VAE(c.MLP(), likelihood=c.Gaussian()), steps=1, data=c.Data("ring"))
    assert held_out.bits_per_dim_offset(build.program(points, data.load("ring"))) is None


def test_eight_bits_make_a_density_one_of_levels():
    """A uniform density of dequantised 8-bit images says nothing about them: 8 bits per dimension."""
    uniform_density_in_bits = 0.0
    experiment = c.Experiment("x", c.VAE(c.MLP(), likelihood=c.Gaussian()), 1, c.Data(quantization="dequantize"))
    program = build.program(experiment, harness.program("vae").dataset)
    x = np.asarray(program.preprocess(jnp.asarray(program.dataset.test.x), jax.random.key(0)))
    assert 0 <= x.min() < x.max() < 1
    assert (np.abs(256 * x - program.dataset.test.x - 0.5) <= 0.5 + 1e-4).all()  # each level its own 256th
    assert uniform_density_in_bits + held_out.bits_per_dim_offset(program) == math.log2(256)


# --- latents ----------------------------------------------------------------------------------------------------------


def test_the_latents_are_those_of_the_test_split(monkeypatch):
    program, key = harness.program("vae"), jax.random.key(3)
    ((_, _, batch),) = held_out.test_batches(program)
    means, logvars = (np.asarray(part) for part in program.model.encode(state("vae"), batch))
    found = latent_measures.latents(program, state("vae"), key)
    surgery = metrics.elbo_surgery(key, means, logvars)
    assert found["active_units"]["value"] == metrics.active_units(means) > 0
    assert found["collapsed_units"]["value"] == metrics.collapsed_units(means, logvars).sum()
    assert found["active_units"]["stamp"] == {"latents": 4, "threshold": 0.01}
    for name in ("mutual_information_nats", "marginal_kl_nats"):
        assert found[name]["value"] == pytest.approx(getattr(surgery, name), abs=1e-4)
        assert found[name]["standard_error"] == pytest.approx(surgery.standard_error_nats, rel=1e-3)
    both = sum(measures("vae")[name]["value"] for name in ("mutual_information_nats", "marginal_kl_nats"))
    assert both == pytest.approx(measures("vae")["kl_nats"]["value"], rel=1e-5)

    monkeypatch.setattr(held_out, "BATCH", 128)  # whose padding does not count; one posterior differs by its noise
    pieces = latent_measures.latents(program, state("vae"), key)
    assert pieces["active_units"] == found["active_units"]
    assert pieces["mutual_information_nats"]["stamp"] == found["mutual_information_nats"]["stamp"]


def test_a_collapsed_posterior_is_said_to_be_one():
    """An encoder without weights tells nothing of x; one that tells all is at the limit of its examples."""
    program, key = harness.program("vae"), jax.random.key(3)
    zero = program.model._replace(encode=lambda state, batch: (jnp.zeros((len(batch.x), 4)),) * 2)
    found = latent_measures.latents(replace(program, model=zero), state("vae"), key)
    assert (found["active_units"]["value"], found["collapsed_units"]["value"]) == (0, 4)
    assert "collapsed" in found["collapsed_units"]["stamp"]["warning"]
    assert abs(found["mutual_information_nats"]["value"]) < 1e-6

    def tell(state, batch):
        return jnp.arange(len(batch.x), dtype=jnp.float32)[:, None] * jnp.ones((1, 4)), jnp.full(
            (len(batch.x), 4), -9.0
        )

    found = latent_measures.latents(replace(program, model=program.model._replace(encode=tell)), state("vae"), key)
    assert found["mutual_information_nats"]["value"] == pytest.approx(math.log(EXAMPLES), rel=1e-3)
    assert "log(300) = 5.70 nats" in found["mutual_information_nats"]["stamp"]["warning"]
    assert "warning" not in found["collapsed_units"]["stamp"]
