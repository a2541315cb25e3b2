"""VDVAE on CIFAR-10 as Child 2021 trains it: 43 layers of latents, 39,145,700 parameters, 1.1 million steps.

    gvlab train experiments/published/cifar10_vdvae.py
    gvlab evaluate runs/cifar10_vdvae/seed-0 --k 16

Cost: not run here. By the operations of its network 10 to 15 hours of an H100 in bfloat16 (`--precision bfloat16`).
Published: 2.87 bits per dimension (`bits_per_dim`), one draw of the bound. There gradients are of nats per dimension,
so 200 and 400 of the published code are 3,072 times as much here.
Where ours differs: the published split trains on 45,000 images, ours on 50,000; a gradient's norm is of one batch of
32, there of two of 16.
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
    adam = AdamW(learning_rate=2e-4, b1=0.9, b2=0.9, weight_decay=0.01, schedule=Linear(steps=100, begin=0.0, end=1.0))
    return Experiment(
        name="cifar10_vdvae",
        data=Data(name="cifar10"),
        model=HierarchicalVAE(
            network=VDVAE(
                encoder="32x11,32d2,16x6,16d2,8x6,8d2,4x3,4d4,1x3",
                decoder="1x1,4m1,4x2,8m4,8x5,16m8,16x10,32m16,32x21",
                width=384,
                latents=16,
                centre=0.4731,
                deviation=0.2516,
            ),
            likelihood=MixtureOfLogistics(components=10),
            ema_decay=0.9999,
            optimizer=Skipped(norm=400.0 * 3072, optimizer=Clipped(norm=200.0 * 3072, optimizer=adam)),
        ),
        steps=1_100_000,
        batch_size=32,
        log_every=1_000,
        sample_every=20_000,
        checkpoint_every=10_000,
        evaluation=Evaluation(k=16),
    )
