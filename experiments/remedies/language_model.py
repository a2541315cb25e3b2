"""The language model that the VAE's decoder is, without latents.

    gvlab train experiments/remedies/language_model.py

The whole study's command, and what is the same in all of it: `_shakespeare.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import Density, Experiment

SHARED = run_path(str(Path(__file__).with_name("_shakespeare.py")))


def config() -> Experiment:
    made: Experiment = SHARED["experiment"]("language_model", Density(SHARED["NETWORK"], SHARED["OPTIMIZER"]))
    return made
