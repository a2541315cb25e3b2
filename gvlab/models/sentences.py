"""Sentences as what a model makes: written symbol by symbol, each by those before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from gvlab import rng
from gvlab.data.alphabets import UNKNOWN
from gvlab.losses.sentences import END
from gvlab.types import PRNGKey, PyTree, Size, UserError

Choice = Callable[[Float[Array, "n levels"], Any], Int[Array, " n"]]
"""(logits, what is given at this position) -> symbols."""


def write(
    step: Callable[[Any, Int[Array, " n"]], tuple[Any, Float[Array, "n levels"]]],
    begin: Any,
    n: int,
    length: int,
    choose: Choice,
    given: Any = None,
) -> Int[Array, "n length"]:
    """n sentences, each symbol chosen by the logits that those before it lead to.

    After the first end there are ends alone, and where a row has no room for another symbol its last one is the end.

    Args:
        step: (what is carried along, last symbols) -> (what is carried along, logits of the next ones).
        begin: what is carried along before the first symbol.
        n: how many.
        length: of a row.
        choose: of logits.
        given: arrays [length, ...] of which each position is given its own, to choose by.
    """

    def one(before: tuple[Any, Array, Array], now: tuple[Array, Any]) -> tuple[tuple[Any, Array, Array], Array]:
        (carried, token, ended), (position, here) = before, now
        carried, logits = step(carried, token)
        token = jnp.where(ended | (position == length - 1), END, choose(logits, here))
        return (carried, token, ended | (token == END)), token

    start = (begin, jnp.full((n,), END, jnp.int32), jnp.zeros((n,), bool))
    return jax.lax.scan(one, start, (jnp.arange(length), given))[1].T


def greedily(logits: Float[Array, "n levels"], given: None) -> Int[Array, " n"]:
    """The most likely symbols."""
    return logits.argmax(-1).astype(jnp.int32)


def chosen(uniform: Float[Array, " n"], logits: Float[Array, "rows choices"]) -> Int[Array, " n"]:
    """Where the cumulative probabilities pass a number from 0 to 1."""
    passed = uniform[:, None] >= jnp.cumsum(jax.nn.softmax(logits), axis=-1)[:, :-1]  # the last one need not be 1
    return passed.sum(-1, dtype=jnp.int32)


def by_chance(logits: Float[Array, "n levels"], given: Float[Array, " n"]) -> Int[Array, " n"]:
    """Draws of the symbols, of one uniform number each."""
    return chosen(given, logits)


def writing(
    written: Callable[..., Int[Array, "n length"]],
    latents: Callable[[PyTree, PRNGKey, Size], Array],
    length: int,
) -> tuple[Callable[..., Array], Callable[..., Array], Callable[..., Array]]:
    """`decode`, `sample` and `draw` of a `gvlab.types.Model`: the most likely symbols of latents, and draws of them.

    Samples are draws: the most likely sentences of all latents are few.

    Args:
        written: (state, z, y, choose, given) -> sentences, as `write` makes them.
        latents: (state, key, n) -> z of the prior.
        length: of a row.
    """

    def decode(state: PyTree, z: Float[Array, "n latent"], y: Any = None) -> Array:
        return written(state, z, y, greedily, None)

    def sample(state: PyTree, key: PRNGKey, n: Size, y: Any = None) -> Array:
        uniform = jax.random.uniform(rng.stream(key, rng.OBSERVATION), (n, length))
        return written(state, latents(state, key, n), y, by_chance, uniform.T)

    return decode, sample, sample


def words_dropped(
    key: PRNGKey, x: Int[Array, "batch length"], share: float, axis_name: str | None = None
) -> Int[Array, "batch length"]:
    """The sentences in which each symbol is unknown with that probability; ends stay.

    Reference: Bowman et al., "Generating Sentences from a Continuous Space", 2016, section 3.1.
    """
    dropped = rng.uniform(key, x.shape, axis_name) < share
    return jnp.where(dropped & (x != END), UNKNOWN, x)


def check_sentences(x: Num[Array, "batch *shape"], length: int, levels: int) -> None:
    """Raises UserError unless these are integers of that length and, unless transformed, below `levels`."""
    if not jnp.issubdtype(x.dtype, jnp.integer):
        raise UserError(f"The data are of type {x.dtype}, but the model is of sentences, which are integers.")
    if x.shape[1:] != (length,):
        raise UserError(f"The data have the shape {x.shape[1:]}, but the model is of sentences of {length} symbols.")
    if isinstance(x, jax.core.Tracer) or x.size == 0:
        return
    if int(x.min()) < 0 or int(x.max()) >= levels:
        wrong = int(x.min()) if int(x.min()) < 0 else int(x.max())
        raise UserError(f"The data contain {wrong}, but the symbols of the model are numbered from 0 to {levels - 1}.")
