"""Exported VAEs draw their latents from the prior that was learned, and encode by their posterior; of models without a
prior there are no samples."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from harness import call
from programs import IMAGE, program

import gvlab
from gvlab import build, data, export, rng, trained
from gvlab import config as c
from gvlab.data import Alphabet
from gvlab.export import programs
from gvlab.train import train
from gvlab.train.engines import alone

POSTERIORS = [c.FullCovariance(), c.InverseAutoregressive(1, (4,), 1), c.Planar(1, 1)]
PRIORS = [c.Mixture(3), c.Vamp(4), c.Flow("maf", 2, (4,))]


def both(experiment, directory):
    """A run, and what its export is where it is loaded."""
    run = train(alone(build.program(experiment, data.load("digits"))), directory, seed=0)
    export.write_model(run, directory / "exported")
    spec = importlib.util.spec_from_file_location("exported", directory / "exported" / "load.py")
    exported = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(exported)
    return run, exported


@pytest.mark.parametrize("prior", PRIORS, ids=lambda prior: getattr(prior, "kind", type(prior).__name__))
def test_the_same_samples_as_of_the_run(prior, tmp_path: Path):
    experiment = c.Experiment("e", c.VAE(c.MLP((4,)), 2, prior=prior), steps=1, batch_size=4)
    run, exported = both(experiment, tmp_path)
    assert exported.card["prior"] == "own"
    np.testing.assert_array_equal(exported.sample(3, seed=5), gvlab.load(run).sample(3, seed=5))
    with pytest.raises(ValueError, match="this model has its own"):
        exported.sample(3, truncation=1.0)


@pytest.mark.parametrize("posterior", POSTERIORS, ids=lambda posterior: type(posterior).__name__)
def test_the_same_encodings_as_of_the_run(posterior, tmp_path: Path):
    experiment = c.Experiment("e", c.VAE(c.MLP((4,)), 2, posterior=posterior), steps=1, batch_size=4)
    run, exported = both(experiment, tmp_path)
    x = data.load("digits").test.x[:3]
    for ours, theirs in zip(gvlab.load(run).encode(x), exported.encode(x), strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-6)


def test_without_samples_the_rest_is_the_same(tmp_path: Path):
    run, exported = both(c.Experiment("e", c.RAE(c.MLP((4,)), 2), steps=1, batch_size=4), tmp_path)
    assert sorted(exported.card["programs"]) == sorted(exported.programs) == ["decode", "encode"]
    assert exported.card["prior"] == "none"
    assert {about["largest_difference"] for about in exported.card["programs"].values()} == {0.0}
    with pytest.raises(ValueError, match=r"^e has no prior to sample from: give latents to decode, as encode makes"):
        exported.sample(3)
    z, _ = exported.encode(data.load("digits").test.x[:3])
    np.testing.assert_array_equal(exported.decode(z), gvlab.load(run).decode(z))
    np.savez(tmp_path / "z.npz", z=z)
    assert call("decode", run, "--latents", tmp_path / "z.npz", "--out", tmp_path / "decoded.png") == 0


TONES = np.tile(np.array([900, -900], np.int16), (10, 32))[..., None] // np.arange(1, 11, dtype=np.int16)[:, None, None]
WAVES = data.from_arrays("tones", TONES[:8], TONES[8:], rate=4000)
LETTERS = Alphabet(tuple("abc"), "characters")
ROWS = data.from_arrays("letters", np.zeros((8, 5), np.int32), np.zeros((2, 5), np.int32), alphabet=LETTERS)
NEWER = {
    "Spectrograms": (c.Spectrograms(c.GAN(c.MLP((2,)), 2), 16, 8, 1), WAVES, (64, 1)),
    "CodeWaves": (c.VQVAE(c.CodeWaves(1, (4,)), likelihood=c.SharedGaussian()), WAVES, (64, 1)),
    "SentenceConvolutions": (c.GAN(c.SentenceConvolutions(1, 1), 2), ROWS, (5,)),
}


@pytest.mark.parametrize("name", NEWER)
def test_the_programs_of_newer_models_take_any_number(name):
    config, dataset, shape = NEWER[name]
    made = build.program(c.Experiment("e", config, steps=1, batch_size=4), dataset)
    shapes = jax.eval_shape(made.model.init, rng.root(0), made.first_batch())
    model = trained.Trained(made, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes))
    lowered = programs.lowered(model, programs.weights_of(model))
    assert set(lowered) == {"decode", "sample"} | ({"codes"} if name == "CodeWaves" else set())
    for known in ("decode", "sample"):
        (x,) = lowered[known].out_avals
        assert str(x.shape[0]) == "b"
        assert (x.shape[1:], str(x.dtype)) == (shape, made.dataset.modality.seen)


def test_a_translators_programs_take_any_number_of_pictures():
    made = program(c.Pix2Pix(c.Downsample(2), c.UNet(1), 1, 1), IMAGE)
    shapes = jax.eval_shape(made.model.init, rng.root(0), made.first_batch())
    model = trained.Trained(made, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes))
    weights = programs.weights_of(model)
    lowered = programs.lowered(model, weights)
    assert sorted(lowered) == ["decode", "encode"]
    x = np.arange(48, dtype=np.uint8).reshape(3, *IMAGE)
    z, _ = lowered["encode"].call(weights.arrays, x, np.zeros((3, 0), np.float32))
    np.testing.assert_allclose(z, model.encode(x)[0], atol=1e-6)
