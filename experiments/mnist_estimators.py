"""Estimators of the importance-weighted gradient: the networks of Burda et al. 2016, six draws, 20 epochs of MNIST.

    gvlab train experiments/mnist_estimators.py
    gvlab compare experiments/mnist_estimators.py --seeds 6 --out experiments/estimators --sweep "objective=elbo,\
importance_weighted,sticking_the_landing,doubly_reparametrised,multiply_importance_weighted(2),\
partially_importance_weighted(2),combined_importance_weighted,renyi"

Six draws and not the usual five, because two groups must share them.

Cost: the comparison was not run: 48 runs of 12,000 steps of an MLP of 200 units.
Reached: not run.
"""

from gvlab.config import MLP, VAE, Adam, Data, Evaluation, Experiment


def config() -> Experiment:
    return Experiment(
        name="mnist_estimators",
        data=Data(name="mnist", quantization="binarize"),
        model=VAE(
            network=MLP(hidden=(200, 200)),
            latent_dim=50,
            objective="importance_weighted",
            num_samples=6,
            output_bias="data_mean",
            optimizer=Adam(learning_rate=1e-3),
        ),
        steps=12_000,
        batch_size=100,
        log_every=600,
        sample_every=6_000,
        checkpoint_every=3_000,
        evaluation=Evaluation(k=500),
    )
