"""A small R3GAN on MNIST (Huang et al. 2024), for a comparison at equal seconds.

    gvlab train experiments/mnist_minutes/r3gan.py

One block in a stage, 48 to 8 channels; the relativistic game with R1 and R2. The whole study's command, and what is
the same in all of it: `_mnist.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import GAN, R1, R2, R3GAN, Adam, Experiment, HalfLife, Relativistic

SHARED = run_path(str(Path(__file__).with_name("_mnist.py")))


def config() -> Experiment:
    adam = Adam(learning_rate=2e-4, b1=0.0, b2=0.99)
    model = GAN(
        network=R3GAN(widths=(48, 32, 24, 8), group=16, blocks=1),
        contest=Relativistic(),
        discriminator_terms=(R1(1.0), R2(1.0)),
        latent_dim=64,
        half_life=HalfLife(10_000),
        generator_optimizer=adam,
        discriminator_optimizer=adam,
    )
    made: Experiment = SHARED["experiment"]("r3gan", model)
    return made
