"""x"""

from gvlab.config import GAN, Article, Data, Experiment


def config() -> Experiment:
    return Experiment(
        name="article_gan",
        data=Data(name="digits"),
        model=GAN(network=Article(), latent_dim=100),
        steps=3_000,
        batch_size=64,
        log_every=50,
        sample_every=500,
        checkpoint_every=500,
    )
