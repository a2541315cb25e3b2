"""A small VDVAE (Child 2021) on dynamically binarised MNIST: eight layers of latents, 92,113 parameters.

    gvlab train experiments/mnist_vdvae.py
    gvlab evaluate runs/mnist_vdvae/seed-0

Cost: 67 CPU minutes with oneDNN's convolutions on one busy core, of which 24 are the kernel's, for page faults
(experiments/benchmarks/README.md says how to be rid of them); evaluating 4 more.
Reached (seed 0, when GELU was still JAX's own): test -ELBO 91.2 +- 0.2 nats, where 84 were hoped for, iw_bound_nats
-88.3 +- 0.2 with k = 10.
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
