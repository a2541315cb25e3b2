"""A trained VQ-VAE in the hand: its codes go out and come in, and what is of real latents alone is refused."""

from __future__ import annotations

import runpy
from dataclasses import replace

import jax
import numpy as np
import pytest

import gvlab
from gvlab import build, data, export
from gvlab import config as c
from gvlab.data import image_sets
from gvlab.evaluate import annealing, bounds, codes, disentanglement, kinds
from gvlab.pictures import draw
from gvlab.train import train
from gvlab.train.engines import alone
from gvlab.types import UserError

EXPERIMENT = c.Experiment(
    "codes", c.VQVAE(c.CodeMLP(3, (8,)), c.EMAVQ(5, 2, start_at="kmeans"), conditional=True), steps=2, batch_size=8
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    program = build.program(EXPERIMENT, data.load("digits"))
    return train(alone(program, jax.devices()[:1]), tmp_path_factory.mktemp("runs"), seed=0)


@pytest.fixture(scope="module")
def model(run):
    return gvlab.load(run)


@pytest.fixture(scope="module")
def program(model):
    return replace(model.program, dataset=data.load("digits"))


def test_codes_of_examples_and_examples_of_codes(model):
    digits = data.load("digits").test
    z = model.codes(digits.x[:4], digits.y[:4])
    assert z.dtype == np.int32
    assert z.shape == (4, 3)
    assert model.decode(z, digits.y[:4]).shape == (4, 16, 16, 1)
    np.testing.assert_array_equal(model.decode(np.asarray(z, np.int64), 3), model.decode(z, 3))
    drawn = model.latents(jax.random.key(0), 200)
    assert sorted(np.unique(drawn)) == [0, 1, 2, 3, 4]


def test_latents_as_files(model, tmp_path):
    images = tmp_path / "images.npz"
    np.savez(images, data.load("digits").test.x[:5])
    export.write_latents(tmp_path / "z.npz", model, image_sets.read(images), 3)
    z, y = export.read_latents(tmp_path / "z.npz")
    assert y is None
    np.testing.assert_array_equal(z, model.codes(data.load("digits").test.x[:5], 3))
    assert sum(len(split.x) for split in model.decoded(z)) == 5


def test_an_export_computes_the_same(model, run, tmp_path):
    loaded = runpy.run_path(str(export.write_model(run, tmp_path / "out") / "load.py"))
    x = data.load("digits").test.x[:3]
    np.testing.assert_array_equal(loaded["encode"](x, 2), model.codes(x, 2))
    np.testing.assert_array_equal(loaded["decode"](model.codes(x, 2), 2), model.decode(model.codes(x, 2), 2))
    assert loaded["card"]["programs"]["decode"]["inputs"][0]["dtype"] == "int32"
    assert "quantizer.codebook.sums" in loaded["card"]["weights"]
    with pytest.raises(ValueError, match="this model has its own"):
        loaded["sample"](2, truncation=1.0)


def test_usage_is_of_the_whole_split(model, program):
    found = codes.usage(program, model.state)
    digits = data.load("digits").test
    shares = np.bincount(np.asarray(model.codes(digits.x, digits.y)).ravel(), minlength=5) / digits.x.shape[0] / 3
    used = shares[shares > 0]
    entropy = -(used * np.log(used)).sum()
    assert found["code_perplexity"]["value"] == pytest.approx(np.exp(entropy))
    assert found["code_entropy_bits"]["value"] == pytest.approx(entropy / np.log(2))
    assert found["active_codes"]["value"] == pytest.approx(len(used) / 5)
    assert found["active_codes"]["stamp"] == {"positions": 3 * len(digits.x), "codes": 5, "levels": 1}
    assert {kinds.kind_of(name).group for name in found} == {"latents"}


def test_any_k_gives_the_elbo(model, program):
    from gvlab.evaluate import held_out

    key = jax.random.key(0)
    elbo = held_out.held_out(program, model.state, key)["elbo_nats"]
    bound = bounds.bound(program, model.state, key)["iw_bound_nats"]
    assert bound["value"] == pytest.approx(elbo["value"], rel=1e-6)
    assert bound["stamp"] == {"k": 50}


REFUSED = {
    "encode": (
        lambda m, p: m.encode(m.sample(1)),
        r"The latents of codes are codes, without mean and variance: use co",
    ),
    "floats": (lambda m, p: m.decode(np.zeros((2, 3))), r"have type float64, but are codes, and integers wanted"),
    "length": (lambda m, p: m.decode(np.zeros((2, 4), int)), r"have shape \(2, 4\), but \[n, 3\] is wanted"),
    "range": (lambda m, p: m.decode([[0, 1, 5]]), r"The code 5 at position 2 does not exist: there are 5, from 0 on\."),
    "truncation": (lambda m, p: m.sample(2, truncation=1.0), r"codes has a prior of its own: leave it out"),
    "walks": (lambda m, p: draw.interpolations(p, m.state, 0, 2, 3), r"codes draws codes, between which"),
    "traversals": (lambda m, p: draw.traversals(p, m.state, 0, 3), r"codes has codes for latents, but this picture"),
    "annealing": (lambda m, p: annealing.check(p, ["ais"]), r"codes has no p\(x\|z\) with a standard normal prior"),
    "factors": (lambda m, p: disentanglement.check(p, ["disentanglement"]), r"codes has codes for latents, but disent"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_of_real_latents_is_refused(name, model, program):
    call, sentence = REFUSED[name]
    with pytest.raises(UserError, match=sentence):
        call(model, program)


def test_a_model_without_codes_has_none():
    vae = c.Experiment("vae", c.VAE(c.MLP((8,)), 2), steps=2)
    program = build.program(vae, data.load("digits"))
    with pytest.raises(UserError, match=r"vae has no codes, as a VQVAE or a BinaryVAE has: use encode\(x\)\."):
        gvlab.trained.Trained(program, None).codes(np.zeros((1, 16, 16, 1), np.uint8))


def test_too_few_positions_for_kmeans_are_refused_before_training():
    few = replace(EXPERIMENT, model=replace(EXPERIMENT.model, quantizer=c.EMAVQ(25, 2, start_at="kmeans")))
    with pytest.raises(UserError, match=r"25 codes cannot start at the means of a first batch of 24 positions"):
        build.program(few, data.load("digits"))
