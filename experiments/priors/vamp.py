"""The VampPrior: the mean of the posteriors of 500 learned examples (Tomczak & Welling 2018).

    gvlab train experiments/priors/vamp.py

The whole study's command, and what is the same in all of it: `_static_mnist.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import Experiment, Vamp

SHARED = run_path(str(Path(__file__).with_name("_static_mnist.py")))


def config() -> Experiment:
    made: Experiment = SHARED["experiment"]("vamp", prior=Vamp(500))
    return made
