"""Recurrent language model of the grammar's sentences, whose probabilities are known: how far it is from the truth.

    gvlab train experiments/grammar_lm.py
    gvlab evaluate runs/grammar_lm/seed-0

Cost: COST
Reached (seed 0): REACHED
"""

from gvlab.config import Adam, Data, Density, Evaluation, Experiment, SentenceGRU


def config() -> Experiment:
    return Experiment(
        name="grammar_lm",
        data=Data(name="grammar"),
        model=Density(SentenceGRU(width=64, embedding=32), Adam(learning_rate=2e-3)),
        steps=4000,
        batch_size=64,
        log_every=100,
        sample_every=1000,
        checkpoint_every=1000,
        evaluation=Evaluation(samples=2000, k=50),
    )
