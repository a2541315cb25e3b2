"""Remedies against the collapse of the posterior, on Shakespeare's lines, beside the decoder as a language model.

    gvlab compare experiments/remedies/[a-z]*.py --seeds 3 --out experiments/remedies_compared

All have the recurrent networks of `shakespeare_vae.py` and take 1,500 steps, half of that file's; `plain.py` has no
remedy, and each of the others has one. `bits_per_character` is by the importance-weighted bound, k = 50, and of the
language model by its exact log p.

Cost, by the clock on one core that had other work, measuring included: five minutes a VAE, fifteen of aggressive
inference, one of the language model.
Reached (seed 0 of five; word dropout, warm-up and two seeds more were not run): the language model 2.529 bits a
character; without a remedy 2.539, and the latents say nothing (mutual information 0.007 nats); aggressive inference
2.566 and 0.04 nats, so 500 such steps of five updates are no remedy here; normalised means 2.574 and 2.9 nats; free
nats 2.609 and 4.3 nats. What the latents say is paid for: each remedy that works has more bits than none.
"""

from typing import Any

from gvlab.config import VAE, Adam, Data, Evaluation, Experiment, SentenceGRU, Sentences

NETWORK = SentenceGRU(width=128, embedding=64)
OPTIMIZER = Adam(learning_rate=2e-3)


def experiment(name: str, model: Any) -> Experiment:
    return Experiment(
        name=name,
        data=Data(name="shakespeare"),
        model=model,
        steps=1_500,
        batch_size=64,
        log_every=100,
        sample_every=1_500,
        checkpoint_every=500,
        evaluation=Evaluation(samples=2_000, k=50),
    )


def vae(name: str, word_dropout: float = 0.0, **remedy: Any) -> Experiment:
    likelihood = Sentences(word_dropout=word_dropout)
    return experiment(name, VAE(network=NETWORK, latent_dim=32, likelihood=likelihood, optimizer=OPTIMIZER, **remedy))
