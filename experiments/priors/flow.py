"""A prior that is a learned flow of couplings (Dinh et al. 2017; Chen et al. 2017).

    gvlab train experiments/priors/flow.py

The whole study's command, and what is the same in all of it: `_static_mnist.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import Experiment, Flow

SHARED = run_path(str(Path(__file__).with_name("_static_mnist.py")))


def config() -> Experiment:
    made: Experiment = SHARED["experiment"]("flow", prior=Flow())
    return made
