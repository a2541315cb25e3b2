"""The standard normal prior and an inverse autoregressive flow as the posterior (Kingma et al. 2016).

    gvlab train experiments/priors/iaf.py

The whole study's command, and what is the same in all of it: `_static_mnist.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import Experiment, InverseAutoregressive

SHARED = run_path(str(Path(__file__).with_name("_static_mnist.py")))


def config() -> Experiment:
    made: Experiment = SHARED["experiment"]("iaf", posterior=InverseAutoregressive())
    return made
