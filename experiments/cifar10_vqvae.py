"""VQ-VAE on CIFAR-10 by Sonnet's example: 512 codes at 8x8 positions, averages with decay 0.99, 10,000 steps of 32.

    gvlab train experiments/cifar10_vqvae.py
    gvlab evaluate runs/cifar10_vqvae/seed-0

Sonnet's notebook (dm-sonnet 2, `vqvae_example`) ends at a squared error of 0.056 to 0.057 data variances and a
perplexity of 326 to 330 in a batch, on training and test images together. Its loss is twice this one: p(x|z) is normal
with the variance of the training images, 0.0633, and 0.125 is the half of its 0.25. So the squared error in variances
is -2 reconstruction_nats / 3072 - log(2 pi 0.0633). Two things differ: images come in gvlab's order, and counts start
at 1 and sums at the codes, where Sonnet's start at 0.

Cost: some 10 GFLOP a step, so 12 to 20 minutes on 2 idle CPU cores by arithmetic.
Reached: not run.
"""

from gvlab.config import EMAVQ, VQVAE, Adam, Data, Evaluation, Experiment, Gaussian


def config() -> Experiment:
    return Experiment(
        name="cifar10_vqvae",
        data=Data(name="cifar10"),
        model=VQVAE(
            quantizer=EMAVQ(codes=512, features=64, decay=0.99),
            likelihood=Gaussian(variance=0.0633),
            commitment=0.125,
            optimizer=Adam(learning_rate=3e-4),
        ),
        steps=10_000,
        batch_size=32,
        checkpoint_every=2_000,
        sample_every=2_000,
        evaluation=Evaluation(samples=2000),
    )
