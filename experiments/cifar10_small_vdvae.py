"""A small VDVAE (Child 2021) on CIFAR-10: 19 layers of latents, 1,052,836 parameters.

    gvlab train experiments/cifar10_small_vdvae.py
    gvlab evaluate runs/cifar10_small_vdvae/seed-0 --k 16

The published network has 39 million parameters: `published/cifar10_vdvae.py`.

Cost: not measured; it wants a GPU.
Reached: not run.
"""

from gvlab.config import (
    VDVAE,
    AdamW,
    Clipped,
    Data,
    Evaluation,
    Experiment,
    HierarchicalVAE,
    Linear,
    MixtureOfLogistics,
    Skipped,
)


def config() -> Experiment:
    adam = AdamW(learning_rate=1e-3, b2=0.9, weight_decay=0.01, schedule=Linear(steps=100, begin=0.0, end=1.0))
    return Experiment(
        name="cifar10_small_vdvae",
        data=Data(name="cifar10"),
        model=HierarchicalVAE(
            network=VDVAE(
                encoder="32x3,32d2,16x2,16d2,8x2,8d2,4x2,4d4,1x2",
                decoder="1x1,4m1,4x1,8m4,8x2,16m8,16x3,32m16,32x4",
                width=96,
                latents=16,
                centre=0.4731,
                deviation=0.2516,
            ),
            likelihood=MixtureOfLogistics(components=10),
            optimizer=Skipped(norm=400.0 * 3072, optimizer=Clipped(norm=200.0 * 3072, optimizer=adam)),
        ),
        steps=100_000,
        batch_size=32,
        log_every=500,
        sample_every=10_000,
        checkpoint_every=5_000,
        evaluation=Evaluation(k=16),
    )
