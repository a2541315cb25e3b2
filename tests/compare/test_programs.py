"""A training is known by what is computed: names, places and comments have no part in its digest, equations do."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import harness
import jax
import jax.numpy as jnp
import pytest
from harness import COMPARED, EXPERIMENTS

from gvlab import build, data, losses
from gvlab import config as c
from gvlab.compare import programs
from gvlab.models import vae as vae_models
from gvlab.types import Batch

PARTS = ("init", "batch", "step", "sample")


def digests(experiment: c.Experiment = COMPARED["vae"], platform: str = "cpu", **changes: Any) -> dict[str, str]:
    """Built and lowered anew."""
    made = build.program(replace(experiment, **changes), data.load("digits"))
    programs._KNOWN.clear()
    return programs.digests(made, platform)


@pytest.fixture(scope="module")
def before() -> dict[str, str]:
    """Of the VAE, before anything is changed."""
    return digests()


def changed(now: dict[str, str], before: dict[str, str]) -> list[str]:
    return [name for name in before if before[name] != now[name]]


# --- what decides nothing ---------------------------------------------------------------------------------------------


def test_seed_steps_and_what_is_logged_decide_nothing(before):
    assert changed(digests(name="another", seed=7, steps=3, log_every=3, evaluation=c.Evaluation(k=9)), before) == []


def test_it_is_lowered_once_for_all_seeds(monkeypatch):
    made = build.program(COMPARED["vae"], data.load("digits"))
    before = programs.digests(made, "cpu")
    monkeypatch.setattr(programs, "sha256", lambda *args: pytest.fail("lowered again"))
    assert programs.digests(replace(made, experiment=replace(made.experiment, seed=1)), "cpu") == before


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> dict[str, dict[str, str]]:
    """The digests in another process, each of a program before which the other one was lowered."""
    directory = tmp_path_factory.mktemp("elsewhere")
    first, *_ = EXPERIMENTS
    code = (
        "import json, runpy\n"
        "from gvlab import backend, build, data\n"
        "from gvlab.compare import programs\n"
        "backend.start()\n"
        "found = {}\n"
        f"for name in {[*EXPERIMENTS, first]}:\n"
        f"    config = runpy.run_path({str(directory)!r} + f'/{{name}}.py')['config']\n"
        "    programs._KNOWN.clear()\n"
        "    found[name] = programs.digests(build.program(config(), data.load('digits')), 'cpu')\n"
        "print(json.dumps(found))\n"
    )
    for one in EXPERIMENTS.values():
        harness.experiment_file(directory, one)
    env = harness.environment(PYTHONHASHSEED="7")
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_two_processes_agree(name, elsewhere):
    """Also where Python's hashes are others, and something else was lowered before."""
    assert elsewhere[name] == digests(EXPERIMENTS[name])


def text(function: Any) -> str:
    """A module as JAX writes it."""
    one, two = (jax.ShapeDtypeStruct((3,), jnp.float32) for _ in range(2))
    return jax.jit(function).lower(one, two).as_text()


def test_names_and_the_order_of_functions_decide_nothing():
    @jax.jit
    def half(x):
        return x / 2

    @jax.jit
    def another_half(x):
        # The same, under another name.
        return x / 2

    @jax.jit
    def third(x):
        return x / 3

    def first(a, b):
        return {"sum": half(a) + third(b)}

    def second(x, y):
        return {"total": another_half(x) + third(y)}

    assert text(first) != text(second)
    assert programs.text_sha256(text(first)) == programs.text_sha256(text(second))
    assert programs.text_sha256(text(lambda a, b: half(a) + half(b))) == programs.text_sha256(
        text(lambda a, b: half(a) + another_half(b))
    )
    for other in (
        lambda a, b: half(b) + third(a),
        lambda a, b: third(a) + third(b),
        lambda a, b: half(a) - third(b),
        lambda a, b: half(half(a)) + third(b),
        lambda a, b: a / 2.0000002 + third(b),
    ):
        assert programs.text_sha256(text(other)) != programs.text_sha256(text(first))


def test_a_loss_that_is_not_used_decides_nothing(before, monkeypatch):
    monkeypatch.setattr(losses, "non_saturating", losses.hinge)
    monkeypatch.setattr(losses, "importance_weighted_bound", losses.renyi_bound)
    assert changed(digests(), before) == []


# --- what decides -----------------------------------------------------------------------------------------------------


def test_an_equation_of_the_loss(before, monkeypatch):
    divergence = vae_models.gaussian_kl
    monkeypatch.setattr(vae_models, "gaussian_kl", lambda *args: divergence(*args) * (1 + 1e-6))
    assert changed(digests(), before) == ["step"]


def test_another_contest():
    before = digests(COMPARED["gan"])
    saturating = replace(COMPARED["gan"].model, contest=c.Minimax())
    assert changed(digests(COMPARED["gan"], model=saturating), before) == ["step"]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"model": c.VAE(c.MLP(hidden=(16,)), latent_dim=4, optimizer=c.Adam(learning_rate=1.0001e-3))}, ["step"]),
        ({"model": c.VAE(c.MLP(hidden=(16,)), latent_dim=4, output_bias="data_mean")}, ["init"]),
        ({"model": c.VAE(c.MLP(hidden=(17,)), latent_dim=4)}, ["init", "step", "sample"]),
        ({"batch_size": 17}, ["batch", "step"]),
        ({"data": c.Data(quantization="dequantize")}, ["batch"]),
    ],
    ids=["learning rate", "the data's mean", "width", "batch size", "data"],
)
def test_a_number_of_the_configuration(changes, parts, before):
    assert changed(digests(**changes), before) == parts


def test_the_constants_count_to_the_last(monkeypatch):
    model = c.VAE(c.MLP(hidden=(16,)), latent_dim=4, output_bias="data_mean")
    before, digits = digests(model=model), data.load("digits")
    x = digits.train.x.copy()
    x[0, 3, 4, 0] += 1
    monkeypatch.setattr(data, "load", lambda name: replace(digits, train=replace(digits.train, x=x)))
    assert changed(digests(model=model), before) == ["init"]


def test_a_setting_of_jax():
    made = build.program(COMPARED["vae"], data.load("digits"))
    before = programs.identity(made)
    with jax.default_matmul_precision("float32"):
        other = programs.identity(made)
    assert other["settings"] != before["settings"]
    assert other["program"]["step"] != before["program"]["step"]
    assert other["versions"] == before["versions"]


def test_platforms_are_lowered_for_wherever_they_are():
    gan = EXPERIMENTS["gan"]  # its convolutions are others on CPU
    cpu, cuda, tpu = (digests(gan, platform) for platform in ("cpu", "cuda", "tpu"))
    assert [one["platform"] for one in (cpu, cuda, tpu)] == ["cpu", "cuda", "tpu"]
    assert cpu["step"] != cuda["step"]
    assert digests(gan, "cuda") == cuda
    assert programs.identity(build.program(gan, data.load("digits")))["program"] == cpu


def test_the_shapes_are_those_of_training():
    made = harness.program("vae")
    shapes, engine = programs.shapes_of(made), harness.engine("vae")
    state = jax.eval_shape(engine.init, engine.inputs([made.experiment]))
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), shapes.state) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), state
    )
    assert isinstance(shapes.data, Batch)
    assert shapes.data.x.shape == engine.data.x.shape
    assert shapes.data.x.dtype == engine.data.x.dtype
