"""Fashion-MNIST with a tenth of its training images, by four ways to keep a discriminator from learning them by heart.

    gvlab compare experiments/little_data/[a-z]*.py --seeds 3 --out experiments/little_fashion

`watch/overfitting` shows what it does (r_v of Karras et al. 2020: 1 where the discriminator takes held-out images for
generated ones), fld_fashion_mnist what it costs.

Cost: not run. 12 runs; a step is that of `mnist_conditional_dcgan.py` at half its width.
"""

from typing import Any

from gvlab.config import DCGAN, GAN, Adam, Data, Experiment


def experiment(name: str, terms: tuple[Any, ...] = (), augmentation: Any = None) -> Experiment:
    adam = Adam(learning_rate=2e-4, b1=0.5)
    return Experiment(
        name=name,
        data=Data(name="fashion_mnist", share=0.1),
        model=GAN(
            network=DCGAN(width=32),
            discriminator_terms=terms,
            augmentation=augmentation,
            latent_dim=64,
            generator_optimizer=adam,
            discriminator_optimizer=adam,
        ),
        steps=4_000,
        batch_size=64,
        log_every=250,
        sample_every=1_000,
        checkpoint_every=1_000,
        watched=True,
    )
