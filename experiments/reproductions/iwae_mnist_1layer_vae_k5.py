"""VAE with 5 samples, one stochastic layer, MNIST: published 86.47 nats.

Burda et al. 2016, table 1, k = 5. The ELBO, averaged over 5 samples. The protocol and where ours
differs: `_burda2016.py`.

    gvlab train experiments/reproductions/iwae_mnist_1layer_vae_k5.py                 # for a GPU
    gvlab train experiments/reproductions/iwae_mnist_1layer_vae_k5.py --steps 363000  # shortened
    gvlab evaluate runs/iwae_mnist_1layer_vae_k5/seed-0
"""

from pathlib import Path
from runpy import run_path
from typing import Any

from gvlab.config import Experiment
from gvlab.reproduce import Published

SHARED = run_path(str(Path(__file__).with_name("_burda2016.py")))
CELL: dict[str, Any] = {"layers": 1, "importance_weighted": False, "k": 5}


def config() -> Experiment:
    made: Experiment = SHARED["experiment"]("iwae_mnist_1layer_vae_k5", **CELL)
    return made


def published() -> Published:
    made: Published = SHARED["published"](**CELL)
    return made
