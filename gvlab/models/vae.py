"""Variational autoencoders as pure functions (Kingma & Welling 2014)."""

from __future__ import annotations

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from gvlab import rng, tree
from gvlab.losses import elbo, gaussian_kl, normal_log_prob, standard_normal_log_prob
from gvlab.models.base import (
    check_first_batch,
    eval_apply,
    init_module,
    labels_for,
    one_hot,
    output_of,
    train_apply,
)
from gvlab.models.observation import Observation
from gvlab.parallel import mean_over
from gvlab.types import Batch, Info, Model, PRNGKey, PyTree, UserError


@flax.struct.dataclass
class VAEState:
    """All that a VAE carries from step to step; `params` and `stats` have the keys `encoder` and `decoder`."""

    step: PyTree
    """Int[Array, ""]; not declared so, because trees are also made of shapes (`eval_shape`) and of stacked states."""
    params: PyTree
    stats: PyTree
    optimizer: optax.OptState


def variational_autoencoder(
    encoder: nn.Module,
    decoder: nn.Module,
    observation: Observation,
    optimizer: optax.GradientTransformation,
    *,
    latent_dim: int,
    beta: float = 1.0,
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
    """

    def terms(
        encoded: tuple[Array, Array], stats: PyTree, params: PyTree, x: Array, y: Array | None, key: PRNGKey
    ) -> tuple[Float[Array, " batch"], Float[Array, " batch"], PyTree]:
        """Per example: E_q log p(x|z) over `num_samples` latents, and the KL; and the decoder's statistics."""
        mean, logvar = encoded
        noise = rng.normal(key, (num_samples, *mean.shape), axis_name, axis=1)
        z = mean[None] + jnp.exp(0.5 * logvar)[None] * noise  # [num_samples, batch, latent]
        raw, stats = train_apply(decoder, params, stats, z.reshape(-1, latent_dim), _repeat(y, num_samples))
        raw = raw.reshape(*z.shape[:2], *raw.shape[1:])
        return observation.log_prob(raw, x).mean(0), gaussian_kl(mean, logvar), stats

    def train_step(state: VAEState, batch: Batch, key: PRNGKey) -> tuple[VAEState, Info]:
        y = one_hot(batch.y, num_classes)
        weight = beta * jnp.minimum(1.0, (state.step + 1) / max(kl_warmup_steps, 1))

        def objective(params: PyTree) -> tuple[Float[Array, ""], tuple[Info, PyTree]]:
            encoded, e_stats = train_apply(encoder, params["encoder"], state.stats["encoder"], batch.x, y)
            reconstruction, kl, d_stats = terms(encoded, state.stats["decoder"], params["decoder"], batch.x, y, key)
            loss = -elbo(reconstruction, kl, weight).mean()
            info = {
                "loss": loss,
                "elbo_nats": elbo(reconstruction, kl).mean(),
                "kl_nats": kl.mean(),
                "reconstruction_nats": reconstruction.mean(),
            }
            return loss, (info, {"encoder": e_stats, "decoder": d_stats})

        grads, (info, stats) = jax.grad(objective, has_aux=True)(state.params)
        grads = mean_over(grads, axis_name)
        updates, optimizer_state = optimizer.update(grads, state.optimizer, state.params)
        new = VAEState(
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            stats=stats,
            optimizer=optimizer_state,
        )
        return new, mean_over(info, axis_name) | {"grad_norm": tree.norm(grads)}

    def init(key: PRNGKey, batch: Batch) -> VAEState:
        z, y = jnp.zeros((2, latent_dim)), labels_for(None, 2, num_classes)
        e_key, d_key = jax.random.split(key)
        made = jax.eval_shape(observation.mean, output_of(decoder, d_key, z, y)).shape[1:]
        if batch.x.shape[1:] != made:
            raise UserError(f"The data have the shape {batch.x.shape[1:]}, but the decoder makes {made}.")
        check_first_batch(batch, made, data_range, num_classes)
        e_params, e_stats = init_module(encoder, e_key, jnp.zeros((2, *made)), y)
        d_params, d_stats = init_module(decoder, d_key, z, y)
        params = {"encoder": e_params, "decoder": d_params}
        return VAEState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            stats={"encoder": e_stats, "decoder": d_stats},
            optimizer=optimizer.init(params),
        )

    def encode(state: VAEState, batch: Batch) -> tuple[Float[Array, "batch latent"], Float[Array, "batch latent"]]:
        y = one_hot(batch.y, num_classes)
        return eval_apply(encoder, state.params["encoder"], state.stats["encoder"], batch.x, y)

    def decode_raw(state: VAEState, z: Float[Array, "n latent"], y: Float[Array, "n classes"] | None) -> Array:
        return eval_apply(decoder, state.params["decoder"], state.stats["decoder"], z, y)

    def log_likelihood(state: VAEState, batch: Batch, z: Float[Array, "k batch latent"]) -> Float[Array, "k batch"]:
        y = _repeat(one_hot(batch.y, num_classes), len(z))
        raw = decode_raw(state, z.reshape(-1, latent_dim), y)
        return observation.log_prob(raw.reshape(*z.shape[:2], *raw.shape[1:]), batch.x)

    def evaluate(state: VAEState, batch: Batch, key: PRNGKey) -> Info:
        mean, logvar = encode(state, batch)
        z = mean[None] + jnp.exp(0.5 * logvar)[None] * jax.random.normal(key, (num_samples, *mean.shape))
        reconstruction, kl = log_likelihood(state, batch, z).mean(0), gaussian_kl(mean, logvar)
        return {"elbo_nats": elbo(reconstruction, kl), "kl_nats": kl, "reconstruction_nats": reconstruction}

    def log_weights(state: VAEState, batch: Batch, key: PRNGKey, k: int) -> Float[Array, "k batch"]:
        """Burda et al. 2016, equation 6."""
        mean, logvar = encode(state, batch)
        z = mean[None] + jnp.exp(0.5 * logvar)[None] * jax.random.normal(key, (k, *mean.shape))
        joint = log_likelihood(state, batch, z) + standard_normal_log_prob(z)
        return joint - normal_log_prob(z, mean, logvar)

    def prior(key: PRNGKey, n: int) -> Float[Array, "n latent"]:
        return jax.random.normal(key, (n, latent_dim))

    def decode(state: VAEState, z: Float[Array, "n latent"], y: Int[Array, " n"] | None = None) -> Array:
        return jnp.clip(observation.mean(decode_raw(state, z, labels_for(y, len(z), num_classes))), *data_range)

    def sample(state: VAEState, key: PRNGKey, n: int, y: Int[Array, " n"] | None = None) -> Array:
        return decode(state, prior(key, n), y)

    return Model(init, train_step, sample, evaluate, prior, decode, encode, log_likelihood, log_weights)


def _repeat(y: Float[Array, "batch classes"] | None, times: int) -> Float[Array, "repeated classes"] | None:
    """Labels for `times` latents per example, in the order of [times, batch] flattened."""
    return None if y is None else jnp.tile(y, (times, 1))
