"""The extractor `spoken_digit`: convolutions on the spectra of spoken digits, moved, louder and softer.

The recordings are those of the Free Spoken Digit Dataset 1.0.9, added under this name, whose first five takes of each
speaker and digit are for testing:

gvlab data add spoken_digit recordings --samples 8192 --labels names --test-names '*_[0-4].wav'
python experiments/extractors/spoken_digit.py
"""

import jax
import jax.numpy as jnp
import optax
from classifier import train

from gvlab.extractors.classifiers import SpectrumConv


def move_and_scale(key: jax.Array, x: jax.Array) -> jax.Array:
    """Each sound up to 0.1 s later or earlier (at 8 kHz), at a quarter to twice its loudness."""
    moved = jax.vmap(jnp.roll)(x, jax.random.randint(jax.random.fold_in(key, 0), (len(x),), -800, 801))
    return moved * 2 ** jax.random.uniform(jax.random.fold_in(key, 1), (len(x), 1, 1), minval=-2, maxval=1)


if __name__ == "__main__":
    train(
        "spoken_digit",
        SpectrumConv(),
        lambda steps: optax.adamw(optax.cosine_onecycle_schedule(steps, 4e-3), weight_decay=2e-2),
        epochs=60,
        batch_size=64,
        augment=move_and_scale,
    )
