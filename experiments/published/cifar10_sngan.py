"""SNGAN on CIFAR-10 as mimicry trains it: 100,000 steps of the generator and five times as many of the discriminator.

    gvlab train experiments/published/cifar10_sngan.py
    gvlab evaluate runs/cifar10_sngan/seed-0 --features inception

Cost: not run here. 32 million real images; by the operations of its networks 1 to 2 hours of an H100.
Published: FID 16.77 +- 0.04 (50,000 samples, 50,000 training images), Inception score 7.97 (mimicry, a7fda06c).
Where ours differs: images are doubled by repeating pixels, as the authors do; mimicry's are by bilinear interpolation.
"""

from gvlab.config import GAN, SNGAN, Adam, Data, Evaluation, Experiment, Hinge, Linear


def config() -> Experiment:
    adam = Adam(learning_rate=2e-4, b1=0.0, b2=0.9, schedule=Linear(steps=100_000))
    return Experiment(
        name="cifar10_sngan",
        data=Data(name="cifar10"),
        model=GAN(
            network=SNGAN(),
            contest=Hinge(),
            latent_dim=128,
            discriminator_steps=5,
            ema_decay=0.0,
            generator_optimizer=adam,
            discriminator_optimizer=adam,
        ),
        steps=100_000,
        batch_size=64,
        log_every=500,
        sample_every=10_000,
        checkpoint_every=5_000,
        evaluation=Evaluation(samples=50_000, split="train"),
    )
