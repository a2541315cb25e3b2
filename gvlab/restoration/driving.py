"""Searches and chains a few steps at a time, so that whoever waits hears how far they are."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gvlab.restoration import methods
from gvlab.restoration.operators import Operator
from gvlab.types import PRNGKey, PyTree

Decode: TypeAlias = Callable[[PyTree, Float[Array, "rows latent"], Int[Array, " rows"]], Float[Array, "rows *shape"]]
"""`methods.Generate` of what is given first, as the state of a model."""
Listener: TypeAlias = Callable[[int, int], None]
"""Hears (done, of how many)."""
PARTS = 20
"""Of a run of chains, after each of which it is said how far they are."""


def silent(done: int, total: int) -> None:
    """The listener that says nothing."""


class Searcher(NamedTuple):
    """`methods.Search`, compiled, of whatever is given first: one for all states of a model."""

    begin: Callable[[PyTree, PRNGKey, Array], methods.Moving]
    advance: Callable[[PyTree, methods.Moving, Array, int], methods.Moving]
    """(given, moving, y, steps) -> so many steps further."""
    end: Callable[[PyTree, methods.Moving, Array], methods.Found]
    stride: int
    """Steps in one call of `advance`."""


def searcher(
    decode: Decode, operator: Operator, *, latent_dim: int, restarts: int, rate: float, weight: float
) -> Searcher:
    """The arguments of `methods.search`, which are compiled in."""

    def pieces(given: PyTree) -> methods.Search:
        generate = functools.partial(decode, given)
        return methods.search(generate, operator, latent_dim=latent_dim, restarts=restarts, rate=rate, weight=weight)

    def advance(given: PyTree, moving: methods.Moving, y: Array, steps: Int[Array, ""]) -> methods.Moving:
        step = pieces(given).step
        if stride == 1:
            return step(moving, y)
        return jax.lax.fori_loop(0, steps, lambda _, moving: step(moving, y), moving)

    stride = stride_here()
    return Searcher(
        jax.jit(lambda given, key, y: pieces(given).begin(key, y)),
        jax.jit(advance),
        jax.jit(lambda given, moving, y: pieces(given).end(moving, y)),
        stride,
    )


def stride_here() -> int:
    """Steps in one call of the device. On CPU, XLA slows convolutions in loops."""
    return 1 if jax.default_backend() == "cpu" else 50


def searched(
    by: Searcher, given: PyTree, key: PRNGKey, y: Float[Array, "n *measured"], steps: int, listen: Listener = silent
) -> methods.Found:
    """What `methods.search` finds in so many steps.

    Args:
        by: the search.
        given: what `decode` is given first.
        key: of the starts.
        y: measurements.
        steps: of Adam.
        listen: hears how many steps are done.
    """
    moving = by.begin(given, key, y)
    for done in range(0, steps, by.stride):
        listen(done, steps)
        moving = by.advance(given, moving, y, min(by.stride, steps - done))
        jax.block_until_ready(moving)  # what is under way would be said to be done
    return by.end(given, moving, y)


def sampled(
    decode: Decode,
    operator: Operator,
    given: PyTree,
    key: PRNGKey,
    y: Float[Array, "n *measured"],
    *,
    latent_dim: int,
    noise: float,
    chains: int,
    warmup: int,
    draws: int,
    thinning: int,
    listen: Listener = silent,
) -> methods.Posterior:
    """What `methods.chains_of` draws; its arguments, of `decode` with `given`.

    Args:
        decode: G, of what it is given first.
        operator: A.
        given: what `decode` is given first.
        key: of everything.
        y: measurements.
        latent_dim: of z.
        noise: standard deviation of the measurements' noise; above 0.
        chains: for each image.
        warmup: transitions.
        draws: that are kept, of each chain.
        thinning: transitions between two draws.
        listen: hears how many transitions are done.
    """

    def pieces(given: PyTree) -> methods.Chains:
        generate = functools.partial(decode, given)
        return methods.chains_of(
            generate, operator, latent_dim=latent_dim, noise=noise, chains=chains, thinning=thinning
        )

    @jax.jit
    def warm(given: PyTree, wandering: methods.Wandering, y: Array, keys: Array, betas: Array) -> methods.Wandering:
        step = pieces(given).warm
        return jax.lax.scan(lambda state, each: (step(state, y, *each), None), wandering, (keys, betas))[0]

    @jax.jit
    def draw(
        given: PyTree, wandering: methods.Wandering, y: Array, keys: Array
    ) -> tuple[methods.Wandering, tuple[Array, Array]]:
        step = pieces(given).draw

        def one(state: methods.Wandering, key: PRNGKey) -> tuple[methods.Wandering, tuple[Array, Array]]:
            state, acceptance = step(state, y, key)
            return state, (state.position.z, acceptance)

        return jax.lax.scan(one, wandering, keys)

    total, done = warmup + draws * thinning, 0
    start_key, warm_key, draw_key = jax.random.split(key, 3)
    wandering = jax.jit(lambda given, key, y: pieces(given).begin(key, y))(given, start_key, y)
    keys, betas = jax.random.split(warm_key, warmup), methods.temperatures(warmup)
    for part in _parts(warmup):
        listen(done, total)
        wandering = jax.block_until_ready(warm(given, wandering, y, keys[part], betas[part]))
        done += len(keys[part])
    drawn, keys = [], jax.random.split(draw_key, draws)
    for part in _parts(draws):
        listen(done, total)
        wandering, those = jax.block_until_ready(draw(given, wandering, y, keys[part]))
        drawn.append(those)
        done += thinning * len(keys[part])
    z, acceptance = (jnp.concatenate(each) for each in zip(*drawn, strict=True))
    return methods.Posterior(z, acceptance.mean(0), wandering.step_size)


def _parts(count: int) -> list[slice]:
    """At most `PARTS` pieces, of one size but for the last."""
    size = -(-count // PARTS)
    return [slice(start, start + size) for start in range(0, count, size)]
