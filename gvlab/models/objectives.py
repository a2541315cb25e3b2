"""What an autoencoder with latent variables raises: bounds on log p(x), and estimators of their gradients.

An objective is a function of a `Draw` and its `Context`. Its value is always that of the bound, also where the gradient
is estimated otherwise than by differentiating it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gvlab import losses, rng
from gvlab.parallel import gather
from gvlab.types import PRNGKey, UserError


class Normal(NamedTuple):
    """A posterior of independent latents."""

    mean: Float[Array, "batch latent"]
    logvar: Float[Array, "batch latent"]


class Draw(NamedTuple):
    """What k draws z of the latents from q(z|x) say of each example, in nats."""

    z: Float[Array, "k batch latent"]
    """The draws; they carry a gradient to q."""
    log_likelihood: Float[Array, "k batch"]
    """log p(x|z)."""
    log_prior: Float[Array, "k batch"]
    """log p(z)."""
    log_posterior: Float[Array, "k batch"]
    """log q(z|x)."""
    log_weights: Float[Array, "k batch"]
    """log p(x, z) - log q(z|x)."""
    kl: Float[Array, " batch"]
    """KL(q(z|x) || p(z)): exact, or its estimate by the draws."""
    posterior: Normal | None = None
    """q(z|x), where it is one such; None of several layers, and of another."""


class Context(NamedTuple):
    """What an objective may look at besides."""

    step: Int[Array, ""]
    """Train steps before this one."""
    joint: Callable[[Array], Float[Array, "k batch"]] | None = None
    """z [k, batch, latent] -> log p(x, z), with gradients to the model and to z; None of several layers."""
    joint_of_fixed_model: Callable[[Array], Float[Array, "k batch"]] | None = None
    """The same with a gradient to z alone."""
    axis_name: str | None = None
    """Of the mapped axis that the batch is spread over."""
    key: PRNGKey | None = None
    """Of the step, the same on all devices; an objective's own draws take the stream `rng.TERMS` of it."""
    examples: int | None = None
    """Of the whole training set, where that is known."""
    critic: Callable[[Array], Float[Array, " batch"]] | None = None
    """z [batch, latent] -> logits of a critic of latents, with a gradient to z; None without one."""


Objective: TypeAlias = Callable[[Draw, Context], Float[Array, "*batch"]]
"""(draw, context) -> the lower bound on log p(x) that is raised, in nats: of each example, or of the batch's mean."""


def evidence_lower_bound(
    beta: float | Float[Array, ""] = 1.0,
    kl_warmup_steps: int = 0,
    schedule: Callable[[Array], Array] | None = None,
) -> Objective:
    """The ELBO whose KL weighs `beta`, rising to it linearly over so many steps, or times a factor by a schedule."""

    def objective(draw: Draw, context: Context) -> Float[Array, " batch"]:
        weight = beta * jnp.minimum(1.0, (context.step + 1) / max(kl_warmup_steps, 1))
        if schedule is not None:
            weight = weight * schedule(context.step)
        return losses.elbo(draw.log_likelihood.mean(0), draw.kl, weight)

    return objective


def capacity(gamma: float, end: float, steps: int) -> Objective:
    """The expected log-likelihood, less gamma times the distance of the KL from a capacity that rises to `end` nats.

    Reference: Burgess et al., "Understanding disentangling in beta-VAE", 2018, eq. 8.
    """

    def objective(draw: Draw, context: Context) -> Float[Array, ""]:
        now = end * jnp.minimum(1.0, (context.step + 1) / steps)
        held = losses.capacity_loss(gather(draw.kl, context.axis_name), now, gamma)
        return draw.log_likelihood.mean() - held

    return objective


def free_nats(least: float) -> Objective:
    """The ELBO in which no latent's KL, averaged over the batch, counts less than so many nats.

    Reference: Kingma et al. 2016, "Improved Variational Inference with Inverse Autoregressive Flow", appendix C.8.
    """

    def objective(draw: Draw, context: Context) -> Float[Array, ""]:
        mean, logvar = _one_posterior(draw, "Free nats")
        kl = gather(losses.gaussian_kl_by_latent(mean, logvar), context.axis_name)
        return draw.log_likelihood.mean() - losses.free_nats(kl, least)

    return objective


def total_correlation(beta: float) -> Objective:
    """The ELBO whose KL is taken apart: the total correlation of the latents weighs beta, the rest 1 (beta-TCVAE).

    KL = mutual information of x and z + total correlation + the sum of each latent's KL. q(z) is estimated by
    stratified sampling, from the first of the draws.

    Reference: Chen et al., "Isolating Sources of Disentanglement in Variational Autoencoders", 2018, eq. 4.
    """

    def objective(draw: Draw, context: Context) -> Float[Array, ""]:
        if context.examples is None:
            raise UserError("The total correlation depends on the size of the training set: give the model `examples`.")
        posterior = _one_posterior(draw, "Total correlations")
        z, (mean, logvar) = gather((draw.z[0], posterior), context.axis_name)
        together, alone = losses.stratified_log_densities(z, mean, logvar, context.examples)
        log_posterior, log_prior = losses.normal_log_prob(z, mean, logvar), losses.standard_normal_log_prob(z)
        kl = (log_posterior - together) + beta * (together - alone) + (alone - log_prior)
        return draw.log_likelihood.mean() - kl.mean()

    return objective


def disentangled_means(off_diagonal: float, diagonal: float) -> Objective:
    """The ELBO, less what the covariance of the posteriors' means costs (DIP-VAE-I; Kumar et al. 2018, eq. 6)."""

    def objective(draw: Draw, context: Context) -> Float[Array, ""]:
        mean, _ = gather(_one_posterior(draw, "Disentangled means"), context.axis_name)
        cost = losses.disentangled_prior_loss(losses.covariance_of_means(mean), off_diagonal, diagonal)
        return losses.elbo(draw.log_likelihood.mean(0), draw.kl).mean() - cost

    return objective


def disentangled_latents(off_diagonal: float, diagonal: float) -> Objective:
    """The ELBO, less what the covariance of the aggregate posterior costs (DIP-VAE-II; Kumar et al. 2018, eq. 7)."""

    def objective(draw: Draw, context: Context) -> Float[Array, ""]:
        mean, logvar = gather(_one_posterior(draw, "Disentangled latents"), context.axis_name)
        cost = losses.disentangled_prior_loss(losses.covariance_of_latents(mean, logvar), off_diagonal, diagonal)
        return losses.elbo(draw.log_likelihood.mean(0), draw.kl).mean() - cost

    return objective


def information(alpha: float, weight: float, kernel: Callable[[int], losses.Kernel]) -> Objective:
    """E log p(x|z) - (1 - alpha) KL - (alpha + weight - 1) MMD^2 of the batch's latents and the prior (InfoVAE).

    Reference: Zhao et al., "InfoVAE: Information Maximizing Variational Autoencoders", 2017, eq. 6.
    """

    def objective(draw: Draw, context: Context) -> Float[Array, ""]:
        z = gather(draw.z[0], context.axis_name)
        assert context.key is not None
        prior = jax.random.normal(rng.stream(context.key, rng.TERMS), z.shape)
        apart = losses.squared_mmd(z, prior, kernel(z.shape[-1]))
        bound = losses.elbo(draw.log_likelihood.mean(0), draw.kl, 1 - alpha).mean()
        return bound - (alpha + weight - 1) * apart

    return objective


def importance_weighted(draw: Draw, context: Context) -> Float[Array, " batch"]:
    """Burda et al. 2016, equation 8 (IWAE)."""
    return losses.importance_weighted_bound(draw.log_weights)


def sticking_the_landing(draw: Draw, context: Context) -> Float[Array, " batch"]:
    """The ELBO by its draws, whose gradient leaves out the score of q: it vanishes where q is the true posterior (STL).

    Reference: Roeder et al., "Sticking the Landing", 2017, eq. 8.
    """
    return (draw.log_likelihood + draw.log_prior - _along_path(draw, "Sticking the landing")).mean(0)


def doubly_reparametrised(draw: Draw, context: Context) -> Float[Array, " batch"]:
    """The importance-weighted bound, whose gradient with respect to q keeps its signal with many weights (DReG).

    With the weights' shares W of their sum, the model follows sum W grad log p(x, z), and q, along the path of z alone,
    sum W^2 (d log w / dz) (dz / d phi).

    Reference: Tucker et al., "Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives", 2019, eq. 8.
    """
    joint, joint_of_fixed_model = _joints(context, "The doubly reparametrised gradient")
    share = jax.lax.stop_gradient(jax.nn.softmax(draw.log_weights, axis=0))
    of_model = share * joint(jax.lax.stop_gradient(draw.z))
    of_path = share**2 * (joint_of_fixed_model(draw.z) - _along_path(draw, "The doubly reparametrised gradient"))
    return _with_gradient_of((of_model + of_path).sum(0), losses.importance_weighted_bound(draw.log_weights))


def multiply_importance_weighted(groups: int) -> Objective:
    """The mean of the bounds of so many groups of draws (MIWAE; Rainforth et al. 2018, section 5)."""
    return lambda draw, context: losses.multiply_importance_weighted_bound(draw.log_weights, groups)


def partially_importance_weighted(groups: int) -> Objective:
    """The model raises the bound of all draws, q that of groups of them (PIWAE; Rainforth et al. 2018, section 5)."""

    def objective(draw: Draw, context: Context) -> Float[Array, " batch"]:
        joint, joint_of_fixed_model = _joints(context, "PIWAE")
        z, log_posterior = jax.lax.stop_gradient((draw.z, draw.log_posterior))
        of_model = losses.importance_weighted_bound(joint(z) - log_posterior)
        of_q = losses.multiply_importance_weighted_bound(joint_of_fixed_model(draw.z) - draw.log_posterior, groups)
        return _with_gradient_of(of_model + of_q, losses.importance_weighted_bound(draw.log_weights))

    return objective


def combined_importance_weighted(share: float | Float[Array, ""]) -> Objective:
    """A share of the ELBO, the rest of the importance-weighted bound (CIWAE; Rainforth et al. 2018, section 5)."""
    return lambda draw, context: losses.combined_importance_weighted_bound(draw.log_weights, share)


def renyi(alpha: float) -> Objective:
    """Li & Turner 2016, equation 5 (VR)."""
    return lambda draw, context: losses.renyi_bound(draw.log_weights, alpha)


_ONE_NORMAL = (
    "the independent normals of one layer of latents, but this model has several layers, or another posterior: use "
    "another objective."
)


def _one_posterior(draw: Draw, what: str) -> Normal:
    if draw.posterior is None:
        raise UserError(f"{what} look at {_ONE_NORMAL}")
    return draw.posterior


def _along_path(draw: Draw, what: str) -> Float[Array, "k batch"]:
    """log q(z|x) with a gradient along z alone, as if q's parameters were constants."""
    if draw.posterior is None:
        raise UserError(f"{what} looks at {_ONE_NORMAL}")
    return losses.normal_log_prob(draw.z, *jax.lax.stop_gradient(draw.posterior))


def _joints(context: Context, what: str) -> tuple[Callable, Callable]:
    if context.joint is None or context.joint_of_fixed_model is None:
        raise UserError(f"{what} is of one layer of latents, but this model has several: use another objective.")
    return context.joint, context.joint_of_fixed_model


def _with_gradient_of(surrogate: Array, value: Array) -> Array:
    """The value, with the surrogate's gradient."""
    return jax.lax.stop_gradient(value - surrogate) + surrogate
