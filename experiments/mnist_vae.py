"""Convolutional VAE (the article's networks) on dynamically binarised MNIST, 10 epochs of batch 128.

    gvlab train experiments/mnist_vae.py
    gvlab evaluate runs/mnist_vae/seed-0

Cost: 13 CPU minutes (2 cores that were busy with other work).
Reached (seed 0): test iw_bound_nats -90.11 +- 0.22 with k = 50, elbo_nats -95.30 +- 0.24; 27 of 32 latents are active.
"""

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
