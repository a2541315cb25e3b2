"""DCGAN on Fashion-MNIST, simultaneous updates, 4,000 steps of batch 64 (4.3 epochs).

    gvlab train experiments/fashion_mnist_dcgan.py
    gvlab evaluate runs/fashion_mnist_dcgan/seed-0

Cost: 7 CPU minutes.
Reached (seed 0): frechet_pixels 3.76, kernel_pixels 0.00027, fld_fashion_mnist-55c47bab 19.4, with 10,000 samples
against the test split; most samples can be named, some shoes and bags are torn.
"""

from gvlab.config import DCGAN, GAN, Data, Experiment


def config() -> Experiment:
    return Experiment(
        name="fashion_mnist_dcgan",
        data=Data(name="fashion_mnist"),
        model=GAN(network=DCGAN(width=64), latent_dim=100, update="simultaneous"),
        steps=4_000,
        batch_size=64,
        log_every=100,
        sample_every=1_000,
        checkpoint_every=1_000,
    )
