"""A causal transformer on the codes of `experiments/vowels_vqvae.py`, in the place of their uniform prior.

    gvlab train experiments/vowels_vqvae.py
    gvlab train experiments/second_stage/wave_codes.py --on runs/vowels_vqvae/seed-0

Cost: 11 CPU minutes with the first stage and the measures of both.
Reached (seed 0 of both stages): test elbo_nats 1032, where the uniform prior has 936; fld_vowels-0905a53b 978, where
the codes drawn one by one have 1221, 6 of 10 classes, precision 0: pitch and envelope hold together, the bands lie in
noise.
"""

from gvlab.config import Adam, CausalTransformer, Data, Density, Evaluation, Experiment, SecondStage


def config() -> Experiment:
    return Experiment(
        name="vowels_second_codes",
        data=Data(name="vowels"),
        model=SecondStage(Density(CausalTransformer(), Adam(learning_rate=1e-3))),
        steps=2000,
        batch_size=64,
        evaluation=Evaluation(samples=2000, k=1),
    )
