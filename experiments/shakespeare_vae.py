"""Sentence VAE of Shakespeare's lines, character by character, with word dropout, free nats and a decoder of 128 units.

    gvlab train experiments/shakespeare_vae.py
    gvlab evaluate runs/shakespeare_vae/seed-0

Without a remedy such a decoder does without its latents (Bowman et al. 2016); here characters are dropped in training,
and each latent's KL counts at least a quarter of a nat (Kingma et al. 2016).

Cost: COST
Reached (seed 0): REACHED
"""

from gvlab.config import VAE, Adam, Data, Evaluation, Experiment, FreeNats, SentenceGRU, Sentences


def config() -> Experiment:
    return Experiment(
        name="shakespeare_vae",
        data=Data(name="shakespeare"),
        model=VAE(
            network=SentenceGRU(width=128, embedding=64),
            latent_dim=32,
            objective=FreeNats(0.25),
            likelihood=Sentences(word_dropout=0.3),
            optimizer=Adam(learning_rate=2e-3),
        ),
        steps=3000,
        batch_size=64,
        log_every=100,
        sample_every=1000,
        checkpoint_every=1000,
        evaluation=Evaluation(samples=2000, k=50),
    )
