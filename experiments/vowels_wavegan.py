"""WaveGAN on vowels, conditional: waves of 2,048 samples at 8 kHz, Wasserstein with a gradient penalty.

    gvlab train experiments/vowels_wavegan.py
    gvlab sample runs/vowels_wavegan/seed-0 --out sounds

An eighth of the published width, two updates of the discriminator a step instead of five. `sounds` then
has WAV files.

Cost: 20 CPU minutes (2 cores that were busy with other work), before a step took 0.4 times as long; not run since.
Reached (seed 0, then, in other bits): rms 0.151 where real vowels have 0.141, fld_vowels-0905a53b 1453, precision
and recall 0 on the same features, 4 of 10 classes reached by 2,000 samples: envelopes and low bands of vowels, in noise
(docs/speech.md).
"""

from gvlab.config import GAN, Adam, Data, Evaluation, Experiment, GradientPenalty, HalfLife, Wasserstein, WaveGAN


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
        evaluation=Evaluation(samples=2_000),
    )
