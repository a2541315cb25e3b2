"""The digits zoo under spectral norm (Miyato et al. 2018).

    gvlab train experiments/zoo/spectral_norm.py --model.contest hinge

The whole study's command, and what is the same in all of it: `_digits.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import Experiment

SHARED = run_path(str(Path(__file__).with_name("_digits.py")))


def config() -> Experiment:
    made: Experiment = SHARED["experiment"]("spectral_norm", "spectral_norm")
    return made
