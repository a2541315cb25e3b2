"""VQ-VAE on the waves of vowels, conditional: a code for every 64 samples, 32 a vowel.

    gvlab train experiments/vowels_vqvae.py
    gvlab train experiments/second_stage/wave_codes.py --on runs/vowels_vqvae/seed-0

Cost: 11 CPU minutes with the second stage and the measures of both (one core that was busy with other work).
Reached (seed 0): elbo_nats 936, code_perplexity 212 of 256, active_codes 1; of codes drawn one by one
fld_vowels-0905a53b 1221, 4 of 10 classes, precision 0.
"""

from gvlab.config import EMAVQ, VQVAE, Adam, CodeWaves, Cosine, Data, Evaluation, Experiment, SharedGaussian


def config() -> Experiment:
    return Experiment(
        name="vowels_vqvae",
        data=Data(name="vowels"),
        model=VQVAE(
            CodeWaves(width=12),
            EMAVQ(codes=256, features=16, start_at="kmeans", revive_below=0.1),
            likelihood=SharedGaussian(),
            conditional=True,
            optimizer=Adam(1e-3, schedule=Cosine(steps=3_000)),
        ),
        steps=3_000,
        batch_size=32,
        log_every=100,
        sample_every=1_000,
        checkpoint_every=500,
        evaluation=Evaluation(samples=2_000),
    )
