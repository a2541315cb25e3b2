"""Exported VAEs draw their latents from the prior that was learned."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import gvlab
from gvlab import build, data, export
from gvlab import config as c
from gvlab.train import train
from gvlab.train.engines import alone

PRIORS = [c.Mixture(3), c.Vamp(4), c.Flow("realnvp", 2, (4,)), c.Flow("maf", 2, (4,))]


@pytest.mark.parametrize("prior", PRIORS, ids=lambda prior: getattr(prior, "kind", type(prior).__name__))
def test_the_same_samples_as_of_the_run(prior, tmp_path: Path):
    experiment = c.Experiment("e", c.VAE(c.MLP((4,)), 2, prior=prior), steps=1, batch_size=4)
    run = train(alone(build.program(experiment, data.load("digits"))), tmp_path, seed=0)
    export.write_model(run, tmp_path / "exported")
    spec = importlib.util.spec_from_file_location("exported", tmp_path / "exported" / "load.py")
    exported = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(exported)
    assert exported.card["prior"] == "own"
    np.testing.assert_array_equal(exported.sample(3, seed=5), gvlab.load(run).sample(3, seed=5))
    with pytest.raises(ValueError, match="this model has its own"):
        exported.sample(3, truncation=1.0)
