"""x"""

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
