"""The extractor `digits`: LeNet-5 with ReLU on the digits, its training images shifted by up to 1 pixel.

python experiments/extractors/digits.py
"""

import optax
from classifier import shift, train

from gvlab.extractors.classifiers import LeNet5

if __name__ == "__main__":
    train(
        "digits",
        LeNet5(),
        lambda steps: optax.adamw(optax.cosine_onecycle_schedule(steps, 3e-3), weight_decay=1e-2),
        epochs=150,
        augment=shift(1),
    )
