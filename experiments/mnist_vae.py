"""Convolutional VAE (the article's networks) on dynamically binarised MNIST, 10 epochs of batch 128.

    gvlab train experiments/mnist_vae.py
    gvlab evaluate runs/mnist_vae/seed-0

Cost: 0.13 seconds a step on 2 CPU cores, so about 10 minutes in all (not run to its end yet).
Reached: not measured; at step 1,400 of seed 0 the elbo_nats of the training batch was -98.8.
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
