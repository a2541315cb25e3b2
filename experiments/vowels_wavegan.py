"""WaveGAN on vowels, conditional: waves of 2,048 samples at 8 kHz, Wasserstein with a gradient penalty.

    gvlab train experiments/vowels_wavegan.py
    gvlab sample runs/vowels_wavegan/seed-0 --out sounds

A sixteenth of the published width, two updates of the discriminator a step instead of five. `sounds` then
has WAV files.

Cost: not yet run.
Reached: not yet run.
"""

from gvlab.config import GAN, Adam, Data, Experiment, GradientPenalty, HalfLife, Wasserstein, WaveGAN


def config() -> Experiment:
    adam = Adam(learning_rate=2e-4, b1=0.5, b2=0.9)
    return Experiment(
        name="vowels_wavegan",
        data=Data(name="vowels"),
        model=GAN(
            network=WaveGAN(width=8),
            contest=Wasserstein(),
            discriminator_terms=(GradientPenalty(10.0),),
            discriminator_steps=2,
            latent_dim=32,
            conditional=True,
            half_life=HalfLife(10_000),
            generator_optimizer=adam,
            discriminator_optimizer=adam,
        ),
        steps=4_000,
        batch_size=32,
        log_every=100,
        sample_every=1_000,
        checkpoint_every=500,
    )
