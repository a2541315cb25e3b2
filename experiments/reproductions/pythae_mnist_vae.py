"""The VAE of pythae's reproducibility table, MNIST: 89.78 nats by 200 importance weights (reference value 89.9).

clementchadebec/benchmark_VAE, `examples/scripts/reproducibility` (README.md, vae.py); the reference value is that of
Rezende & Mohamed, "Variational Inference with Normalizing Flows", 2015.

As in its code: the fixed binarisation of Larochelle & Murray 2011, 50,000 images for training; 784-400-40, ReLU;
batches of 100; Adam at 1e-4, times 10^(-1/5) after 200 and 350 of 500 epochs, which are 250,000 steps.

Where ours differs: it keeps the epoch that is best on the 10,000 validation images, ours the last; its initial weights
are PyTorch's uniform ones, ours LeCun's normal ones with zero biases. That matters: in a trial of 20,000 steps with
PyTorch's kernels (one seed, same batches) the training batch's ELBO was -105.1 nats, with LeCun's -107.7.

    gvlab train experiments/reproductions/pythae_mnist_vae.py
    gvlab evaluate runs/pythae_mnist_vae/seed-0
"""

from gvlab.config import VAE, Adam, Data, Evaluation, Experiment, ReluMLP
from gvlab.reproduce import Published

EPOCH = 50_000 // 100
"""Steps, of their training split."""


def config() -> Experiment:
    return Experiment(
        name="pythae_mnist_vae",
        data=Data(name="binarized_mnist"),
        model=VAE(
            network=ReluMLP(hidden=(400,)),
            latent_dim=40,
            optimizer=Adam(learning_rate=1e-4, drop_steps=(200 * EPOCH, 350 * EPOCH), drop_factor=10 ** (-1 / 5)),
        ),
        steps=500 * EPOCH,
        batch_size=100,
        log_every=EPOCH,
        sample_every=50 * EPOCH,
        checkpoint_every=10 * EPOCH,
        evaluation=Evaluation(k=200),
    )


def published() -> Published:
    return Published(
        citation="clementchadebec/benchmark_VAE (pythae)",
        where="examples/scripts/reproducibility, VAE",
        value=-89.78,
        text="NLL 89.78 (0.01) nats",
        measure="iw_bound_nats",
        runs=1,
        margin=0.01,  # its spread over 5 rounds of importance sampling, of one model
        protocol="500 epochs of batch 100, fixed binarisation, 50,000 training images, best epoch on "
        "validation, 200 weights",
        differs="the last epoch; LeCun's initial weights (theirs are PyTorch's, which begin the better, see the file)",
    )
