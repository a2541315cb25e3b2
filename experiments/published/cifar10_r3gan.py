"""R3GAN on CIFAR-10, conditional, with all of its published schedules.

    gvlab train experiments/published/cifar10_r3gan.py --precision bfloat16
    gvlab evaluate runs/cifar10_r3gan/seed-0 --features inception

Cost: not run here. 250 million images; by the operations of its networks 125 to 250 hours of an H100. The schedules end
after 20 million images (39,063 steps), which are a tenth of that.
Published: FID 1.96 (50,000 samples against the 50,000 training images; Huang et al. 2024).
Where ours differs: `--precision bfloat16` rounds in all stages, theirs in the last three of each network alone.
"""

from gvlab.config import (
    ADA,
    GAN,
    R1,
    R2,
    R3GAN,
    AnnealedAdam,
    Cosine,
    Data,
    Evaluation,
    Experiment,
    HalfLife,
    Ramp,
    Relativistic,
    Scheduled,
)

IMAGES = 20_000_000
BATCH = 512
STEPS = -(-IMAGES // BATCH)


def config() -> Experiment:
    falling = Cosine(steps=STEPS, end=0.1)
    adam = AnnealedAdam(learning_rate=2e-4, final_learning_rate=5e-5, b1=0.0, b2=0.9, final_b2=0.99, steps=STEPS)
    return Experiment(
        name="cifar10_r3gan",
        data=Data(name="cifar10", flip=True),
        model=GAN(
            network=R3GAN(widths=(768,), group=16, blocks=2),
            contest=Relativistic(),
            update="separate",
            conditional=True,
            latent_dim=64,
            discriminator_terms=(Scheduled(R1(0.05), falling), Scheduled(R2(0.05), falling)),
            augmentation=ADA("r3gan", Ramp(begin=0.0, end=0.55, images=IMAGES)),
            half_life=HalfLife(5_000_000, Cosine(steps=STEPS, begin=0.0, end=1.0)),
            generator_optimizer=adam,
            discriminator_optimizer=adam,
        ),
        steps=488_282,
        batch_size=BATCH,
        log_every=500,
        sample_every=10_000,
        checkpoint_every=5_000,
        evaluation=Evaluation(samples=50_000, split="train"),
    )
