"""The VAE of Bora et al. 2017 on MNIST: 784-500-500-20 and 20-500-500-784, on grey pixels, 75 epochs of batch 100.

Theirs has softplus units, ours tanh; the latents, the widths, the Bernoulli likelihood of grey pixels, the batch and
Adam 1e-3 are theirs. Its use: `measure.py`, beside this file.

    gvlab train experiments/compressed_sensing/mnist_vae.py

Cost: 11 CPU minutes (26 by the clock, behind other work).
Reached (seed 0): test iw_bound_nats -94.3 +- 0.2 with k = 50, elbo_nats -99.2 +- 0.3, of grey pixels, so of a cross
entropy; 19 of 20 latents are active.
"""

from gvlab.config import MLP, VAE, Adam, Data, Evaluation, Experiment


def config() -> Experiment:
    return Experiment(
        name="csgm_mnist_vae",
        data=Data(name="mnist"),
        model=VAE(network=MLP(hidden=(500, 500)), latent_dim=20, optimizer=Adam(learning_rate=1e-3)),
        steps=45_000,
        batch_size=100,
        log_every=500,
        sample_every=5_000,
        checkpoint_every=2_500,
        evaluation=Evaluation(k=50),
    )
