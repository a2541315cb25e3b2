"""VQ-VAE on scikit-learn's 8x8 digits, binarised dynamically, shown at 16x16: 64 codes at each of 2x2 positions.

    gvlab train experiments/digits_vqvae.py
    gvlab evaluate runs/digits_vqvae/seed-0

The codes start at k-means of the first batch. The prior is uniform, so 16.6 nats of the ELBO are the codes' names;
a sample's four parts need not fit together, though many do. With 256 codes (--model.quantizer.codes 256
--model.quantizer.revive-below 0.02) seed 0 reached -108.5: better reconstructions do not pay for the 5.5 nats.

Cost: about 35 CPU seconds, compilation included (of two cores that others shared).
Reached (seeds 0, 1, 2): test elbo_nats -105.0, -105.1, -104.3; code_perplexity 56.0, 55.8, 58.3 of 64, active_codes 1;
frechet_pixels 1.31, 1.19, 1.21.
"""

from gvlab.config import EMAVQ, VQVAE, Adam, CodeMaps, Data, Evaluation, Experiment


def config() -> Experiment:
    return Experiment(
        name="digits_vqvae",
        data=Data(name="digits", quantization="binarize"),
        model=VQVAE(
            CodeMaps(width=64, downsamplings=3),
            EMAVQ(codes=64, features=16, start_at="kmeans"),
            optimizer=Adam(learning_rate=1e-3),
        ),
        steps=1500,
        batch_size=64,
        evaluation=Evaluation(samples=2000),
    )
