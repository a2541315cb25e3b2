"""SpecGAN on vowels, conditional: DCGAN on spectrograms of 64 frames and 64 frequencies, hinge and spectral norm.

    gvlab train experiments/vowels_specgan.py
    gvlab sample runs/vowels_specgan/seed-0 --out sounds

An eighth of DCGAN's width; SpecGAN is published with a Wasserstein game on 128 x 128. `sounds` then has WAV files.

Cost: not run to its end; 60 steps at twice this width took a CPU minute of a busy machine, compilation included.
Reached: not run.
"""

from gvlab.config import DCGAN, GAN, Adam, Cosine, Data, Evaluation, Experiment, HalfLife, Hinge, Spectrograms


def config() -> Experiment:
    adam = Adam(learning_rate=2e-4, b1=0.5, schedule=Cosine(steps=3_000))
    return Experiment(
        name="vowels_specgan",
        data=Data(name="vowels"),
        model=Spectrograms(
            GAN(
                network=DCGAN(width=16, discriminator="spectral_norm"),
                contest=Hinge(),
                latent_dim=64,
                conditional=True,
                update="simultaneous",
                half_life=HalfLife(10_000),
                generator_optimizer=adam,
                discriminator_optimizer=adam,
            )
        ),
        steps=3_000,
        batch_size=32,
        log_every=100,
        sample_every=1_000,
        checkpoint_every=500,
        evaluation=Evaluation(samples=2_000),
    )
