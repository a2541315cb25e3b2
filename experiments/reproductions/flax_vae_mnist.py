"""The VAE of Flax's examples, MNIST: "the test set loss after 10 epochs should be around 104" (nats).

google/flax, `examples/vae`, README. The loss is minus the ELBO with one sample: compare it with minus `elbo_nats`.

As in its code: the fixed binarisation of Larochelle & Murray 2011 (TFDS `binarized_mnist`, 50,000 for training);
784-500-20, ReLU, LeCun's initial weights; batches of 128; Adam at 1e-3. Its 10 epochs are 3,900 steps.

Where ours differs: the random numbers, and nothing else that is known.

    gvlab train experiments/reproductions/flax_vae_mnist.py
    gvlab evaluate runs/flax_vae_mnist/seed-0
"""

from gvlab.config import VAE, Adam, Data, Evaluation, Experiment, ReluMLP
from gvlab.reproduce import Published

EPOCH = 50_000 // 128
"""Steps, of their training split."""


def config() -> Experiment:
    return Experiment(
        name="flax_vae_mnist",
        data=Data(name="binarized_mnist"),
        model=VAE(network=ReluMLP(hidden=(500,)), latent_dim=20, optimizer=Adam(learning_rate=1e-3)),
        steps=10 * EPOCH,
        batch_size=128,
        log_every=EPOCH,
        sample_every=5 * EPOCH,
        checkpoint_every=5 * EPOCH,
        evaluation=Evaluation(k=50),
    )


def published() -> Published:
    return Published(
        citation="google/flax, examples/vae",
        where="README",
        value=-104.0,
        text="test loss around 104 nats",
        measure="elbo_nats",
        runs=1,
        margin=0.5,
        protocol="10 epochs of batch 128, fixed binarisation, 50,000 training images",
        differs="the random numbers alone",
    )
