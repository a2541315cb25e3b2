"""Paths in latent space."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def spherical(
    start: Float[Array, "path latent"], end: Float[Array, "path latent"], points: int
) -> Float[Array, "path points latent"]:
    """Great-circle interpolation from `start` to `end`, both included.

    A straight line between two normal latents passes through lengths that the prior hardly ever has; this one keeps
    to them. Nearly parallel latents, and a latent of zeros, are joined by the straight line.

    Reference: Shoemake 1985; for latents White 2016, "Sampling Generative Networks", section 2.1.
    """
    t = jnp.linspace(0.0, 1.0, points)[None, :, None]
    a, b = start[:, None, :], end[:, None, :]
    lengths = jnp.linalg.norm(a, axis=-1, keepdims=True) * jnp.linalg.norm(b, axis=-1, keepdims=True)
    cosine = jnp.where(lengths > 0, (a * b).sum(-1, keepdims=True) / jnp.where(lengths > 0, lengths, 1.0), 1.0)
    angle = jnp.arccos(jnp.clip(cosine, -1.0, 1.0))
    parallel = jnp.sin(angle) < 1e-4
    safe = jnp.where(parallel, 1.0, angle)
    arc = (jnp.sin((1 - t) * safe) * a + jnp.sin(t * safe) * b) / jnp.sin(safe)
    return jnp.where(parallel, (1 - t) * a + t * b, arc)


def straight(corners: Float[Array, "corner d"], points: int) -> Float[Array, "points d"]:
    """Equally spaced points on straight lines from corner to corner, the first and the last corner included."""
    place = jnp.linspace(0.0, len(corners) - 1.0, points)
    before = jnp.minimum(place.astype(jnp.int32), len(corners) - 2)
    share = (place - before)[:, None]
    return (1 - share) * corners[before] + share * corners[before + 1]
