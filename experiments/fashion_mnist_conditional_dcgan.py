"""DCGAN of Fashion-MNIST's classes by the recipe of `mnist_conditional_dcgan.py`: a learning rate that falls to 0.

    gvlab train experiments/fashion_mnist_conditional_dcgan.py
    gvlab evaluate runs/fashion_mnist_conditional_dcgan/seed-0

Cost: that of `mnist_conditional_dcgan.py`.
Reached: not run.
"""

from gvlab.config import DCGAN, GAN, Adam, Cosine, Data, Experiment


def config() -> Experiment:
    adam = Adam(learning_rate=2e-4, b1=0.5, schedule=Cosine(steps=5_000))
    return Experiment(
        name="fashion_mnist_conditional_dcgan",
        data=Data(name="fashion_mnist"),
        model=GAN(
            network=DCGAN(width=64),
            latent_dim=64,
            conditional=True,
            update="simultaneous",
            generator_optimizer=adam,
            discriminator_optimizer=adam,
        ),
        steps=5_000,
        batch_size=64,
        log_every=250,
        sample_every=1_000,
        checkpoint_every=1_000,
    )
