"""Bounds on log p(x) by several importance weights, in nats, one number per example."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.losses.bounds import importance_weighted_bound
from gvlab.types import UserError


def multiply_importance_weighted_bound(log_weights: Float[Array, "k *batch"], groups: int) -> Float[Array, "*batch"]:
    """The mean of the bounds of `groups` equal groups of weights: between the ELBO and the bound of all (MIWAE).

    Args:
        log_weights: log p(x, z_i) - log q(z_i | x), z_i ~ q(z|x), in nats, shape [k, *batch]; those of a group follow
            each other.
        groups: M of the paper, whose K is k / M; must divide k.

    Returns:
        Nats, shape [*batch].

    Raises:
        UserError: if `groups` is below 1 or does not divide k.

    Reference: Rainforth et al., "Tighter Variational Bounds are Not Necessarily Better", 2018, section 5.
    """
    k = log_weights.shape[0]
    if groups < 1 or k % groups:
        raise UserError(f"{k} importance weights cannot be put into {groups} equal groups: use a number that divides.")
    of_groups = log_weights.reshape(groups, k // groups, *log_weights.shape[1:])
    return importance_weighted_bound(of_groups.swapaxes(0, 1)).mean(0)


def combined_importance_weighted_bound(
    log_weights: Float[Array, "k *batch"], share: float | Float[Array, ""]
) -> Float[Array, "*batch"]:
    """share ELBO + (1 - share) importance-weighted bound (CIWAE), both by the same weights.

    Args:
        log_weights: as of `importance_weighted_bound`, shape [k, *batch].
        share: of the ELBO, in [0, 1]; beta of the paper.

    Returns:
        Nats, shape [*batch].

    Reference: Rainforth et al., "Tighter Variational Bounds are Not Necessarily Better", 2018, section 5.
    """
    return share * log_weights.mean(0) + (1 - share) * importance_weighted_bound(log_weights)


def renyi_bound(log_weights: Float[Array, "k *batch"], alpha: float) -> Float[Array, "*batch"]:
    """log(mean of w^(1 - alpha)) / (1 - alpha): the importance-weighted bound at alpha = 0, the ELBO at 1 (VR).

    For alpha of at least 0 its expectation is a lower bound on log p(x); below 0 it need not be.

    Args:
        log_weights: as of `importance_weighted_bound`, shape [k, *batch].
        alpha: the order; minus infinity takes the largest weight alone (VR-max).

    Returns:
        Nats, shape [*batch].

    Raises:
        UserError: if alpha is NaN or infinity.

    Reference: Li & Turner, "Rényi Divergence Variational Inference", 2016, eq. 5 and section 4.
    """
    if math.isnan(alpha) or alpha == math.inf:
        raise UserError(f"The order of Rényi's bound is {alpha}, but must be a number, or minus infinity.")
    if alpha == 1:
        return log_weights.mean(0)
    if alpha == -math.inf:
        return log_weights.max(0)
    power = 1 - alpha
    return (jax.nn.logsumexp(power * log_weights, axis=0) - math.log(log_weights.shape[0])) / power


def capacity_loss(
    kl: Float[Array, " batch"], capacity: float | Float[Array, ""], gamma: float | Float[Array, ""]
) -> Float[Array, ""]:
    """gamma |mean KL - capacity|: holds the information in the latents at a number of nats.

    Args:
        kl: KL(q(z|x) || p(z)) of each example, in nats, shape [batch].
        capacity: C of the paper, in nats.
        gamma: the weight.

    Returns:
        Nats, shape []. The batch's mean is compared with the capacity, as in disentanglement_lib; pythae compares each
        example's, which differs where some lie below it and others above.

    Reference: Burgess et al., "Understanding disentangling in beta-VAE", 2018, eq. 8.
    """
    return gamma * jnp.abs(kl.mean() - capacity)


def free_nats(kl: Float[Array, "batch latent"], least: float | Float[Array, ""]) -> Float[Array, ""]:
    """sum over latents of max(least, the batch's mean KL): no latent is pressed below so many nats (free bits).

    Args:
        kl: of each example and latent, in nats, shape [batch, latent].
        least: lambda of the paper, nats of each latent.

    Returns:
        Nats, shape [].

    Reference: Kingma et al., "Improved Variational Inference with Inverse Autoregressive Flow", 2016, appendix C.8.
    """
    return jnp.maximum(least, kl.mean(0)).sum()


def free_nats_of_examples(kl: Float[Array, "batch latent"], least: float | Float[Array, ""]) -> Float[Array, " batch"]:
    """sum over latents of max(least, KL), of each example by itself: another gradient than `free_nats`, and common.

    Args:
        kl: of each example and latent, in nats, shape [batch, latent].
        least: nats of each latent.

    Returns:
        Nats, shape [batch].

    Reference: Kingma et al., "Improved Variational Inference with Inverse Autoregressive Flow", 2016, appendix C.8,
    without its mean over the batch.
    """
    return jnp.maximum(least, kl).sum(-1)


def gaussian_kl_by_latent(
    mean: Float[Array, "*batch latent"], logvar: Float[Array, "*batch latent"]
) -> Float[Array, "*batch latent"]:
    """KL(N(mean, exp(logvar)) || N(0, 1)) of each latent; their sum is `gaussian_kl`.

    Args:
        mean: shape [*batch, latent].
        logvar: shape [*batch, latent].

    Returns:
        Nats, shape [*batch, latent].

    Reference: Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, appendix B.
    """
    return 0.5 * (mean**2 + jnp.expm1(logvar) - logvar)
