"""Observation models p(x|z): what the decoder's raw output means, on top of the likelihoods in `gvlab.losses`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.losses import (
    bernoulli_log_prob,
    categorical_log_prob,
    discretized_logistic_log_prob,
    gaussian_log_prob,
)
from gvlab.types import PRNGKey


class Observation(NamedTuple):
    """A likelihood together with the meaning of the decoder's last axis, [channel * parameters]."""

    parameters: int
    """Numbers that the decoder gives per channel."""
    log_prob: Callable[[Array, Array], Array]
    """(raw [*samples, batch, *shape, channel * parameters], x [batch, *shape, channel]) -> nats [*samples, batch]."""
    mean: Callable[[Array], Array]
    """raw -> the centre of p(x|z), in the range of x, [*samples, batch, *shape, channel]."""
    draw: Callable[[PRNGKey, Array], Array] | None = None
    """(key, raw) -> x ~ p(x|z), as `mean`; of continuous likelihoods also beyond the range of x. None: unknown."""


def _unpack(raw: Float[Array, "... packed"], parameters: int) -> Float[Array, "... channel parameters"]:
    return raw.reshape(*raw.shape[:-1], raw.shape[-1] // parameters, parameters)


def bernoulli() -> Observation:
    """Each value is 1 with probability sigmoid(raw)."""

    def draw(key: PRNGKey, raw: Array) -> Array:
        return jax.random.bernoulli(key, jax.nn.sigmoid(raw)).astype(raw.dtype)

    return Observation(1, bernoulli_log_prob, jax.nn.sigmoid, draw)


def gaussian(variance: float) -> Observation:
    """Normal values of mean raw and one fixed variance."""
    logvar, deviation = math.log(variance), math.sqrt(variance)

    def draw(key: PRNGKey, raw: Array) -> Array:
        return raw + deviation * jax.random.normal(key, raw.shape, raw.dtype)

    return Observation(1, lambda raw, x: gaussian_log_prob(raw, logvar, x), lambda raw: raw, draw)


def learned_gaussian() -> Observation:
    """Normal values; per channel the decoder gives the mean and the log-variance, softly kept above -12.

    The bound keeps a pixel that never changes from driving the density to infinity. Reference: Rybkin et al. 2021,
    "Simple and Effective VAE Training with Calibrated Decoders" (log sigma above -6).
    """

    def log_prob(raw: Array, x: Array) -> Array:
        both = _unpack(raw, 2)
        return gaussian_log_prob(both[..., 0], -12 + jax.nn.softplus(both[..., 1] + 12), x)

    def draw(key: PRNGKey, raw: Array) -> Array:
        both = _unpack(raw, 2)
        deviation = jnp.exp(0.5 * (-12 + jax.nn.softplus(both[..., 1] + 12)))
        return both[..., 0] + deviation * jax.random.normal(key, deviation.shape, raw.dtype)

    return Observation(2, log_prob, lambda raw: _unpack(raw, 2)[..., 0], draw)


def discretized_logistic() -> Observation:
    """8-bit values k/255 under a logistic density integrated over each level.

    The decoder gives location and log-scale in units of images in [-1, 1], the log-scale moved by -2 and bounded at -7,
    as in Salimans et al. 2017 (PixelCNN++). The location may lie outside the range of x, where the first and the last
    level take all the mass; `mean` brings it back to the nearest level.
    """

    def location(raw: Array) -> Array:
        return (_unpack(raw, 2)[..., 0] + 1) / 2

    def log_scale(raw: Array) -> Array:
        return jnp.maximum(_unpack(raw, 2)[..., 1] - 2, -7) - math.log(2)

    def log_prob(raw: Array, x: Array) -> Array:
        return discretized_logistic_log_prob(location(raw), log_scale(raw), x)

    def draw(key: PRNGKey, raw: Array) -> Array:
        continuous = location(raw) + jnp.exp(log_scale(raw)) * jax.random.logistic(key, location(raw).shape, raw.dtype)
        return jnp.clip(jnp.round(continuous * 255), 0, 255) / 255  # the outer levels have the tails

    return Observation(2, log_prob, lambda raw: jnp.clip(location(raw), 0.0, 1.0), draw)


def categorical(levels: int) -> Observation:
    """Values k/(levels - 1) drawn from a softmax over the levels."""

    def log_prob(raw: Array, x: Array) -> Array:
        return categorical_log_prob(_unpack(raw, levels), jnp.round(x * (levels - 1)).astype(jnp.int32))

    def mean(raw: Array) -> Array:
        values = jnp.linspace(0.0, 1.0, levels)
        return jnp.tensordot(jax.nn.softmax(_unpack(raw, levels)), values, axes=1)

    def draw(key: PRNGKey, raw: Array) -> Array:
        return jax.random.categorical(key, _unpack(raw, levels)).astype(raw.dtype) / (levels - 1)

    return Observation(levels, log_prob, mean, draw)
