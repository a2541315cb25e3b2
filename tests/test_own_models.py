"""Whole models of the user's own: everything that ours can do, and what they give is looked at before training."""

from __future__ import annotations

import math
import runpy
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import IMAGE, program
from test_build import shapes_of_a_run

import gvlab
from gvlab import config as c
from gvlab import losses
from gvlab.compare import measuring
from gvlab.evaluate import measure
from gvlab.train import engines, loop
from gvlab.types import Model, UserError

EXPERIMENT = Path(__file__).parents[1] / "experiments" / "own_model.py"
THEIRS = runpy.run_path(str(EXPERIMENT))
MATCHING = replace(THEIRS["MomentMatching"](), hidden=(4,), latent_dim=3)


def test_the_discrepancy_is_that_of_its_definition():
    """Li et al. 2015, equation 3, term by term."""
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(5, 3)), generator.normal(size=(4, 3)) + 1

    def mean_kernel(a, b):
        squares = np.square(a[:, None] - b[None]).sum(-1)
        return sum(np.exp(-squares / (2 * scale**2 * 3)).mean() for scale in (0.5, 2.0))

    expected = mean_kernel(x, x) - 2 * mean_kernel(x, y) + mean_kernel(y, y)
    np.testing.assert_allclose(THEIRS["squared_discrepancy"](x, y, (0.5, 2.0)), expected, rtol=1e-5)


def test_a_model_of_ones_own_is_a_program_like_ours():
    made = program(MATCHING, IMAGE)
    shapes_of_a_run(made)
    assert made.data_range == (-1.0, 1.0)
    assert made.latent_dim == 3
    assert made.own_model  # of a class that no experiment file has, here
    assert not made.experiment.conditional
    assert c.from_json(c.to_json(made.experiment)) == made.experiment


def test_it_learns_is_measured_and_taken_away(tmp_path):
    made = program(MATCHING, IMAGE, evaluation=c.Evaluation(samples=20, measures=("frechet",)), steps=40, log_every=20)
    run = loop.train(engines.alone(made, jax.devices()[:1]), tmp_path, seed=0, steps=20)
    assert loop.train(engines.alone(made, jax.devices()[:1]), tmp_path, seed=0) == run  # goes on
    state = loop.restore(made, run)
    found = measure.evaluate(made, state)
    assert {"squared_discrepancy", "frechet_pixels"} <= found.keys()
    assert found["frechet_pixels"]["stamp"]["samples"] == "generator"
    before = measure.evaluate(made, engines.parts(made).init(gvlab.rng.root(0)))
    assert found["squared_discrepancy"]["value"] < before["squared_discrepancy"]["value"]
    trained = gvlab.load(run)
    assert trained.sample(2).shape == (2, *IMAGE)
    assert float(trained.sample(50).min()) >= 0
    assert trained.params.keys() == state.params.keys()
    with pytest.raises(UserError, match=r"latents have shape \(2, 5\), but \[n, 3\]"):
        trained.decode(np.zeros((2, 5), np.float32))
    assert measuring._model_sha256(made, "cpu") == measuring._model_sha256(program(MATCHING, IMAGE), "cpu")


def test_its_numbers_can_be_batched_over_runs():
    made = program(MATCHING, IMAGE)
    engine = engines.together(made, 2, ["model.learning_rate"], jax.devices()[:1])
    other = c.with_value(made.experiment, "model.learning_rate", 0.1)
    inputs = engine.inputs([made.experiment, other])
    state, _ = engine.single(engine.init(inputs), engine.data, inputs)
    alone = engines.alone(program(replace(MATCHING, learning_rate=0.1), IMAGE), jax.devices()[:1])
    key = alone.inputs([other])
    expected, _ = alone.single(alone.init(key), alone.data, key)
    for ours, theirs in zip(*map(jax.tree.leaves, (engine.member(state, 1), expected)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@dataclass(frozen=True)
class Coder:
    """A conditional model with a likelihood: z and x given z are normal."""

    likelihood: c.Gaussian | c.LearnedGaussian
    conditional: bool = True

    def model(self, shape, classes, axis_name):
        assert classes == 3
        matching = replace(MATCHING, learning_rate=0.0).model(shape, 0, axis_name)

        def decode(state, z, y=None):
            return jnp.zeros((len(z), *shape)) + z[:, 0, None, None, None]

        def encode(state, batch):
            mean = batch.x.mean((1, 2, 3))[:, None] + 0.1 * batch.y[:, None]
            return mean, jnp.full(mean.shape, -2.0)

        def log_likelihood(state, batch, z):
            mean = jnp.broadcast_to(z[..., None, None], (*z.shape[:2], *batch.x.shape[1:]))
            return losses.gaussian_log_prob(mean, math.log(0.25), batch.x)

        def log_weights(state, batch, key, k):
            mean = jnp.broadcast_to(encode(state, batch)[0], (k, len(batch.x), 1))
            z = mean + math.exp(-1) * jax.random.normal(key, mean.shape)
            ratio = 0.5 * (jnp.square(z - mean) * math.exp(2) - 2 - jnp.square(z))  # log N(z; 0, 1) / q(z|x)
            return log_likelihood(state, batch, z) + ratio[..., 0]

        return matching._replace(
            prior=lambda key, n: jax.random.normal(key, (n, 1)),
            decode=decode,
            sample=lambda state, key, n, y=None: decode(state, jax.random.normal(key, (n, 1)), y),
            encode=encode,
            log_likelihood=log_likelihood,
            log_weights=log_weights,
        )


def test_a_model_with_a_likelihood_is_measured_in_nats_of_it():
    asked = c.Evaluation(samples=20, k=5, measures=("frechet",))
    made = program(Coder(c.Gaussian(0.25)), IMAGE, data=c.Data(quantization="dequantize"), evaluation=asked)
    assert made.data_range == (0.0, 1.0)
    assert made.experiment.conditional
    found = measure.evaluate(made, engines.parts(made).init(gvlab.rng.root(0)))
    assert found["iw_bound_nats"]["stamp"]["likelihood"] == {"type": "Gaussian", "variance": 0.25}
    assert found["frechet_pixels"]["stamp"]["samples"] == "mean of p(x|z)"
    assert found["active_units"]["stamp"]["latents"] == 1


@dataclass(frozen=True)
class Wrong:
    """The model with some of its functions replaced."""

    def model(self, shape, classes, axis_name):
        return self.changed(MATCHING.model(shape, classes, axis_name))


def wrong(change, **more):
    return dataclass(frozen=True)(type("Mine", (Wrong,), {"changed": staticmethod(change), **more}))()


@dataclass(frozen=True)
class NoStep:
    params: int = 0


def stands(made: Model) -> Model:
    def train_step(state, batch, key):
        after, info = made.train_step(state, batch, key)
        return after.replace(step=state.step), info

    return made._replace(train_step=train_step)


def grows(made: Model) -> Model:
    def train_step(state, batch, key):
        after, info = made.train_step(state, batch, key)
        return after.replace(step=jnp.zeros(2)), info

    return made._replace(train_step=train_step)


def terms(made: Model) -> Model:
    def train_step(state, batch, key):
        after, _ = made.train_step(state, batch, key)
        return after, {"loss": batch.x.mean((1, 2, 3))}

    return made._replace(train_step=train_step)


REFUSED = {
    "no model": (lambda made: 3, "Mine.model() returns int, but must return a gvlab.Model."),
    "no step": (lambda made: made._replace(init=lambda key, batch: {}), "Mine.model() has no field step"),
    "it fails": (lambda made: made._replace(init=lambda key: 0), "init of Mine.model() fails with TypeError: "),
    "it stands still": (stands, "has the step 0, and after a train_step 0, but must count from 0."),
    "another state": (grows, "train_step of Mine.model() gives another state than it is given"),
    "terms of examples": (terms, "gives the term loss of shape (2,), but must give ()."),
    "no batch of terms": (
        lambda made: made._replace(evaluate=lambda state, batch, key: {"loss": jnp.zeros(())}),
        "evaluate of Mine.model() gives the term loss of shape (), but must give (2,).",
    ),
    "other samples": (
        lambda made: made._replace(sample=lambda state, key, n, y=None: jnp.zeros((n, 2))),
        "sample of Mine.model() gives 3 examples of shape (3, 2), but must give (3, 4, 4, 1).",
    ),
    "other decoded": (
        lambda made: made._replace(decode=lambda state, z, y=None: z),
        "decode of Mine.model() gives 3 examples of shape (3, 3), but must give (3, 4, 4, 1).",
    ),
    "one latent": (
        lambda made: made._replace(prior=lambda key, n: jax.random.normal(key, (7,))),
        "prior of Mine.model() gives latents of shape (7,), but must give [3, latent].",
    ),
    "other means": (
        lambda made: made._replace(encode=lambda state, batch: (jnp.zeros((2, 9)), jnp.zeros((2, 9)))),
        "encode of Mine.model() gives means of shape (2, 9), but must give (2, 3).",
    ),
    "weights turned": (
        lambda made: made._replace(log_weights=lambda state, batch, key, k: jnp.zeros((2, k))),
        "log_weights of Mine.model() gives nats of 5 draws for 2 examples of shape (2, 5), but must give (5, 2).",
    ),
}


@pytest.mark.parametrize(("change", "words"), REFUSED.values(), ids=REFUSED)
def test_a_model_that_does_not_fit_gets_one_sentence(change, words):
    with pytest.raises(UserError) as caught:
        program(wrong(change), IMAGE)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert words in sentence


def test_what_is_no_model_is_refused_where_it_is_written():
    with pytest.raises(UserError, match=r"data_range is \(0.0, 255.0\), but must be"):
        c.Experiment("e", replace(MATCHING, data_range=(0.0, 255.0)), 10)
    with pytest.raises(UserError, match=r"MomentMatching of images in \[-1, 1\] has no likelihood to serve"):
        c.Experiment("e", MATCHING, 10, c.Data(quantization="binarize"))
    with pytest.raises(UserError, match="The model is conditional, but the data set has no classes"):
        program(Coder(c.Gaussian(0.25)), IMAGE, classes=0)
