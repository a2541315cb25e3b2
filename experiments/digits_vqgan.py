"""VQ-VAE with a critic of patches (VQGAN) on scikit-learn's 8x8 digits, shown at 16x16.

    gvlab train experiments/digits_vqgan.py
    gvlab evaluate runs/digits_vqgan/seed-0

Cost: about 1 minute of CPU.
Reached (seed 0): test elbo_nats 109.1 ± 0.6 of a normal likelihood of variance 0.05, code_perplexity 53.4; of
codes that are drawn each by itself frechet_pixels 1.82, fld_digits-032b91b4 138.
"""

from gvlab.config import EMAVQ, VQVAE, Adam, CodeMaps, Data, Evaluation, Experiment, Gaussian, Patches


def config() -> Experiment:
    return Experiment(
        name="digits_vqgan",
        data=Data(name="digits"),
        model=VQVAE(
            CodeMaps(width=64, downsamplings=3),
            EMAVQ(codes=64, features=16, start_at="kmeans"),
            Gaussian(variance=0.05),
            optimizer=Adam(learning_rate=1e-3),
            critic=Patches(width=16, layers=1, start=300),
        ),
        steps=1000,
        batch_size=64,
        evaluation=Evaluation(samples=2000),
    )
