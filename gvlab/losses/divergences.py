"""How far the latents of a batch are, together, from the prior or from independence."""

import math
from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gvlab.losses._shapes import require_equal
from gvlab.losses.likelihoods import normal_log_density
from gvlab.types import UserError

Kernel: TypeAlias = Callable[[Array], Array]
"""Squared distances -> similarities, elementwise."""


def stratified_log_densities(
    z: Float[Array, "batch latent"],
    mean: Float[Array, "batch latent"],
    logvar: Float[Array, "batch latent"],
    examples: int,
) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
    """(log q(z), sum over latents of log q(z_d)) of the aggregate posterior, by minibatch stratified sampling (MSS).

    Of the batch, the example that z was drawn from weighs 1/N, the next one (N - M) / (N M), and the others 1/M, with
    M = batch - 1. Published code of 2018 puts the first two weights into columns 0 and 1 for every example.

    Args:
        z: a draw from each example's posterior, shape [batch, latent].
        mean: of the posteriors, shape [batch, latent].
        logvar: shape [batch, latent].
        examples: N, of the whole training set.

    Returns:
        Nats, each of shape [batch].

    Raises:
        UserError: for a batch of fewer than two examples, or one larger than the training set.

    Reference: Chen et al., "Isolating Sources of Disentanglement in Variational Autoencoders", 2018, appendix C.2.
    """
    require_equal(z=z, mean=mean, logvar=logvar)
    batch = z.shape[0]
    if not 2 <= batch <= examples:
        raise UserError(
            f"The batch has {batch} examples and the training set {examples}, but stratified sampling wants at least 2 "
            "in the batch, and no more than there are."
        )
    others = batch - 1
    weights = np.full((batch, batch), 1 / others)
    np.fill_diagonal(weights, 1 / examples)
    weights[np.arange(batch), (np.arange(batch) + 1) % batch] = (examples - others) / (examples * others)
    log_weights = jnp.asarray(np.log(weights), z.dtype)
    of_latents = normal_log_density(z[:, None] - mean[None], jnp.broadcast_to(logvar[None], (batch, *z.shape)))
    together = jax.nn.logsumexp(log_weights + of_latents.sum(-1), axis=1)
    alone = jax.nn.logsumexp(log_weights[..., None] + of_latents, axis=1)
    return together, alone.sum(-1)


def weighted_log_densities(
    z: Float[Array, "batch latent"],
    mean: Float[Array, "batch latent"],
    logvar: Float[Array, "batch latent"],
    examples: int,
) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
    """As `stratified_log_densities`, by minibatch weighted sampling (MWS), which the published code uses.

    Every example weighs 1/(N batch). So their difference carries an offset near (latents - 1) log N: its gradient is of
    use, its value is no total correlation.

    Reference: Chen et al., "Isolating Sources of Disentanglement in Variational Autoencoders", 2018, appendix C.1.
    """
    require_equal(z=z, mean=mean, logvar=logvar)
    batch = z.shape[0]
    of_latents = normal_log_density(z[:, None] - mean[None], jnp.broadcast_to(logvar[None], (batch, *z.shape)))
    together = jax.nn.logsumexp(of_latents.sum(-1), axis=1) - math.log(examples * batch)
    alone = jax.nn.logsumexp(of_latents, axis=1) - math.log(examples * batch)
    return together, alone.sum(-1)


def disentangled_prior_loss(
    covariance: Float[Array, "latent latent"],
    off_diagonal: float | Float[Array, ""],
    diagonal: float | Float[Array, ""],
) -> Float[Array, ""]:
    """off_diagonal sum_{i != j} C_ij^2 + diagonal sum_i (C_ii - 1)^2: draws a covariance to the prior's (DIP-VAE).

    Args:
        covariance: of the posteriors' means (DIP-I, `covariance_of_means`), or of the aggregate posterior (DIP-II,
            `covariance_of_latents`), shape [latent, latent].
        off_diagonal: weight of the covariances.
        diagonal: weight of the variances' distance from 1.

    Returns:
        The loss, shape [].

    Reference: Kumar et al., "Variational Inference of Disentangled Latent Concepts from Unlabeled Observations", 2018,
    eq. 6 and 7.
    """
    variances = jnp.diagonal(covariance)
    apart = jnp.sum(covariance**2) - jnp.sum(variances**2)
    return off_diagonal * apart + diagonal * jnp.sum((variances - 1) ** 2)


def covariance_of_means(mean: Float[Array, "batch latent"]) -> Float[Array, "latent latent"]:
    """The covariance of the posteriors' means over the batch, divided by the batch's size.

    Reference: Kumar et al. 2018, eq. 5, its second term.
    """
    centred = mean - mean.mean(0, keepdims=True)
    return centred.T @ centred / mean.shape[0]


def covariance_of_latents(
    mean: Float[Array, "batch latent"], logvar: Float[Array, "batch latent"]
) -> Float[Array, "latent latent"]:
    """The covariance of latents drawn from the batch's posteriors: that of their means, and their mean variance.

    Reference: Kumar et al. 2018, eq. 5.
    """
    require_equal(mean=mean, logvar=logvar)
    return covariance_of_means(mean) + jnp.diag(jnp.exp(logvar).mean(0))


def gaussian_kernel(latents: int, deviation: float = 1.0) -> Kernel:
    """exp(-d^2 / C) of squared distances, with C = 2 latents deviation^2.

    Reference: Zhao et al., "InfoVAE", 2017, section 3.2; the width as in pythae.
    """
    width = 2 * latents * deviation**2
    return lambda squared: jnp.exp(-squared / width)


def multiquadric_kernel(latents: int, deviation: float = 1.0) -> Kernel:
    """The sum over s in 0.1, 0.2, 0.5, 1, 2, 5, 10 of sC / (sC + d^2), with C = 2 latents deviation^2.

    Reference: Tolstikhin et al., "Wasserstein Auto-Encoders", 2018, section 4, and its published code.
    """
    scales = [2 * latents * deviation**2 * s for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)]
    return lambda squared: jnp.stack([scale / (scale + squared) for scale in scales]).sum(0)


def squared_mmd(z: Float[Array, "n latent"], prior: Float[Array, "n latent"], kernel: Kernel) -> Float[Array, ""]:
    """The squared maximum mean discrepancy of two sets, unbiased within each: it may be negative.

    Args:
        z: draws from the posteriors of a batch, shape [n, latent].
        prior: as many draws from the prior.
        kernel: of squared distances.

    Returns:
        Shape [].

    Raises:
        UserError: if the shapes differ, or for fewer than two of each.

    Reference: Gretton et al., "A Kernel Two-Sample Test", 2012, eq. 3, with all pairs across; Tolstikhin et al. 2018,
    algorithm 2.
    """
    require_equal(z=z, prior=prior)
    n = z.shape[0]
    if n < 2:
        raise UserError(f"A discrepancy of {n} latents is unknown: use a batch of at least 2.")

    def similar(a: Array, b: Array) -> Array:
        return kernel(jnp.sum(a**2, -1)[:, None] + jnp.sum(b**2, -1)[None] - 2 * a @ b.T)

    of_itself = kernel(jnp.zeros((), z.dtype))
    within = (similar(z, z).sum() + similar(prior, prior).sum() - 2 * n * of_itself) / (n * (n - 1))
    return within - 2 * similar(z, prior).mean()
