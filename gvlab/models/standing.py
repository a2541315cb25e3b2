"""Standing statistics: those of a generator's BatchNorm, estimated anew before it is measured."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from gvlab.types import PRNGKey, PyTree


def standing_statistics(
    after: Callable[[PyTree, PRNGKey], PyTree], stats: PyTree, key: PRNGKey, batches: int
) -> PyTree:
    """The mean over so many batches of each batch's own statistics.

    A layer keeps a share k of its old statistics and takes 1 - k of a batch's, and k is its own affair: it is what is
    left of ones beside zeros. So the batch's are those that follow zeros, over 1 - k.

    Args:
        after: (statistics, key) -> those after the pass of a batch that the key draws; compiled, best.
        stats: any, for their shapes.
        key: of all batches.
        batches: at least 1.

    Reference: Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis", 2019, section 4.1.
    """
    zeros, ones = jax.tree.map(jnp.zeros_like, stats), jax.tree.map(jnp.ones_like, stats)
    passes = [after(zeros, jax.random.fold_in(key, i)) for i in range(batches)]
    kept = jax.tree.map(jnp.subtract, after(ones, jax.random.fold_in(key, 0)), passes[0])
    return jax.tree.map(lambda k, *found: sum(found) / batches / (1 - k), kept, *passes)
