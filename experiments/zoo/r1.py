"""The digits zoo under R1 (Mescheder et al. 2018).

    gvlab train experiments/zoo/r1.py --model.contest hinge

The whole study's command, and what is the same in all of it: `_digits.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import R1, Experiment

SHARED = run_path(str(Path(__file__).with_name("_digits.py")))


def config() -> Experiment:
    made: Experiment = SHARED["experiment"]("r1", "plain", R1(1.0))
    return made
