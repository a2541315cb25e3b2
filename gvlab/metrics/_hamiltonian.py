"""Hamiltonian transitions of many chains at once, for a tempered posterior under a standard normal prior."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.types import PRNGKey, PyTree

LogLikelihood: TypeAlias = Callable[[Array, PyTree], Array]
"""(z [chains, batch, latent], x) -> log p(x|z) in nats, [chains, batch]."""


class Position(NamedTuple):
    """Latents with the likelihood and its gradient there, so that a new temperature costs no evaluation."""

    z: Float[Array, "chains batch latent"]
    log_likelihood: Float[Array, "chains batch"]
    gradient: Float[Array, "chains batch latent"]


class Dynamics(NamedTuple):
    """What is compiled into a transition."""

    log_likelihood: LogLikelihood
    leapfrog_steps: int
    unroll: int = 1


def transition(
    key: PRNGKey,
    dynamics: Dynamics,
    x: PyTree,
    start: Position,
    beta: Array,
    step_size: Float[Array, " batch"],
) -> tuple[Position, Float[Array, " batch"]]:
    """One Hamiltonian transition that leaves p(z) p(x|z)^beta invariant, and its mean acceptance over the chains.

    Reference: Neal, "MCMC using Hamiltonian dynamics", 2011, section 5.3.2; random step sizes, which keep trajectories
    from closing on themselves, section 5.4.2.
    """
    momentum_key, jitter_key, accept_key = jax.random.split(key, 3)
    dtype = start.z.dtype
    # Uniform from 0, so that every length scale of the posterior gets some fitting trajectories: with 0.8 to 1.2 times
    # the step size, the gap was a third wider in 50 dimensions at equal cost.
    size = (step_size[None] * jax.random.uniform(jitter_key, start.log_likelihood.shape, dtype))[..., None]

    def force(position: Position) -> Array:
        return beta * position.gradient - position.z

    def leapfrog(state: tuple[Position, Array], _: None) -> tuple[tuple[Position, Array], None]:
        position, momentum = state
        momentum = momentum + 0.5 * size * force(position)
        position = position_at(dynamics.log_likelihood, x, position.z + size * momentum)
        return (position, momentum + 0.5 * size * force(position)), None

    momentum = jax.random.normal(momentum_key, start.z.shape, dtype)
    (end, end_momentum), _ = jax.lax.scan(
        leapfrog, (start, momentum), length=dynamics.leapfrog_steps, unroll=dynamics.unroll
    )

    def energy(position: Position, momentum: Array) -> Array:
        return 0.5 * jnp.sum(position.z**2 + momentum**2, axis=-1) - beta * position.log_likelihood

    gain = energy(start, momentum) - energy(end, end_momentum)
    # A trajectory that overflowed is rejected.
    probability = jnp.where(jnp.isfinite(gain), jnp.exp(jnp.minimum(gain, 0.0)), 0.0)
    accepted = jax.random.uniform(accept_key, probability.shape, dtype) < probability
    chosen = Position(
        jnp.where(accepted[..., None], end.z, start.z),
        jnp.where(accepted, end.log_likelihood, start.log_likelihood),
        jnp.where(accepted[..., None], end.gradient, start.gradient),
    )
    return chosen, probability.mean(axis=0)


def position_at(log_likelihood: LogLikelihood, x: PyTree, z: Float[Array, "chains batch latent"]) -> Position:
    values, pull = jax.vjp(lambda latents: log_likelihood(latents, x), z)
    return Position(z, values, pull(jnp.ones_like(values))[0])
