"""Recurrent language model of the grammar's sentences, whose probabilities are known: how far it is from the truth.

    gvlab train experiments/grammar_lm.py
    gvlab evaluate runs/grammar_lm/seed-0

Cost: 33 CPU seconds, and 7 of `evaluate`.
Reached (seed 0): kl_of_truth_nats 0.029 +- 0.003, log_prob_nats -8.923 (the truth: -8.894 on the same test sentences),
bits_per_word 1.983, valid_share 0.9985.
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
