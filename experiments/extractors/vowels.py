"""The extractor `vowels`: two dense layers on the spectra of vowels, louder and softer by up to 6 dB.

python experiments/extractors/vowels.py
"""

import jax
import optax
from classifier import train

from gvlab.extractors.classifiers import SpectrumMLP


def scale(key: jax.Array, x: jax.Array) -> jax.Array:
    """Each sound at half to twice its loudness."""
    return x * 2 ** jax.random.uniform(key, (len(x), 1, 1), minval=-1, maxval=1)


if __name__ == "__main__":
    train(
        "vowels",
        SpectrumMLP(),
        lambda steps: optax.adamw(optax.cosine_onecycle_schedule(steps, 3e-3), weight_decay=1e-2),
        epochs=60,
        augment=scale,
    )
