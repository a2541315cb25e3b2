"""Numbers that carry their protocol: what is measured, on what, and that the pieces add up to the whole."""

from __future__ import annotations

import functools
import json
import math
import shutil
from dataclasses import replace

import harness
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from gvlab import __version__, build, data, evaluate, loop, metrics, rng
from gvlab import config as c
from gvlab.build import Program
from gvlab.types import PyTree

PIXELS = 256  # of digits
EXAMPLES = 300  # in its test split


@functools.cache
def state(name: str) -> PyTree:
    return loop.restore(harness.program(name), harness.trained(name))


@functools.cache
def measures(name: str) -> evaluate.Measures:
    return evaluate.evaluate(harness.program(name), state(name))


def with_evaluation(program: Program, **fields: int) -> Program:
    evaluation = replace(program.experiment.evaluation, **fields)
    return replace(program, experiment=replace(program.experiment, evaluation=evaluation))


def with_seed(program: Program, seed: int) -> Program:
    return replace(program, experiment=replace(program.experiment, seed=seed))


# --- what is there ----------------------------------------------------------------------------------------------------


def test_the_measures_of_each_family():
    common = {"frechet_pixels", "kernel_pixels"}
    likelihoods = {"elbo_nats", "kl_nats", "reconstruction_nats", "bits_per_dim", "iw_bound_nats"}
    assert measures("vae").keys() == common | likelihoods
    assert measures("gan").keys() == common | {"d_loss", "real_logit", "fake_logit"}
    for name in measures("vae").keys() | measures("gan").keys():
        assert "fid" not in name.lower().split("_")
        assert "kid" not in name.lower().split("_")


@pytest.mark.parametrize("name", ["vae", "gan"])
def test_every_measure_carries_its_protocol(name):
    program = harness.program(name)
    for measure, found in measures(name).items():
        assert math.isfinite(found["value"]), measure
        stamp = found["stamp"]
        assert stamp["dataset"] == "digits"
        assert stamp["dataset_sha256"] == program.dataset.checksum == data.load("digits").checksum
        assert stamp["split"] == "test"
        assert stamp["examples"] == EXAMPLES
        assert stamp["step"] == 100
        assert stamp["seed"] == 0
        assert stamp["gvlab"] == __version__
        if measure in ("frechet_pixels", "kernel_pixels"):
            assert stamp["features"] == "pixels"
            assert stamp["generated"] == 64
            assert stamp["samples"] == {"vae": "mean of p(x|z)", "gan": "generator"}[name]
            assert stamp["quantization"] == "none"
        else:
            assert stamp["quantization"] == program.experiment.data.quantization
            assert found["standard_error"] > 0
        assert stamp.get("k") == (7 if measure == "iw_bound_nats" else None)
    if name == "vae":
        assert measures(name)["elbo_nats"]["stamp"]["latent_samples"] == 1
        assert measures(name)["bits_per_dim"]["stamp"]["bound"] == "elbo"
    json.dumps(measures(name), allow_nan=False)


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
    assert evaluate._mean(values, {}) == {
        "value": 3.0,
        "standard_error": pytest.approx(math.sqrt(14 / 3 / 4)),
        "stamp": {},
    }
    assert evaluate._mean(values[:1], {})["standard_error"] is None


def test_the_bound_in_pieces_is_the_bound_of_all_samples_at_once(monkeypatch):
    monkeypatch.setattr(evaluate, "ROWS", 2 * EXAMPLES)  # two samples per call: 2 + 2 + 2 + 1
    program, key = harness.program("vae"), jax.random.key(3)
    found = evaluate._bound(program, state("vae"), key)["iw_bound_nats"]

    batch = evaluate._preprocessor(program)(evaluate.Batch(program.dataset.test.x, program.dataset.test.y), 0)
    folded = jax.random.fold_in(key, 0)
    log_weights = np.concatenate(
        [
            program.model.log_weights(state("vae"), batch, jax.random.fold_in(folded, i), size)
            for i, size in enumerate((2, 2, 2, 1))
        ]
    ).astype(np.float64)
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
    whole = evaluate._held_out(harness.program("gan"), state("gan"), jax.random.key(0))
    monkeypatch.setattr(evaluate, "BATCH", 128)
    batches = list(evaluate._test_batches(harness.program("gan")))
    assert [(number, counted, len(batch.x)) for number, counted, batch in batches] == [
        (0, 128, 128),
        (1, 128, 128),
        (2, 44, 128),
    ]
    seen = np.concatenate([batch.x[:counted] for _, counted, batch in batches])
    assert np.array_equal(seen, harness.program("gan").dataset.test.x)
    pieces = evaluate._held_out(harness.program("gan"), state("gan"), jax.random.key(0))
    # The discriminator's view of real examples has no noise in it.
    assert pieces["real_logit"]["value"] == pytest.approx(whole["real_logit"]["value"], rel=1e-5)
    assert pieces["real_logit"]["standard_error"] == pytest.approx(whole["real_logit"]["standard_error"], rel=1e-4)


def test_the_binarised_test_set_is_the_same_for_every_seed():
    program = harness.program("vae")
    split = evaluate.Batch(program.dataset.test.x, program.dataset.test.y)
    first, second = (np.asarray(evaluate._preprocessor(with_seed(program, seed))(split, 0).x) for seed in (0, 1))
    assert np.array_equal(first, second)
    assert set(np.unique(first)) == {0, 1}
    intensity = program.dataset.test.x / 255
    assert abs(first.mean() - intensity.mean()) < 5 * math.sqrt((intensity * (1 - intensity)).sum()) / first.size
    # Another seed draws other latents, which the KL does not depend on.
    other = evaluate._held_out(with_seed(program, 1), state("vae"), jax.random.key(9))
    assert other["kl_nats"]["value"] == measures("vae")["kl_nats"]["value"]
    assert other["reconstruction_nats"]["value"] != measures("vae")["reconstruction_nats"]["value"]


@pytest.mark.parametrize(
    ("likelihood", "quantization", "offset"),
    [
        (c.Bernoulli(), "binarize", 0.0),
        (c.Bernoulli(), "none", None),
        (c.Bernoulli(), "dequantize", None),
        (c.DiscretizedLogistic(), "none", 0.0),
        (c.Categorical(), "none", 0.0),
        (c.Categorical(levels=2), "binarize", 0.0),
        (c.Gaussian(), "dequantize", 8.0),
        (c.Gaussian(), "none", None),
        (c.Gaussian(), "binarize", None),
        (c.LearnedGaussian(), "dequantize", 8.0),
        (c.LearnedGaussian(), "none", None),
    ],
)
def test_bits_per_dimension_exist_only_for_a_likelihood_of_the_data(likelihood, quantization, offset):
    experiment = c.Experiment(
        "x", c.VAE(c.MLP(), likelihood=likelihood), steps=1, data=c.Data(quantization=quantization)
    )
    assert evaluate.bits_per_dim_offset(build.program(experiment, harness.program("vae").dataset)) == offset


def test_a_gan_and_points_have_no_bits_per_dimension():
    assert evaluate.bits_per_dim_offset(harness.program("gan")) is None
    points = c.Experiment("x", c.VAE(c.MLP(), likelihood=c.Gaussian()), steps=1, data=c.Data("ring"))
    assert evaluate.bits_per_dim_offset(build.program(points, data.load("ring"))) is None


def test_eight_bits_make_a_density_one_of_levels():
    """A uniform density of dequantised 8-bit images says nothing about them: 8 bits per dimension."""
    uniform_density_in_bits = 0.0
    experiment = c.Experiment("x", c.VAE(c.MLP(), likelihood=c.Gaussian()), 1, c.Data(quantization="dequantize"))
    program = build.program(experiment, harness.program("vae").dataset)
    x = np.asarray(program.preprocess(jnp.asarray(program.dataset.test.x), jax.random.key(0)))
    assert 0 <= x.min() < x.max() < 1
    assert (np.abs(256 * x - program.dataset.test.x - 0.5) <= 0.5 + 1e-4).all()  # each level its own 256th
    assert uniform_density_in_bits + evaluate.bits_per_dim_offset(program) == math.log2(256)


# --- distances --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vae", "gan"])
def test_the_distances_are_those_of_the_samples(name, monkeypatch):
    monkeypatch.setattr(evaluate, "BATCH", 24)  # 64 samples as 24 + 24 + 16 of 24
    program, key = harness.program(name), jax.random.key(5)
    found = evaluate._distances(program, state(name), key)
    pieces = [program.model.sample(state(name), jax.random.fold_in(key, i), 24) for i in range(3)]
    generated = np.concatenate([np.asarray(program.to_unit(piece)) for piece in pieces])[:64].reshape(64, PIXELS)
    assert generated.min() >= 0
    assert generated.max() <= 1
    real = program.dataset.test.x.reshape(EXAMPLES, PIXELS).astype(np.float32) / 255
    frechet = metrics.frechet_distance(metrics.moments(generated), metrics.moments(real))
    assert found["frechet_pixels"]["value"] == pytest.approx(frechet, rel=1e-4)
    assert found["kernel_pixels"]["value"] == pytest.approx(metrics.polynomial_mmd2(generated, real), rel=1e-3)


# --- evaluation.json --------------------------------------------------------------------------------------------------


def test_what_was_measured_is_read_again_only_under_the_same_protocol(tmp_path, monkeypatch):
    program, trained = harness.program("vae"), state("vae")
    assert evaluate.read(tmp_path, program, trained) is None
    file = evaluate.write(tmp_path, program, trained, measures("vae"))
    assert file == tmp_path / "evaluation.json"
    assert evaluate.read(tmp_path, program, trained) == measures("vae")
    assert evaluate.read(tmp_path, program, trained.replace(step=trained.step + 1)) is None
    assert evaluate.read(tmp_path, with_evaluation(program, k=8), trained) is None
    assert evaluate.read(tmp_path, with_evaluation(program, samples=65), trained) is None
    assert evaluate.read(tmp_path, with_seed(program, 1), trained) is None
    assert evaluate.read(tmp_path, replace(program, dataset=replace(program.dataset, checksum="0")), trained) is None
    monkeypatch.setattr(evaluate, "__version__", "0.0.0")
    assert evaluate.read(tmp_path, program, trained) is None


def test_the_command_measures_writes_and_prints(tmp_path, capsys):
    made = tmp_path / "vae" / "seed-0"
    shutil.copytree(harness.trained("vae"), made)
    config = (made / "config.json").read_text()
    assert harness.call("evaluate", made) == 0
    out = capsys.readouterr().out
    written = json.loads((made / "evaluation.json").read_text())
    assert written["measures"] == measures("vae")  # measured twice: every number is the same
    assert out.strip().endswith(str(made / "evaluation.json"))
    for name, measure in measures("vae").items():
        row = next(line for line in out.splitlines() if line.startswith(name + " "))
        assert f"{measure['value']:.4g}" in row
        assert "split test, examples 300" in row

    assert harness.call("evaluate", made, "--k", 2, "--samples", 50) == 0
    written = json.loads((made / "evaluation.json").read_text())
    assert written["protocol"]["evaluation"] == {"samples": 50, "k": 2}
    assert written["measures"]["iw_bound_nats"]["stamp"]["k"] == 2
    assert written["measures"]["frechet_pixels"]["stamp"]["generated"] == 50
    assert written["measures"]["kl_nats"] == measures("vae")["kl_nats"]
    assert (made / "config.json").read_text() == config  # the run's own protocol stays


def test_the_noise_of_a_measurement_belongs_to_the_seed():
    key = rng.stream(rng.root(0), rng.EVALUATE, 0)
    again = evaluate._distances(harness.program("gan"), state("gan"), jax.random.fold_in(key, 2))
    assert again["frechet_pixels"] == measures("gan")["frechet_pixels"]
    other = evaluate._distances(harness.program("gan"), state("gan"), jax.random.fold_in(key, 3))
    assert other["frechet_pixels"]["value"] != measures("gan")["frechet_pixels"]["value"]
