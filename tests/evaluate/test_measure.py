"""Numbers that carry their protocol: what is measured, on what, and what is refused."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from typing import Any

import harness
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from measured import EXAMPLES, PIXELS, measures, state, with_evaluation, with_seed

from gvlab import __version__, build, data, evaluate, metrics, parallel
from gvlab import config as c
from gvlab.build import Program
from gvlab.cli import evaluate as cli
from gvlab.evaluate import bounds as held_out_bounds
from gvlab.evaluate import held_out, of_sets, sampling, stamps, usual
from gvlab.evaluate import latents as latent_measures
from gvlab.evaluate.measure import _distances
from gvlab.extractors import extractor as features
from gvlab.types import Diverged, UserError

CLASSIFIER = features.small("digits").name


@pytest.fixture(autouse=True, scope="module")
def cache():
    """Reference features go where those of the command line go in tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", os.environ["GVLAB_TESTS_CACHE"])
        yield


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


# --- distances --------------------------------------------------------------------------------------------------------


def eight_bits(program: Program, x: Any) -> np.ndarray:
    """Generated images as they would be stored."""
    return np.round(np.clip(np.asarray(program.to_unit(x)), 0, 1) * 255).astype(np.uint8)


@pytest.mark.parametrize("name", ["vae", "gan"])
def test_the_distances_are_those_of_the_samples(name, monkeypatch):
    monkeypatch.setattr(sampling, "BATCH", 24)  # 64 samples as 24 + 24 + 16 of 24
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

    def means(x):
        return x.astype(jnp.float32).mean((1, 2, 3), keepdims=True)[:, :, 0, 0]

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


# --- three digits in one image ----------------------------------------------------------------------------------------


def test_stacked_digits_are_measured_as_they_are_published(monkeypatch):
    """Where nobody says otherwise: by modes, on 26,000 samples (here of 40)."""
    for module in (usual, of_sets):
        monkeypatch.setattr(module, "STACKED_SAMPLES", 40)
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
    "fewer batches than none": (["--standing", "-1"], ["standing is -1", "batches"]),
    "no noise": (["--metrics", "ais", "--ais-variance", "0"], ["ais_variance is 0.0", "positive"]),
    "modes of other things": (["--metrics", "stacked_modes"], ["stacked_modes", "stacked_mnist", "digits"]),
    "no weights": (["--features", "inception", "--weights", "no.pth"], ["no.pth"]),
}


@pytest.mark.parametrize(("args", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_measure_that_cannot_be_made_gets_one_sentence(args, words, capsys, monkeypatch):
    """And nothing is written. The model is that of the other tests, so that nothing is compiled anew."""
    monkeypatch.setattr(cli, "trained", lambda run, file: (harness.program("gan"), state("gan")))
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
    another = stamps.stated({"likelihood": {"type": "LearnedGaussian"}}, "likelihood")
    for field in ("dataset", "dataset_sha256", "split", "examples", "quantization", "likelihood"):
        other = another if field == "likelihood" else "x"
        assert evaluate.difference(stamp, stamp | {field: other}) == evaluate.Difference(field, stamp[field], other)
        without = {name: value for name, value in stamp.items() if name != field}
        assert evaluate.difference(without, stamp) == evaluate.Difference(field, None, stamp[field])
        assert evaluate.difference(without, stamp, ignore=(field,)) is None
    distance = measures("vae")[f"fld_{CLASSIFIER}"]["stamp"]
    for field in ("features", "features_sha256", "preprocessing", "generated", "covariance", "protocol"):
        assert evaluate.difference(distance, distance | {field: "x"}) == evaluate.Difference(
            field, distance[field], "x"
        )


def test_what_is_unusual_is_stamped():
    """And nothing that is usual, so that stamps of earlier stay what they are."""
    program = harness.program("gan")
    assert not {"precision", "standing_statistics"} & stamps.stamp(program, state("gan")).keys()
    standing = with_evaluation(program, standing=3)
    rounded = replace(program, experiment=replace(program.experiment, precision="bfloat16"))
    assert stamps.stamp(standing, state("gan"))["standing_statistics"] == "3 batches of 16"
    assert stamps.stamp(rounded, state("gan"))["precision"] == "bfloat16"
    usual_one, standing, rounded = (stamps.stamp(p, state("gan")) for p in (program, standing, rounded))
    assert evaluate.difference(usual_one, standing) == evaluate.Difference(
        "standing_statistics", None, "3 batches of 16"
    )
    assert evaluate.difference(usual_one, rounded) is None  # both may be compared: that is what one wants to know


def test_standing_statistics_move_what_is_sampled():
    narrow = {"samples": 64, "features": ("pixels",), "measures": ("frechet",)}
    program = with_evaluation(harness.program("gan"), **narrow)
    usual_ones = evaluate.evaluate(program, state("gan"))
    standing = evaluate.evaluate(with_evaluation(program, standing=2), state("gan"))
    assert standing["frechet_pixels"]["value"] != usual_ones["frechet_pixels"]["value"]
    assert standing["fake_logit"]["value"] != usual_ones["fake_logit"]["value"]
    assert standing["real_logit"]["value"] == usual_ones["real_logit"]["value"]
    assert standing["frechet_pixels"]["stamp"]["standing_statistics"] == "2 batches of 16"


@pytest.mark.parametrize(
    ("name", "words"), {"vae": "vae is no GAN", "mlp gan": "MLPGenerator has no BatchNorm"}.items()
)
def test_standing_statistics_of_nothing_are_refused_before_anything_is_computed(name, words):
    program = harness.program("vae" if name == "vae" else "gan")
    if name == "mlp gan":
        program = build.program(replace(program.experiment, model=c.GAN(c.MLP(hidden=(4,)))), program.dataset)
    with pytest.raises(UserError, match=words):
        evaluate.measure.check_ahead(with_evaluation(program, standing=2), [])


def test_a_vae_and_a_gan_are_measured_by_one_protocol():
    """What they have in common may be compared, though one saw binarised images."""
    common = measures("vae").keys() & measures("gan").keys()
    assert len(common) == 12
    for name in common:
        assert evaluate.difference(measures("vae")[name]["stamp"], measures("gan")[name]["stamp"]) is None
