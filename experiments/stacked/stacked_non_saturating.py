"""StackedMNIST by the non-saturating game with R1 and R2, in a small residual network of R3GAN's.

    gvlab train experiments/stacked/stacked_non_saturating.py

The comparison's command, and what is the same in all three: `_stacked.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import Experiment, NonSaturating

SHARED = run_path(str(Path(__file__).with_name("_stacked.py")))


def config() -> Experiment:
    made: Experiment = SHARED["experiment"]("stacked_non_saturating", NonSaturating())
    return made
