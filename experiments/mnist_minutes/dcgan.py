"""DCGAN on MNIST as in `mnist_dcgan.py` (Radford et al. 2016), for a comparison at equal seconds.

    gvlab train experiments/mnist_minutes/dcgan.py

The whole study's command, and what is the same in all of it: `_mnist.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import DCGAN, GAN, Experiment, HalfLife

SHARED = run_path(str(Path(__file__).with_name("_mnist.py")))


def config() -> Experiment:
    model = GAN(network=DCGAN(width=64), latent_dim=100, update="simultaneous", half_life=HalfLife(10_000))
    made: Experiment = SHARED["experiment"]("dcgan", model)
    return made
