"""VAE with 50 samples, two stochastic layers, MNIST: published 84.78 nats.

Burda et al. 2016, table 1, k = 50. The ELBO, averaged over 50 samples. The protocol and where ours
differs: `_burda2016.py`.

    gvlab train experiments/reproductions/iwae_mnist_2layer_vae_k50.py                 # for a GPU
    gvlab train experiments/reproductions/iwae_mnist_2layer_vae_k50.py --steps 363000  # shortened
    gvlab evaluate runs/iwae_mnist_2layer_vae_k50/seed-0
"""

from pathlib import Path
from runpy import run_path
from typing import Any

from gvlab.config import Experiment
from gvlab.reproduce import Published

SHARED = run_path(str(Path(__file__).with_name("_burda2016.py")))
CELL: dict[str, Any] = {"layers": 2, "importance_weighted": False, "k": 50}


def config() -> Experiment:
    made: Experiment = SHARED["experiment"]("iwae_mnist_2layer_vae_k50", **CELL)
    return made


def published() -> Published:
    made: Published = SHARED["published"](**CELL)
    return made
