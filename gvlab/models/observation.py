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
    discretized_logistic_mixture_log_prob,
    gaussian_log_prob,
    sentence_log_prob,
)
from gvlab.models.sentences import words_dropped
from gvlab.types import PRNGKey, UserError


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
    per_pixel: Callable[[int], int] | None = None
    """(channels) -> numbers that the decoder gives per pixel, where the channels share some; None: `parameters` of
    each channel."""
    shared: int = 0
    """Learned numbers that all examples share; `networks.WithShared` puts them behind what the decoder gives."""
    sees: Callable[[Array], Array] | None = None
    """x -> what the decoder is given of it beside the latents, since it gives each symbol of a sentence by those before
    it; None: it is given the latents alone."""
    corrupt: Callable[[PRNGKey, Array, str | None], Array] | None = None
    """(key, x, axis_name) -> what `sees` gives in training; None: the same."""
    length: int = 0
    """Of a row, where the examples are sentences; such a decoder writes by its methods `begin` and `step`."""

    def made_for(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
        """(shape, parameters) for which a decoder of examples [*shape] is made: pixels count as one channel of many
        parameters where the channels share some."""
        if self.per_pixel is None:
            return shape, self.parameters
        return (*shape[:-1], 1), self.per_pixel(shape[-1])


def _unpack(raw: Float[Array, "... packed"], parameters: int) -> Float[Array, "... channel parameters"]:
    return raw.reshape(*raw.shape[:-1], raw.shape[-1] // parameters, parameters)


def _level(continuous: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The nearest of the 256 levels in [0, 1]."""
    return jnp.clip(jnp.round(continuous * 255), 0, 255) / 255  # the outer levels have the tails


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


def shared_gaussian() -> Observation:
    """Normal values of mean raw and one variance, which is learned with the networks: its log-deviation is the number
    behind the means, softly kept above -6 as in `learned_gaussian`.

    At its optimum the variance is the mean squared error of the training examples, and held-out ones have a likelihood
    by what training left. `losses.optimal_gaussian_log_prob` has the optimum of a batch itself.

    Reference: Rybkin et al. 2021, "Simple and Effective VAE Training with Calibrated Decoders", section 3.1.
    """

    def split(raw: Array) -> tuple[Array, Array]:
        """(means, the log-variance that all of them share)."""
        return raw[..., :-1], 2 * (-6 + jax.nn.softplus(raw[..., -1].reshape(-1)[0] + 6))

    def draw(key: PRNGKey, raw: Array) -> Array:
        mean, logvar = split(raw)
        return mean + jnp.exp(0.5 * logvar) * jax.random.normal(key, mean.shape, raw.dtype)

    return Observation(1, lambda raw, x: gaussian_log_prob(*split(raw), x), lambda raw: raw[..., :-1], draw, shared=1)


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
        return _level(continuous)

    return Observation(2, log_prob, lambda raw: jnp.clip(location(raw), 0.0, 1.0), draw)


def mixture_of_logistics(components: int) -> Observation:
    """8-bit grey or RGB values k/255 under a mixture of logistic densities, integrated over each level.

    The decoder gives a pixel's [components] logits, then for each channel [components] means, log-scales and, of RGB,
    coefficients, in units of images in [-1, 1], as in the authors' code; log-scales are bounded at -7. The mean of
    green moves with the red value, that of blue with both, by the hyperbolic tangents of the coefficients.

    Args:
        components: of the mixture.

    Raises:
        UserError: where it is made for images of other than 1 or 3 channels.

    Reference: Salimans et al., "PixelCNN++", 2017, sections 2.1 and 2.2, eq. 1-3.
    """

    def per_pixel(channels: int) -> int:
        if channels not in (1, 3):
            raise UserError(
                f"The mixture of logistics is one of grey or RGB images, but these have {channels} channels: use "
                "DiscretizedLogistic."
            )
        return (10 if channels == 3 else 3) * components

    def unpack(raw: Array) -> tuple[Array, Array, Array, Array]:
        """(logits [..., components]; means, log-scales and coefficients [..., channel, components] of x in [0, 1])."""
        if raw.shape[-1] not in (per_pixel(1), per_pixel(3)):
            raise UserError(
                f"The decoder gives {raw.shape[-1]} numbers per pixel, but {components} components need {per_pixel(1)} "
                f"of grey and {per_pixel(3)} of RGB images: make it for `made_for(shape)`."
            )
        logits, rest = raw[..., :components], raw[..., components:]
        kinds = 3 if raw.shape[-1] == per_pixel(3) else 2
        rest = rest.reshape(*rest.shape[:-1], -1, kinds, components)
        mean, log_scale = (rest[..., 0, :] + 1) / 2, jnp.maximum(rest[..., 1, :], -7) - math.log(2)
        return logits, mean, log_scale, jnp.tanh(rest[..., 2:, :]).squeeze(-2) if kinds == 3 else mean[..., :0, :]

    def given(mean: Array, coefficients: Array, before: list[Array]) -> Array:
        """The means of the next channel, [..., components], by the values [..., 1] or [..., components] before it."""
        channel = len(before)
        moved = mean[..., channel, :]
        for other, value in enumerate(before):  # green by red: 0; blue by red: 1, by green: 2
            moved = moved + coefficients[..., max(channel - 1, 0) + other, :] * (value - 0.5)
        return moved

    def log_prob(raw: Array, x: Array) -> Array:
        logits, mean, log_scale, coefficients = unpack(raw)
        lifted = x.reshape((1,) * (raw.ndim - x.ndim) + x.shape)
        values = [lifted[..., channel, None] for channel in range(x.shape[-1])]
        moved = [given(mean, coefficients, values[:channel]) for channel in range(x.shape[-1])]
        return discretized_logistic_mixture_log_prob(logits, jnp.stack(moved, -2), log_scale, x)

    def centre(raw: Array) -> Array:
        logits, mean, _, coefficients = unpack(raw)
        values: list[Array] = []
        for _ in range(mean.shape[-2]):
            values.append(jnp.clip(given(mean, coefficients, values), 0.0, 1.0))
        return (jnp.stack(values, -2) * jax.nn.softmax(logits)[..., None, :]).sum(-1)

    def draw(key: PRNGKey, raw: Array) -> Array:
        logits, mean, log_scale, coefficients = unpack(raw)
        of_components, of_values = jax.random.split(key)
        chosen = jax.random.categorical(of_components, logits)[..., None, None]
        mean, log_scale, coefficients = (
            jnp.take_along_axis(of, chosen, axis=-1) if of.size else of for of in (mean, log_scale, coefficients)
        )
        noise = jax.random.logistic(of_values, mean.shape, raw.dtype)
        values: list[Array] = []
        for channel in range(mean.shape[-2]):
            scaled = jnp.exp(log_scale[..., channel, :]) * noise[..., channel, :]
            values.append(_level(given(mean, coefficients, values) + scaled))
        return jnp.concatenate(values, -1)

    return Observation(3 * components, log_prob, centre, draw, per_pixel)


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


def sentences(levels: int, length: int, word_dropout: float = 0.0) -> Observation:
    """Each symbol of a sentence is drawn from a softmax by the latents and the symbols before it, up to the end.

    Args:
        levels: integers that a symbol may be.
        length: of a row.
        word_dropout: probability with which the decoder is shown a symbol as unknown in training.

    Reference: Bowman et al., "Generating Sentences from a Continuous Space", 2016, section 3.
    """

    def corrupt(key: PRNGKey, x: Array, axis_name: str | None) -> Array:
        return words_dropped(key, x, word_dropout, axis_name)

    def mean(logits: Array) -> Array:
        return logits.argmax(-1).astype(jnp.int32)

    return Observation(
        levels,
        sentence_log_prob,
        mean,
        sees=lambda x: x,
        corrupt=corrupt if word_dropout else None,
        length=length,
    )
