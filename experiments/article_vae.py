"""The article's autoencoder made a VAE, on 16x16 digits, the size its networks were drawn for.

    gvlab train experiments/article_vae.py
    gvlab evaluate runs/article_vae/seed-0

Cost: 1.3 CPU minutes.
Reached (seed 0): test elbo_nats -99.13 +- 0.70, iw_bound_nats -97.74 +- 0.68 with k = 50, frechet_pixels 0.736.
"""

from gvlab.config import VAE, Article, Data, Evaluation, Experiment


def config() -> Experiment:
    return Experiment(
        name="article_vae",
        data=Data(name="digits", quantization="binarize"),
        model=VAE(network=Article(), latent_dim=32),
        steps=3_000,
        batch_size=64,
        evaluation=Evaluation(k=50),
    )
