"""x"""

from gvlab.config import VAE, Adam, Article, Data, Evaluation, Experiment


def config() -> Experiment:
    return Experiment(
        name="mnist_vae",
        data=Data(name="mnist", quantization="binarize"),
        model=VAE(network=Article(), latent_dim=32, optimizer=Adam(learning_rate=1e-3)),
        steps=4_690,
        batch_size=128,
        log_every=100,
        sample_every=1_000,
        checkpoint_every=1_000,
        evaluation=Evaluation(k=50),
    )
