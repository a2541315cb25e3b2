"""The article's GAN on 16x16 digits, the size its networks were drawn for.

    gvlab train experiments/article_gan.py
    gvlab evaluate runs/article_gan/seed-0

Cost: 10 CPU minutes, 2 GB of memory.
Reached (seed 0): frechet_pixels 1.25; the samples are clear digits, a few of them without a form.
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
