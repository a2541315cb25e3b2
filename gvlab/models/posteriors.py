"""Posteriors of an autoencoder beyond the diagonal normal: a full covariance, what a flow makes of normal draws, and
the von Mises-Fisher distribution on a sphere.

All read two heads of an encoder, each `latent_dim + extra` wide. But on the sphere, the first `latent_dim` entries are
the mean and the logarithm of the variance of independent normals, and the rest says how these are changed.
"""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gvlab import losses
from gvlab.losses import normal_log_prob, standard_normal_log_prob
from gvlab.models import priors
from gvlab.models.latents import Apply, Heads, Posterior, reparametrised
from gvlab.rng import root

DRAWS_OF_MOMENTS = 100
"""Of q(z|x), where its mean and variance have no formula."""


def full_covariance(latent_dim: int) -> Posterior:
    """N(m, L L^T) with the lower triangle L, whose diagonal is exp(logvar / 2) of the heads.

    Args:
        latent_dim: of z.

    Reference: Kingma & Welling, "An Introduction to Variational Autoencoders", 2019, section 2.5.1, whose L is the same
    with a diagonal that is not an exponential.
    """
    below = latent_dim * (latent_dim - 1) // 2
    rows, columns = map(jnp.asarray, np.tril_indices(latent_dim, -1))  # by NumPy: nothing is compiled for them

    def of_heads(heads: Heads) -> tuple[Array, Array, Array]:
        """(mean [batch, d], L [batch, d, d], log of its diagonal [batch, d])."""
        (mean, logvar), rest = _split(heads, latent_dim)
        triangle = jnp.zeros((*mean.shape, latent_dim)).at[:, rows, columns].set(rest[:, :below])
        return mean, triangle + jnp.exp(0.5 * logvar)[..., None] * jnp.eye(latent_dim)[None], 0.5 * logvar

    def draw(apply: Apply, heads: Heads, noise: Float[Array, "k batch d"]) -> tuple[Array, Array]:
        mean, factor, log_diagonal = of_heads(heads)
        z = mean[None] + jnp.einsum("bij,kbj->kbi", factor, noise)
        return z, standard_normal_log_prob(noise) - log_diagonal.sum(-1)[None]

    def moments(apply: Apply, heads: Heads) -> tuple[Array, Array]:
        mean, factor, _ = of_heads(heads)
        return mean, jnp.log((factor**2).sum(-1))

    def kl(heads: Heads) -> Float[Array, " batch"]:
        mean, factor, log_diagonal = of_heads(heads)
        return 0.5 * ((factor**2).sum((-2, -1)) + (mean**2).sum(-1) - latent_dim) - log_diagonal.sum(-1)

    return Posterior({}, {}, math.ceil(below / 2), draw, moments, kl)


def flow(bijection: nn.Module, latent_dim: int, context: int) -> Posterior:
    """What a bijection makes of independent normal draws z_0: log q(z) = log q(z_0) - log |det dz/dz_0|.

    Mean and variance are those of `DRAWS_OF_MOMENTS` draws, always the same ones.

    Args:
        bijection: such as `networks.InverseAutoregressive`: (z_0 with what the encoder says besides [rows, latent_dim +
            2 context], None, train=) -> (z [rows, latent_dim], log |det| [rows]).
        latent_dim: of z.
        context: half of the numbers that the encoder gives besides mean and variance.

    Reference: Rezende & Mohamed, "Variational Inference with Normalizing Flows", 2015, eq. 13.
    """

    def through(apply: Apply, heads: Heads, noise: Float[Array, "k batch d"]) -> tuple[Array, Array, Array]:
        """(z_0 [k, batch, d], z [k, batch, d], log |det| [k, batch])."""
        normals, rest = _split(heads, latent_dim)
        first = reparametrised(*normals, noise)
        given = jnp.concatenate([first, jnp.broadcast_to(rest[None], (*first.shape[:2], 2 * context))], axis=-1)
        z, log_det = apply("posterior", given.reshape(-1, latent_dim + 2 * context), None)
        return first, z.reshape(first.shape), log_det.reshape(first.shape[:2])

    def draw(apply: Apply, heads: Heads, noise: Float[Array, "k batch d"]) -> tuple[Array, Array]:
        first, z, log_det = through(apply, heads, noise)
        return z, normal_log_prob(first, *_split(heads, latent_dim)[0]) - log_det

    def moments(apply: Apply, heads: Heads) -> tuple[Array, Array]:
        # Of each example the same noise, so that they do not depend on who else is in the batch.
        noise = jax.random.normal(root(0), (DRAWS_OF_MOMENTS, 1, latent_dim))
        shape = (DRAWS_OF_MOMENTS, heads[0].shape[0], latent_dim)
        _, z, _ = through(apply, heads, jnp.broadcast_to(noise, shape))
        return z.mean(0), jnp.log(z.var(0, ddof=1))

    return Posterior({"posterior": bijection}, {"posterior": latent_dim + 2 * context}, context, draw, moments, None)


def von_mises_fisher(latent_dim: int) -> Posterior:
    """The von Mises-Fisher distribution on the sphere of vectors of length 1, whose KL is from the uniform one.

    The mean direction is the first head over its length. The concentration is 1 + softplus of the second's first
    entry, as published, which keeps it from 0; the second's other entries are not read.

    Args:
        latent_dim: of z, at least 2.

    Reference: Davidson et al., "Hyperspherical Variational Auto-Encoders", 2018; the gradient of its draws is another
    (`losses.von_mises_fisher_draws`), the published code's being biased in all but three dimensions.
    """

    def of_heads(heads: Heads) -> tuple[Array, Array]:
        """(mean direction [batch, d], concentration [batch])."""
        first, second = heads
        # Under a root's floor, whose gradient at 0 would be infinite.
        return first / jnp.sqrt((first**2).sum(-1, keepdims=True) + 1e-12), 1 + jax.nn.softplus(second[:, 0])

    def draw(apply: Apply, heads: Heads, noise: Float[Array, "k batch d"]) -> tuple[Array, Array]:
        direction, concentration = of_heads(heads)
        z = losses.von_mises_fisher_draws(direction, concentration, noise)
        return z, losses.von_mises_fisher_log_prob(z, direction, concentration)

    def moments(apply: Apply, heads: Heads) -> tuple[Array, Array]:
        direction, concentration = of_heads(heads)
        resultant = losses.mean_resultant(concentration, latent_dim)[:, None]
        # E zz^T = A/k I + (1 - d A/k) mm^T
        around = resultant / concentration[:, None]
        variance = around + (1 - latent_dim * around - resultant**2) * direction**2
        return resultant * direction, jnp.log(jnp.maximum(variance, 1e-12))

    def kl(heads: Heads) -> Float[Array, " batch"]:
        return losses.von_mises_fisher_kl(of_heads(heads)[1], latent_dim)

    return Posterior({}, {}, 0, draw, moments, kl, priors.on_sphere(latent_dim))


def _split(heads: Heads, latent_dim: int) -> tuple[tuple[Array, Array], Array]:
    """((mean, logvar), everything else [batch, 2 extra])."""
    first, second = heads
    rest = jnp.concatenate([first[:, latent_dim:], second[:, latent_dim:]], axis=-1)
    return (first[:, :latent_dim], second[:, :latent_dim]), rest
