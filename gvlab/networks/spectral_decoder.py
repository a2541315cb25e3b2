"""Spectral norm for a network that was written without: every kernel divided by its largest singular value."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.types import PyTree, UserError

EPSILON = 1e-12
"""As of `networks.spectral_norm`."""


class SpectrallyNormalised(nn.Module):
    """A network whose kernels are divided by their spectral norms, which power iteration follows from step to step.

    The matrix of a kernel, its vectors and their steps are those of `networks.spectral_norm`. The vectors lie among the
    batch statistics, since the passes of training keep those.

    Attributes:
        network: (z [batch, latent], y, train=) -> [batch, *shape], with parameters alone.

    Raises:
        UserError: the network has statistics of its own, of which a normalised twin would have others.

    Reference: Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018, algorithm 1; of a
    decoder in Ghosh et al., "From Variational to Deterministic Autoencoders", 2020, section 3.2.
    """

    network: nn.Module

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, "batch *shape"]:
        """As of the network; a pass in training advances the vectors where `batch_stats` is mutable."""
        network = self.network.clone(parent=None)

        def drawn(key: Array) -> PyTree:
            variables = dict(network.init(key, z, y, train=False))
            params = variables.pop("params")
            if jax.tree.leaves(variables):
                raise UserError(
                    f"{type(network).__name__} has statistics beside its weights ({', '.join(variables)}), so spectral "
                    "norm would make another network of it: use one without."
                )
            return params

        params = self.param("weights", drawn)
        paths = {path: kernel for path, kernel in jax.tree_util.tree_leaves_with_path(params) if _is_kernel(path)}
        vectors = self.variable("batch_stats", "vectors", lambda: self._first(paths))
        if train and self.is_mutable_collection("batch_stats") and not self.is_initializing():
            vectors.value = {
                _name(path): _advanced(_matrix(path, k), *vectors.value[_name(path)]) for path, k in paths.items()
            }
        still = jax.lax.stop_gradient(vectors.value)

        def divided(path: Any, leaf: Array) -> Array:
            if not _is_kernel(path):
                return leaf
            u, v = still[_name(path)]
            return (leaf / (u @ _matrix(path, leaf) @ v)).astype(leaf.dtype)

        weights = {"params": jax.tree_util.tree_map_with_path(divided, params)}
        made: Any = network.apply(weights, z, y, train=train)  # Flax says that it may be a pair, which it is if mutable
        return made

    def _first(self, paths: dict[Any, Array]) -> dict[str, tuple[Array, Array]]:
        found = {}
        for path, kernel in paths.items():
            matrix = jax.lax.stop_gradient(_matrix(path, kernel))
            u = _unit(jax.random.normal(self.make_rng("params"), matrix.shape[:1]))
            found[_name(path)] = _advanced(matrix, u, _unit(matrix.T @ u))
        return found


def _is_kernel(path: Any) -> bool:
    return path[-1].key == "kernel"


def _name(path: Any) -> str:
    return "/".join(key.key for key in path)


def _matrix(path: Any, kernel: Array) -> Float[Array, "out rest"]:
    transposed = any("ConvTranspose" in key.key for key in path)  # whose kernels are [height, width, out, in]
    return jnp.moveaxis(kernel, -2 if transposed else -1, 0).reshape(kernel.shape[-2 if transposed else -1], -1)


def _advanced(matrix: Array, u: Array, v: Array) -> tuple[Array, Array]:
    matrix = jax.lax.stop_gradient(matrix)
    v = _unit(matrix.T @ u)
    return _unit(matrix @ v), v


def _unit(x: Float[Array, " n"]) -> Float[Array, " n"]:
    return x / jnp.maximum(jnp.linalg.norm(x), EPSILON)
