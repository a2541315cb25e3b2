"""Recurrent language model of Shakespeare's lines, character by character: what a sentence VAE has to stand beside.

    gvlab train experiments/shakespeare_lm.py
    gvlab evaluate runs/shakespeare_lm/seed-0

Cost: COST
Reached (seed 0): REACHED
"""

from gvlab.config import Adam, Data, Density, Evaluation, Experiment, SentenceGRU


def config() -> Experiment:
    return Experiment(
        name="shakespeare_lm",
        data=Data(name="shakespeare"),
        model=Density(SentenceGRU(width=128, embedding=64), Adam(learning_rate=2e-3)),
        steps=4000,
        batch_size=64,
        log_every=100,
        sample_every=1000,
        checkpoint_every=1000,
        evaluation=Evaluation(samples=2000, k=50),
    )
