"""VaDE on scikit-learn's 8x8 digits, shown at 16x16: ten clusters that nobody told the classes (Jiang et al. 2017).

    gvlab train experiments/digits_vade.py
    gvlab train experiments/digits_vade.py --name digits_mixture --model.prior "mixture(10)"

The second is without pre-training. Pixels are grey, as in the paper's MNIST, so nats are of a cross entropy.

Cost: about 45 seconds of one CPU core.
Reached (seed 0): test cluster_accuracy 0.820, elbo_nats -99.8; without pre-training 0.683, -99.8. K-means on the
pixels of the training split (scikit-learn, ten starts) reaches 0.793 on the same test split, and one seed says little.
"""

from gvlab.config import MLP, VAE, Adam, Data, Evaluation, Experiment, VaDE


def config() -> Experiment:
    return Experiment(
        name="digits_vade",
        data=Data(name="digits"),
        model=VAE(
            network=MLP(hidden=(256, 256)),
            latent_dim=10,
            optimizer=Adam(1e-3),
            prior=VaDE(components=10, pretraining=2000, examples=1497),
        ),
        steps=6000,
        batch_size=128,
        log_every=200,
        sample_every=2000,
        checkpoint_every=2000,
        evaluation=Evaluation(samples=2000, measures=("cluster_accuracy", "frechet", "kernel")),
    )
