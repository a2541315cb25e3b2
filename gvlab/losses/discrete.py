"""Gradients of expectations over Bernoulli latents z ~ sigmoid(logits), which have no path from z back to the logits.

Each estimator is told `f`, (z [batch, latent]) -> a number per example, in nats where it is a bound, and gives an
`Estimate`; `surrogate` makes a loss of it that `jax.grad` can be taken of. All but `vimco` estimate the gradient of
E[f(z)] by the probabilities of z, as if f did not depend on the logits otherwise. For the ELBO, f = log p(x, z) -
log q(z|x), of which the gradient along log q(z|x) is 0 on average: stop it, and no noise comes of it.

`uniforms` are draws in [0, 1) (`jax.random.uniform`). An f that gives other than a number per example is a `UserError`.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.losses._shapes import fill, require_equal
from gvlab.losses.bounds import importance_weighted_bound
from gvlab.types import UserError

OfLatents: TypeAlias = Callable[[Array], Array]
"""(z [batch, latent], of zeros and ones) -> [batch]."""


class Estimate(NamedTuple):
    """An estimate of E[f(z)], or of a bound, and of its gradient by the logits."""

    value: Float[Array, " batch"]
    """With f's own gradient, by the parameters of a decoder."""
    gradient: Float[Array, "batch latent"]
    """By the logits through the probabilities of z, of each example's expectation; a constant."""


class SignalStatistics(NamedTuple):
    """Running mean and variance of NVIL's learning signal."""

    mean: Float[Array, ""]
    variance: Float[Array, ""]


def surrogate(logits: Float[Array, "batch latent"], estimate: Estimate) -> Float[Array, " batch"]:
    """The value of an estimate, with both its gradients.

    Args:
        logits: that the estimate was made with.
        estimate: of an estimator of this module.

    Returns:
        [batch].

    Reference: Mohamed et al., "Monte Carlo Gradient Estimation in Machine Learning", 2020, section 4.
    """
    path = logits - jax.lax.stop_gradient(logits)
    return estimate.value + (jax.lax.stop_gradient(estimate.gradient) * path).sum(-1)


def reinforce(
    logits: Float[Array, "batch latent"],
    uniforms: Float[Array, "batch latent"],
    f: OfLatents,
    baseline: Float[Array, " batch"] | float = 0.0,
) -> Estimate:
    """(f(z) - baseline) (z - sigmoid(logits)), z = 1[u < sigmoid(logits)]: unbiased, and of much variance.

    Args:
        logits: of the latents.
        uniforms: that z is drawn with.
        f: what the expectation is of.
        baseline: one number, or one of each example, which must not depend on its z.

    Reference: Williams, "Simple Statistical Gradient-Following Algorithms", 1992, eq. 4-5.
    """
    z = _drawn(logits, uniforms)
    value = _value(f, z)
    return Estimate(value, _score(logits, z, value - fill(baseline, value, "baseline")))


def nvil(
    logits: Float[Array, "batch latent"],
    uniforms: Float[Array, "batch latent"],
    f: OfLatents,
    baseline: Float[Array, " batch"],
    statistics: SignalStatistics,
) -> Estimate:
    """REINFORCE with a learned baseline, whose signal is centred, and divided by its deviation where that is above 1.

    The gradient is that of E[f(z)] but for this positive factor. The statistics are those of before the batch, so that
    no example's own signal centres it; the paper's are of after it.

    Args:
        logits: of the latents.
        uniforms: that z is drawn with.
        f: what the expectation is of.
        baseline: what a network says of each x, trained on `(f(z) - statistics.mean - baseline)^2`.
        statistics: of the signals before, by `nvil_statistics`.

    Reference: Mnih & Gregor, "Neural Variational Inference and Learning in Belief Networks", 2014, algorithm 1.
    """
    z = _drawn(logits, uniforms)
    value = _value(f, z)
    deviation = jnp.sqrt(jnp.maximum(statistics.variance, 1.0))
    require_equal(value=value, baseline=baseline)
    return Estimate(value, _score(logits, z, (value - baseline - statistics.mean) / deviation))


def nvil_statistics(
    statistics: SignalStatistics,
    value: Float[Array, " batch"],
    baseline: Float[Array, " batch"],
    decay: float | Float[Array, ""] = 0.8,
) -> SignalStatistics:
    """The running statistics after a batch, of the signals value - baseline; they begin at 0 and 0.

    Args:
        statistics: before the batch.
        value: f(z), as of `nvil`.
        baseline: as of `nvil`.
        decay: of both averages.

    Reference: Mnih & Gregor 2014, algorithm 1.
    """
    signal = jax.lax.stop_gradient(value - baseline)
    return SignalStatistics(
        decay * statistics.mean + (1 - decay) * signal.mean(), decay * statistics.variance + (1 - decay) * signal.var()
    )


def arm(logits: Float[Array, "batch latent"], uniforms: Float[Array, "batch latent"], f: OfLatents) -> Estimate:
    """(f(1[u > sigmoid(-logits)]) - f(1[u < sigmoid(logits)])) (u - 1/2): unbiased, by two values of f.

    Args:
        logits: of the latents.
        uniforms: that both z are drawn with.
        f: what the expectation is of; the value is the mean of both.

    Reference: Yin & Zhou, "ARM: Augment-REINFORCE-Merge Gradient for Stochastic Binary Networks", 2019, theorem 1.
    """
    first, second = _value(f, _antithetic(logits, uniforms)), _value(f, _drawn(logits, uniforms))
    gradient = jax.lax.stop_gradient(first - second)[:, None] * (uniforms - 0.5)
    return Estimate((first + second) / 2, gradient)


def disarm(logits: Float[Array, "batch latent"], uniforms: Float[Array, "batch latent"], f: OfLatents) -> Estimate:
    """ARM without the noise of u given both z (DisARM, U2G): never of more variance, at the same cost.

    Args:
        logits: of the latents.
        uniforms: that both z are drawn with.
        f: what the expectation is of; the value is the mean of both.

    Reference: Dong et al., "DisARM: An Antithetic Gradient Estimator for Binary Latent Variables", 2020, eq. 9; Yin et
    al., "Probabilistic Best Subset Selection via Gradient-Based Optimization", 2020 (U2G).
    """
    z, antithetic = _drawn(logits, uniforms), _antithetic(logits, uniforms)
    first, second = _value(f, z), _value(f, antithetic)
    half = jax.lax.stop_gradient(first - second)[:, None] / 2
    return Estimate((first + second) / 2, half * (z - antithetic) * jax.nn.sigmoid(jnp.abs(logits)))


def vimco(
    logits: Float[Array, "batch latent"],
    uniforms: Float[Array, "k batch latent"],
    log_weights: Callable[[Array], Array],
) -> Estimate:
    """The importance-weighted bound, each of whose draws has the geometric mean of the others as its baseline.

    Here the weights' own gradient by the logits counts, along log q(z|x): don't stop it.

    Args:
        logits: of the latents.
        uniforms: that k draws of z are made with, k at least 2.
        log_weights: (z [k, batch, latent]) -> log p(x, z) - log q(z|x) in nats, [k, batch].

    Returns:
        The bound of Burda et al. 2016, eq. 8, and its gradient through the probabilities of z, which is unbiased.

    Raises:
        UserError: there is one draw, which has no others.

    Reference: Mnih & Rezende, "Variational Inference for Monte Carlo Objectives", 2016, eq. 7-10.
    """
    k = uniforms.shape[0]
    if k < 2:
        raise UserError(f"VIMCO compares the weights of draws, but there are {k}: use at least 2, or reinforce.")
    z = jax.lax.stop_gradient((uniforms < jax.nn.sigmoid(logits)[None]).astype(logits.dtype))
    weights = _value(log_weights, z)
    bound = importance_weighted_bound(weights)
    still = jax.lax.stop_gradient(weights)
    others = (still.sum(0)[None] - still) / (k - 1)
    own = jnp.eye(k, dtype=bool)[:, :, None]
    without = importance_weighted_bound(jnp.where(own, others[None], still[:, None]))  # [k, batch]: 10
    signal = jax.lax.stop_gradient(bound)[None] - without
    gradient = (signal[..., None] * (z - jax.nn.sigmoid(logits)[None])).sum(0)
    return Estimate(bound, jax.lax.stop_gradient(gradient))


def _value(f: OfLatents, z: Float[Array, "*rows latent"]) -> Float[Array, "*rows"]:
    """f(z), refused where it would broadcast."""
    value = f(z)
    if value.shape != z.shape[:-1]:
        raise UserError(
            f"f gives an array of shape {value.shape} of latents of shape {z.shape}, but must give one of shape "
            f"{z.shape[:-1]}: a number for each."
        )
    return value


def _drawn(
    logits: Float[Array, "batch latent"], uniforms: Float[Array, "batch latent"]
) -> Float[Array, "batch latent"]:
    return (uniforms < jax.nn.sigmoid(logits)).astype(logits.dtype)


def _antithetic(
    logits: Float[Array, "batch latent"], uniforms: Float[Array, "batch latent"]
) -> Float[Array, "batch latent"]:
    """Draws with 1 - u in the place of u."""
    return (uniforms > jax.nn.sigmoid(-logits)).astype(logits.dtype)


def _score(
    logits: Float[Array, "batch latent"], z: Float[Array, "batch latent"], signal: Float[Array, " batch"]
) -> Float[Array, "batch latent"]:
    """signal d log q(z) / d logits."""
    return jax.lax.stop_gradient(signal[:, None] * (z - jax.nn.sigmoid(logits)))
