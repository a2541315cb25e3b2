"""A mixture of 10 normal distributions on the latents of `experiments/digits_rae.py`, which has no prior of its own.

    gvlab train experiments/digits_rae.py
    gvlab train experiments/second_stage/rae_mixture.py --on runs/digits_rae/seed-0

Cost: about 12 seconds on 2 CPU cores, after the first stage's 2 minutes.
Reached (seed 0 of both stages): fld_digits-032b91b4 50.5, precision 0.76, recall 0.93; no nats of images, since the
first stage has no likelihood.
"""

from gvlab.config import Adam, Data, Density, Evaluation, Experiment, Mixture, SecondStage


def config() -> Experiment:
    return Experiment(
        name="digits_rae_mixture",
        data=Data(name="digits"),
        model=SecondStage(Density(Mixture(10), Adam(learning_rate=1e-2))),
        steps=1500,
        batch_size=64,
        evaluation=Evaluation(samples=2000),
    )
