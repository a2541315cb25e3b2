"""The terms of the variational bound, in nats, one number per example."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.losses._shapes import lift, require_equal
from gvlab.losses.likelihoods import normal_log_density
from gvlab.types import UserError


def gaussian_kl(mean: Float[Array, "*batch latent"], logvar: Float[Array, "*batch latent"]) -> Float[Array, "*batch"]:
    """KL(N(mean, exp(logvar)) || N(0, I)), summed over the latent axis.

    Args:
        mean: shape [*batch, latent].
        logvar: shape [*batch, latent].

    Returns:
        Nats, shape [*batch].

    Raises:
        UserError: if the shapes differ.

    Reference: Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, appendix B.

    Examples:
        >>> import jax.numpy as jnp
        >>> from gvlab import losses
        >>> print(losses.gaussian_kl(jnp.array([[0.0, 0.0], [1.0, 1.0]]), jnp.zeros((2, 2))))
        [0. 1.]
    """
    require_equal(mean=mean, logvar=logvar)
    # expm1: near the prior exp(logvar) - 1 - logvar would lose all its digits.
    return 0.5 * jnp.sum(mean**2 + jnp.expm1(logvar) - logvar, axis=-1)


def normal_log_prob(
    z: Float[Array, "*samples_batch latent"],
    mean: Float[Array, "*batch latent"],
    logvar: Float[Array, "*batch latent"],
) -> Float[Array, "*samples_batch"]:
    """log N(z; mean, diag(exp(logvar))), summed over the latent axis.

    Args:
        z: shape [*samples, *batch, latent], with any number of Monte-Carlo axes in front.
        mean: shape [*batch, latent].
        logvar: shape [*batch, latent]. Below -80 it counts as -80.

    Returns:
        The log density in nats, shape [*samples, *batch].

    Raises:
        UserError: if the shapes of `mean` and `logvar` differ or are not the last axes of `z`.

    Reference: Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, eq. 9.
    """
    require_equal(mean=mean, logvar=logvar)
    deviation = z - lift(mean, z.shape, "mean")
    spread = jnp.broadcast_to(lift(logvar, z.shape, "logvar"), z.shape)
    return normal_log_density(deviation, spread).sum(axis=-1)


def standard_normal_log_prob(z: Float[Array, "*batch latent"]) -> Float[Array, "*batch"]:
    """log N(z; 0, I), summed over the latent axis.

    Args:
        z: shape [*batch, latent].

    Returns:
        The log density in nats, shape [*batch].

    Reference: Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, section 3 (the prior).
    """
    return -0.5 * jnp.sum(z**2 + math.log(2.0 * math.pi), axis=-1)


def normal_mixture_log_prob(
    z: Float[Array, "*batch latent"],
    logits: Float[Array, " components"],
    mean: Float[Array, "components latent"],
    logvar: Float[Array, "components latent"],
) -> Float[Array, "*batch"]:
    """log sum_c w_c N(z; mean_c, diag(exp(logvar_c))), with the weights w = softmax(logits).

    Args:
        z: shape [*batch, latent].
        logits: shape [components].
        mean: shape [components, latent].
        logvar: shape [components, latent].

    Returns:
        The log density in nats, shape [*batch].

    Raises:
        UserError: if the shapes of `mean` and `logvar` differ.

    Reference: Tomczak & Welling, "VAE with a VampPrior", 2018, eq. 8.
    """
    return jax.nn.logsumexp(normal_mixture_log_joint(z, logits, mean, logvar), axis=-1)


def normal_mixture_log_joint(
    z: Float[Array, "*batch latent"],
    logits: Float[Array, " components"],
    mean: Float[Array, "components latent"],
    logvar: Float[Array, "components latent"],
) -> Float[Array, "*batch components"]:
    """log p(z, c) = log w_c + log N(z; mean_c, diag(exp(logvar_c))) of every component c, with w = softmax(logits).

    Args:
        z: shape [*batch, latent].
        logits: shape [components].
        mean: shape [components, latent].
        logvar: shape [components, latent].

    Returns:
        Nats, shape [*batch, components]. Their softmax over the components is p(c|z).

    Raises:
        UserError: if the shapes of `mean` and `logvar` differ.

    Reference: Jiang et al., "Variational Deep Embedding", 2017, eq. 2-3 and 16.
    """
    require_equal(mean=mean, logvar=logvar)
    shape = (*z.shape[:-1], *mean.shape)
    deviation = z[..., None, :] - lift(mean, shape, "mean")
    of_each = normal_log_density(deviation, jnp.broadcast_to(lift(logvar, shape, "logvar"), shape)).sum(axis=-1)
    return lift(jax.nn.log_softmax(logits), of_each.shape, "logits") + of_each


def elbo(
    log_likelihood: Float[Array, "*batch"], kl: Float[Array, "*batch"], beta: Float[Array, ""] | float = 1.0
) -> Float[Array, "*batch"]:
    """log_likelihood - beta * kl. At beta = 1 it is a lower bound on log p(x); models maximise it.

    Args:
        log_likelihood: E_q log p(x|z) or its Monte-Carlo estimate, in nats, shape [*batch].
        kl: KL(q(z|x) || p(z)) in nats, shape [*batch].
        beta: the weight of the KL term; a traced scalar serves KL warm-up.

    Returns:
        Nats, shape [*batch].

    Raises:
        UserError: if the shapes differ.

    References: Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, eq. 3; Higgins et al., "beta-VAE", 2017,
    eq. 4.
    """
    require_equal(log_likelihood=log_likelihood, kl=kl)
    return log_likelihood - beta * kl


def importance_weighted_bound(log_weights: Float[Array, "k *batch"]) -> Float[Array, "*batch"]:
    """log of the mean of k importance weights: a lower bound on log p(x) in expectation, tighter for larger k.

    Args:
        log_weights: log p(x, z_i) - log q(z_i | x) with z_i drawn from q(z|x), in nats, shape [k, *batch].

    Returns:
        Nats, shape [*batch]. For k = 1 it is the single-sample ELBO. Its gradient weighs the gradient of each log
        weight by that weight's share of their sum (eq. 14); through reparametrised samples it is unbiased for the
        bound.

    Reference: Burda et al., "Importance Weighted Autoencoders", 2016, eq. 8.

    Examples:
        >>> import jax.numpy as jnp
        >>> from gvlab import losses
        >>> weights = jnp.array([[1.0], [3.0]])  # k = 2 of one example
        >>> print(jnp.exp(losses.importance_weighted_bound(jnp.log(weights))))
        [2.]
    """
    return jax.nn.logsumexp(log_weights, axis=0) - math.log(log_weights.shape[0])


def bits_per_dim(nats: Float[Array, "*batch"], dims: int) -> Float[Array, "*batch"]:
    """A negative log-likelihood in nats per example as bits per dimension: nats / (dims log 2).

    Only the probability of *discrete* data compares with the literature. Dividing 8-bit data by 255 adds dims * log 255
    nats to a log density, so a density of scaled data has no meaning in bits per dimension before that is undone.

    Args:
        nats: shape [*batch].
        dims: how many numbers an example has (height * width * channels).

    Returns:
        Bits per dimension, shape [*batch].

    Raises:
        UserError: if `dims` is below 1.

    Reference: Theis et al., "A note on the evaluation of generative models", 2016, section 3.1.
    """
    if dims < 1:
        raise UserError(f"dims is {dims}, but an example has at least 1 dimension.")
    return nats / (dims * math.log(2.0))
