"""A hierarchical VAE of NVAE's cells, six layers of latents, on binarised digits at 16x16.

    gvlab train experiments/digits_nvae.py
    gvlab evaluate runs/digits_nvae/seed-0

Cost: 3.6 minutes of CPU, compilation included.
Reached (seed 0): test elbo_nats -101.3 ± 0.8, iw_bound_nats -100.0 with k = 50; the KL of its layers from the top: 0.0,
0.1, 7.4, 1.0, 2.3 and 7.3.
"""

from gvlab.config import NVAE, Adam, Data, Evaluation, Experiment, HierarchicalVAE


def config() -> Experiment:
    return Experiment(
        name="digits_nvae",
        data=Data(name="digits", quantization="binarize"),
        model=HierarchicalVAE(
            NVAE("16x1,16d2,8x1,8d2,4d4,1x1", "1x1,4m1,4x1,8m4,8x1,16m8", width=16, latents=2, expansion=2),
            kl_warmup_steps=500,
            ema_decay=0.99,
            optimizer=Adam(learning_rate=2e-3),
        ),
        steps=1000,
        batch_size=64,
        evaluation=Evaluation(samples=2000, k=50),
    )
