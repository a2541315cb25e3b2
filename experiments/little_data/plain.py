"""Fashion-MNIST with a tenth of its training images: no augmentation.

    gvlab train experiments/little_data/plain.py

The comparison's command, and what is the same in all four: `_fashion.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import Experiment

SHARED = run_path(str(Path(__file__).with_name("_fashion.py")))


def config() -> Experiment:
    made: Experiment = SHARED["experiment"]("plain")
    return made
