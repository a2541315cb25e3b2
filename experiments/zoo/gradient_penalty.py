"""The digits zoo under the two-sided gradient penalty (WGAN-GP; Gulrajani et al. 2017).

    gvlab train experiments/zoo/gradient_penalty.py --model.contest hinge

The whole study's command, and what is the same in all of it: `_digits.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import Experiment, GradientPenalty

SHARED = run_path(str(Path(__file__).with_name("_digits.py")))


def config() -> Experiment:
    made: Experiment = SHARED["experiment"]("gradient_penalty", "plain", GradientPenalty(10.0))
    return made
