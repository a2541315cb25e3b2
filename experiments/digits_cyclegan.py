"""CycleGAN on digits 16x16: from edges to digits, without a pair of the two.

    gvlab train experiments/digits_cyclegan.py
    gvlab evaluate runs/digits_cyclegan/seed-0
    gvlab reconstruct runs/digits_cyclegan/seed-0 --out translated.png

Cost: not measured yet.
Reached: not run.
"""

from gvlab.config import CycleGAN, Data, Edges, Experiment, ResidualTranslator


def config() -> Experiment:
    return Experiment(
        name="digits_cyclegan",
        data=Data(name="digits"),
        model=CycleGAN(seen=Edges(), network=ResidualTranslator(width=16, blocks=3), critic_width=16, critic_layers=1),
        steps=3_000,
        batch_size=32,
        log_every=100,
        sample_every=500,
        checkpoint_every=500,
    )
