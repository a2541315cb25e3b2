"""Learned priors, and a posterior with a flow: MLP VAEs of 40 latents on MNIST as Larochelle binarised it, 20 epochs.

    gvlab compare experiments/priors/[a-z]*.py --seeds 3 --out experiments/priors_compared

Tomczak & Welling 2018 train gated networks of the same widths for up to 2,000 epochs, to the best epoch on validation
data: 88.56 and 85.57 nats with the standard normal and the VampPrior. Here are 20 epochs of plain ones, of the same
50,000 images. `iw_bound_nats` is of all 10,000 test images, k = 500.

Cost: 73 CPU minutes for 15 runs on one busy core, measuring included; those of vamp cost most.
`gvlab verify` on one core (`taskset -c 0`) finds the same bits in a unit that was tried.
Reached (`experiments/priors_compared/table.md`, three seeds): iw_bound_nats -94.69 [-95.68, -93.70] (flow), -95.57
(mixture), -96.65 (iaf), -96.88 (standard normal), -100.8 [-106.4, -95.1] (vamp).
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
