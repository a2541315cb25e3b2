"""Fashion-MNIST with a tenth of its training images: DiffAugment (Zhao et al. 2020).

    gvlab train experiments/little_data/diffaugment.py

The comparison's command, and what is the same in all four: `_fashion.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import DiffAugment, Experiment

SHARED = run_path(str(Path(__file__).with_name("_fashion.py")))


def config() -> Experiment:
    made: Experiment = SHARED["experiment"]("diffaugment", augmentation=DiffAugment(("translation", "cutout")))
    return made
