"""Critics of latents: networks that learn to tell draws of q(z|x) from others, and the objectives that read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from gvlab import losses, rng
from gvlab.models.base import init_module, train_apply, updates_of
from gvlab.models.objectives import Context, Draw, Objective
from gvlab.parallel import gather, mean_over
from gvlab.types import Info, PRNGKey, PyTree


class LatentCritic(NamedTuple):
    """A player beside the autoencoder, with a batch of its own in every step."""

    network: nn.Module
    """(z [batch, latent], None, train=) -> logits [batch] of "drawn from q(z|x)"."""
    optimizer: optax.GradientTransformation
    others: Callable[[PRNGKey, Array, str | None], Array]
    """(key, draws [batch, latent] for the critic's own batch, axis) -> what it tells the model's draws from."""


@flax.struct.dataclass
class CriticState:
    """Of a critic."""

    params: PyTree
    stats: PyTree
    optimizer: optax.OptState


def permuted(key: PRNGKey, z: Float[Array, "batch latent"], axis_name: str | None) -> Float[Array, "batch latent"]:
    """Each latent's draws in another order over the batch of all devices: the product of the marginals.

    Reference: Kim & Mnih, "Disentangling by Factorising", 2018, algorithm 1.
    """
    whole = gather(z, axis_name)
    mixed = jax.vmap(jax.random.permutation, in_axes=(0, 1), out_axes=1)(jax.random.split(key, z.shape[1]), whole)
    if axis_name is None:
        return mixed
    return jax.lax.dynamic_slice_in_dim(mixed, jax.lax.axis_index(axis_name) * len(z), len(z))


def of_prior(key: PRNGKey, z: Float[Array, "batch latent"], axis_name: str | None) -> Float[Array, "batch latent"]:
    """Standard normal draws."""
    return rng.normal(key, z.shape, axis_name)


def factor(gamma: float) -> Objective:
    """The ELBO, less gamma times the total correlation of the latents, which the critic's logits estimate (FactorVAE).

    For a critic that tells draws from `permuted` ones.

    Reference: Kim & Mnih, "Disentangling by Factorising", 2018, eq. 2 and 3.
    """

    def objective(draw: Draw, context: Context) -> Float[Array, ""]:
        assert context.critic is not None
        bound = losses.elbo(draw.log_likelihood.mean(0), draw.kl).mean()
        return bound - gamma * context.critic(draw.z[0]).mean()

    return objective


def adversarial(weight: float) -> Objective:
    """E log p(x|z), less what it costs that a critic tells the latents from the prior's: AAE, WAE-GAN.

    The encoder descends -log of the critic's probability for "of the prior" (not saturating).

    Reference: Makhzani et al., "Adversarial Autoencoders", 2016; Tolstikhin et al., "Wasserstein Auto-Encoders", 2018,
    algorithm 1.
    """

    def objective(draw: Draw, context: Context) -> Float[Array, ""]:
        assert context.critic is not None
        return draw.log_likelihood.mean() - weight * jax.nn.softplus(context.critic(draw.z[0])).mean()

    return objective


def init(critic: LatentCritic, key: PRNGKey, latent_dim: int) -> CriticState:
    """Before the first step."""
    params, stats = init_module(critic.network, key, jnp.zeros((2, latent_dim)), None)
    return CriticState(params, stats, critic.optimizer.init(params))


def logits(critic: LatentCritic, params: PyTree, stats: PyTree, z: Array) -> Float[Array, " batch"]:
    """In training."""
    return train_apply(critic.network, params, stats, z, None)[0]


def update(
    critic: LatentCritic,
    state: CriticState,
    z: Float[Array, "batch latent"],
    other: Float[Array, "batch latent"],
    step: Int[Array, ""],
    axis_name: str | None,
) -> tuple[CriticState, Info]:
    """The critic after one descent of the mean cross-entropy of both kinds, in nats."""

    def loss(params: PyTree) -> tuple[Float[Array, ""], tuple[Array, PyTree]]:
        of_z, stats = train_apply(critic.network, params, state.stats, z, None)
        of_other, stats = train_apply(critic.network, params, stats, other, None)
        return losses.discriminator_loss(of_z, of_other).mean() / 2, (of_z.mean(), stats)

    (value, (logit, stats)), grads = jax.value_and_grad(loss, has_aux=True)(state.params)
    grads = mean_over(grads, axis_name)
    updates, optimizer_state = updates_of(critic.optimizer, grads, state.optimizer, state.params, step)
    after = CriticState(optax.apply_updates(state.params, updates), stats, optimizer_state)
    return after, mean_over({"critic_loss": value, "critic_logit": logit}, axis_name)
