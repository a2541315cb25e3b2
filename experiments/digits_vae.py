"""Convolutional VAE on scikit-learn's 8x8 digits, shown at 16x16: the quickstart's VAE."""

from gvlab.config import VAE, Adam, Data, Evaluation, Experiment


def config() -> Experiment:
    return Experiment(
        name="digits_vae",
        data=Data(name="digits", quantization="binarize"),
        model=VAE(latent_dim=16, optimizer=Adam(learning_rate=2e-3)),
        steps=1500,
        batch_size=64,
        evaluation=Evaluation(samples=2000, k=50),
    )
