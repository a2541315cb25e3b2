"""MLP VAE."""

from gvlab.config import MLP, VAE, Adam, Data, Evaluation, Experiment


def config() -> Experiment:
    return Experiment(
        name="mnist_vae_mlp",
        data=Data(name="mnist", quantization="binarize"),
        model=VAE(
            network=MLP(hidden=(200, 200)),
            latent_dim=50,
            output_bias="data_mean",
            optimizer=Adam(learning_rate=1e-3, eps=1e-4, drop_steps=(108_000, 153_000), drop_factor=0.3),
        ),
        steps=180_000,
        batch_size=100,
        log_every=600,
        sample_every=6_000,
        checkpoint_every=6_000,
        evaluation=Evaluation(k=500),
    )
