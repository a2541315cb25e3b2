"""Exported VAEs draw their latents from the prior that was learned, and encode by their posterior."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import gvlab
from gvlab import build, data, export
from gvlab import config as c
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
