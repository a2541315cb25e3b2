"""x"""

from gvlab.config import DCGAN, GAN, Data, Experiment


def config() -> Experiment:
    return Experiment(
        name="mnist_dcgan",
        data=Data(name="mnist"),
        model=GAN(network=DCGAN(width=64), latent_dim=100, update="simultaneous"),
        steps=6_000,
        batch_size=64,
        log_every=100,
        sample_every=1_000,
        checkpoint_every=1_000,
    )
