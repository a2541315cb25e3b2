"""Autoencoders with one layer of latents: variational (Kingma & Welling 2014) and importance-weighted (Burda 2016)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from operator import or_

import flax.linen as nn
import optax
from jaxtyping import Array, Float

from gvlab.losses import gaussian_kl, normal_log_prob, standard_normal_log_prob
from gvlab.models.critics import LatentCritic
from gvlab.models.latents import Apply, Latents, Posterior, Prior, decoded_log_likelihood, model_of, reparametrised
from gvlab.models.objectives import Draw, Normal, Objective, evidence_lower_bound, importance_weighted
from gvlab.models.observation import Observation
from gvlab.types import Model


def autoencoder(
    encoder: nn.Module,
    decoder: nn.Module,
    observation: Observation,
    optimizer: optax.GradientTransformation,
    *,
    objective: Objective,
    latent_dim: int,
    num_samples: int = 1,
    num_classes: int = 0,
    data_range: tuple[float, float] = (0.0, 1.0),
    axis_name: str | None = None,
    examples: int | None = None,
    prior: Prior | None = None,
    critic: LatentCritic | None = None,
    posterior: Posterior | None = None,
    noise_weight: Callable[[Array], Array] | None = None,
) -> Model:
    """A VAE with one layer of latents, trained on any bound of `models.objectives`.

    Args:
        objective: (draw, context) -> what is raised, such as `models.objectives.doubly_reparametrised`.
        num_samples: draws of z per example and step.
        examples: of the whole training set, for objectives that ask.
        prior: of `models.priors`; None: standard normal, with the KL by its formula where the others' is estimated by
            the draws.
        critic: of the latents, for objectives that read one (`models.critics`). Then a step's batch holds twice as many
            examples as the autoencoder is trained on; the other half is the critic's.
        posterior: of `models.posteriors`; None: independent normals. With another the encoder's heads are wider by its
            `extra`, and objectives that look at the normals' parameters refuse it.
        noise_weight: step -> factor of the noise in a train step's draws of z, which are the means at 0; None: 1.
        encoder, decoder, observation, optimizer, latent_dim, num_classes, data_range, axis_name: as in
            `variational_autoencoder`.

    Returns:
        A `Model` as of `variational_autoencoder`, whose `loss` is minus what is raised. `elbo_nats` is still the ELBO,
        so that models of different objectives can be compared.
    """
    return model_of(
        _one_layer(encoder, decoder, latent_dim, prior, posterior),
        observation,
        optimizer,
        objective,
        num_samples=num_samples,
        num_classes=num_classes,
        data_range=data_range,
        axis_name=axis_name,
        examples=examples,
        critic=critic,
        noise_weight=noise_weight,
    )


def variational_autoencoder(
    encoder: nn.Module,
    decoder: nn.Module,
    observation: Observation,
    optimizer: optax.GradientTransformation,
    *,
    latent_dim: int,
    beta: float | Float[Array, ""] = 1.0,
    kl_warmup_steps: int = 0,
    num_samples: int = 1,
    num_classes: int = 0,
    data_range: tuple[float, float] = (0.0, 1.0),
    axis_name: str | None = None,
) -> Model:
    """A VAE with standard normal prior and diagonal normal posterior, trained on the ELBO with its analytic KL.

    Args:
        encoder: Linen module, (x [b, *shape], y one-hot or None, train=) -> (mean, logvar), each [b, latent_dim].
        decoder: Linen module, (z [b, latent_dim], y, train=) -> raw [b, *shape[:-1], channels * parameters].
        observation: what the raw output means; see `gvlab.models.observation`.
        optimizer: optax transformation of the joint gradients.
        latent_dim: length of z.
        beta: weight of the KL term (Higgins et al. 2017); the reported `elbo_nats` is always the one of beta = 1.
        kl_warmup_steps: the weight rises linearly from 0 to `beta` over so many steps (Sønderby et al. 2016).
        num_samples: Monte-Carlo samples of z per example (L in Kingma & Welling 2014, equation 7).
        num_classes: 0, or the number of classes that both networks are conditioned on (Sohn et al. 2015).
        data_range: smallest and largest value of the data; `init` refuses anything outside.
        axis_name: name of the `pmap` axis over which gradients, statistics and terms are averaged.

    Returns:
        A `Model` with states of type `VAEState` and the terms `loss`, `elbo_nats`, `kl_nats`, `reconstruction_nats`
        (the expected log-likelihood) and `grad_norm`. `decode` and `sample` give the mean of p(x|z), clipped to
        `data_range`.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import optax
        >>> from gvlab import Batch, models, networks, rng
        >>> pixels = models.observation.bernoulli()
        >>> encoder = networks.MLPEncoder(latent_dim=2, hidden=(8,))
        >>> decoder = networks.MLPDecoder(shape=(4, 4, 1), hidden=(8,), parameters=pixels.parameters)
        >>> vae = models.variational_autoencoder(encoder, decoder, pixels, optax.adam(1e-3), latent_dim=2)
        >>> key, batch = rng.root(0), Batch(jnp.ones((5, 4, 4, 1)))
        >>> state = jax.jit(vae.init)(rng.stream(key, rng.INIT), batch)
        >>> state, info = jax.jit(vae.train_step)(state, batch, rng.stream(key, rng.TRAIN, 0))
        >>> int(state.step), sorted(info)
        (1, ['elbo_nats', 'grad_norm', 'kl_nats', 'loss', 'reconstruction_nats'])
    """
    return autoencoder(
        encoder,
        decoder,
        observation,
        optimizer,
        objective=evidence_lower_bound(beta, kl_warmup_steps),
        latent_dim=latent_dim,
        num_samples=num_samples,
        num_classes=num_classes,
        data_range=data_range,
        axis_name=axis_name,
    )


def importance_weighted_autoencoder(
    encoder: nn.Module,
    decoder: nn.Module,
    observation: Observation,
    optimizer: optax.GradientTransformation,
    *,
    latent_dim: int,
    num_samples: int,
    num_classes: int = 0,
    data_range: tuple[float, float] = (0.0, 1.0),
    axis_name: str | None = None,
) -> Model:
    """The networks of a VAE, trained on the importance-weighted bound of `num_samples` latents per example.

    Args:
        num_samples: k in Burda et al. 2016, equation 8; with 1 the bound is the ELBO with the KL estimated by the
            sample.
        encoder, decoder, observation, optimizer, latent_dim, num_classes, data_range, axis_name: as in
            `variational_autoencoder`.

    Returns:
        A `Model` as of `variational_autoencoder`, whose `loss` is minus the bound. `elbo_nats` is still the ELBO, so
        that the two can be compared.
    """
    return autoencoder(
        encoder,
        decoder,
        observation,
        optimizer,
        objective=importance_weighted,
        latent_dim=latent_dim,
        num_samples=num_samples,
        num_classes=num_classes,
        data_range=data_range,
        axis_name=axis_name,
    )


def _one_layer(
    encoder: nn.Module, decoder: nn.Module, latent_dim: int, prior: Prior | None, posterior: Posterior | None
) -> Latents:
    def log_prior_of(apply: Apply, z: Array) -> Float[Array, "k batch"]:
        return standard_normal_log_prob(z) if prior is None else prior.log_prob(apply, z)

    def encode(apply: Apply, x: Array, y: Array | None) -> tuple[Array, Array]:
        heads = apply("encoder", x, y)
        return heads if posterior is None else posterior.moments(apply, heads)

    def infer(apply: Apply, observation: Observation, x: Array, y: Array | None, noise: Array) -> Draw:
        mean, logvar = apply("encoder", x, y)
        z = reparametrised(mean, logvar, noise)  # [k, batch, latent]
        log_likelihood = decoded_log_likelihood(apply, observation, x, y, z)
        log_prior = log_prior_of(apply, z)
        log_joint = log_likelihood + log_prior
        log_posterior = normal_log_prob(z, mean, logvar)
        log_weights = log_joint - log_posterior
        kl = gaussian_kl(mean, logvar) if prior is None else (log_posterior - log_prior).mean(0)
        return Draw(z, log_likelihood, log_prior, log_posterior, log_weights, kl, Normal(mean, logvar))

    def infer_from(
        posterior: Posterior, apply: Apply, observation: Observation, x: Array, y: Array | None, noise: Array
    ) -> Draw:
        heads = apply("encoder", x, y)
        z, log_posterior = posterior.draw(apply, heads, noise)
        log_likelihood, log_prior = decoded_log_likelihood(apply, observation, x, y, z), log_prior_of(apply, z)
        formula = posterior.kl if prior is posterior.prior else None
        kl = formula(heads) if formula else (log_posterior - log_prior).mean(0)
        return Draw(z, log_likelihood, log_prior, log_posterior, log_likelihood + log_prior - log_posterior, kl)

    def joint(apply: Apply, observation: Observation, x: Array, y: Array | None, z: Array) -> Float[Array, "k batch"]:
        return decoded_log_likelihood(apply, observation, x, y, z) + log_prior_of(apply, z)

    parts: list[Prior | Posterior] = [part for part in (prior, posterior) if part is not None]
    return Latents(
        networks=reduce(or_, (part.networks for part in parts), {"encoder": encoder, "decoder": decoder}),
        widths=reduce(or_, (part.widths for part in parts), {"encoder": None, "decoder": latent_dim}),
        length=latent_dim,
        infer=infer if posterior is None else partial(infer_from, posterior),
        expand=lambda apply, z, y: z if prior is None or prior.onto is None else prior.onto(z),
        encode=encode,
        joint=joint,
        prior=prior,
    )
