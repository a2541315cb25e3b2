"""A causal transformer on the codes of `experiments/digits_vqvae.py`, in the place of their uniform prior.

    gvlab train experiments/digits_vqvae.py
    gvlab train experiments/second_stage/codes.py --on runs/digits_vqvae/seed-0

Cost: 20 CPU seconds, after the first stage's 35.
Reached (seed 0 of both stages): test elbo_nats -103.3 ± 0.7, where the uniform prior has -105.0; fld_digits-032b91b4
30.6, where the codes drawn one by one have 105.2 (2,000 samples).
"""

from gvlab.config import Adam, CausalTransformer, Data, Density, Evaluation, Experiment, SecondStage


def config() -> Experiment:
    return Experiment(
        name="digits_second_codes",
        data=Data(name="digits", quantization="binarize"),
        model=SecondStage(Density(CausalTransformer(), Adam(learning_rate=1e-3))),
        steps=1000,
        batch_size=64,
        evaluation=Evaluation(samples=2000, k=50),
    )
