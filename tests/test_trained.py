"""A trained model in the hand, without its data."""

from __future__ import annotations

import shutil
from dataclasses import replace

import harness
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from harness import EXPERIMENTS

import gvlab
from gvlab import build, data, rng, trained
from gvlab.evaluate import sampling
from gvlab.train import loop
from gvlab.types import Diverged, UserError


@pytest.fixture(scope="module")
def conditional():
    """A GAN of ten classes as it is initialised: what it makes depends on the class all the same."""
    gan = EXPERIMENTS["gan"]
    program = build.program(replace(gan, model=replace(gan.model, conditional=True)), data.load("digits"))
    state = program.model.init(rng.root(0), program.first_batch())
    return trained.Trained(program, state)


@pytest.fixture(scope="module", params=["vae", "gan"])
def model(request):
    return gvlab.load(harness.trained(request.param))


def test_nothing_but_the_run_is_read(tmp_path, monkeypatch):
    made = shutil.copytree(harness.trained("vae"), tmp_path / "vae" / "seed-0")

    def forbidden(*args):
        raise AssertionError("the data are looked for")

    monkeypatch.setattr(data, "load", forbidden)
    model = gvlab.load(str(made))
    assert model.sample(2).shape == (2, 16, 16, 1)
    assert repr(model) == "<vae, seed 0, step 100: examples (16, 16, 1)>"
    assert model.experiment == replace(EXPERIMENTS["vae"], seed=0)
    with pytest.raises(UserError, match="needs the examples of digits"):
        _ = model.program.dataset.train


def test_samples_are_decoded_latents_of_the_prior(model):
    program = model.program
    z = program.model.prior(rng.stream(rng.root(5), rng.PICTURE), 3)
    expected = jax.jit(lambda state: program.to_unit(program.model.decode(state, z)))(model.state)
    np.testing.assert_allclose(model.sample(3, seed=5), expected, atol=1e-6)
    np.testing.assert_array_equal(model.decode(z), model.sample(3, seed=5))
    assert 0 <= model.sample(3).min() <= model.sample(3).max() <= 1


def test_the_parameters_are_those_that_samples_are_made_with(model):
    state = loop.restore(model.program, harness.trained(model.experiment.name))
    expected = state.ema_params if model.experiment.name == "gan" else state.params
    jax.tree.map(np.testing.assert_array_equal, model.params, expected)


def test_what_is_stored_is_what_evaluate_measures(model):
    program = replace(
        model.program, experiment=replace(model.experiment, evaluation=gvlab.config.Evaluation(samples=700))
    )
    key = jax.random.fold_in(rng.stream(rng.root(0), rng.EVALUATE, 0), 2)
    measured = np.concatenate([np.asarray(x) for x in sampling.generate(program, model.state, key)])
    stored = list(model.stored(700))
    assert [len(batch.x) for batch in stored] == [500, 200]
    found = np.concatenate([batch.x for batch in stored])
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - measured).max() <= 1  # over several devices, and rounded
    assert np.mean(found != measured) < 1e-4
    assert stored[0].y is None
    other = next(model.stored(500, seed=1)).x
    assert (other != found[:500]).any()


def test_latents_within_the_truncation(model):
    z = model.latents(jax.random.key(0), 1000, truncation=0.7)
    assert np.abs(z).max() <= 0.7
    assert 0.9 < z.std() / (0.7 / np.sqrt(3)) < 1.1  # nearly uniform there
    assert np.asarray(model.sample(64, truncation=0.1)).std(0).mean() < np.asarray(model.sample(64)).std(0).mean()


def test_a_vae_encodes_what_it_is_given_as_uint8_or_in_the_unit_interval():
    model = gvlab.load(harness.trained("vae"))
    images = data.load("digits").test.x[:5]
    mean, logvar = model.encode(images)
    assert mean.shape == logvar.shape == (5, 4)
    np.testing.assert_array_equal(model.encode(images / 255)[0], mean)
    program = harness.program("vae")
    x = program.preprocess(jnp.asarray(images), rng.stream(rng.root(0), rng.EVALUATE))
    np.testing.assert_allclose(mean, program.model.encode(model.state, gvlab.Batch(x))[0], atol=1e-5)


def test_classes_in_turn_by_number_and_between(conditional):
    z = np.repeat(conditional.latents(jax.random.key(0), 1), 20, 0)
    in_turn = np.asarray(conditional.decode(z))
    np.testing.assert_array_equal(in_turn[:10], in_turn[10:])
    sevens = np.asarray(conditional.decode(z, 7))
    np.testing.assert_allclose(sevens, np.repeat(in_turn[7:8], 20, 0), atol=1e-6)
    np.testing.assert_array_equal(conditional.decode(z, np.arange(20) % 10), in_turn)
    weights = np.eye(10, dtype=np.float32)[np.arange(20) % 10]
    np.testing.assert_allclose(conditional.decode(z, weights), in_turn, atol=1e-6)
    np.testing.assert_allclose(conditional.decode(z, weights.astype(int)), in_turn, atol=1e-6)  # one-hot
    between = np.asarray(conditional.decode(z[:1], (weights[:1] + weights[1:2]) / 2))
    assert not np.allclose(between, in_turn[:1], atol=1e-4)
    assert not np.allclose(between, in_turn[1:2], atol=1e-4)


def test_stored_classes(conditional):
    (batch,) = conditional.stored(25)
    np.testing.assert_array_equal(batch.y, np.arange(25) % 10)
    (sevens,) = conditional.stored(25, y=7)
    assert set(sevens.y.tolist()) == {7}
    np.testing.assert_array_equal(sevens.x[7], batch.x[7])
    decoded = list(conditional.decoded(np.zeros((501, 8), np.float32), np.full(501, 3)))
    assert [len(one.x) for one in decoded] == [500, 1]
    assert decoded[1].y.tolist() == [3]


@pytest.mark.parametrize(
    ("do", "words"),
    [
        (lambda model: model.sample(2, seed=-1), r"seed is -1, but must be a whole number"),
        (lambda model: model.sample(0), r"n is 0, but must be a whole number from 1"),
        (lambda model: model.sample(2, truncation=-1.0), r"truncation is -1.0"),
        (lambda model: model.sample(2, y=10), r"y is 10, but the classes are numbered from 0 to 9"),
        (lambda model: model.sample(2, y=[1, -1]), r"y is -1"),
        (lambda model: model.sample(2, y=[1, 2, 3]), r"shape \(3,\), but integers, one or \[2\], or weights \[2, 10\]"),
        (lambda model: model.sample(2, y=0.5), r"float64 and shape \(\)"),
        (lambda model: model.decode(np.zeros((2, 3))), r"shape \(2, 3\), but \[n, 8\] is wanted"),
        (lambda model: model.decode(np.zeros((2, 8), int)), r"type int64, but floats are wanted"),
        (lambda model: model.decode(np.full((2, 8), np.nan)), r"The latents have values that are NaN or infinite"),
        (lambda model: model.sample(1, y=np.full((1, 10), np.nan)), r"weights from nan to nan of the sum nan for one"),
        (lambda model: model.sample(1, y=np.full((1, 10), 0.5)), r"weights from 0\.5 to 0\.5 of the sum 5 for one"),
        (lambda model: model.sample(1, y=[[1.5, -0.5, *[0.0] * 8]]), r"from -0\.5 to 1\.5 .* must be at least 0 and"),
        (lambda model: model.sample(1, y=[[1, 1, *[0] * 8]]), r"weights from 0 to 1 of the sum 2"),
        (lambda model: model.encode(np.zeros((1, 16, 16, 1))), r"gan is a GAN, which has no encoder"),
    ],
)
def test_mistakes(conditional, do, words):
    with pytest.raises(UserError, match=words):
        do(conditional)


def test_mistakes_with_a_vae():
    model = gvlab.load(harness.trained("vae"))
    for x, words in (
        (np.zeros((2, 16, 16)), r"shape \(2, 16, 16\), but \[n, 16, 16, 1\]"),
        (np.full((2, 16, 16, 1), 2.0), r"outside the declared range \[0, 1\]"),
    ):
        with pytest.raises(UserError, match=words):
            model.encode(x)
    with pytest.raises(UserError, match=r"unconditional, but y is given"):
        model.sample(2, y=1)


def test_what_is_not_finite_is_not_stored(conditional):
    broken = replace(conditional, state=jax.tree.map(lambda leaf: leaf * np.nan, conditional.state))
    broken = replace(broken, state=broken.state.replace(step=conditional.state.step))
    with pytest.raises(Diverged, match=r"At step 0 a generated value is not finite"):
        next(broken.stored(3))


def test_no_run(tmp_path):
    with pytest.raises(UserError, match="is not a run directory"):
        gvlab.load(tmp_path)
