"""What is added to a loss for the weights alone: the spectral norms of convolutions, by which NVAE is kept smooth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gvlab.types import Info, PRNGKey, PyTree, UserError

BEGINNING = 10
"""Times as many iterations before the first step; NVAE's."""
DENSE = "se"
"""The parts of a network whose dense layers are of vectors; all other kernels are of convolutions, or of single pixels,
which are such, too."""


class WeightTerm(NamedTuple):
    """A term of a loss that reads the parameters and no example."""

    init: Callable[[PRNGKey, PyTree], PyTree]
    """(key, parameters) -> memory."""
    value: Callable[[PyTree, PyTree], tuple[Float[Array, ""], PyTree, Info]]
    """(parameters, memory) -> (what is added to the loss, the next memory, terms to be logged)."""


def spectral_regularisation(weight: float | Float[Array, ""], iterations: int = 4) -> WeightTerm:
    """weight x (sum of the largest singular values of all convolutions + sum of the largest |gain| of each BatchNorm).

    A kernel is the matrix [features, the rest]. Its singular vectors follow it by a power iteration, whose memory they
    are; to the gradient they are constants. The term of BatchNorm is not in the paper, but in its code.

    Args:
        weight: lambda.
        iterations: of each step.

    Reference: Vahdat & Kautz, "NVAE: A Deep Hierarchical Variational Autoencoder", 2020, section 3.2; the
    published code, `spectral_norm_parallel` and `batchnorm_loss`.
    """

    def init(key: PRNGKey, params: PyTree) -> PyTree:
        matrices = _matrices(params)
        if not matrices:
            raise UserError("There is no convolution whose spectral norm could be regularised: use Unregularised.")
        keys = jax.random.split(key, len(matrices))
        return {
            name: _advanced(matrix, _unit(jax.random.normal(key, matrix.shape[:1])), BEGINNING * iterations)
            for key, (name, matrix) in zip(keys, matrices.items(), strict=True)
        }

    def value(params: PyTree, memory: PyTree) -> tuple[Float[Array, ""], PyTree, Info]:
        new, norms = {}, []
        for name, matrix in _matrices(params).items():
            new[name] = _advanced(jax.lax.stop_gradient(matrix), memory[name]["u"], iterations)
            norms.append(new[name]["u"] @ matrix @ new[name]["v"])
        gains = [jnp.abs(leaf).max() for name, leaf in _named(params) if name[-1] == "scale"]
        total = jnp.stack(norms).sum()
        added = weight * (total + jnp.stack(gains).sum() if gains else total)
        return added, new, {"spectral_norms": total, "spectral_term": added}

    return WeightTerm(init, value)


def _named(params: PyTree) -> list[tuple[tuple[str, ...], Any]]:
    """All leaves with the names that lead to them."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return [(tuple(str(entry.key) for entry in path), leaf) for path, leaf in leaves]


def _matrices(params: PyTree) -> dict[str, Float[Array, "features rest"]]:
    """The kernels of convolutions, by the names that lead to them."""
    return {
        "/".join(name): jnp.moveaxis(leaf, -1, 0).reshape(leaf.shape[-1], -1)
        for name, leaf in _named(params)
        if name[-1] == "kernel" and DENSE not in name
    }


def _advanced(matrix: Float[Array, "features rest"], u: Float[Array, " features"], times: int) -> dict[str, Array]:
    """{"u", "v"}: the first singular vectors, as far as so many iterations come from u."""
    v = jnp.zeros(matrix.shape[1], matrix.dtype)

    def step(_: Int[Array, ""], vectors: tuple[Array, Array]) -> tuple[Array, Array]:
        v = _unit(vectors[0] @ matrix)
        new = _unit(matrix @ v)
        # A kernel that begins at 0 would take u to 0, where it would remain whatever becomes of the kernel.
        return jnp.where(jnp.any(new != 0), new, vectors[0]), v

    u, v = jax.lax.fori_loop(0, times, step, (u, v))
    return {"u": u, "v": v}


def _unit(x: Float[Array, " n"]) -> Float[Array, " n"]:
    """Of length 1; NVAE divides by at least 1e-3, by which u of a smaller kernel would shrink with every iteration."""
    length = jnp.linalg.norm(x)
    return jnp.where(length > 0, x / length, 0.0)
