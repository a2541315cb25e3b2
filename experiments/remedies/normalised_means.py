"""BN-VAE (Zhu et al. 2020): the posterior's means are normalised over the batch, so the KL has a floor.

    gvlab train experiments/remedies/normalised_means.py

The whole study's command, and what is the same in all of it: `_shakespeare.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import Experiment, NormalisedMeans

SHARED = run_path(str(Path(__file__).with_name("_shakespeare.py")))


def config() -> Experiment:
    made: Experiment = SHARED["vae"]("normalised_means", posterior=NormalisedMeans())
    return made
