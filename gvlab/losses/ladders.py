"""Normal distributions of one layer of latents given the layers above it: how far apart, and merged."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.losses._shapes import require_equal


def normal_kl_by_latent(
    mean: Float[Array, "*batch latent"],
    logvar: Float[Array, "*batch latent"],
    prior_mean: Float[Array, "*batch latent"],
    prior_logvar: Float[Array, "*batch latent"],
) -> Float[Array, "*batch latent"]:
    """KL(N(mean, exp(logvar)) || N(prior_mean, exp(prior_logvar))) of each latent.

    Args:
        mean: shape [*batch, latent].
        logvar: shape [*batch, latent].
        prior_mean: shape [*batch, latent].
        prior_logvar: shape [*batch, latent].

    Returns:
        Nats, shape [*batch, latent]; as `gaussian_kl_by_latent` where the prior is standard normal.

    Raises:
        UserError: if the shapes differ.

    Reference: Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, appendix B, of two normal distributions.
    """
    require_equal(mean=mean, logvar=logvar, prior_mean=prior_mean, prior_logvar=prior_logvar)
    apart = logvar - prior_logvar
    return 0.5 * (jnp.expm1(apart) - apart + (mean - prior_mean) ** 2 * jnp.exp(-prior_logvar))


def precision_weighted(
    mean: Float[Array, "*batch latent"],
    logvar: Float[Array, "*batch latent"],
    other_mean: Float[Array, "*batch latent"],
    other_logvar: Float[Array, "*batch latent"],
) -> tuple[Float[Array, "*batch latent"], Float[Array, "*batch latent"]]:
    """(mean, logvar) of what is proportional to the product of two normal densities: their precisions add up.

    Args:
        mean: shape [*batch, latent].
        logvar: shape [*batch, latent].
        other_mean: shape [*batch, latent].
        other_logvar: shape [*batch, latent].

    Raises:
        UserError: if the shapes differ.

    Reference: Sønderby et al., "Ladder Variational Autoencoders", 2016, eq. 17-19.
    """
    require_equal(mean=mean, logvar=logvar, other_mean=other_mean, other_logvar=other_logvar)
    total = jnp.logaddexp(-logvar, -other_logvar)  # the logarithm of the precision
    return mean * jnp.exp(-logvar - total) + other_mean * jnp.exp(-other_logvar - total), -total
