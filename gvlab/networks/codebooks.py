"""Codebooks as pure functions: which is nearest, how averages move the codes, how they start, how they are used.

A codebook that follows averages is a `Codebook` of counts and sums, whose codes are their quotients.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gvlab.parallel import gather
from gvlab.types import PRNGKey, UserError

EPSILON = 1e-5
"""Added to every count before it divides, as if each code had been chosen so often in its sleep (Laplace)."""


class Codebook(NamedTuple):
    """Exponential averages of how often a code is chosen, and of the sum of what chose it."""

    counts: Float[Array, " codes"]
    sums: Float[Array, "codes features"]

    def codes(self) -> Float[Array, "codes features"]:
        """Sums over counts, of which none is 0 (van den Oord et al. 2017, appendix A.1, with Sonnet's smoothing)."""
        total = self.counts.sum()
        smoothed = (self.counts + EPSILON) / (total + len(self.counts) * EPSILON) * total
        return self.sums / smoothed[:, None]


class Usage(NamedTuple):
    """How codes are used over some positions; perplexities of fewer positions are smaller."""

    perplexity: Float[Array, ""]
    """exp of the entropy: as many codes, chosen equally often, would have it."""
    entropy_bits: Float[Array, ""]
    """Bits per position."""
    active: Float[Array, ""]
    """Share of the codes that are chosen at all."""


def rows(x: Float[Array, "*positions features"]) -> Float[Array, "rows features"]:
    """All positions of all examples, one after another."""
    return x.reshape(-1, x.shape[-1])


def nearest_code(
    x: Float[Array, "*positions features"], codes: Float[Array, "codes features"]
) -> Int[Array, "*positions"]:
    """The code at the least Euclidean distance, the first of equals (van den Oord et al. 2017, eq. 1)."""
    # |x - e|^2 without |x|^2, which all codes share, halved and negated.
    products = jnp.matmul(rows(x), codes.T, precision=jax.lax.Precision.HIGHEST)
    nearness = products - 0.5 * jnp.sum(codes**2, axis=-1)[None]
    return nearness.argmax(-1).astype(jnp.int32).reshape(x.shape[:-1])


def codebook_of(codes: Float[Array, "codes features"]) -> Codebook:
    """A codebook that starts at those codes, each as if chosen once.

    Counts and sums that start at 0, as Sonnet's do, take the codes that the first batch does not choose to the zero
    vector.
    """
    return Codebook(jnp.ones(len(codes), codes.dtype), codes)


def averaged(
    book: Codebook,
    x: Float[Array, "*positions features"],
    indices: Int[Array, "*positions"],
    decay: float | Float[Array, ""],
    axis_name: str | None = None,
) -> Codebook:
    """The codebook after a batch: averages of the counts, and of the sums of x, of each code.

    Args:
        book: before it.
        x: what was quantised; no gradient flows back to it.
        indices: the codes that were chosen.
        decay: of the averages.
        axis_name: of the devices whose counts and sums are added.

    Reference: van den Oord et al., "Neural Discrete Representation Learning", 2017, appendix A.1, eq. 6-8.
    """
    given = jax.lax.stop_gradient(rows(x)).astype(book.sums.dtype)  # bfloat16 cannot count beyond 256
    counts, sums = _totals(given, indices.reshape(-1), len(book.counts))
    if axis_name is not None:
        counts, sums = jax.lax.psum((counts, sums), axis_name)
    return Codebook(decay * book.counts + (1 - decay) * counts, decay * book.sums + (1 - decay) * sums)


def revived(
    key: PRNGKey,
    book: Codebook,
    x: Float[Array, "*positions features"],
    least: float | Float[Array, ""],
    axis_name: str | None = None,
) -> Codebook:
    """The codebook with other codes for those that are hardly chosen: positions of x at random, as if chosen `least`
    times each; different ones, as long as there are as many.

    Args:
        key: the same on all devices.
        book: with averages of counts per batch.
        x: what was quantised.
        least: count below which a code is replaced.
        axis_name: of the devices from all of which positions are drawn.

    Reference: Dhariwal et al., "Jukebox", 2020, section 3.1 (random restarts).
    """
    given = gather(jax.lax.stop_gradient(rows(x)), axis_name)
    drawn = given[jax.random.permutation(key, len(given))[jnp.arange(len(book.counts)) % len(given)]]
    dead = book.counts < least
    return Codebook(
        jnp.where(dead, least, book.counts), jnp.where(dead[:, None], least * drawn, book.sums).astype(book.sums.dtype)
    )


def kmeans_codebook(key: PRNGKey, x: Float[Array, "*positions features"], codes: int, iterations: int = 10) -> Codebook:
    """A codebook at the means of k-means (Lloyd's) over a first batch, that starts at different positions of it.

    A mean that no position is nearest to stays where it is, as if chosen once.

    Args:
        key: of the positions to start at.
        x: what is to be quantised.
        codes: how many means.
        iterations: of the algorithm.

    Raises:
        UserError: there are fewer positions than codes.

    Reference: Zeghidour et al., "SoundStream", 2021, section III.C.
    """
    given = rows(x)
    if codes > len(given):
        raise UserError(
            f"{codes} codes cannot start at the means of a first batch of {len(given)} positions: use at most as many "
            "codes, or a larger batch."
        )

    def step(_: Int[Array, ""], means: Array) -> Array:
        counts, sums = _totals(given, nearest_code(given, means), codes)
        return jnp.where(counts[:, None] > 0, sums / jnp.maximum(counts, 1)[:, None], means)

    means = jax.lax.fori_loop(0, iterations, step, given[jax.random.permutation(key, len(given))[:codes]])
    counts = jnp.maximum(code_counts(nearest_code(given, means), codes), 1)
    return Codebook(counts, counts[:, None] * means)


def code_counts(indices: Int[Array, "*positions"], codes: int) -> Float[Array, " codes"]:
    """How often each code is chosen; counts of the batches of a split add up."""
    return jax.nn.one_hot(indices.reshape(-1), codes).sum(0)


def code_usage(counts: Float[Array, " codes"]) -> Usage:
    """What `code_counts` say of a codebook."""
    shares = counts / jnp.maximum(counts.sum(), 1)
    entropy = -jax.scipy.special.xlogy(shares, shares).sum()
    return Usage(jnp.exp(entropy), entropy / math.log(2), (counts > 0).mean())


def index_perplexity(indices: Int[Array, "rows *levels"], axis_name: str | None = None) -> Float[Array, ""]:
    """Perplexity of the codes of some positions, whatever the number of codes; of several levels the geometric mean.

    Args:
        indices: the codes of each position [rows], or at each of several levels [rows, levels].
        axis_name: of the devices whose positions count.
    """
    levels = jnp.sort(gather(indices, axis_name).reshape(-1, *indices.shape[1:]), axis=0).reshape(
        -1, math.prod(indices.shape[1:])
    )

    def entropy(ordered: Int[Array, " rows"]) -> Float[Array, ""]:
        # Each position says how many have its code: minus the mean log of these shares is the entropy.
        count = jnp.searchsorted(ordered, ordered, side="right") - jnp.searchsorted(ordered, ordered, side="left")
        return -jnp.log(count / len(ordered)).mean()

    return jnp.exp(jax.vmap(entropy, in_axes=1)(levels).mean())


def _totals(
    x: Float[Array, "rows features"], indices: Int[Array, " rows"], codes: int
) -> tuple[Float[Array, " codes"], Float[Array, "codes features"]]:
    """Counts and sums of each code, as products: scattered additions have no fixed order on GPUs."""
    chosen = jax.nn.one_hot(indices, codes, dtype=x.dtype)
    return chosen.sum(0), jnp.matmul(chosen.T, x, precision=jax.lax.Precision.HIGHEST)
