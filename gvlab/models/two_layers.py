"""Autoencoders with two layers of latents (Burda, Grosse & Salakhutdinov 2016, section 5).

q(h1|x) q(h2|h1) is the posterior, p(h2) p(h1|h2) p(x|h1) the model, with a standard normal p(h2); the other
distributions of latents are normal with a diagonal covariance.

To the outside the model has one latent z = (h2, e) with h1 = mean(h2) + deviation(h2) * e: what p(h1|h2) adds to h2 is
written as standard normal noise e. So z is standard normal a priori, its length is that of both layers, `decode` is a
function of it, and `sample` is a decoded draw from the prior, all exactly. `encode` has no exact answer, since q(z|x)
is not normal in these coordinates; see `two_layer_variational_autoencoder`.
"""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from gvlab.losses import normal_log_prob, standard_normal_log_prob
from gvlab.models.latents import Apply, Latents, decoded_log_likelihood, model_of, reparametrised, repeat
from gvlab.models.objectives import Draw, Objective, evidence_lower_bound, importance_weighted
from gvlab.models.observation import Observation
from gvlab.types import Model


def two_layer_autoencoder(
    encoder: nn.Module,
    top_encoder: nn.Module,
    top_decoder: nn.Module,
    decoder: nn.Module,
    observation: Observation,
    optimizer: optax.GradientTransformation,
    *,
    objective: Objective,
    layers: tuple[int, int],
    num_samples: int = 1,
    num_classes: int = 0,
    data_range: tuple[float, float] = (0.0, 1.0),
    axis_name: str | None = None,
    examples: int | None = None,
) -> Model:
    """A VAE with two layers of latents, trained on any bound of `models.objectives` that several layers have.

    Args:
        objective: (draw, context) -> what is raised.
        examples: of the whole training set, for objectives that ask.
        encoder, top_encoder, top_decoder, decoder, observation, optimizer, layers, num_samples, num_classes,
            data_range, axis_name: as in `two_layer_variational_autoencoder`.

    Returns:
        A `Model` as of `two_layer_variational_autoencoder`, whose `loss` is minus what is raised.

    Raises:
        UserError: from `train_step`: the objective is of one layer.
    """
    return model_of(
        _two_layers(encoder, top_encoder, top_decoder, decoder, layers),
        observation,
        optimizer,
        objective,
        num_samples=num_samples,
        num_classes=num_classes,
        data_range=data_range,
        axis_name=axis_name,
        examples=examples,
    )


def two_layer_variational_autoencoder(
    encoder: nn.Module,
    top_encoder: nn.Module,
    top_decoder: nn.Module,
    decoder: nn.Module,
    observation: Observation,
    optimizer: optax.GradientTransformation,
    *,
    layers: tuple[int, int],
    beta: float | Float[Array, ""] = 1.0,
    kl_warmup_steps: int = 0,
    num_samples: int = 1,
    num_classes: int = 0,
    data_range: tuple[float, float] = (0.0, 1.0),
    axis_name: str | None = None,
) -> Model:
    """A VAE with two layers of latents, trained on the ELBO; its KL is estimated by the samples.

    Args:
        encoder: q(h1|x), Linen module, (x [b, *shape], y one-hot or None, train=) -> (mean, logvar), each [b, h1].
        top_encoder: q(h2|h1), (h1 [b, h1], y, train=) -> (mean, logvar), each [b, h2].
        top_decoder: p(h1|h2), (h2 [b, h2], y, train=) -> (mean, logvar), each [b, h1].
        decoder: p(x|h1), (h1, y, train=) -> raw [b, *shape[:-1], channels * parameters].
        layers: lengths of h1 and h2.
        num_samples: draws of (h1, h2) per example, each h2 from its own h1.
        observation, optimizer, beta, kl_warmup_steps, num_classes, data_range, axis_name: as in
            `variational_autoencoder`.

    Returns:
        A `Model` as of `variational_autoencoder`, with latents z = (h2, e) as this module explains. `kl_nats` estimates
        the KL of both layers by the draws, and may be negative for an example. `encode` describes q(z|x) along the
        means: h1 is taken at the mean of q(h1|x), h2 at the mean of q(h2|h1), and the variances there. Decoding that
        mean is a reconstruction; statistics of it (active units, information) describe this approximation.
    """
    return two_layer_autoencoder(
        encoder,
        top_encoder,
        top_decoder,
        decoder,
        observation,
        optimizer,
        objective=evidence_lower_bound(beta, kl_warmup_steps),
        layers=layers,
        num_samples=num_samples,
        num_classes=num_classes,
        data_range=data_range,
        axis_name=axis_name,
    )


def two_layer_importance_weighted_autoencoder(
    encoder: nn.Module,
    top_encoder: nn.Module,
    top_decoder: nn.Module,
    decoder: nn.Module,
    observation: Observation,
    optimizer: optax.GradientTransformation,
    *,
    layers: tuple[int, int],
    num_samples: int,
    num_classes: int = 0,
    data_range: tuple[float, float] = (0.0, 1.0),
    axis_name: str | None = None,
) -> Model:
    """The networks of `two_layer_variational_autoencoder`, trained on the bound of Burda et al. 2016, equation 8.

    Args:
        num_samples: k, draws of (h1, h2) per example.
        encoder, top_encoder, top_decoder, decoder, observation, optimizer, layers, num_classes, data_range, axis_name:
            as in `two_layer_variational_autoencoder`.

    Returns:
        A `Model` as of `two_layer_variational_autoencoder`, whose `loss` is minus the bound.
    """
    return two_layer_autoencoder(
        encoder,
        top_encoder,
        top_decoder,
        decoder,
        observation,
        optimizer,
        objective=importance_weighted,
        layers=layers,
        num_samples=num_samples,
        num_classes=num_classes,
        data_range=data_range,
        axis_name=axis_name,
    )


def _two_layers(
    encoder: nn.Module, top_encoder: nn.Module, top_decoder: nn.Module, decoder: nn.Module, layers: tuple[int, int]
) -> Latents:
    first, top = layers

    def infer(apply: Apply, observation: Observation, x: Array, y: Array | None, noise: Array) -> Draw:
        shape, labels = noise.shape[:2], repeat(y, len(noise))

        def normal(network: str, h: Array) -> tuple[Array, Array]:
            """(mean, logvar), each [k, batch, ...], given [k, batch, ...]."""
            mean, logvar = apply(network, h.reshape(-1, h.shape[-1]), labels)
            return mean.reshape(*shape, -1), logvar.reshape(*shape, -1)

        # 1. the draws: h1 ~ q(h1|x), h2 ~ q(h2|h1), [k, batch, ...]
        mean1, logvar1 = apply("encoder", x, y)
        h1 = reparametrised(mean1, logvar1, noise[..., top:])
        mean2, logvar2 = normal("top_encoder", h1)
        h2 = reparametrised(mean2, logvar2, noise[..., :top])
        # 2. what they weigh
        log_likelihood = decoded_log_likelihood(apply, observation, x, y, h1)
        log_prior = standard_normal_log_prob(h2) + normal_log_prob(h1, *normal("top_decoder", h2))
        log_posterior = normal_log_prob(h1, mean1, logvar1) + normal_log_prob(h2, mean2, logvar2)
        kl = (log_posterior - log_prior).mean(0)
        log_weights = log_likelihood + log_prior - log_posterior
        z = jnp.concatenate([h2, h1], axis=-1)
        return Draw(z, log_likelihood, log_prior, log_posterior, log_weights, kl)

    def expand(apply: Apply, z: Array, y: Array | None) -> Array:
        h2, noise = z[..., :top], z[..., top:]
        mean, logvar = apply("top_decoder", h2, y)
        return reparametrised(mean, logvar, noise)

    def encode(apply: Apply, x: Array, y: Array | None) -> tuple[Array, Array]:
        h1, h1_logvar = apply("encoder", x, y)
        h2, h2_logvar = apply("top_encoder", h1, y)
        mean, logvar = apply("top_decoder", h2, y)
        noise = (h1 - mean) * jnp.exp(-0.5 * logvar)
        return jnp.concatenate([h2, noise], axis=-1), jnp.concatenate([h2_logvar, h1_logvar - logvar], axis=-1)

    return Latents(
        networks={"encoder": encoder, "top_encoder": top_encoder, "top_decoder": top_decoder, "decoder": decoder},
        widths={"encoder": None, "top_encoder": first, "top_decoder": top, "decoder": first},
        length=first + top,
        infer=infer,
        expand=expand,
        encode=encode,
    )
