"""Numbers for each channel of images: spread over all else, and its adjoint, the sums over all else.

XLA:CPU adds up over the leading axes 5 to 8 times more slowly than it multiplies with a row of ones
(`experiments/benchmarks/README.md`), and automatic differentiation makes such a sum of every bias and every gain.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

OfChannels = Float[Array, " channel"]


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def by_channel(numbers: OfChannels, shape: tuple[int, ...]) -> Float[Array, "*shape channel"]:
    """The numbers at every place of an array of that shape, whose last axis is theirs.

    Can be differentiated in reverse any number of times; not in forward mode.

    Args:
        numbers: one for each channel.
        shape: [*shape, channel].
    """
    return jnp.broadcast_to(numbers, shape)


@jax.custom_vjp
def channel_sums(x: Float[Array, "*shape channel"]) -> OfChannels:
    """The sum over all axes but the last.

    Can be differentiated in reverse any number of times; not in forward mode.

    Args:
        x: any array with channels, [*shape, channel].
    """
    return jax.lax.platform_dependent(x, cpu=_by_product, default=_by_sum)


def channel_means(x: Float[Array, "*shape channel"]) -> OfChannels:
    """The mean over all axes but the last; see `channel_sums`."""
    return channel_sums(x) / math.prod(x.shape[:-1])


def _by_product(x: Array) -> Array:
    flat = x.reshape(-1, x.shape[-1])
    accumulated = jnp.promote_types(x.dtype, jnp.float32)
    ones = jnp.ones((1, len(flat)), x.dtype)
    return jnp.matmul(ones, flat, preferred_element_type=accumulated)[0].astype(x.dtype)


def _by_sum(x: Array) -> Array:
    return x.sum(tuple(range(x.ndim - 1)))


by_channel.defvjp(
    lambda numbers, shape: (by_channel(numbers, shape), None),
    lambda shape, _, slopes: (channel_sums(slopes),),
)
channel_sums.defvjp(
    lambda x: (channel_sums(x), x),  # of which the shape alone is used
    lambda x, slopes: (by_channel(slopes, x.shape),),
)
