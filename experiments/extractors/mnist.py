"""The extractor `mnist`: LeNet-5 with ReLU on MNIST, its training images shifted by up to 2 pixels.

python experiments/extractors/mnist.py
"""

import optax
from classifier import shift, train

from gvlab.extractors.classifiers import LeNet5

if __name__ == "__main__":
    train(
        "mnist",
        LeNet5(),
        lambda steps: optax.adamw(optax.cosine_onecycle_schedule(steps, 3e-3), weight_decay=1e-2),
        epochs=12,
        augment=shift(2),
    )
