"""DCGAN on MNIST with hinge and spectral norm (Miyato et al. 2018), for a comparison at equal seconds.

    gvlab train experiments/mnist_minutes/hinge_sn.py

The whole study's command, and what is the same in all of it: `_mnist.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import DCGAN, GAN, Adam, Experiment, HalfLife, Hinge

SHARED = run_path(str(Path(__file__).with_name("_mnist.py")))


def config() -> Experiment:
    adam = Adam(learning_rate=2e-4, b1=0.5)
    model = GAN(
        network=DCGAN(width=64, discriminator="spectral_norm"),
        contest=Hinge(),
        latent_dim=100,
        half_life=HalfLife(10_000),
        generator_optimizer=adam,
        discriminator_optimizer=adam,
    )
    made: Experiment = SHARED["experiment"]("hinge_sn", model)
    return made
