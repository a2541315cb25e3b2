"""The extractor `fashion_mnist`: LeNet-5 on Fashion-MNIST, its training images mirrored and shifted by 1 pixel.

python experiments/extractors/fashion_mnist.py
"""

import optax
from classifier import shift_and_flip, train

from gvlab.extractors.classifiers import LeNet5

if __name__ == "__main__":
    train(
        "fashion_mnist",
        LeNet5(),
        lambda steps: optax.adamw(optax.cosine_onecycle_schedule(steps, 3e-3), weight_decay=1e-2),
        epochs=16,
        augment=shift_and_flip(1),
    )
