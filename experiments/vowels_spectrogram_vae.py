"""VAE of spectrograms of vowels, conditional: fully connected, with a learned variance of every frequency and frame.

    gvlab train experiments/vowels_spectrogram_vae.py
    gvlab sample runs/vowels_spectrogram_vae/seed-0 --out sounds

Its bound is one of the standardised spectrogram's density (`spectra/elbo_nats`), not of the wave's.

Cost: 6 CPU minutes with its measures (one core that was busy with other work).
Reached (seed 0): fld_vowels-0905a53b 109, all 10 classes (class_js_bits 0.026), precision 0.18, recall 0.98, rms 0.113
where real vowels have 0.141. Of the spectrogram's density it has learned 2,000 sounds by heart: spectra/elbo_nats 1,500
on batches of the training set, -1,380 +- 166 on the test split.
"""

from gvlab.config import MLP, VAE, Adam, Cosine, Data, Evaluation, Experiment, LearnedGaussian, Spectrograms


def config() -> Experiment:
    return Experiment(
        name="vowels_spectrogram_vae",
        data=Data(name="vowels"),
        model=Spectrograms(
            VAE(
                network=MLP(hidden=(512, 512)),
                latent_dim=32,
                likelihood=LearnedGaussian(),
                conditional=True,
                optimizer=Adam(1e-3, schedule=Cosine(steps=4_000)),
            )
        ),
        steps=4_000,
        batch_size=64,
        log_every=100,
        sample_every=1_000,
        checkpoint_every=500,
        evaluation=Evaluation(samples=2_000),
    )
