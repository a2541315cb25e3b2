"""Mixtures of Gaussians in the plane: the exact density is known, and lost modes can be counted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from gvlab.types import PRNGKey


@dataclass(frozen=True, eq=False)
class Mixture:
    """Equally likely isotropic Gaussians with standard deviation `scale` about `means`."""

    means: Float32[np.ndarray, "modes 2"]
    scale: float

    def sample(self, key: PRNGKey, n: int) -> Float[Array, "n 2"]:
        """n independent points."""
        which, where = jax.random.split(key)
        mode = jax.random.randint(which, (n,), 0, len(self.means))
        return jnp.asarray(self.means)[mode] + self.scale * jax.random.normal(where, (n, 2))

    def log_prob(self, x: Float[Array, "n 2"]) -> Float[Array, " n"]:
        """The exact log-density in nats, one number a point."""
        squares = jnp.sum((x[:, None, :] - jnp.asarray(self.means)[None, :, :]) ** 2, axis=-1)
        normaliser = math.log(len(self.means)) + math.log(2 * math.pi * self.scale**2)
        return jax.nn.logsumexp(-squares / (2 * self.scale**2), axis=1) - normaliser


def ring() -> Mixture:
    """Eight modes on the unit circle, standard deviation 0.01.

    Reference: Srivastava et al., "VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning",
    NeurIPS 2017, section 5.1.
    """
    angle = np.arange(8) * (2 * np.pi / 8)
    return Mixture(np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32), 0.01)


def grid() -> Mixture:
    """Twenty-five modes at {-4, -2, 0, 2, 4} x {-4, -2, 0, 2, 4}, standard deviation 0.05.

    Reference: Srivastava et al., "VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning",
    NeurIPS 2017, section 5.1.
    """
    axis = np.arange(-4, 5, 2, dtype=np.float32)
    return Mixture(np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(25, 2), 0.05)


MIXTURES = {"ring": ring, "grid": grid}
"""By the name of the data set drawn from each."""
