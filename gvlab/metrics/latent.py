"""What a VAE's encoder does with its latents: which are used, how much they tell of x, how near they are to the prior.

All take the parameters of q(z|x) = N(mean, diag(exp(logvar))) for the examples of one set. NumPy in float64 on the
host: the result must not depend on JAX's default precision or on the back-end.
"""

import math
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float64, Real

from gvlab.metrics._features import as_features
from gvlab.types import PRNGKey, UserError

# log q(z_i | x_j) is made and summed in tiles of this many z: with 10,000 examples 80 MiB at a time.
_TILE = 1024


def unit_activity(means: Real[np.ndarray | Array, "n latent"]) -> Float64[np.ndarray, " latent"]:
    """The variance over the examples of each latent's posterior mean, Var_x E[z_d | x], unbiased.

    Args:
        means: of q(z|x), shape [n, latent], n >= 2.

    Returns:
        Shape [latent].

    Raises:
        UserError: for fewer than 2 rows, or values that are not finite.

    Reference: Burda et al., "Importance Weighted Autoencoders", 2016 (there as a covariance A_u, above 0.01).
    """
    return as_features(means, "means").var(axis=0, ddof=1)


def active_units(means: Real[np.ndarray | Array, "n latent"], threshold: float = 0.01) -> int:
    """How many latents have a `unit_activity` above the threshold.

    Args:
        means: of q(z|x), shape [n, latent], n >= 2.
        threshold: 0.01 in the literature; not negative.

    Returns:
        From 0 to latent.

    Raises:
        UserError: as `unit_activity`, and for a negative threshold.

    Reference: Burda et al. 2016.
    """
    if not threshold >= 0.0:
        raise UserError(f"threshold is {threshold}, but a variance is compared with it: give 0 or more.")
    return int((unit_activity(means) > threshold).sum())


def collapsed_units(
    means: Real[np.ndarray | Array, "n latent"],
    logvars: Real[np.ndarray | Array, "n latent"],
    epsilon: float = 0.01,
    delta: float = 0.01,
) -> Bool[np.ndarray, " latent"]:
    """Which latents ignore x: for at least a share 1 - delta of the examples, KL(q(z_d|x) || p(z_d)) < epsilon nats.

    A model's posterior has collapsed if all are True.

    Args:
        means: of q(z|x), shape [n, latent], n >= 2.
        logvars: of q(z|x), shape [n, latent].
        epsilon: nats; positive.
        delta: the share of examples that may be exceptions, at least 0 and below 1.

    Returns:
        Shape [latent].

    Raises:
        UserError: for arrays that don't fit, values that are not finite, or parameters out of range.

    Reference: Lucas et al., "Don't Blame the ELBO! A Linear VAE Perspective on Posterior Collapse", 2019.
    """
    if not epsilon > 0.0:
        raise UserError(f"epsilon is {epsilon}, but must be a positive number of nats.")
    if not 0.0 <= delta < 1.0:
        raise UserError(f"delta is {delta}, but must be at least 0 and below 1.")
    mean, logvar = _posteriors(means, logvars)
    return (_kl(mean, logvar) < epsilon).mean(axis=0) >= 1.0 - delta


class ElboSurgery(NamedTuple):
    """mean_kl_nats = mutual_information_nats + marginal_kl_nats, each over the examples that were given."""

    mean_kl_nats: float
    """The mean of KL(q(z|x) || p(z)), exact."""
    mutual_information_nats: float
    """I(x; z) under q: what z tells of which example it came from; at most log_examples."""
    marginal_kl_nats: float
    """KL(q(z) || p(z)) of the aggregate posterior q(z), the mean of q(z|x)."""
    standard_error_nats: float
    """Of the last two, from the draws of z alone."""
    log_examples: float
    """log n, in nats. A mutual information near it is saturated: more examples would give more."""


def elbo_surgery(
    key: PRNGKey, means: Real[np.ndarray | Array, "n latent"], logvars: Real[np.ndarray | Array, "n latent"]
) -> ElboSurgery:
    """The mean KL term of a VAE, split into mutual information and the aggregate posterior's distance from the prior.

    For each example one z is drawn from q(z|x_i), and the aggregate posterior q(z) = mean_j q(z|x_j) is evaluated with
    *all* n examples, its own included; the mutual information is the mean of log q(z_i|x_i) - log q(z_i).

    Bias: for the n examples themselves, there is none. As estimates for the population behind them, the mutual
    information is too small (it can't exceed log n) and the marginal KL too large by the same amount. A minibatch in
    place of the whole set is such a sample, with a small n: the estimates depend on n, so state it.

    Args:
        key: of the draws of z.
        means: of q(z|x), shape [n, latent], n >= 2.
        logvars: of q(z|x), shape [n, latent].

    Returns:
        ElboSurgery in nats.

    Raises:
        UserError: for arrays that don't fit, or values that are not finite.

    Reference: Hoffman & Johnson, "ELBO surgery: yet another way to carve up the variational evidence lower bound",
    2016.
    """
    mean, logvar = _posteriors(means, logvars)
    noise = np.asarray(jax.random.normal(key, mean.shape), np.float64)
    z = mean + np.exp(0.5 * logvar) * noise
    # One draw stands in both logarithms, so that their noise cancels where q(z|x_i) is most of q(z), or equal to it.
    conditional = -0.5 * np.sum(noise**2 + logvar + math.log(2.0 * math.pi), axis=1)
    information = conditional - _log_aggregate(z, mean, logvar)
    mean_kl, mutual = float(_kl(mean, logvar).sum(axis=1).mean()), float(information.mean())
    error = float(information.std(ddof=1) / math.sqrt(len(information)))
    return ElboSurgery(mean_kl, mutual, mean_kl - mutual, error, math.log(len(mean)))


def _posteriors(
    means: Real[np.ndarray | Array, "..."], logvars: Real[np.ndarray | Array, "..."]
) -> tuple[Float64[np.ndarray, "n latent"], Float64[np.ndarray, "n latent"]]:
    mean, logvar = as_features(means, "means"), as_features(logvars, "logvars")
    if mean.shape != logvar.shape:
        raise UserError(f"means has shape {mean.shape} and logvars {logvar.shape}: give both from one encoder.")
    return mean, logvar


def _kl(
    mean: Float64[np.ndarray, "n latent"], logvar: Float64[np.ndarray, "n latent"]
) -> Float64[np.ndarray, "n latent"]:
    """KL(N(mean, exp(logvar)) || N(0, 1)) of each latent, in nats."""
    return 0.5 * (mean**2 + np.expm1(logvar) - logvar)


def _log_aggregate(
    z: Float64[np.ndarray, "m latent"], mean: Float64[np.ndarray, "n latent"], logvar: Float64[np.ndarray, "n latent"]
) -> Float64[np.ndarray, " m"]:
    """log of the mean over j of q(z|x_j), by two matrix products per tile."""
    from scipy.special import logsumexp

    precision = np.exp(-logvar)
    constant = -0.5 * np.sum(mean**2 * precision + logvar + math.log(2.0 * math.pi), axis=1)
    weighted = mean * precision
    pieces = []
    for start in range(0, len(z), _TILE):
        tile = z[start : start + _TILE]
        pieces.append(logsumexp(tile @ weighted.T - 0.5 * (tile**2) @ precision.T + constant[None], axis=1))
    return np.concatenate(pieces) - math.log(len(mean))
