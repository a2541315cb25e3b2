"""A second VAE on the latents of `experiments/digits_vae.py`, in the place of its prior: a two-stage VAE (Dai & Wipf
2019), with as many latents as the first, and a variance of its likelihood that is learned.

    gvlab train experiments/digits_vae.py
    gvlab train experiments/second_stage/two_stage_vae.py --on runs/digits_vae/seed-0

Cost: about 10 seconds on 2 idle CPU cores, after the first stage's 20.
Reached (seed 0 of both stages): test elbo_nats -99.3 ± 0.7, iw_bound_nats -98.0 with k = 50, fld_digits-032b91b4 56.1
where the first stage has 58.6.
"""

from gvlab.config import VAE, Adam, Data, Evaluation, Experiment, ReluMLP, SecondStage, SharedGaussian


def config() -> Experiment:
    return Experiment(
        name="digits_second_vae",
        data=Data(name="digits", quantization="binarize"),
        model=SecondStage(
            VAE(
                ReluMLP((128, 128)),
                latent_dim=16,
                likelihood=SharedGaussian(),
                kl_warmup_steps=2000,
                optimizer=Adam(learning_rate=1e-3),
            )
        ),
        steps=4000,
        batch_size=64,
        evaluation=Evaluation(samples=2000, k=50),
    )
