"""MNIST at equal seconds: a small R3GAN, DCGAN with hinge and spectral norm, and the DCGAN of `mnist_dcgan.py`.

    gvlab compare experiments/mnist_minutes/[a-z]*.py --seeds 3 --out experiments/mnist_at_equal_minutes --match seconds

The first, the DCGAN, takes 3,000 steps; the others as many as fit into its seconds, measured when the comparison
begins. All have an average of the generator with a half-life in images, and are measured by 10,000 samples.

Cost: not run as a whole; 3,000 steps of the DCGAN take 10 CPU minutes, so 90 for nine runs.
Reached by one seed, with steps counted for about 12 CPU minutes each on a busy machine: DCGAN, 4,000 steps, fld_mnist
43.8, precision 0.61, recall 0.88; hinge with spectral norm, 3,040 steps, fld_mnist 53.5, precision 0.59, recall 0.84.
Neither is near the 2.3 of `mnist_conditional_dcgan.py`, whose rate falls to 0 and which knows the classes. A step of
the R3GAN takes 2.5 of the DCGAN's by CPU seconds (0.48 beside 0.19, before its convolutions became a loop); it was not
run to its end. Conditional, with 64 to 8 channels, R1 and R2 of 1 and a rate of 4e-4 falling to 0, it had fld_mnist 90,
precision 0.85 and recall 0.02 after 2,451 of 3,000 steps and 29 CPU minutes of a busy core, where it was stopped: its
digits are half formed, as of a training that is far from its end.
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
