"""How an image is found from what is seen of it: over the latents of a generator, for many images at once.

All are told `generate`, (z [rows, latent], image [rows]) -> images in [0, 1], where `image` says which of the images a
row is for (of which class, if the model has classes); y [n, *measured] are the measurements of n images. They are pure
functions, and compile as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from gvlab.metrics._hamiltonian import Dynamics, Position, position_at, transition
from gvlab.restoration.operators import Operator
from gvlab.types import PRNGKey, PyTree

Generate: TypeAlias = Callable[[Float[Array, "rows latent"], Int[Array, " rows"]], Float[Array, "rows *shape"]]


class Found(NamedTuple):
    """What a search found."""

    x: Float[Array, "n *shape"]
    """The images."""
    z: Float[Array, "n latent"]
    objective: Float[Array, "n restarts"]
    """Of every restart; the least is that of z."""
    before: Float[Array, "n restarts"]
    """The same at the starts."""


class Posterior(NamedTuple):
    """Draws from the posterior of the latents, given the measurements."""

    z: Float[Array, "draws chains n latent"]
    acceptance: Float[Array, " n"]
    """Mean acceptance probability of the draws."""
    step_size: Float[Array, " n"]


def squared_error(
    operator: Operator, x: Float[Array, "rows *shape"], y: Float[Array, "rows *measured"]
) -> Float[Array, " rows"]:
    """|A x - y|^2, a sum over the measurements."""
    residual = jax.vmap(operator.apply)(x) - y
    return (residual**2).reshape(residual.shape[0], -1).sum(-1)


def optimise(
    key: PRNGKey,
    generate: Generate,
    operator: Operator,
    y: Float[Array, "n *measured"],
    *,
    latent_dim: int,
    restarts: int,
    steps: int,
    rate: float,
    weight: float,
    start: Float[Array, "n latent"] | None = None,
) -> Found:
    """The latents that minimise |A G(z) - y|^2 + weight |z|^2, by Adam; of several restarts the one of the least.

    With N(0, I) as the prior and noise of variance `weight` the minimum is the posterior's mode.

    Args:
        key: of the starts, which are drawn from N(0, I).
        generate: G.
        operator: A.
        y: measurements.
        latent_dim: of z.
        restarts: for each image.
        steps: of Adam.
        rate: of Adam.
        weight: of the squared length of z (lambda in Bora et al., eq. 3).
        start: of the first restart of each image, in the place of a draw.

    Reference: Bora et al., "Compressed Sensing using Generative Models", 2017, eq. 3.
    """
    n = y.shape[0]
    z = jax.random.normal(key, (n, restarts, latent_dim))
    if start is not None:
        z = z.at[:, 0].set(start)
    image, seen = jnp.repeat(jnp.arange(n), restarts), jnp.repeat(y, restarts, axis=0)
    optimizer = optax.adam(rate)

    def objective(z: Float[Array, "rows latent"]) -> Float[Array, " rows"]:
        return squared_error(operator, generate(z, image), seen) + weight * (z**2).sum(-1)

    def step(carry: tuple[Array, PyTree], _: None) -> tuple[tuple[Array, PyTree], None]:
        z, state = carry
        updates, state = optimizer.update(jax.grad(lambda z: objective(z).sum())(z), state)
        return (z + updates, state), None

    flat = z.reshape(-1, latent_dim)
    before = objective(flat).reshape(n, restarts)
    (flat, _), _ = jax.lax.scan(step, (flat, optimizer.init(flat)), length=steps)
    values = objective(flat).reshape(n, restarts)
    # Of a restart that diverged the objective is NaN.
    best = jnp.nanargmin(jnp.where(jnp.isfinite(values), values, jnp.inf), axis=1)
    chosen = flat.reshape(n, restarts, latent_dim)[jnp.arange(n), best]
    return Found(generate(chosen, jnp.arange(n)), chosen, values, before)


def posterior(
    key: PRNGKey,
    generate: Generate,
    operator: Operator,
    y: Float[Array, "n *measured"],
    *,
    latent_dim: int,
    noise: float,
    chains: int,
    warmup: int,
    draws: int,
    thinning: int = 1,
    leapfrog_steps: int = 10,
) -> Posterior:
    """Hamiltonian draws of z under N(0, I) and y = A G(z) + noise e, annealed from the prior during the warm-up.

    The inverse temperature rises from 0 to 1 over the first three quarters of the warm-up; the step size follows the
    acceptance until its end, and is held from there on.

    Args:
        key: of everything.
        generate: G.
        operator: A.
        y: measurements.
        latent_dim: of z.
        noise: standard deviation of the measurements' noise; above 0.
        chains: for each image.
        warmup: transitions.
        draws: that are kept, of each chain.
        thinning: transitions between two draws.
        leapfrog_steps: of a transition.

    Reference: Neal, "MCMC using Hamiltonian dynamics", 2011; of generators in Wu et al., "On the Quantitative Analysis
    of Decoder-Based Generative Models", 2017.
    """
    n = y.shape[0]
    image = jnp.tile(jnp.arange(n), chains)

    def log_likelihood(z: Float[Array, "chains n latent"], y: PyTree) -> Float[Array, "chains n"]:
        x = generate(z.reshape(-1, latent_dim), image)
        error = squared_error(operator, x, jnp.tile(y, (chains, *[1] * (y.ndim - 1))))
        return -error.reshape(chains, n) / (2 * noise**2)

    dynamics = Dynamics(log_likelihood, leapfrog_steps)
    start_key, warm_key, draw_key = jax.random.split(key, 3)
    first = position_at(log_likelihood, y, jax.random.normal(start_key, (chains, n, latent_dim)))
    rising = jnp.clip(jnp.arange(1, warmup + 1) / max(1, (3 * warmup) // 4), 0.0, 1.0)
    # Evenly in the logarithm of the variance that the noise seems to have.
    betas = jnp.where(rising >= 1, 1.0, jnp.exp((1 - rising) * jnp.log(1e-4)))

    def warm(carry: tuple[Position, Array], given: tuple[Array, Array]) -> tuple[tuple[Position, Array], None]:
        position, size = carry
        position, acceptance = transition(given[0], dynamics, y, position, given[1], size)
        return (position, size * jnp.exp(_GAIN * (acceptance - _TARGET))), None

    sizes = jnp.full((n,), _FIRST)
    (position, sizes), _ = jax.lax.scan(warm, (first, sizes), (jax.random.split(warm_key, warmup), betas))

    def one(position: Position, key: PRNGKey) -> tuple[Position, Array]:
        return transition(key, dynamics, y, position, jnp.float32(1.0), sizes)

    def drawn(position: Position, key: PRNGKey) -> tuple[Position, tuple[Array, Array]]:
        position, acceptance = jax.lax.scan(one, position, jax.random.split(key, thinning))
        return position, (position.z, acceptance.mean(0))

    _, (z, acceptance) = jax.lax.scan(drawn, position, jax.random.split(draw_key, draws))
    return Posterior(z, acceptance.mean(0), sizes)


_GAIN, _TARGET, _FIRST = 0.1, 0.8, 0.3
"""How fast the step size follows the acceptance, which acceptance it seeks, and the size to begin with."""
