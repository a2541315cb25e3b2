"""The article's GAN on 16x16 digits, the size its networks were drawn for.

    gvlab train experiments/article_gan.py
    gvlab evaluate runs/article_gan/seed-0

Cost: not measured yet on idle cores.
Reached: not run to its end yet.
"""

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
