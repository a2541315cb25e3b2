"""GANs of sentences: between integers and rows of probabilities, on which a generator has a gradient.

The discriminator sees real sentences as one-hot rows, and generated ones as the generator makes them; what is written
is the most likely symbol at each place, up to the first end.

References: Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, section 5.4; Kusner & Hernández-Lobato,
"GANs for Sequences of Discrete Elements with the Gumbel-softmax Distribution", 2016.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gvlab.losses.sentences import END
from gvlab.models.base import Labels
from gvlab.models.sentences import check_sentences
from gvlab.types import Batch, Info, Model, PRNGKey, PyTree, Size


def of_one_hot(gan: Model, length: int, levels: int) -> Model:
    """A GAN of sentences, int32 [length], made of one of rows of probabilities [length, levels].

    Args:
        gan: of rows.
        length: of a sentence.
        levels: integers that a symbol may be.

    Returns:
        A `Model` with the states and terms of the other.
    """

    def seen(batch: Batch) -> Batch:
        return Batch(jax.nn.one_hot(batch.x, levels), batch.y)

    def init(key: PRNGKey, batch: Batch) -> PyTree:
        check_sentences(batch.x, length, levels)
        return gan.init(key, seen(batch))

    def train_step(state: PyTree, batch: Batch, key: PRNGKey) -> tuple[PyTree, Info]:
        return gan.train_step(state, seen(batch), key)

    def sample(state: PyTree, key: PRNGKey, n: Size, y: Labels = None) -> Int[Array, "n length"]:
        return written(gan.sample(state, key, n, y))

    def evaluate(state: PyTree, batch: Batch, key: PRNGKey) -> Info:
        return gan.evaluate(state, seen(batch), key)

    def decode(state: PyTree, z: Array, y: Labels = None) -> Int[Array, "n length"]:
        return written(gan.decode(state, z, y))

    def watch(state: PyTree, train: Batch, held_out: Batch, key: PRNGKey) -> Info:
        assert gan.watch is not None
        return gan.watch(state, seen(train), seen(held_out), key)

    return Model(init, train_step, sample, evaluate, gan.prior, decode, watch=watch, standing=gan.standing)


def written(rows: Float[Array, "n length levels"]) -> Int[Array, "n length"]:
    """The most likely symbols, with ends alone after the first end, and one at the last place in any case."""
    symbols = rows.argmax(-1).astype(jnp.int32)
    ended = jnp.cumsum(symbols == END, axis=1) > 0
    return jnp.where(ended, END, symbols).at[:, -1].set(END)
