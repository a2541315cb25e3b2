"""What the networks of hierarchical VAEs share: a descent through layers of latents, each normal given those above."""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.losses import normal_kl_by_latent, normal_log_prob

Maps: TypeAlias = Float[Array, "rows ..."]


class Descent(NamedTuple):
    """What k draws of all layers from q(z|x), from the top down, say of each example; nats."""

    raw: Float[Array, "k batch *raw_shape"]
    """The likelihood's parameters."""
    z: Float[Array, "k batch total"]
    """The draws, flattened, the top layer first."""
    kl: Float[Array, "k batch layers"]
    """KL(q || p) of each layer given the draws of those above it, by its formula."""
    log_prior: Float[Array, "k batch"]
    """log p(z)."""
    log_posterior: Float[Array, "k batch"]
    """log q(z|x)."""


class Layer(NamedTuple):
    """One layer of a `Descent`, of rows that are draws of examples."""

    z: Maps
    kl: Float[Array, " rows"] | None = None
    log_prior: Float[Array, " rows"] | None = None
    log_posterior: Float[Array, " rows"] | None = None


class Normals(NamedTuple):
    """How a network's numbers make the prior and the posterior of a layer; log-deviations come in, log-variances go."""

    prior: Callable[[Maps, Maps], tuple[Maps, Maps]]
    """(mean, log-deviation) of p -> (mean, logvar)."""
    posterior: Callable[[Maps, Maps, Maps, Maps], tuple[Maps, Maps]]
    """(mean, log-deviation) of p and the two numbers of q -> (mean, logvar) of q."""


def absolute_normals() -> Normals:
    """The network's numbers are the mean and the log-deviation, of the prior and of the posterior.

    Reference: Child, "Very Deep VAEs Generalize Autoregressive Models and Can Outperform Them on Images", 2021.
    """
    return Normals(
        lambda mean, log_deviation: (mean, 2 * log_deviation),
        lambda prior_mean, prior_log_deviation, mean, log_deviation: (mean, 2 * log_deviation),
    )


def residual_normals(bound: float | Float[Array, ""] = 5.0, least: float | Float[Array, ""] = 0.01) -> Normals:
    """The posterior's numbers are added to those of the prior: where they are 0 the layer says nothing of x.

    Args:
        bound: means, and log-deviations before `least` is added, are drawn softly into [-bound, bound].
        least: of a deviation.

    Reference: Vahdat & Kautz, "NVAE: A Deep Hierarchical Variational Autoencoder", 2020, eq. 2; the bounds as in its
    published code (5 tanh(x / 5), and 0.01 more than the exponential).
    """

    def bounded(mean: Maps, log_deviation: Maps) -> tuple[Maps, Maps]:
        softly = bound * jnp.tanh(log_deviation / bound)
        return bound * jnp.tanh(mean / bound), 2 * jnp.log(jnp.exp(softly) + least)

    return Normals(
        bounded,
        lambda prior_mean, prior_log_deviation, mean, log_deviation: bounded(
            prior_mean + mean, prior_log_deviation + log_deviation
        ),
    )


def drawn_from_prior(mean: Maps, logvar: Maps, noise: Maps) -> Layer:
    """A layer of a sample."""
    return Layer(mean + jnp.exp(0.5 * logvar) * noise)


def drawn_from_posterior(mean: Maps, logvar: Maps, prior_mean: Maps, prior_logvar: Maps, noise: Maps) -> Layer:
    """A layer drawn from q, with what it weighs."""
    z = mean + jnp.exp(0.5 * logvar) * noise
    rows = len(z)
    flat_mean, flat_logvar, flat_prior_mean, flat_prior_logvar, flat_z = (
        maps.reshape(rows, -1) for maps in (mean, logvar, prior_mean, prior_logvar, z)
    )
    return Layer(
        z,
        normal_kl_by_latent(flat_mean, flat_logvar, flat_prior_mean, flat_prior_logvar).sum(-1),
        normal_log_prob(flat_z, flat_prior_mean, flat_prior_logvar),
        normal_log_prob(flat_z, flat_mean, flat_logvar),
    )


def split_noise(noise: Float[Array, "rows total"], layers: tuple[tuple[int, ...], ...]) -> list[Maps]:
    """The noise of each layer in its shape."""
    pieces, start = [], 0
    for shape in layers:
        size = math.prod(shape)
        pieces.append(noise[:, start : start + size].reshape(-1, *shape))
        start += size
    return pieces


def descent_of(raw: Float[Array, "rows *raw_shape"], layers: list[Layer], k: int) -> Descent:
    """The layers of k draws for each example, whose rows are those of [k, batch] flattened."""
    columns = [(layer.kl, layer.log_prior, layer.log_posterior) for layer in layers]
    kl, log_prior, log_posterior = (jnp.stack(values, -1) for values in zip(*columns, strict=True))
    z = jnp.concatenate([layer.z.reshape(len(raw), -1) for layer in layers], -1)
    return Descent(
        raw.reshape(k, -1, *raw.shape[1:]),
        z.reshape(k, -1, z.shape[-1]),
        kl.reshape(k, -1, len(layers)),
        log_prior.sum(-1).reshape(k, -1),
        log_posterior.sum(-1).reshape(k, -1),
    )
