"""VAE and IWAE with one sample, two stochastic layers, MNIST: published 85.33 nats.

Burda et al. 2016, table 1, k = 1. With one sample the two objectives are one: log p(x, z) - log q(z|x) at a drawn z,
as in the authors' code. The protocol and where ours differs: `_burda2016.py`.

    gvlab train experiments/reproductions/iwae_mnist_2layer_k1.py                 # for a GPU
    gvlab train experiments/reproductions/iwae_mnist_2layer_k1.py --steps 363000  # shortened
    gvlab evaluate runs/iwae_mnist_2layer_k1/seed-0
"""

from pathlib import Path
from runpy import run_path
from typing import Any

from gvlab.config import Experiment
from gvlab.reproduce import Published

SHARED = run_path(str(Path(__file__).with_name("_burda2016.py")))
CELL: dict[str, Any] = {"layers": 2, "importance_weighted": True, "k": 1}


def config() -> Experiment:
    made: Experiment = SHARED["experiment"]("iwae_mnist_2layer_k1", **CELL)
    return made


def published() -> Published:
    made: Published = SHARED["published"](**CELL)
    return made
