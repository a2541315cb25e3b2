"""Estimators of the importance-weighted gradient: the networks of Burda et al. 2016, six draws, 20 epochs of MNIST.

    gvlab train experiments/mnist_estimators.py
    gvlab compare experiments/mnist_estimators.py --seeds 6 --out experiments/estimators --sweep "objective=\
importance_weighted,sticking_the_landing,doubly_reparametrised,multiply_importance_weighted(2),\
partially_importance_weighted(2),combined_importance_weighted,renyi"

Six draws and not the usual five, because two groups must share them.

Cost: four minutes of one CPU core a run, a quarter of it measuring: 83 minutes for three seeds of the seven.
Reached (three seeds, `experiments/estimators/table.md`): iw_bound_nats, k = 500, from -92.90 [-93.19, -92.60]
(doubly_reparametrised) to -93.70 [-94.16, -93.24] (importance_weighted).
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
