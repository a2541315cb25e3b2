"""DCGAN on CIFAR-10 with horizontal flips, simultaneous updates, 4,000 steps of batch 64 (5.1 epochs).

    gvlab train experiments/cifar10_dcgan.py
    gvlab evaluate runs/cifar10_dcgan/seed-0

Cost: 0.14 seconds a step on 2 CPU cores, so about 10 minutes in all (not run to its end yet).
Reached: not run to its end yet.
"""

from gvlab.config import DCGAN, GAN, Data, Experiment


def config() -> Experiment:
    return Experiment(
        name="cifar10_dcgan",
        data=Data(name="cifar10", flip=True),
        model=GAN(network=DCGAN(width=64), latent_dim=100, update="simultaneous"),
        steps=4_000,
        batch_size=64,
        log_every=100,
        sample_every=1_000,
        checkpoint_every=1_000,
    )
