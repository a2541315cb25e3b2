"""Log-likelihoods of sentences: each symbol by those before it, up to and including the first end."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer

from gvlab.losses._shapes import lift

END = 0
"""The integer that ends a sentence, and fills its row."""


def up_to_end(tokens: Integer[Array, "batch length"]) -> Bool[Array, "batch length"]:
    """Which symbols count: those up to and including the first end.

    Args:
        tokens: integers, of which 0 is the end, shape [batch, length].

    Returns:
        True where a symbol counts, shape [batch, length].
    """
    ended = jnp.cumsum(tokens == END, axis=-1)
    return (ended - (tokens == END)) == 0


def masked_log_prob(
    logits: Float[Array, "*samples_batch length levels"],
    tokens: Integer[Array, "batch length"],
    counted: Bool[Array, "batch length"],
) -> Float[Array, "*samples_batch"]:
    """log softmax(logits)[token], summed over the symbols that count.

    Args:
        logits: shape [*samples, batch, length, levels].
        tokens: integers 0 .. levels - 1, shape [batch, length].
        counted: which of them count, shape [batch, length].

    Returns:
        Nats, shape [*samples, batch].

    Raises:
        UserError: if the axes of `logits` before the last are not those of `tokens`.

    Reference: Bowman et al., "Generating Sentences from a Continuous Space", 2016, section 3.
    """
    target = lift(tokens.astype(jnp.int32), logits.shape[:-1], "tokens")
    index = jnp.broadcast_to(target, logits.shape[:-1])[..., None]
    of_each = jnp.take_along_axis(jax.nn.log_softmax(logits), index, axis=-1)[..., 0]
    return jnp.where(jnp.broadcast_to(counted, of_each.shape), of_each, 0.0).sum(-1)


def sentence_log_prob(
    logits: Float[Array, "*samples_batch length levels"], tokens: Integer[Array, "batch length"]
) -> Float[Array, "*samples_batch"]:
    """log p of sentences whose last symbol, where a row has no room for another, is the end for certain.

    So the probabilities of all sentences that have room in a row sum to 1, whatever the logits.

    Args:
        logits: of each symbol by those before it, shape [*samples, batch, length, levels].
        tokens: integers 0 .. levels - 1, of which 0 is the end, shape [batch, length].

    Returns:
        Nats, shape [*samples, batch].

    Raises:
        UserError: if the axes of `logits` before the last are not those of `tokens`.

    Reference: Bowman et al., "Generating Sentences from a Continuous Space", 2016, section 3.
    """
    undecided = jnp.arange(tokens.shape[-1]) < tokens.shape[-1] - 1
    return masked_log_prob(logits, tokens, up_to_end(tokens) & undecided[None])
