"""VAE-GAN on scikit-learn's 8x8 digits, shown at 16x16: likeness by the features of a critic.

    gvlab train experiments/digits_vae_gan.py
    gvlab evaluate runs/digits_vae_gan/seed-0

Cost: about 3.5 minutes of CPU.
Reached (seed 0): test elbo_nats 55 ± 2 of a normal likelihood that nothing raised, frechet_pixels 3.6,
fld_digits-032b91b4 97.
"""

from gvlab.config import VAE, Adam, Data, Evaluation, Experiment, Gaussian, LearnedSimilarity


def config() -> Experiment:
    return Experiment(
        name="digits_vae_gan",
        data=Data(name="digits"),
        model=VAE(
            latent_dim=16,
            objective=LearnedSimilarity(width=8, units=64),
            likelihood=Gaussian(variance=0.05),
            optimizer=Adam(learning_rate=1e-3),
        ),
        steps=1000,
        batch_size=64,
        evaluation=Evaluation(samples=2000),
    )
