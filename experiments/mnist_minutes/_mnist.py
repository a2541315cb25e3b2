"""MNIST at equal seconds: a small R3GAN, DCGAN with hinge and spectral norm, and the DCGAN of `mnist_dcgan.py`.

    gvlab compare experiments/mnist_minutes/[a-z]*.py --seeds 3 --out experiments/mnist_at_equal_minutes --match seconds

The first, the DCGAN, takes 3,000 steps; the others as many as fit into its seconds, measured when the comparison
begins. All have an average of the generator with a half-life in images, and are measured by 10,000 samples.

Cost: not run as a whole; 3,000 steps of the DCGAN take 5 CPU minutes, so 45 for nine runs.
"""

from typing import Any

from gvlab.config import Data, Evaluation, Experiment


def experiment(name: str, model: Any) -> Experiment:
    return Experiment(
        name=name,
        data=Data(name="mnist"),
        model=model,
        steps=3_000,
        batch_size=64,
        log_every=100,
        sample_every=1_000_000,
        checkpoint_every=1_000,
        evaluation=Evaluation(samples=10_000, features=("mnist",)),
    )
