"""DCGAN on CIFAR-10 with horizontal flips, simultaneous updates, 4,000 steps of batch 64 (5.1 epochs).

    gvlab train experiments/cifar10_dcgan.py
    gvlab evaluate runs/cifar10_dcgan/seed-0

Cost: 18 CPU minutes (2 cores that were busy with other work).
Reached (seed 0): frechet_pixels 12.0, kernel_pixels 0.0018, with 10,000 samples against the test split; scenes with the
colours of the data in which no object can be named yet. 4,000 steps are few for CIFAR-10.
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
