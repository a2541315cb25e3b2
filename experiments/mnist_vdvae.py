"""A small VDVAE (Child 2021) on dynamically binarised MNIST: eight layers of latents, 92,113 parameters.

    gvlab train experiments/mnist_vdvae.py
    gvlab evaluate runs/mnist_vdvae/seed-0

Cost: 8.6 GFLOP and 0.75 CPU seconds a step, and 25 of compiling, measured on 2 cores that were busy with other work:
about an hour of 2 idle cores for the whole. Evaluating should take some 10 CPU minutes with k = 10 (not measured).
Reached: not run to its end. In 140 steps the ELBO of a training batch went from -558 to -176 nats (seed 0).
"""

from gvlab.config import VDVAE, AdamW, Clipped, Data, Evaluation, Experiment, HierarchicalVAE, Linear, Skipped


def config() -> Experiment:
    return Experiment(
        name="mnist_vdvae",
        data=Data(name="mnist", quantization="binarize"),
        model=HierarchicalVAE(
            network=VDVAE(),
            ema_decay=0.999,
            optimizer=Skipped(
                norm=1e4,
                optimizer=Clipped(
                    norm=200.0,
                    optimizer=AdamW(
                        learning_rate=1e-3, b2=0.9, weight_decay=0.01, schedule=Linear(steps=100, begin=0.0, end=1.0)
                    ),
                ),
            ),
        ),
        steps=10_000,
        batch_size=32,
        log_every=100,
        sample_every=1_000,
        checkpoint_every=1_000,
        evaluation=Evaluation(samples=2_000, k=10),
    )
