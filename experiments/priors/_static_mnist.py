"""Learned priors, and a posterior with a flow: MLP VAEs of 40 latents on MNIST as Larochelle binarised it, 20 epochs.

    gvlab compare experiments/priors/[a-z]*.py --seeds 3 --out experiments/priors_compared

Tomczak & Welling 2018 train gated networks of the same widths for up to 2,000 epochs, to the best epoch on validation
data: 88.56 and 85.57 nats with the standard normal and the VampPrior. Here are 20 epochs of plain ones, of the same
50,000 images. `iw_bound_nats` is of all 10,000 test images, k = 500.

Cost: TO BE MEASURED.
Reached: not run.
"""

from typing import Any

from gvlab.config import MLP, VAE, Adam, Data, Evaluation, Experiment


def experiment(name: str, **chosen: Any) -> Experiment:
    return Experiment(
        name=name,
        data=Data(name="binarized_mnist"),
        model=VAE(network=MLP(hidden=(300, 300)), latent_dim=40, kl_warmup_steps=5_000, optimizer=Adam(5e-4), **chosen),
        steps=10_000,
        batch_size=100,
        log_every=500,
        sample_every=5_000,
        checkpoint_every=2_500,
        evaluation=Evaluation(k=500),
    )
