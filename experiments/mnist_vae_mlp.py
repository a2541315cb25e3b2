"""Burda et al.'s MLP VAE (784-200-200-50, tanh) on dynamically binarised MNIST, 300 epochs of batch 100.

Adam 1e-3 with eps 1e-4, times 0.3 at 60 % and again at 85 %; the decoder's bias begins with the training mean. The
paper (arXiv 1509.00519, table 1) reaches 86.76 nats with k = 5000 after 3280 epochs of batch 20.

    gvlab train experiments/mnist_vae_mlp.py
    gvlab evaluate runs/mnist_vae_mlp/seed-0

Cost: 11 CPU minutes for training, 3.3 for the evaluation with k = 500 (2 cores, both busy with other work).
Reached (seed 0): test iw_bound_nats -87.95 +- 0.23 with k = 500, -87.67 +- 0.23 with k = 5000 (10.4 CPU minutes, with
other work running); elbo_nats -91.73 +- 0.25; 22 of 50 latents are active.
"""

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
