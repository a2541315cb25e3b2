"""CycleGAN on digits 16x16: from edges to digits, without a pair of the two.

    gvlab train experiments/digits_cyclegan.py
    gvlab evaluate runs/digits_cyclegan/seed-0
    gvlab reconstruct runs/digits_cyclegan/seed-0 --out translated.png

Cost: 308 CPU seconds on one core (nine minutes by the clock, on a busy machine).
Reached (seed 0): translated_absolute_error 0.0861 +- 0.0016, translated_squared_error 0.0217 +- 0.0009 per pixel of the
300 test images; with pairs (`digits_pix2pix.py`) 0.0325 and 0.0028. Nothing was tuned.
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
