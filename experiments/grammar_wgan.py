"""WGAN-GP of sentences, grammar: all twenty words at once, the discriminator sees probabilities.

    gvlab train experiments/grammar_wgan.py
    gvlab evaluate runs/grammar_wgan/seed-0

A sixteenth of the published width, and five updates of the discriminator a step instead of ten.
`--model.network.outputs GumbelDraw` shows the discriminator draws instead.

Cost: 4 CPU minutes (one core that was busy with other work).
Reached (three seeds, `experiments/grammar_compared/table.md`): half of its sentences are sentences of the grammar
(valid_share 0.49 [0.38, 0.59], where both likelihood models have 0.995 and more), ngram_js_bits_2 0.19 [0.04, 0.34],
forward_lm_bits 3.52 [3.10, 3.95], reverse_lm_bits 3.31 [3.02, 3.60].
"""

from gvlab.config import GAN, Adam, Data, Evaluation, Experiment, GradientPenalty, SentenceConvolutions, Wasserstein


def config() -> Experiment:
    adam = Adam(learning_rate=2e-4, b1=0.5, b2=0.9)
    return Experiment(
        name="grammar_wgan",
        data=Data(name="grammar"),
        model=GAN(
            network=SentenceConvolutions(width=32, blocks=3),
            contest=Wasserstein(),
            discriminator_terms=(GradientPenalty(10.0),),
            discriminator_steps=5,
            latent_dim=64,
            generator_optimizer=adam,
            discriminator_optimizer=adam,
        ),
        steps=2_000,
        batch_size=64,
        log_every=100,
        sample_every=500,
        checkpoint_every=500,
        evaluation=Evaluation(samples=2000),
    )
