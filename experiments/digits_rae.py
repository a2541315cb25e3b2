"""A regularised autoencoder (RAE-GP) on scikit-learn's 8x8 digits, and samples of it by a second stage.

    gvlab train experiments/digits_rae.py
    gvlab train experiments/second_stage/rae_mixture.py --on runs/digits_rae/seed-0

Cost: about 2 minutes on 2 CPU cores that had other work, too.
Reached (seed 0): test squared_error 0.420 ± 0.014, summed over the 256 pixels; samples by the second stage alone.
"""

from gvlab.config import RAE, Adam, Data, DecoderSlope, Evaluation, Experiment


def config() -> Experiment:
    return Experiment(
        name="digits_rae",
        data=Data(name="digits"),
        model=RAE(regulariser=DecoderSlope(), optimizer=Adam(learning_rate=2e-3)),
        steps=1500,
        batch_size=64,
        evaluation=Evaluation(samples=2000),
    )
