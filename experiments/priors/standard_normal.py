"""The standard normal prior, with which the others are compared.

    gvlab train experiments/priors/standard_normal.py

The whole study's command, and what is the same in all of it: `_static_mnist.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import Experiment

SHARED = run_path(str(Path(__file__).with_name("_static_mnist.py")))


def config() -> Experiment:
    made: Experiment = SHARED["experiment"]("standard_normal")
    return made
