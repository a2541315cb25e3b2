"""The edges of images."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float


def edges(x: Float[Array, "n height width channel"]) -> Float[Array, "n height width channel"]:
    """The length of the slope of each channel: (right - left) / 2 and (below - above) / 2, times sqrt(2), at most 1.

    Beyond the border stands what stands at it.
    """
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    down = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    right = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    return jnp.minimum(jnp.sqrt(2 * (down**2 + right**2)), 1.0)
