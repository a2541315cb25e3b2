"""StackedMNIST by PacGAN2, the non-saturating game of pairs of images, in a small residual network of R3GAN's.

    gvlab train experiments/stacked/stacked_packed.py

The comparison's command, and what is the same in all three: `_stacked.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import Experiment, NonSaturating

SHARED = run_path(str(Path(__file__).with_name("_stacked.py")))


def config() -> Experiment:
    made: Experiment = SHARED["experiment"]("stacked_packed", NonSaturating(), packing=2)
    return made
