"""A mixture of ten normals with learned weights, means and variances as the prior.

    gvlab train experiments/priors/mixture.py

The whole study's command, and what is the same in all of it: `_static_mnist.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import Experiment, Mixture

SHARED = run_path(str(Path(__file__).with_name("_static_mnist.py")))


def config() -> Experiment:
    made: Experiment = SHARED["experiment"]("mixture", prior=Mixture(10))
    return made
