"""How an image is found from what is seen of it: over the latents of a generator, for many images at once.

All are told `generate`, (z [rows, latent], image [rows]) -> images in [0, 1], where `image` says which of the images a
row is for (of which class, if the model has classes); y [n, *measured] are the measurements of n images. They are pure
functions, in pieces that `gvlab.restoration.driving` compiles and calls.
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


class Moving(NamedTuple):
    """A search under way."""

    z: Float[Array, "rows latent"]
    """Of each image all restarts, one behind the other."""
    optimizer: PyTree
    before: Float[Array, "n restarts"]


class Search(NamedTuple):
    """A search in pieces, so that whoever drives it chooses what is compiled at once, and knows how far it is."""

    begin: Callable[[PRNGKey, Array], Moving]
    """(key, y) -> at the starts, which are drawn from N(0, I)."""
    step: Callable[[Moving, Array], Moving]
    """(moving, y) -> one step of Adam further."""
    end: Callable[[Moving, Array], Found]
    """(moving, y) -> the best restart of each image."""


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


def search(
    generate: Generate, operator: Operator, *, latent_dim: int, restarts: int, rate: float, weight: float
) -> Search:
    """The latents that minimise |A G(z) - y|^2 + weight |z|^2, by Adam; of several restarts the one of the least.

    With N(0, I) as the prior and noise of variance `weight` the minimum is the posterior's mode.

    Args:
        generate: G.
        operator: A.
        latent_dim: of z.
        restarts: for each image.
        rate: of Adam.
        weight: of the squared length of z (lambda in Bora et al., eq. 3).

    Reference: Bora et al., "Compressed Sensing using Generative Models", 2017, eq. 3.
    """
    optimizer = optax.adam(rate)

    def objective(z: Float[Array, "rows latent"], y: Float[Array, "n *measured"]) -> Float[Array, " rows"]:
        image, seen = jnp.repeat(jnp.arange(y.shape[0]), restarts), jnp.repeat(y, restarts, axis=0)
        return squared_error(operator, generate(z, image), seen) + weight * (z**2).sum(-1)

    def begin(key: PRNGKey, y: Array) -> Moving:
        flat = jax.random.normal(key, (y.shape[0], restarts, latent_dim)).reshape(-1, latent_dim)
        return Moving(flat, optimizer.init(flat), objective(flat, y).reshape(-1, restarts))

    def step(moving: Moving, y: Array) -> Moving:
        gradient = jax.grad(lambda z: objective(z, y).sum())(moving.z)
        updates, state = optimizer.update(gradient, moving.optimizer)
        return Moving(moving.z + updates, state, moving.before)

    def end(moving: Moving, y: Array) -> Found:
        n = y.shape[0]
        values = objective(moving.z, y).reshape(n, restarts)
        # Of a restart that diverged the objective is NaN.
        best = jnp.nanargmin(jnp.where(jnp.isfinite(values), values, jnp.inf), axis=1)
        chosen = moving.z.reshape(n, restarts, latent_dim)[jnp.arange(n), best]
        return Found(generate(chosen, jnp.arange(n)), chosen, values, moving.before)

    return Search(begin, step, end)


class Wandering(NamedTuple):
    """Chains under way."""

    position: Position
    step_size: Float[Array, " n"]


class Chains(NamedTuple):
    """Hamiltonian chains in pieces, as `Search` is a search in pieces."""

    begin: Callable[[PRNGKey, Array], Wandering]
    """(key, y) -> at draws from the prior."""
    warm: Callable[[Wandering, Array, PRNGKey, Array], Wandering]
    """(wandering, y, key, inverse temperature) -> a transition further, with another step size."""
    draw: Callable[[Wandering, Array, PRNGKey], tuple[Wandering, Array]]
    """(wandering, y, key) -> `thinning` transitions further, and their mean acceptance [n]."""


def chains_of(
    generate: Generate,
    operator: Operator,
    *,
    latent_dim: int,
    noise: float,
    chains: int,
    thinning: int = 1,
    leapfrog_steps: int = 10,
) -> Chains:
    """Hamiltonian draws of z under N(0, I) and y = A G(z) + noise e, annealed from the prior during the warm-up.

    The inverse temperature rises over the warm-up by `temperatures`; the step size follows the acceptance until its
    end, and is held from there on.

    Args:
        generate: G.
        operator: A.
        latent_dim: of z.
        noise: standard deviation of the measurements' noise; above 0.
        chains: for each image.
        thinning: transitions between two draws.
        leapfrog_steps: of a transition.

    Reference: Neal, "MCMC using Hamiltonian dynamics", 2011; of generators in Wu et al., "On the Quantitative Analysis
    of Decoder-Based Generative Models", 2017.
    """

    def log_likelihood(z: Float[Array, "chains n latent"], y: PyTree) -> Float[Array, "chains n"]:
        n = y.shape[0]
        x = generate(z.reshape(-1, latent_dim), jnp.tile(jnp.arange(n), chains))
        error = squared_error(operator, x, jnp.tile(y, (chains, *[1] * (y.ndim - 1))))
        return -error.reshape(chains, n) / (2 * noise**2)

    dynamics = Dynamics(log_likelihood, leapfrog_steps)

    def begin(key: PRNGKey, y: Array) -> Wandering:
        n = y.shape[0]
        first = position_at(log_likelihood, y, jax.random.normal(key, (chains, n, latent_dim)))
        return Wandering(first, jnp.full((n,), _FIRST))

    def warm(wandering: Wandering, y: Array, key: PRNGKey, beta: Array) -> Wandering:
        position, size = wandering
        position, acceptance = transition(key, dynamics, y, position, beta, size)
        return Wandering(position, size * jnp.exp(_GAIN * (acceptance - _TARGET)))

    def draw(wandering: Wandering, y: Array, key: PRNGKey) -> tuple[Wandering, Array]:
        def one(position: Position, key: PRNGKey) -> tuple[Position, Array]:
            return transition(key, dynamics, y, position, jnp.float32(1.0), wandering.step_size)

        position, acceptance = jax.lax.scan(one, wandering.position, jax.random.split(key, thinning))
        return Wandering(position, wandering.step_size), acceptance.mean(0)

    return Chains(begin, warm, draw)


def temperatures(warmup: int) -> Float[Array, " warmup"]:
    """Inverse ones, of the warm-up: evenly in the logarithm of the variance that the noise seems to have, for three
    quarters of it."""
    rising = jnp.clip(jnp.arange(1, warmup + 1) / max(1, (3 * warmup) // 4), 0.0, 1.0)
    return jnp.where(rising >= 1, 1.0, jnp.exp((1 - rising) * jnp.log(1e-4)))


_GAIN, _TARGET, _FIRST = 0.1, 0.8, 0.3
"""How fast the step size follows the acceptance, which acceptance it seeks, and the size to begin with."""
