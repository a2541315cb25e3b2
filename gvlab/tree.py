"""Small functions of pytrees."""

from __future__ import annotations

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from gvlab.types import PyTree, Size


def count(tree: PyTree) -> int:
    """The number of numbers in all leaves."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def count_named(tree: PyTree, name: str) -> int:
    """The number of numbers in all leaves that lie under a field of that name, and under none called `frozen`."""
    names = [
        ({getattr(key, "name", None) for key in path}, leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    ]
    return sum(leaf.size for fields, leaf in names if name in fields and "frozen" not in fields)


def norm(tree: PyTree) -> Float[Array, ""]:
    """The Euclidean norm of all leaves as one vector."""
    return jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(tree)))


def all_finite(tree: PyTree) -> Bool[Array, ""]:
    """Whether every floating-point number in the tree is finite."""
    floats = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in floats], bool).all()


def ema(average: PyTree, new: PyTree, decay: Float[Array, ""]) -> PyTree:
    """decay * average + (1 - decay) * new, leaf by leaf."""
    return jax.tree.map(lambda a, n: decay * a + (1 - decay) * n, average, new)


def ema_decay(decay: float | Float[Array, ""], step: Int[Array, ""]) -> Float[Array, ""]:
    """min(decay, (1 + step) / (10 + step)): a young average forgets its random initial value quickly.

    Reference: the `num_updates` rule of TensorFlow's ExponentialMovingAverage.
    """
    t = step.astype(jnp.float32)
    return jnp.minimum(decay, (1 + t) / (10 + t))


def ema_decay_from(
    decay: float | Float[Array, ""], start: int | Int[Array, ""], step: Int[Array, ""]
) -> Float[Array, ""]:
    """0 before the train step `start`, counted from 1, and `decay` from it on: an average that begins late.

    Reference: Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis", 2019, published code
    (`ema_start`).
    """
    return jnp.where(step + 1 < start, 0.0, decay)


def half_life_decay(half_life: float | Float[Array, ""], images: Size) -> Float[Array, ""]:
    """0.5^(images / half_life): what is left of an old value in an average of that half-life.

    Args:
        half_life: in images; of 0 nothing is left.
        images: seen between two updates of the average.

    Reference: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, published code.
    """
    return jnp.power(0.5, images / jnp.maximum(jnp.asarray(half_life, jnp.float32), 1e-8))


def stack(trees: list[PyTree]) -> PyTree:
    """Trees of one structure as one tree, with a new leading axis: what `jax.vmap` over seeds takes."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def digest(tree: PyTree) -> str:
    """SHA-256 over names, types, shapes and bytes of all leaves: equal digests mean equal bits."""
    hasher = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.asarray(leaf)
        hasher.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}".encode())
        hasher.update(np.ascontiguousarray(array).tobytes())
    return hasher.hexdigest()
