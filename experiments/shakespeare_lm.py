"""Recurrent language model of Shakespeare's lines, character by character: what a sentence VAE has to stand beside.

    gvlab train experiments/shakespeare_lm.py
    gvlab evaluate runs/shakespeare_lm/seed-0

Cost: 4 CPU minutes, and 12 CPU seconds of `evaluate`.
Reached (seed 0): bits_per_character 2.416 +- 0.011, log_prob_nats -58.85 +- 0.42, perplexity 5.34;
forward_lm_bits 3.33, reverse_lm_bits 4.49, 14 % of the samples are training lines.
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
