"""How stable training is, seen from outside: the curves say what they say, and change nothing."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from types import SimpleNamespace

import harness
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import build, data, rng
from gvlab import config as c
from gvlab.compare import collapsed
from gvlab.runs import directory as rundir
from gvlab.runs.curves import read_metrics
from gvlab.train import engines, loop, watch
from gvlab.types import Batch, Diverged, UserError

EXPERIMENT = replace(
    harness.COMPARED["gan"],
    name="watched",
    data=c.Data("ring"),
    model=c.GAN(c.MLP(hidden=(8,)), latent_dim=2),
    log_every=5,
    checkpoint_every=10,
    watched=True,
    evaluation=c.Evaluation(),
)
CURVES = {"d_accuracy_real", "d_accuracy_fake", "d_accuracy_pairs", "real_sign", "overfitting", "spread", "modes"}


@functools.cache
def program(watched: bool = True) -> build.Program:
    return build.program(replace(EXPERIMENT, watched=watched), data.load("ring"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("watched")
    return loop.train(engines.alone(program(), jax.devices()[:1]), root, 0)


def test_the_curves_are_logged_with_each_line_but_the_first(run):
    lines = read_metrics(run)
    assert [line["step"] for line in lines] == [1, 5, 10, 15, 20]
    for line in lines:
        seen = {name.removeprefix("watch/") for name in line if name.startswith("watch/")}
        assert seen == (CURVES if line["step"] > 1 else set())
        assert 0 <= line.get("watch/modes", 0) <= 8


def test_a_look_changes_nothing(run, tmp_path):
    without = loop.train(engines.alone(program(watched=False), jax.devices()[:1]), tmp_path, 0)
    assert rundir.read_states(without) == rundir.read_states(run)
    terms = [{k: v for k, v in line.items() if not k.startswith("watch/")} for line in harness.curves(run)]
    assert terms == harness.curves(without)


def test_a_run_that_was_stopped_sees_the_same(run, tmp_path):
    engine = engines.alone(program(), jax.devices()[:1])
    loop.train(engine, tmp_path, 0, steps=10)
    assert harness.curves(loop.train(engine, tmp_path, 0)) == harness.curves(run)


def test_in_a_group_each_run_is_looked_at(run, tmp_path):
    engine = engines.together(program(), 2, devices=jax.devices()[:1])
    loop.train_together(engine, [replace(EXPERIMENT, seed=seed) for seed in (0, 1)], tmp_path)
    lines = [read_metrics(rundir.path(tmp_path, replace(EXPERIMENT, seed=seed)))[-1] for seed in (0, 1)]
    alone = read_metrics(run)[-1]
    for name in CURVES - {"modes"}:
        assert lines[0][f"watch/{name}"] == pytest.approx(alone[f"watch/{name}"], rel=1e-3, abs=1e-3)
    assert lines[0]["watch/spread"] != lines[1]["watch/spread"]


def test_what_the_curves_say():
    """Of a discriminator that is right, and knows its training examples."""
    model = program().model
    state = model.init(rng.root(0), program().first_batch())
    d = jax.tree.map(jnp.zeros_like, state.discriminator.params)
    d["Dense_0"]["kernel"] = d["Dense_0"]["kernel"].at[0, 0].set(1.0)  # the first coordinate, if positive
    d["Dense_1"]["kernel"] = d["Dense_1"]["kernel"].at[0, 0].set(1.0)
    d["Dense_1"]["bias"] = d["Dense_1"]["bias"] - 0.5
    g = jax.tree.map(jnp.zeros_like, state.generator.params)  # makes the origin: a logit of -0.5
    state = state.replace(
        discriminator=state.discriminator.replace(params=d), generator=state.generator.replace(params=g)
    )
    train = Batch(jnp.array([[1.5, 0.0], [2.5, 0.0], [0.25, 0.0], [1.75, 0.0]]))  # logits 1, 2, -0.25, 1.25
    held_out = Batch(jnp.array([[0.5, 0.0], [1.5, 0.0]]))  # logits 0, 1
    seen = model.watch(state, train, held_out, rng.root(0))
    expected = {
        "d_accuracy_real": 0.75,
        "d_accuracy_fake": 1.0,
        "d_accuracy_pairs": 1.0,
        "real_sign": 0.5,
        "overfitting": (1.0 - 0.5) / (1.0 + 0.5),
    }
    assert {name: float(value) for name, value in seen.items()} == pytest.approx(expected, rel=1e-6)


def test_signs_are_not_counted_where_they_say_nothing():
    """Logits of least squares are drawn to 1 and 0."""
    squares = build.model(replace(EXPERIMENT.model, contest=c.LeastSquares()), (2,), 0)
    batch = Batch(jnp.zeros((4, 2)))
    state = jax.eval_shape(squares.init, rng.root(0), batch)
    seen = jax.eval_shape(squares.watch, state, batch, batch, rng.root(0))
    assert set(seen) == {"d_accuracy_pairs", "overfitting"}


def test_modes_and_spread_are_those_of_numpy():
    mixture = data.MIXTURES["ring"]()
    x = jnp.asarray(mixture.means[[0, 0, 3]]) + jnp.array([[0.0, 0.0], [0.02, 0.0], [0.05, 0.0]])
    assert int(watch.modes(x, jnp.asarray(mixture.means), mixture.scale)) == 1  # the last lies 5 deviations away
    np.testing.assert_allclose(watch.spread(x), np.var(np.asarray(x), axis=0).sum(), rtol=1e-5)


def test_a_look_takes_examples_of_the_whole_split():
    """Which may be in the order of its classes."""
    split = data.Split(np.arange(1000, dtype=np.float32).reshape(500, 2), np.arange(500, dtype=np.int32) // 50)
    seen = watch.some(program(), split, 100)
    assert set(np.asarray(seen.y).tolist()) == set(range(10))
    assert (seen.y[0], seen.y[-1], len(seen.x)) == (0, 9, 100)
    np.testing.assert_array_equal(watch.some(program(), split, 1000).x, split.x)  # all, where there are fewer


def test_what_has_nothing_to_look_at_is_refused():
    experiment = replace(harness.COMPARED["vae"], watched=True)
    with pytest.raises(
        UserError, match=r"Experiment.watched is True, but VAE says nothing of its stability: use False"
    ):
        build.program(experiment, data.load("digits"))


def test_a_generator_that_makes_one_example_has_failed(monkeypatch):
    state = SimpleNamespace(step=jnp.int32(collapsed.YOUNG))
    points = 0.001 * np.random.RandomState(0).standard_normal((64, 2)).astype(np.float32)

    def made(x):
        return lambda program: SimpleNamespace(sample=lambda state: jnp.asarray(x))

    monkeypatch.setattr(collapsed.jax, "jit", lambda function: function)
    monkeypatch.setattr(engines, "parts", made(points))
    with pytest.raises(Diverged, match=r"After step 1000 the generated examples are all but the same: they vary by"):
        collapsed.check(program(), state)
    collapsed.check(program(), SimpleNamespace(step=jnp.int32(collapsed.YOUNG - 1)))
    monkeypatch.setattr(engines, "parts", made(1000 * points))
    collapsed.check(program(), state)


def test_the_field_is_in_files_of_before_by_its_default():
    values = json.loads(c.to_json(EXPERIMENT))
    del values["watched"]
    assert c.from_json(json.dumps(values)) == replace(EXPERIMENT, watched=False)
