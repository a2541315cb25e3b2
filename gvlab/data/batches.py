"""The batch of step t as a pure function of (key, t): random access to a keyed order, without ever writing it down."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, UInt32

from gvlab import rng
from gvlab.data.ground_truth import Rendered
from gvlab.types import Batch, PRNGKey, UserError

ROUNDS = 8  # 4 are provably pseudorandom for ideal round functions; the others pay for our cheap ones


def batch(examples: Batch, key: PRNGKey, step: int | Int[Array, ""], size: int) -> Batch:
    """The examples at the positions step*size, ..., step*size + size - 1 of an endless, reshuffled reading.

    Position p belongs to epoch p // N, where it gets example number `permutation(p mod N)` of that epoch's own keyed
    permutation: every example comes exactly once an epoch, and a batch may straddle two. Nothing but `key` and `step`
    decides, so a run can resume at any step. May be jitted, and vmapped over keys or steps. Positions are counted in 32
    bits: after 2^32 examples (71,582 epochs of MNIST) the count starts again.

    Args:
        examples: the whole split as device arrays: x [N, *shape] of any type or `Rendered`, y [N] or None.
        key: the run's key; the order is its stream `rng.ORDER`.
        step: the number of the batch, from 0.
        size: the number of examples, at most N.

    Returns:
        x [size, *shape] and y [size] or None, of the types given.

    Raises:
        UserError: if `size` is not between 1 and N.

    Examples:
        >>> import jax.numpy as jnp
        >>> from gvlab import Batch, data, rng
        >>> examples = Batch(jnp.arange(10.0)[:, None])
        >>> key = rng.root(0)
        >>> epoch = [data.batch(examples, key, step, 5).x for step in (0, 1)]  # every example once
        >>> sorted(jnp.concatenate(epoch)[:, 0].tolist())
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    """
    count = examples.x.shape[0]
    if not 1 <= size <= count:
        raise UserError(f"A batch of {size} cannot be drawn from {count} examples: choose a size from 1 to {count}.")
    index = positions(count, key, step, size)
    x, y = examples
    return Batch(
        x.rows(index) if isinstance(x, Rendered) else x.at[index].get(mode="promise_in_bounds"),
        None if y is None else y.at[index].get(mode="promise_in_bounds"),
    )


def positions(count: int, key: PRNGKey, step: int | Int[Array, ""], size: int) -> UInt32[Array, " size"]:
    """Which of `count` examples `batch` takes: for who holds them elsewhere than on the device."""
    first = jnp.asarray(step).astype(jnp.uint32) * jnp.uint32(size)
    position = first + jnp.arange(size, dtype=jnp.uint32)
    epoch = first // jnp.uint32(count)
    later = position // jnp.uint32(count) > epoch  # size <= N: a batch touches this epoch and at most the next
    keys = jnp.stack([_round_keys(key, epoch), _round_keys(key, epoch + jnp.uint32(1))])
    return permute(position % jnp.uint32(count), keys[later.astype(jnp.int32)].T, count)


def permute(position: UInt32[Array, " n"], round_keys: UInt32[Array, " rounds n"], count: int) -> UInt32[Array, " n"]:
    """Where a keyed permutation of 0, ..., count - 1 sends each position, in constant memory and without sorting.

    A Feistel network on Z_a x Z_a with a = ceil(sqrt(count)): a position is L a + R, and a round sends (L, R) to
    (R, (L + F(R)) mod a), which is invertible whatever F is. A result beyond the last example is encrypted again until
    it falls inside ("cycle walking"): the walk follows the cycle of the larger permutation, so it returns to the set
    of examples and stays one-to-one. At most 2 sqrt(count) + 1 of the a^2 values lie outside, so few walk at all.

    Args:
        position: numbers below `count`.
        round_keys: the keys of each round, one a position: positions of one epoch share theirs.
        count: from 1 to 2^32 - 1.

    Returns:
        Numbers below `count`, different for different positions under the same keys.

    Reference: Black & Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002, sections 3 (cycle walking) and 4
    (generalised Feistel).
    """
    side = jnp.uint32(math.isqrt(count - 1) + 1)

    def encrypt(value: UInt32[Array, " n"]) -> UInt32[Array, " n"]:
        left, right = value // side, value % side
        for round_key in round_keys:
            left, right = right, (left + _mix(right ^ round_key) % side) % side
        return left * side + right

    def walk(value: UInt32[Array, " n"]) -> UInt32[Array, " n"]:
        return jnp.where(value < jnp.uint32(count), value, encrypt(value))

    return jax.lax.while_loop(lambda value: jnp.any(value >= jnp.uint32(count)), walk, encrypt(position))


def _round_keys(key: PRNGKey, epoch: UInt32[Array, ""]) -> UInt32[Array, " rounds"]:
    return jax.random.bits(rng.stream(key, rng.ORDER, epoch.astype(jnp.int32)), (ROUNDS,), jnp.uint32)


def _mix(x: UInt32[Array, " n"]) -> UInt32[Array, " n"]:
    """A bijection of 32 bits in which each input bit flips each output bit about half of the time.

    Reference: Wellons, "Prospecting for Hash Functions", 2018 (`lowbias32`).
    """
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)
