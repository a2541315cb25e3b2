"""A mixture of 50 normal distributions on the latents of `experiments/digits_vae.py`, in the place of its prior.

    gvlab train experiments/digits_vae.py
    gvlab train experiments/second_stage/mixture.py --on runs/digits_vae/seed-0

Cost: about 10 seconds on 2 idle CPU cores, after the first stage's 20.
Reached: TO BE WRITTEN
"""

from gvlab.config import Adam, Data, Density, Evaluation, Experiment, Mixture, SecondStage


def config() -> Experiment:
    return Experiment(
        name="digits_second_mixture",
        data=Data(name="digits", quantization="binarize"),
        model=SecondStage(Density(Mixture(50), Adam(learning_rate=1e-2))),
        steps=1500,
        batch_size=64,
        evaluation=Evaluation(samples=2000, k=50),
    )
