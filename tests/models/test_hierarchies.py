"""Hierarchical VAEs as experiments: what builds, what is refused, a run from training to an exported model."""

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gvlab
from gvlab import build, data, evaluate, export, tree
from gvlab import config as c
from gvlab.pictures import bars
from gvlab.train import loop
from gvlab.train.engines import alone
from gvlab.types import Batch, UserError

LADDER = c.HierarchicalVAE(c.LadderMLP((3, 2), (8, 4)))


def made(model, shape, **fields):
    return build.model(model, shape, 3, **fields)


def vdvae(decoder, posterior):
    return c.HierarchicalVAE(c.VDVAE("4d4", decoder, 4, 2, posterior=posterior), likelihood=c.MixtureOfLogistics(2))


def test_vdvae_builds():
    """Terms, parameters and samples are of float32."""
    model, batch = made(vdvae("1x1,4m1", c.Residual()), (4, 4, 3), precision="bfloat16"), Batch(jnp.zeros((3, 4, 4, 3)))

    def run(key, batch):
        state = model.init(key, batch)
        state, info = model.train_step(state, batch, key)
        z = jnp.zeros((5, 3, 2 + 16 * 2))
        nats = model.log_likelihood(state, batch, z), model.log_weights(state, batch, key, 5)
        return state.params, info, model.evaluate(state, batch, key), model.sample(state, key, 2), nats

    params, info, held_out, samples, nats = jax.eval_shape(run, jax.random.key(0), batch)
    assert info.keys() - {"loss", "grad_norm"} == held_out.keys()
    assert bars.from_the_top(held_out) == ["kl_nats/layer_1", "kl_nats/layer_2"]
    assert samples.shape == (2, 4, 4, 3)
    assert {leaf.shape for leaf in nats} == {(5, 3)}
    assert {leaf.dtype for leaf in jax.tree.leaves((params, info, held_out, samples))} == {jnp.dtype("float32")}


def test_of_many_layers_each_resolution_has_a_term():
    model, batch = made(vdvae("1x7,4m1,4x5", c.Absolute()), (4, 4, 3)), Batch(jnp.zeros((3, 4, 4, 3)))

    def run(key, batch):
        return model.evaluate(model.init(key, batch), batch, key)

    held_out = jax.eval_shape(run, jax.random.key(0), batch)
    assert bars.from_the_top(held_out) == ["kl_nats/1x1", "kl_nats/4x4"]
    assert model.prior(jax.random.key(0), 2).shape == (2, 7 * 2 + 6 * 16 * 2)


def test_data_that_it_cannot_make_are_refused():
    with pytest.raises(UserError, match=r"makes square images of 28 pixels a side, but the data have the shape \(1"):
        made(c.HierarchicalVAE(), (16, 16, 1))
    with pytest.raises(UserError, match=r"Bernoulli is one of images in \[0, 1\], but the data are vectors \(2"):
        made(LADDER, (2,))
    assert made(c.HierarchicalVAE(c.LadderMLP((2,), (4,)), likelihood=c.Gaussian()), (2,)).encode is None


def test_a_run_is_resumed_measured_drawn_and_exported(tmp_path):
    experiment = c.Experiment("e", LADDER, steps=4, batch_size=8, data=c.Data(quantization="binarize"))
    program = build.program(experiment, data.load("digits"))
    engine = alone(program)
    whole = loop.train(engine, tmp_path / "whole", seed=0)
    loop.train(engine, tmp_path / "parts", seed=0, steps=2)
    run = loop.train(engine, tmp_path / "parts", seed=0)
    state = loop.restore(program, run)
    assert tree.digest(state) == tree.digest(loop.restore(program, whole))
    measures = evaluate.held_out.held_out(program, state, jax.random.key(0))
    layers = measures["kl_nats/layer_1"]["value"] + measures["kl_nats/layer_2"]["value"]
    np.testing.assert_allclose(measures["kl_nats"]["value"], layers, rtol=1e-5)
    assert measures["bits_per_dim"]["stamp"] == {"bound": "elbo", "latent_samples": 1}
    assert bars.layers(program, state).shape == (2 * 24, 512, 1)
    model = gvlab.load(run)
    assert tree.digest(model.params) == tree.digest(state.ema_params) != tree.digest(state.params)
    with pytest.raises(UserError, match=r"^e is a HierarchicalVAE, which has no encoder: encoding needs a VAE\.$"):
        model.encode(np.zeros((1, 16, 16, 1)))
    export.write_model(run, tmp_path / "exported")
    spec = importlib.util.spec_from_file_location("exported", tmp_path / "exported" / "load.py")
    exported = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(exported)
    np.testing.assert_array_equal(exported.sample(3, seed=5), model.sample(3, seed=5))
