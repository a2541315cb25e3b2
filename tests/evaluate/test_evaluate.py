"""Numbers that carry their protocol: what is measured, on what, and that the pieces add up to the whole."""

from __future__ import annotations

import functools
import json
import math
import os
import shutil
from dataclasses import replace
from typing import Any

import harness
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from scipy.special import logsumexp

from gvlab import __version__, build, data, evaluate, losses, metrics, parallel, rng
from gvlab import config as c
from gvlab.build import Program
from gvlab.cli import evaluate as cli
from gvlab.compare import numbers
from gvlab.evaluate import annealing, held_out, sampling, stamps, usual
from gvlab.evaluate import bounds as held_out_bounds
from gvlab.evaluate import features as feature_sets
from gvlab.evaluate import latents as latent_measures
from gvlab.evaluate.measure import _distances
from gvlab.extractors import catalogue
from gvlab.extractors import extractor as features
from gvlab.train import loop
from gvlab.types import Batch, Diverged, PyTree, UserError

PIXELS = 256  # of digits
EXAMPLES = 300  # in its test split
CLASSIFIER = features.small("digits").name


@pytest.fixture(autouse=True, scope="module")
def cache():
    """Reference features go where those of the command line go in tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", os.environ["GVLAB_TESTS_CACHE"])
        yield


@functools.cache
def state(name: str) -> PyTree:
    return loop.restore(harness.program(name), harness.trained(name))


@functools.cache
def measures(name: str) -> evaluate.Measures:
    return evaluate.evaluate(harness.program(name), state(name))


def with_evaluation(program: Program, **fields: Any) -> Program:
    evaluation = replace(program.experiment.evaluation, **fields)
    return replace(program, experiment=replace(program.experiment, evaluation=evaluation))


def with_seed(program: Program, seed: int) -> Program:
    return replace(program, experiment=replace(program.experiment, seed=seed))


# --- what is there ----------------------------------------------------------------------------------------------------


def test_the_measures_of_each_family():
    shares = ("precision", "recall", "density", "coverage")
    common = {f"{kind}_{name}" for name in ("pixels", CLASSIFIER) for kind in shares}
    common |= {"frechet_pixels", "kernel_pixels", f"fld_{CLASSIFIER}", f"kld_{CLASSIFIER}"}
    likelihoods = {"elbo_nats", "kl_nats", "reconstruction_nats", "bits_per_dim", "iw_bound_nats"}
    latents = {"active_units", "collapsed_units", "mutual_information_nats", "marginal_kl_nats"}
    assert measures("vae").keys() == common | likelihoods | latents
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
        neighbours = measure.startswith(("precision", "recall", "density", "coverage"))  # in equal numbers
        assert stamp["examples"] == (64 if neighbours else EXAMPLES)
        assert stamp["step"] == 100
        assert stamp["seed"] == 0
        assert stamp["gvlab"] == __version__
        if measure.endswith(("_pixels", f"_{CLASSIFIER}")):
            extractor = features.pixels() if measure.endswith("_pixels") else features.small("digits")
            assert stamp["features"] == extractor.name
            assert stamp["features_sha256"] == extractor.sha256
            assert stamp["preprocessing"] == extractor.preprocessing
            assert stamp["generated"] == 64
            assert "likelihood" not in stamp
            assert stamp["samples"] == {"vae": "mean of p(x|z)", "gan": "generator"}[name]
            assert stamp["quantization"] == "none"
        else:
            assert stamp["quantization"] == program.experiment.data.quantization
            assert (stamp.get("likelihood") == {"type": "Bernoulli"}) == (name == "vae")
            assert measure.endswith("_units") or found["standard_error"] > 0
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
        (c.Categorical(), "none", 0.0),
        (c.Categorical(levels=2), "binarize", 0.0),
        (c.Gaussian(), "dequantize", 8.0),
        (c.Gaussian(), "none", None),
        (c.Gaussian(), "binarize", None),
        (c.LearnedGaussian(), "dequantize", 8.0),
        (c.LearnedGaussian(), "none", None),
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


# --- distances --------------------------------------------------------------------------------------------------------


def eight_bits(program: Program, x: Any) -> np.ndarray:
    """Generated images as they would be stored."""
    return np.round(np.clip(np.asarray(program.to_unit(x)), 0, 1) * 255).astype(np.uint8)


@pytest.mark.parametrize("name", ["vae", "gan"])
def test_the_distances_are_those_of_the_samples(name, monkeypatch):
    monkeypatch.setattr(feature_sets, "BATCH", 24)  # 64 samples as 24 + 24 + 16 of 24
    program, key = harness.program(name), jax.random.key(5)
    found = _distances(program, state(name), key, [features.pixels()], ("frechet", "kernel"))
    sample = jax.jit(program.model.sample, static_argnums=2)
    pieces = [sample(state(name), jax.random.fold_in(key, i), 24) for i in range(3)]
    generated = np.concatenate([eight_bits(program, piece) for piece in pieces])[:64]
    assert generated.std() > 5
    x, real = (images.reshape(-1, PIXELS).astype(np.float32) / 255 for images in (generated, program.dataset.test.x))
    assert real.shape == (EXAMPLES, PIXELS)
    frechet = metrics.frechet_distance(metrics.moments(x), metrics.moments(real))
    # A pixel that lies between two levels may be rounded to the other one: compiled code adds in another order.
    assert found["frechet_pixels"]["value"] == pytest.approx(frechet, rel=1e-4)
    assert found["kernel_pixels"]["value"] == pytest.approx(metrics.polynomial_mmd2(x, real), rel=1e-3)


@pytest.mark.parametrize("name", ["vae", "gan"])
def test_four_devices_make_the_examples_of_one(name, monkeypatch):
    """64 over four devices, and 63 over three; the numbers do not depend on it."""
    program, key = harness.program(name), jax.random.key(5)
    (split,) = sampling.generate(program, state(name), key)
    assert split.dtype == jnp.uint8
    assert len(split.sharding.device_set) == jax.device_count() == 4
    (odd,) = sampling.generate(with_evaluation(program, samples=63), state(name), key)
    assert len(odd.sharding.device_set) == 3
    kinds = evaluate.extractors_of(program.experiment.evaluation, program.dataset), ("frechet", "kernel", "prdc")
    several = _distances(program, state(name), key, *kinds)

    monkeypatch.setattr(parallel, "devices_for", lambda size: jax.devices()[:1])
    sampling._sampler.cache_clear()
    (alone,) = sampling.generate(program, state(name), key)
    assert len(alone.sharding.device_set) == 1
    # Sums in another order round one pixel in a thousand to its other level, at most.
    assert np.abs(np.asarray(split, int) - np.asarray(alone, int)).max() <= 1
    assert (np.asarray(split) != np.asarray(alone)).mean() < 1e-3
    one = _distances(program, state(name), key, *kinds)
    sampling._sampler.cache_clear()
    assert one.keys() == several.keys()
    for measure, found in one.items():
        assert found["stamp"] == several[measure]["stamp"]
        assert found["value"] == pytest.approx(several[measure]["value"], rel=1e-3), measure


def test_what_is_asked_for_is_measured_and_nothing_else():
    program = with_evaluation(harness.program("gan"), features=("pixels",), measures=("vendi", "memorisation"))
    found = evaluate.evaluate(program, state("gan"))
    asked = {f"{kind}_pixels" for kind in ("vendi", "memorisation", "memorisation_of_real")}
    assert found.keys() == asked | {"d_loss", "real_logit", "fake_logit"}
    # With what a user made, instead of what the experiment names.
    means = lambda x: x.astype(jnp.float32).mean((1, 2, 3), keepdims=True)[:, :, 0, 0]  # noqa: E731
    mine = features.from_function("means", means, version="1")
    found = evaluate.evaluate(with_evaluation(program, measures=("frechet",)), state("gan"), [mine])
    assert found.keys() == {"frechet_means", "d_loss", "real_logit", "fake_logit"}
    assert found["frechet_means"]["stamp"]["features"] == "means"
    other = found["frechet_means"]["stamp"] | {
        "preprocessing": features.from_function("means", means, "2").preprocessing
    }
    assert evaluate.difference(found["frechet_means"]["stamp"], other).field == "preprocessing"


def test_the_training_split_may_be_compared_with():
    program, key = with_evaluation(harness.program("gan"), split="train", measures=("frechet",)), jax.random.key(5)
    found = _distances(program, state("gan"), key, [features.pixels()], ("frechet",))["frechet_pixels"]
    (generated,) = (np.asarray(x) for x in sampling.generate(program, state("gan"), key))
    x, real = (images.reshape(len(images), -1) / np.float32(255) for images in (generated, program.dataset.train.x))
    expected = metrics.frechet_distance(metrics.moments(x), metrics.moments(real))
    assert found["value"] == pytest.approx(expected, rel=1e-5)
    assert (found["stamp"]["split"], found["stamp"]["examples"]) == ("train", 1497)


def test_two_seeds_compile_once():
    """Every function of the model is traced for the first and used again for the second."""
    traces = []

    def counted(name, function):
        def called(*args):
            traces.append(name)
            return function(*args)

        return called

    program = harness.program("vae")
    names = ("sample", "evaluate", "encode", "log_weights")
    model = program.model._replace(**{name: counted(name, getattr(program.model, name)) for name in names})
    program = with_evaluation(replace(program, model=model), measures=("frechet",), k=6)  # of which 3 at a time
    first = evaluate.evaluate(program, state("vae"))
    assert sorted(traces) == ["encode", "evaluate", "log_weights", "sample"]
    other = evaluate.evaluate(with_seed(program, 1), state("vae"))
    assert len(traces) == 4
    assert first["frechet_pixels"]["value"] != other["frechet_pixels"]["value"]


def test_a_measure_that_is_no_number_is_a_divergence():
    program = harness.program("gan")
    broken = jax.tree.map(lambda leaf: leaf * jnp.nan if leaf.dtype == jnp.float32 else leaf, state("gan"))
    with pytest.raises(Diverged, match="At step 100 the measure d_loss on the test split is nan"):
        evaluate.evaluate(program, broken)


def test_generated_values_that_are_no_numbers_are_a_divergence():
    """Half of the images; stored in 8 bits they would be black, and measured as if nothing were wrong."""
    program = with_evaluation(harness.program("gan"), measures=("frechet",))

    def sick(state, key, n):
        x = program.model.sample(state, key, n)
        return jnp.where(jnp.arange(n)[:, None, None, None] % 2 == 0, jnp.nan, x)

    sickly = replace(program, model=program.model._replace(sample=sick))
    with pytest.raises(Diverged, match=r"^At step 100 a generated value is not finite\.$"):
        evaluate.evaluate(sickly, state("gan"))


def test_values_outside_the_range_are_clipped_and_said_to_be():
    program, key = harness.program("gan"), jax.random.key(5)
    ask = [features.pixels()], ("frechet", "vendi")
    inside = _distances(program, state("gan"), key, *ask)
    assert not any("clipped_share" in one["stamp"] for one in inside.values())
    far = program.model._replace(sample=lambda state, key, n: 50 * program.model.sample(state, key, n))
    (x,) = [
        np.asarray(50 * jax.jit(program.model.sample, static_argnums=2)(state("gan"), jax.random.fold_in(key, 0), 64))
    ]
    for one in _distances(replace(program, model=far), state("gan"), key, *ask).values():
        assert one["stamp"]["clipped_share"] == pytest.approx((np.abs(x) > 1).mean(), abs=1e-2)
        warning = one["stamp"]["warning"]
        assert "64 ex" in warning  # the measure's own
        assert warning.endswith("of the generated values lay outside the range of the data, and were clipped")
    assert evaluate.difference(one["stamp"], inside["vendi_pixels"]["stamp"]) is None


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


# --- annealed importance sampling -------------------------------------------------------------------------------------


AIS = {"examples": 12, "chains": 8, "temperatures": 60, "leapfrog_steps": 2}


@pytest.fixture
def few_chains(monkeypatch):
    """A quick protocol, in the loop that compiles in half the time (test_ais.py shows that both agree)."""
    monkeypatch.setattr(annealing, "AIS", AIS)
    monkeypatch.setattr(annealing, "AIS_BATCH", 5)
    monkeypatch.setattr(metrics, "loop_temperatures", metrics.scan_temperatures)


def test_annealing_agrees_with_the_bound_of_many_samples(few_chains):
    """Both are lower bounds on the mean of log p(x); on four latents both are tight."""
    program = harness.program("vae")
    runs = [annealing.annealed(program, state("vae"), jax.random.key(seed))["ais_bound_nats"] for seed in range(5)]
    for run in runs:
        assert AIS.items() <= run["stamp"].items()
        assert 1 <= run["stamp"]["median_effective_chains"] <= 8
    found = np.array([run["value"] for run in runs])

    _, _, batch = next(held_out.test_batches(program))
    few = jax.tree.map(lambda leaf: leaf[:12], batch)
    log_weights = jax.jit(program.model.log_weights, static_argnums=3)(state("vae"), few, jax.random.key(1), 5_000)
    log_weights = np.asarray(log_weights, np.float64)
    bounds = logsumexp(log_weights, axis=0) - math.log(len(log_weights))
    # The error of the log of a mean is the relative error of the mean; the examples' errors are independent.
    weights = np.exp(log_weights - log_weights.max(0)[None])
    errors = weights.std(0) / weights.mean(0) / math.sqrt(len(weights))
    error = math.hypot(found.std(ddof=1) / math.sqrt(len(found)), np.linalg.norm(errors) / len(errors))
    assert abs(found.mean() - bounds.mean()) < 5 * error
    assert runs[0]["standard_error"] == pytest.approx(bounds.std(ddof=1) / math.sqrt(12), rel=0.2)  # over examples


def test_annealing_is_asked_for_by_name_and_carries_its_protocol(few_chains, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cli, "trained", lambda run: (harness.program("vae"), state("vae")))
    made = tmp_path / "vae" / "seed-0"
    shutil.copytree(harness.trained("vae"), made)
    assert harness.call("evaluate", made, "--metrics", "ais") == 0
    written = json.loads((made / "evaluation.json").read_text())["measures"]
    assert "ais_bound_nats" not in measures("vae")
    assert written.keys() == {name for name in measures("vae") if name.endswith(("_nats", "_dim", "_units"))} | {
        "ais_bound_nats"
    }
    assert annealing.PILOT.items() <= written["ais_bound_nats"]["stamp"].items()
    stamp = written["ais_bound_nats"]["stamp"]
    # Its examples are the first of the test split, so few of them that the stamp must say it.
    assert AIS.items() <= stamp.items()
    assert (stamp["dataset"], stamp["split"], stamp["seed"], stamp["step"]) == ("digits", "test", 0, 100)
    assert stamp["likelihood"] == {"type": "Bernoulli"}
    assert "chains 8" in capsys.readouterr().out


LATENT, WIDTH, VARIANCE = 3, 6, 0.4
LINEAR_STATE = {
    "w": np.random.RandomState(0).standard_normal((LATENT, WIDTH)).astype(np.float32),
    "c": np.random.RandomState(1).standard_normal(WIDTH).astype(np.float32),
}


@functools.cache
def linear_gan() -> Program:
    """x = W z + c + noise, of which log p(x) is known; the test split is of this model."""
    random = np.random.RandomState(2)
    x = random.standard_normal((100, LATENT)) @ LINEAR_STATE["w"] + LINEAR_STATE["c"][None]
    x = (x + math.sqrt(VARIANCE) * random.standard_normal(x.shape)).astype(np.float32)
    experiment = c.Experiment(
        "linear",
        c.GAN(c.MLP(hidden=(4,)), latent_dim=LATENT),
        steps=1,
        data=c.Data("ring"),
        evaluation=c.Evaluation(ais_variance=VARIANCE),
    )
    program = build.program(replace(experiment, batch_size=8), data.from_arrays("linear", x[:50], x[50:]))
    decode = lambda state, z, y=None: z @ state["w"] + state["c"][None]  # noqa: E731
    return replace(program, model=program.model._replace(decode=decode))


def test_a_gan_with_noise_is_annealed_to_the_truth(few_chains, monkeypatch):
    """12 examples in batches of 5: the mean of log p(x) is exact, and the bound below it by no more than the gap."""
    heard = []
    listen = lambda *batch: heard.append(batch)  # noqa: E731
    runs = [
        annealing.annealed(linear_gan(), LINEAR_STATE, jax.random.key(seed), listen)["ais_bound_nats"]
        for seed in range(5)
    ]
    gap = annealing.annealing_gap(linear_gan(), LINEAR_STATE, jax.random.key(9), listen)["ais_gap_nats"]
    assert heard == [("ais", i, 3) for i in (1, 2, 3)] * 5 + [("ais_gap", i, 3) for i in (1, 2, 3)]

    covariance = LINEAR_STATE["w"].T @ LINEAR_STATE["w"] + VARIANCE * np.eye(WIDTH)
    exact = scipy.stats.multivariate_normal(LINEAR_STATE["c"], covariance).logpdf(linear_gan().dataset.test.x[:12])
    found = np.array([run["value"] for run in runs])
    error = found.std(ddof=1) / math.sqrt(len(found))
    deficit = exact.mean() - found.mean()
    assert -4 * error < deficit < gap["value"] + 4 * math.hypot(error, gap["standard_error"])
    assert gap["value"] > -3 * gap["standard_error"]
    assert runs[0]["standard_error"] == pytest.approx(exact.std(ddof=1) / math.sqrt(12), rel=0.2)  # over examples
    for one in (runs[0], gap):
        assert AIS.items() <= one["stamp"].items()
        assert one["stamp"]["likelihood"] == {"type": "Gaussian", "variance": VARIANCE}
        assert "noise of variance 0.4 about the generator's points" in one["stamp"]["note"]
    assert gap["stamp"]["split"] == "drawn from the model"


def test_fewer_temperatures_widen_the_gap(few_chains, monkeypatch):
    many = annealing.annealing_gap(linear_gan(), LINEAR_STATE, jax.random.key(0))["ais_gap_nats"]
    monkeypatch.setattr(annealing, "AIS", AIS | {"temperatures": 3})
    few = annealing.annealing_gap(linear_gan(), LINEAR_STATE, jax.random.key(0))["ais_gap_nats"]
    assert few["value"] - many["value"] > 3 * math.hypot(few["standard_error"], many["standard_error"])


def test_a_vae_has_its_gap_too(few_chains):
    """Under the likelihood of its own."""
    found = annealing.annealing_gap(harness.program("vae"), state("vae"), jax.random.key(0))["ais_gap_nats"]
    assert found["value"] > -3 * found["standard_error"]
    assert AIS.items() <= found["stamp"].items()
    assert "likelihood" not in found["stamp"]  # which `evaluate` adds for a VAE


def test_the_noise_is_about_images_from_0_to_1():
    program = harness.program("gan")
    (_, counted, batch), *others = annealing._annealing_batches(program, "ais", held_out.silent)
    assert (counted, len(others)) == (annealing.AIS_BATCH, 4)
    np.testing.assert_allclose(batch.x * 255, program.dataset.test.x[:20], atol=1e-4)
    z = jax.random.normal(jax.random.key(0), (3, 20, 8))
    made = jax.jit(program.model.decode)(state("gan"), z.reshape(-1, 8))
    unit = np.asarray((made + 1) / 2, np.float64).reshape(3, 20, -1)
    found = annealing._observed(with_evaluation(program, ais_variance=0.3))(z, (state("gan"), batch))
    squares = ((unit - np.asarray(batch.x).reshape(1, 20, -1)) ** 2).sum(-1)
    expected = -squares / 0.6 - PIXELS / 2 * math.log(2 * math.pi * 0.3)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_every_chain_has_the_labels_of_its_example():
    told = lambda state, z, y: 2.0 * y[:, None, None, None] * jnp.ones((1, 2, 2, 1)) - 1  # noqa: E731
    model = harness.program("gan").model._replace(decode=told)
    batch = Batch(jnp.arange(3.0)[:, None, None, None] * jnp.ones((1, 2, 2, 1)), jnp.arange(3))
    found = annealing._with_noise(model, (-1.0, 1.0), 1.0)(jnp.zeros((4, 3, 8)), (None, batch))
    assert found.shape == (4, 3)
    np.testing.assert_allclose(found, -2 * math.log(2 * math.pi), rtol=1e-6)  # of 2 x 2 pixels without a deviation


def test_data_are_drawn_from_the_likelihood():
    n, mean, variance = 4000, np.array([-0.5, 0.3, 2.0], np.float32), np.array([1e-4, 0.1, 9.0], np.float32)

    def log_likelihood(z, given):
        batch = given[1]
        means = mean[None, None] + 0.0 * z[..., :1]
        return losses.gaussian_log_prob(means, jnp.log(variance)[None, None] + 0.0 * means, batch.x)

    batch = Batch(jnp.zeros((n, 3)))
    x = np.asarray(annealing._normal_draw(log_likelihood)(jax.random.key(0), (None, batch), jnp.zeros((n, 2))))
    assert (np.abs(x.mean(0) - mean) < 4 * np.sqrt(variance / n)).all()
    assert (np.abs(x.var(0) / variance - 1) < 4 * math.sqrt(2 / n)).all()
    assert np.abs(np.corrcoef(x.T) - np.eye(3)).max() < 4 / math.sqrt(n)

    coins = harness.program("vae").model._replace(decode=lambda state, z, y: 0.2 + 0.0 * z)
    x = np.asarray(annealing._binary_draw(coins)(jax.random.key(0), (None, batch), jnp.zeros((n, 3))))
    assert set(np.unique(x)) == {0, 1}
    assert abs(x.mean() - 0.2) < 4 * math.sqrt(0.2 * 0.8 / x.size)


@pytest.mark.parametrize("observed", [c.DiscretizedLogistic(), c.Categorical()], ids=str)
def test_a_likelihood_that_cannot_be_drawn_from_is_refused(observed):
    """Also before anything is computed."""
    experiment = c.Experiment("levels", c.VAE(c.MLP(hidden=(4,)), likelihood=observed), steps=1)
    program = build.program(experiment, harness.program("vae").dataset)
    with pytest.raises(
        UserError, match=r"^Data cannot be drawn from the likelihood .* of levels: leave ais_gap out\.$"
    ):
        annealing.annealing_gap(program, None, jax.random.key(0))
    with pytest.raises(UserError, match="cannot be drawn"):
        evaluate.evaluate(with_evaluation(program, measures=("ais_gap",)), None)
    evaluate.check_ahead(with_evaluation(program, measures=("ais",)), [features.pixels()])


def test_a_model_without_a_likelihood_cannot_be_annealed():
    program = harness.program("vae")
    program = replace(program, model=program.model._replace(log_likelihood=None))
    for measure in evaluate.OF_LIKELIHOODS.values():
        with pytest.raises(UserError, match=r"^vae has no p\(x\|z\) with a standard normal prior of z, .* out\.$"):
            measure(program, None, jax.random.key(0))


def test_the_command_anneals_a_gan_and_shows_how_far_it_is(few_chains, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(annealing, "AIS", {"examples": 4, "chains": 2, "temperatures": 3, "leapfrog_steps": 1})
    monkeypatch.setattr(annealing, "AIS_BATCH", 2)
    monkeypatch.setattr(cli, "trained", lambda run: (harness.program("gan"), state("gan")))
    made = tmp_path / "gan" / "seed-0"
    shutil.copytree(harness.trained("gan"), made)
    assert harness.call("evaluate", made, "--metrics", "ais_gap", "ais", "--ais-variance", "0.05") == 0
    out, err = capsys.readouterr()
    lines = [f"{name}: batch {i} of 2" for name in ("ais", "ais_gap") for i in (1, 2)]
    assert [line for line in err.splitlines() if "batch" in line] == lines
    assert (
        "ais_bound_nats, ais_gap_nats: the likelihood is Gaussian noise of variance 0.05 about the generator's" in out
    )
    written = json.loads((made / "evaluation.json").read_text())
    assert written["protocol"]["evaluation"]["ais_variance"] == 0.05
    bound, gap = (written["measures"][name] for name in ("ais_bound_nats", "ais_gap_nats"))
    assert bound["stamp"]["likelihood"] == gap["stamp"]["likelihood"] == {"type": "Gaussian", "variance": 0.05}
    assert (bound["stamp"]["split"], gap["stamp"]["split"]) == ("test", "drawn from the model")
    assert bound["standard_error"] > 0
    assert gap["standard_error"] > 0
    found = evaluate.difference(bound["stamp"], bound["stamp"] | {"likelihood": {"type": "Gaussian", "variance": 0.01}})
    assert found.field == "likelihood"


def test_a_vae_takes_no_variance(capsys):
    code = harness.call("evaluate", harness.trained("vae"), "--metrics", "ais", "--ais-variance", "0.1")
    harness.assert_refused(code, *capsys.readouterr(), "--ais-variance", "vae is a VAE")


# --- three digits in one image ----------------------------------------------------------------------------------------


def test_stacked_digits_are_measured_as_they_are_published(monkeypatch):
    """Where nobody says otherwise: by modes, on 26,000 samples (here of 40)."""
    monkeypatch.setattr(usual, "STACKED_SAMPLES", 40)
    x = np.random.RandomState(0).randint(0, 256, (48, 28, 28, 3)).astype(np.uint8)
    stacked = data.from_arrays("stacked_mnist", x, x[:20], np.arange(48), np.arange(20))
    program = build.program(
        c.Experiment("stacked", c.GAN(c.MLP(hidden=(4,)), latent_dim=2), 1, c.Data("stacked_mnist"), batch_size=8),
        stacked,
    )
    trained = program.model.init(jax.random.key(0), program.first_batch())
    found = evaluate.evaluate(program, trained)
    assert found.keys() == {"modes_covered", "reverse_kl_nats", "d_loss", "real_logit", "fake_logit"}
    stamp = found["modes_covered"]["stamp"]
    assert (stamp["generated"], stamp["modes"]) == (40, 1000)
    assert stamp["features_sha256"] == features.small("mnist").sha256
    assert "warning" not in stamp
    fewer = evaluate.evaluate(with_evaluation(program, samples=30), trained)
    assert fewer["modes_covered"]["stamp"]["generated"] == 30
    assert "published numbers are of 40" in fewer["modes_covered"]["stamp"]["warning"]


# --- labels that are missing ------------------------------------------------------------------------------------------


def without_labels(*splits: str) -> Program:
    """A conditional model on a data set with classes, but without the labels of some splits."""
    digits = data.load("digits")
    digits = replace(digits, **{split: data.Split(getattr(digits, split).x) for split in splits})
    model = c.VAE(c.MLP(hidden=(4,)), latent_dim=2, conditional=True)
    return build.program(c.Experiment("conditional", model, steps=1), digits)


def test_a_conditional_model_is_not_measured_without_labels():
    with pytest.raises(UserError, match=r"^conditional is conditional, but the test split of digits has no labels: "):
        evaluate.evaluate(without_labels("test"), None)


def test_a_conditional_model_is_not_trained_without_labels():
    program = without_labels("train", "test")
    with pytest.raises(UserError, match=r"conditional on 10 classes, but the batch has no labels y\.$"):
        program.model.init(jax.random.key(0), program.first_batch())


# --- evaluation.json --------------------------------------------------------------------------------------------------


def test_what_was_measured_is_read_again_only_under_the_same_protocol(tmp_path, monkeypatch):
    program, trained = harness.program("vae"), state("vae")
    assert evaluate.read(tmp_path, program, trained) is None
    file = evaluate.write(tmp_path, program, trained, measures("vae"))
    assert file == tmp_path / "evaluation.json"
    assert evaluate.read(tmp_path, program, trained) == measures("vae")
    assert evaluate.read(tmp_path, program, trained.replace(step=trained.step + 1)) is None
    assert evaluate.read(tmp_path, with_evaluation(program, k=8), trained) is None
    for changed in ({"samples": 65}, {"split": "train"}, {"features": ("pixels",)}, {"measures": ("frechet",)}):
        assert evaluate.read(tmp_path, with_evaluation(program, **changed), trained) is None
    assert evaluate.read(tmp_path, with_seed(program, 1), trained) is None
    assert evaluate.read(tmp_path, replace(program, dataset=replace(program.dataset, checksum="0")), trained) is None
    other = jax.tree.map(lambda leaf: leaf + 1 if leaf.dtype == jnp.float32 else leaf, trained)
    assert evaluate.read(tmp_path, program, other) is None
    with monkeypatch.context() as patch:
        patch.setattr(feature_sets, "PROTOCOL", feature_sets.PROTOCOL + 1)
        assert evaluate.read(tmp_path, program, trained) is None
        assert evaluate.earlier(tmp_path, program, trained) == {}
    with monkeypatch.context() as patch:
        patch.setattr(catalogue, "sha256", lambda name: "0" * 64)  # an extractor was trained anew
        assert evaluate.read(tmp_path, program, trained) is None
    assert evaluate.read(tmp_path, program, trained) == measures("vae")
    monkeypatch.setattr(stamps, "__version__", "0.0.0")
    assert evaluate.read(tmp_path, program, trained) is None


def test_what_was_measured_of_the_same_state_can_be_kept(tmp_path):
    program, trained = harness.program("vae"), state("vae")
    assert evaluate.earlier(tmp_path, program, trained) == {}
    evaluate.write(tmp_path, program, trained, measures("vae"))
    asked = with_evaluation(program, k=8, measures=("vendi",))
    kept = evaluate.earlier(tmp_path, asked, trained)
    assert kept == measures("vae")
    new = {"vendi_pixels": {"value": 1.0, "stamp": {}}, "iw_bound_nats": {"value": -1.0, "stamp": {"k": 8}}}
    evaluate.write(tmp_path, asked, trained, new, kept)
    assert evaluate.earlier(tmp_path, program, trained) == measures("vae") | new
    assert evaluate.read(tmp_path, asked, trained) == new  # and no number that this evaluation does not ask for
    assert evaluate.earlier(tmp_path, program, trained.replace(step=trained.step + 1)) == {}
    # Who keeps nothing writes what was measured and nothing else: the unit of a comparison.
    evaluate.write(tmp_path, asked, trained, new)
    assert json.loads((tmp_path / "evaluation.json").read_text())["measures"] == new


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda made: made["measures"]["kl_nats"].update(value=0.0), "its digest is another one"),
        (lambda made: made["measures"].update(fid={"value": 1.0, "stamp": {}}), "its digest is another one"),
        (lambda made: made["measures"]["kl_nats"]["stamp"].update(step=1), "kl_nats is of another state or other data"),
        (lambda made: made.update(measures_sha256="a" * 64), "its digest is another one"),
    ],
    ids=["a value", "a measure", "a stamp", "the digest"],
)
def test_a_forged_measure_is_not_kept(edit, said, tmp_path):
    program, trained = harness.program("vae"), state("vae")
    file = evaluate.write(tmp_path, program, trained, measures("vae"))
    harness.edit_json(file, edit)
    with pytest.raises(UserError, match=said):
        evaluate.earlier(tmp_path, program, trained)


def test_measures_without_a_digest_are_not_kept(tmp_path):
    program, trained = harness.program("vae"), state("vae")
    file = evaluate.write(tmp_path, program, trained, measures("vae"))
    harness.edit_json(file, lambda made: made.pop("measures_sha256"))
    assert evaluate.earlier(tmp_path, program, trained) == {}


def test_the_command_measures_writes_and_prints(tmp_path, capsys):
    made = tmp_path / "vae" / "seed-0"
    shutil.copytree(harness.trained("vae"), made)
    config = (made / "config.json").read_text()
    assert harness.call("evaluate", made) == 0
    out = capsys.readouterr().out
    written = json.loads((made / "evaluation.json").read_text())
    # Measured twice: every number is the same, but for the clock's.
    assert written["measures"]["iw_bound_nats"].pop("points_per_second") > 0
    before = measures("vae") | {"iw_bound_nats": dict(measures("vae")["iw_bound_nats"])}
    assert before["iw_bound_nats"].pop("points_per_second") > 0
    assert written["measures"] == before
    assert " test points per second." in out
    assert out.strip().endswith(str(made / "evaluation.json"))
    for name, measure in measures("vae").items():
        row = next(line for line in out.splitlines() if line.startswith(name + " "))
        assert numbers.number(measure["value"], measure.get("standard_error") or measure.get("spread")) in row
        assert f"split test, examples {measure['stamp']['examples']}" in row

    args = ("--k", 2, "--samples", 50, "--features", "pixels", "--metrics", "frechet", "vendi")
    assert harness.call("evaluate", made, *args) == 0
    fewer = measures("vae")["kernel_pixels"]
    out = capsys.readouterr().out
    assert "frechet_pixels: 50 examples for 256 features" in out
    (kept,) = (line for line in out.splitlines() if line.startswith("Kept as measured earlier of this state: "))
    assert "kernel_pixels" in kept
    assert "frechet_pixels" not in kept
    written = json.loads((made / "evaluation.json").read_text())
    assert written["protocol"]["evaluation"] == {
        "samples": 50,
        "split": "test",
        "features": ["pixels"],
        "measures": ["frechet", "vendi"],
        "k": 2,
        "ais_variance": 0.01,
    }
    assert {"frechet_pixels", "vendi_pixels"} < written["measures"].keys()
    assert written["measures"]["kernel_pixels"] == fewer  # as it was measured before
    # A protocol of several names is read again as it was written.
    program = with_evaluation(
        harness.program("vae"), k=2, samples=50, features=("pixels",), measures=("frechet", "vendi")
    )
    assert written["made"] == list(found := evaluate.read(made, program, state("vae")))
    assert found == {name: written["measures"][name] for name in written["made"]}
    assert "kernel_pixels" not in found
    assert written["measures"]["iw_bound_nats"]["stamp"]["k"] == 2
    assert written["measures"]["frechet_pixels"]["stamp"]["generated"] == 50
    assert written["measures"]["kl_nats"] == measures("vae")["kl_nats"]
    assert (made / "config.json").read_text() == config  # the run's own protocol stays

    # The bound of k = 2 is not made again, and not lost, until one of another k is asked for.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(held_out_bounds, "bound", None)
        assert harness.call("evaluate", made, "--metrics", "frechet", "--features", "pixels") == 0
    assert "iw_bound_nats: k = 2, as it was measured earlier; --k makes it anew." in capsys.readouterr().out
    assert json.loads((made / "evaluation.json").read_text())["measures"]["iw_bound_nats"]["stamp"]["k"] == 2
    assert harness.call("evaluate", made, "--metrics", "frechet", "--features", "pixels", "--k", 3) == 0
    assert json.loads((made / "evaluation.json").read_text())["measures"]["iw_bound_nats"]["stamp"]["k"] == 3


def test_the_noise_of_a_measurement_belongs_to_the_seed():
    key = rng.stream(rng.root(0), rng.EVALUATE, 0)
    kind = [features.pixels()], ("frechet",)
    again = _distances(harness.program("gan"), state("gan"), jax.random.fold_in(key, 2), *kind)
    assert again["frechet_pixels"]["value"] == measures("gan")["frechet_pixels"]["value"]
    assert again["frechet_pixels"]["stamp"].items() <= measures("gan")["frechet_pixels"]["stamp"].items()
    other = _distances(harness.program("gan"), state("gan"), jax.random.fold_in(key, 3), *kind)
    assert other["frechet_pixels"]["value"] != measures("gan")["frechet_pixels"]["value"]


# --- mistakes ---------------------------------------------------------------------------------------------------------

MISTAKES = {
    "unknown measure": (["--metrics", "frechett"], ["'frechett'", "frechet"]),
    "a name that is earned": (["--metrics", "fid"], ["'fid'", "frechet"]),
    "unknown features": (["--features", "inceptoin"], ["'inceptoin'", "inception"]),
    "modes of images": (["--metrics", "modes"], ["modes", "digits"]),
    "a score without classes": (["--metrics", "inception_score", "--features", "pixels"], ["classifier", "pixels"]),
    "too few for neighbours": (["--samples", "4"], ["prdc", "4 generated", "at least 6 of each"]),
    "too few to regress": (["--metrics", "frechet_infinity", "--samples", "3"], ["frechet_infinity", "at least 4"]),
    "too many samples": (["--samples", "1000001"], ["samples is 1000001", "1000000"]),
    "too many weights": (["--k", "10000000000000"], ["k is 10000000000000", "1000000"]),
    "weights for nothing": (["--weights", "x.pth"], ["--weights x.pth", "Inception"]),
    "features of points": (["--features", "coordinates"], ["coordinates", "points"]),
    "unknown split": (["--split", "validation"], ["validation"]),
    "no noise": (["--metrics", "ais", "--ais-variance", "0"], ["ais_variance is 0.0", "positive"]),
    "modes of other things": (["--metrics", "stacked_modes"], ["stacked_modes", "stacked_mnist", "digits"]),
    "no weights": (["--features", "inception", "--weights", "no.pth"], ["no.pth"]),
}


@pytest.mark.parametrize(("args", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_measure_that_cannot_be_made_gets_one_sentence(args, words, capsys, monkeypatch):
    """And nothing is written. The model is that of the other tests, so that nothing is compiled anew."""
    monkeypatch.setattr(cli, "trained", lambda run: (harness.program("gan"), state("gan")))
    for module, costly in ((held_out, "held_out"), (latent_measures, "latents"), (held_out_bounds, "bound")):
        monkeypatch.setattr(module, costly, None)  # refused before them
    run = harness.trained("gan")
    before = harness.contents(run)
    harness.assert_refused(harness.call("evaluate", run, *args), *capsys.readouterr(), *words)
    assert harness.contents(run) == before


# --- protocols --------------------------------------------------------------------------------------------------------


def test_stamps_of_one_protocol_differ_in_the_run_alone():
    stamp = measures("vae")["elbo_nats"]["stamp"]
    of_run = {"seed": 3, "step": 7, "gvlab": "0", "backend": "gpu", "latent_samples": 4, "warning": "few"}
    assert of_run.keys() <= set(evaluate.PER_RUN)
    assert evaluate.difference(stamp, stamp | of_run) is None
    for field in ("dataset", "dataset_sha256", "split", "examples", "quantization", "likelihood"):
        assert evaluate.difference(stamp, stamp | {field: "x"}) == evaluate.Difference(field, stamp[field], "x")
        without = {name: value for name, value in stamp.items() if name != field}
        assert evaluate.difference(without, stamp) == evaluate.Difference(field, None, stamp[field])
        assert evaluate.difference(without, stamp, ignore=(field,)) is None
    distance = measures("vae")[f"fld_{CLASSIFIER}"]["stamp"]
    for field in ("features", "features_sha256", "preprocessing", "generated", "covariance", "protocol"):
        assert evaluate.difference(distance, distance | {field: "x"}) == evaluate.Difference(
            field, distance[field], "x"
        )


def test_a_vae_and_a_gan_are_measured_by_one_protocol():
    """What they have in common may be compared, though one saw binarised images."""
    common = measures("vae").keys() & measures("gan").keys()
    assert len(common) == 12
    for name in common:
        assert evaluate.difference(measures("vae")[name]["stamp"], measures("gan")[name]["stamp"]) is None
