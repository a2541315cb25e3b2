"""A VAE of 32 bits on binarised digits, DisARM, 2,000 steps of batch 64.

    gvlab train experiments/digits_binary_vae.py
    gvlab evaluate runs/digits_binary_vae/seed-0

Cost: 14 CPU seconds.
Reached (seed 0): test elbo_nats -104.0, of which the KL is 4.3; iw_bound_nats -102.6 with k = 100.
"""

from gvlab.config import MLP, Adam, BinaryVAE, Data, Evaluation, Experiment


def config() -> Experiment:
    return Experiment(
        name="digits_binary_vae",
        data=Data(name="digits", quantization="binarize"),
        model=BinaryVAE(network=MLP(hidden=(128, 128)), latent_dim=32, optimizer=Adam(learning_rate=1e-3)),
        steps=2_000,
        batch_size=64,
        log_every=50,
        sample_every=500,
        checkpoint_every=1_000,
        evaluation=Evaluation(k=100),
    )
