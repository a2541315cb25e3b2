"""Fashion-MNIST with a tenth of its training images: LeCam (Tseng et al. 2021).

    gvlab train experiments/little_data/lecam.py

The comparison's command, and what is the same in all four: `_fashion.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import Experiment, LeCam

SHARED = run_path(str(Path(__file__).with_name("_fashion.py")))


def config() -> Experiment:
    made: Experiment = SHARED["experiment"]("lecam", terms=(LeCam(0.3),))
    return made
