"""Continuous relaxations of discrete latents: draws that have gradients, and their densities.

What is computed with relaxed latents is no likelihood of the discrete model: evaluate with hard ones. `gumbels` and
`logistics` are standard draws (`jax.random.gumbel`, `jax.random.logistic`).
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def relaxed_categorical(
    logits: Float[Array, "*shape classes"],
    gumbels: Float[Array, "*shape classes"],
    temperature: float | Float[Array, ""],
) -> Float[Array, "*shape classes"]:
    """softmax((logits + gumbels) / temperature): points of the simplex, near its corners where the temperature is low.

    Args:
        logits: of the classes.
        gumbels: standard Gumbel draws.
        temperature: above 0.

    Reference: Jang et al., "Categorical Reparameterization with Gumbel-Softmax", 2017, eq. 2; Maddison et al., "The
    Concrete Distribution", 2017, eq. 9.
    """
    return jax.nn.softmax((logits + gumbels) / temperature)


def straight_through_categorical(
    logits: Float[Array, "*shape classes"],
    gumbels: Float[Array, "*shape classes"],
    temperature: float | Float[Array, ""],
) -> Float[Array, "*shape classes"]:
    """One-hot draws of the categorical distribution, with the (biased) gradient of the relaxed ones.

    Args:
        logits: of the classes.
        gumbels: standard Gumbel draws.
        temperature: of the gradient; draws do not depend on it.

    Reference: Jang et al. 2017, section 2.2.
    """
    relaxed = relaxed_categorical(logits, gumbels, temperature)
    hard = jax.nn.one_hot(jnp.argmax(logits + gumbels, axis=-1), logits.shape[-1], dtype=relaxed.dtype)
    return hard + (relaxed - jax.lax.stop_gradient(relaxed))


def relaxed_categorical_log_prob(
    log_value: Float[Array, "*shape classes"],
    logits: Float[Array, "*shape classes"],
    temperature: float | Float[Array, ""],
) -> Float[Array, "*shape"]:
    """log density of a point of the simplex under `relaxed_categorical`, in nats.

    Args:
        log_value: logarithm of the point, `log_softmax((logits + gumbels) / temperature)` of a draw: in float32 the
            point itself underflows.
        logits: of the classes.
        temperature: above 0.

    Reference: Maddison et al. 2017, eq. 10.
    """
    classes = logits.shape[-1]
    scores = logits - temperature * log_value
    normaliser = classes * jax.nn.logsumexp(scores, axis=-1)
    constant = math.lgamma(classes) + (classes - 1) * jnp.log(temperature)
    return constant + (scores - log_value).sum(-1) - normaliser


def relaxed_bernoulli(
    logits: Float[Array, "*shape"], logistics: Float[Array, "*shape"], temperature: float | Float[Array, ""]
) -> Float[Array, "*shape"]:
    """sigmoid((logits + logistics) / temperature), in [0, 1] and near its ends where the temperature is low.

    Args:
        logits: of 1.
        logistics: standard logistic draws.
        temperature: above 0.

    Reference: Maddison et al. 2017, appendix C.3.
    """
    return jax.nn.sigmoid((logits + logistics) / temperature)


def relaxed_bernoulli_log_prob(
    value_logits: Float[Array, "*shape"], logits: Float[Array, "*shape"], temperature: float | Float[Array, ""]
) -> Float[Array, "*shape"]:
    """log density of values under `relaxed_bernoulli`, in nats, of each value by itself.

    Args:
        value_logits: log odds of the values, `(logits + logistics) / temperature` of draws: in float32 values round to
            0 and 1, where the density is not finite.
        logits: of 1.
        temperature: above 0.

    Reference: Maddison et al. 2017, appendix C.3.
    """
    score = logits - temperature * value_logits
    of_log_odds = jnp.log(temperature) + _log_sigmoids(score)  # logistic, at (value_logits - logits / t) t
    return of_log_odds - _log_sigmoids(value_logits)  # d value / d log odds = value (1 - value)


def categorical_kl_to_uniform(logits: Float[Array, "*shape classes"]) -> Float[Array, "*shape"]:
    """KL(softmax(logits) || uniform) in nats: log classes less the entropy.

    Beside a reconstruction of relaxed latents it is the KL of the discrete ones, so that their sum bounds nothing
    (Maddison et al. 2017, appendix C.3).

    Reference: Jang et al. 2017, section 3 (its prior).
    """
    log_probabilities = jax.nn.log_softmax(logits)
    return math.log(logits.shape[-1]) + (jnp.exp(log_probabilities) * log_probabilities).sum(-1)


def _log_sigmoids(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """log(sigmoid(x) sigmoid(-x))."""
    return jax.nn.log_sigmoid(x) + jax.nn.log_sigmoid(-x)
