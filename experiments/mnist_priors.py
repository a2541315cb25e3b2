"""Learned priors: an MLP VAE of 40 latents on MNIST as Larochelle binarised it, 20 epochs.

    gvlab train experiments/mnist_priors.py
    gvlab compare experiments/mnist_priors.py --seeds 3 --out experiments/priors --sweep "prior=standard_normal,\
mixture(10),vamp(500),flow"

Tomczak & Welling 2018 train gated networks of the same widths for up to 2,000 epochs, to the best epoch on validation
data: 88.56 and 85.57 nats with the standard normal and the VampPrior. Here are 20 epochs of plain ones.

Cost: the comparison was not run: 12 runs of 10,000 steps, of which those of Vamp take six times as many examples
through the encoder.
Reached: not run.
"""

from gvlab.config import MLP, VAE, Adam, Data, Evaluation, Experiment


def config() -> Experiment:
    return Experiment(
        name="mnist_priors",
        data=Data(name="binarized_mnist"),
        model=VAE(network=MLP(hidden=(300, 300)), latent_dim=40, kl_warmup_steps=5_000, optimizer=Adam(5e-4)),
        steps=10_000,
        batch_size=100,
        log_every=500,
        sample_every=5_000,
        checkpoint_every=2_500,
        evaluation=Evaluation(k=500),
    )
