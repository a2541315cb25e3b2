"""StackedMNIST: are a thousand modes reached? The relativistic and the plain game with R1 and R2, and PacGAN2.

    gvlab compare experiments/stacked/[a-z]*.py --seeds 1 --out experiments/stacked_modes --match images

Huang et al. 2024 report 1000 modes and a KL of 0.078 nats for the relativistic game with both penalties, 693 and 0.927
for the plain one; the small network that they trained is not published, so this recipe is ours: R3GAN's blocks, one in
a stage, 16 channels at the finest. Lin et al. 2018 report 1000 modes for PacGAN2, whose discriminator has no penalties.

Cost: not run. 500,000 images of the relativistic game take about an hour of 2 CPU cores.
"""

from typing import Any

from gvlab.config import GAN, R1, R2, R3GAN, Adam, Data, Experiment, HalfLife


def experiment(name: str, contest: Any, packing: int = 1) -> Experiment:
    adam = Adam(learning_rate=2e-4, b1=0.0, b2=0.99)
    return Experiment(
        name=name,
        data=Data(name="stacked_mnist"),
        model=GAN(
            network=R3GAN(widths=(64, 64, 32, 16), group=16, blocks=1),
            contest=contest,
            discriminator_terms=() if packing > 1 else (R1(0.5), R2(0.5)),
            packing=packing,
            latent_dim=64,
            half_life=HalfLife(10_000),
            generator_optimizer=adam,
            discriminator_optimizer=adam,
        ),
        steps=8_000,
        batch_size=64,
        log_every=250,
        sample_every=1_000,
        checkpoint_every=1_000,
    )
