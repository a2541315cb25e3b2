"""Fashion-MNIST with a tenth of its training images: ADA, all that moves pixels (Karras et al. 2020).

    gvlab train experiments/little_data/ada.py

The comparison's command, and what is the same in all four: `_fashion.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import ADA, Adaptive, Experiment

SHARED = run_path(str(Path(__file__).with_name("_fashion.py")))


def config() -> Experiment:
    made: Experiment = SHARED["experiment"]("ada", augmentation=ADA("bg", Adaptive(images=100_000)))
    return made
