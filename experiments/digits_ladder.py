"""Ladder VAE of three layers on scikit-learn's 8x8 digits, binarised dynamically, shown at 16x16.

    gvlab train experiments/digits_ladder.py

Cost: not measured yet.
Reached: not run yet.
"""

from gvlab.config import Adam, Data, Evaluation, Experiment, HierarchicalVAE, LadderMLP


def config() -> Experiment:
    return Experiment(
        name="digits_ladder",
        data=Data(name="digits", quantization="binarize"),
        model=HierarchicalVAE(
            network=LadderMLP(latents=(16, 8, 4), hidden=(256, 128, 64)),
            kl_warmup_steps=1_000,
            optimizer=Adam(learning_rate=1e-3),
        ),
        steps=3_000,
        batch_size=64,
        evaluation=Evaluation(samples=2000, k=50),
    )
