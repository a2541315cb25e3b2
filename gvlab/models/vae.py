"""Autoencoders with one layer of latents: variational (Kingma & Welling 2014) and importance-weighted (Burda 2016)."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from gvlab.losses import elbo, gaussian_kl, importance_weighted_bound, normal_log_prob, standard_normal_log_prob
from gvlab.models.latents import Apply, Draw, Latents, Objective, autoencoder, decoded_log_likelihood, reparametrised
from gvlab.models.observation import Observation
from gvlab.types import Model


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
        _one_layer(encoder, decoder, latent_dim),
        observation,
        optimizer,
        evidence_lower_bound(beta, kl_warmup_steps),
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
        _one_layer(encoder, decoder, latent_dim),
        observation,
        optimizer,
        importance_weighted,
        num_samples=num_samples,
        num_classes=num_classes,
        data_range=data_range,
        axis_name=axis_name,
    )


def evidence_lower_bound(beta: float | Float[Array, ""], kl_warmup_steps: int) -> Objective:
    """The ELBO whose KL weighs `beta`, rising to it linearly over so many steps."""

    def objective(draw: Draw, step: Int[Array, ""]) -> Float[Array, " batch"]:
        weight = beta * jnp.minimum(1.0, (step + 1) / max(kl_warmup_steps, 1))
        return elbo(draw.log_likelihood.mean(0), draw.kl, weight)

    return objective


def importance_weighted(draw: Draw, step: Int[Array, ""]) -> Float[Array, " batch"]:
    """Burda et al. 2016, equation 8."""
    return importance_weighted_bound(draw.log_weights)


def _one_layer(encoder: nn.Module, decoder: nn.Module, latent_dim: int) -> Latents:
    def encode(apply: Apply, x: Array, y: Array | None) -> tuple[Array, Array]:
        return apply("encoder", x, y)

    def infer(apply: Apply, observation: Observation, x: Array, y: Array | None, noise: Array) -> Draw:
        mean, logvar = encode(apply, x, y)
        z = reparametrised(mean, logvar, noise)  # [k, batch, latent]
        log_likelihood = decoded_log_likelihood(apply, observation, x, y, z)
        log_weights = log_likelihood + standard_normal_log_prob(z) - normal_log_prob(z, mean, logvar)
        return Draw(log_likelihood, gaussian_kl(mean, logvar), log_weights)

    return Latents(
        networks={"encoder": encoder, "decoder": decoder},
        widths={"encoder": None, "decoder": latent_dim},
        length=latent_dim,
        infer=infer,
        expand=lambda apply, z, y: z,
        encode=encode,
    )
