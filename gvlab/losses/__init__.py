"""Objectives as pure functions: one equation, one function, one number per example; reductions are the caller's."""

from gvlab.losses.adversarial import (
    Contest,
    discriminator_loss,
    hinge,
    hinge_discriminator_loss,
    least_squares,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
    minimax,
    minimax_generator_loss,
    non_saturating,
    non_saturating_generator_loss,
    smoothed_discriminator_loss,
    smoothed_least_squares_discriminator_loss,
    wasserstein,
    wasserstein_discriminator_loss,
    wasserstein_generator_loss,
)
from gvlab.losses.bounds import (
    bits_per_dim,
    elbo,
    gaussian_kl,
    importance_weighted_bound,
    normal_log_prob,
    standard_normal_log_prob,
)
from gvlab.losses.consistency import fake_consistency, latent_consistency, latent_diversity, real_consistency
from gvlab.losses.likelihoods import (
    bernoulli_log_prob,
    categorical_log_prob,
    discretized_logistic_log_prob,
    gaussian_log_prob,
)
from gvlab.losses.margins import (
    hinge_margin_loss,
    linear_margin_loss,
    logistic_margin_loss,
    relativistic,
    relativistic_average,
    squared_margin_loss,
    top_k,
)
from gvlab.losses.penalties import (
    centring,
    dragan,
    gradient_penalty,
    lecam,
    one_sided_gradient_penalty,
    r1,
    r1_finite_difference,
    r2,
    r2_finite_difference,
    zero_centred,
)
from gvlab.losses.styles import path_length
from gvlab.losses.terms import Round, Term, every, scheduled

__all__ = [
    "Contest",
    "Round",
    "Term",
    "bernoulli_log_prob",
    "bits_per_dim",
    "categorical_log_prob",
    "centring",
    "discretized_logistic_log_prob",
    "discriminator_loss",
    "dragan",
    "elbo",
    "every",
    "fake_consistency",
    "gaussian_kl",
    "gaussian_log_prob",
    "gradient_penalty",
    "hinge",
    "hinge_discriminator_loss",
    "hinge_margin_loss",
    "importance_weighted_bound",
    "latent_consistency",
    "latent_diversity",
    "least_squares",
    "least_squares_discriminator_loss",
    "least_squares_generator_loss",
    "lecam",
    "linear_margin_loss",
    "logistic_margin_loss",
    "minimax",
    "minimax_generator_loss",
    "non_saturating",
    "non_saturating_generator_loss",
    "normal_log_prob",
    "one_sided_gradient_penalty",
    "path_length",
    "r1",
    "r1_finite_difference",
    "r2",
    "r2_finite_difference",
    "real_consistency",
    "relativistic",
    "relativistic_average",
    "scheduled",
    "smoothed_discriminator_loss",
    "smoothed_least_squares_discriminator_loss",
    "squared_margin_loss",
    "standard_normal_log_prob",
    "top_k",
    "wasserstein",
    "wasserstein_discriminator_loss",
    "wasserstein_generator_loss",
    "zero_centred",
]


def __dir__() -> list[str]:
    """What a notebook completes: the public names, and none of the modules that they come from."""
    return __all__
