"""Critics of what autoencoders make of images: networks that tell it from data, beside the autoencoder.

That of VQ-VAEs judges patches, and how much the decoder hears of it is set anew in every step (VQGAN). That of VAEs is
asked how alike two images are, too (VAE-GAN).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from gvlab import losses, rng, tree
from gvlab.losses import elbo, gaussian_kl
from gvlab.models.base import init_module, one_hot, output_of, train_apply, updates_of
from gvlab.models.critics import CriticState
from gvlab.models.latents import VAEState, reparametrised
from gvlab.models.observation import Observation
from gvlab.parallel import mean_over
from gvlab.types import Batch, Info, Model, PRNGKey, PyTree

Judge = Callable[[Array, Array | None], Any]
"""(images, one-hot classes or None) -> what the critic's network says of them, in training."""


class PatchCritic(NamedTuple):
    """A player beside a VQ-VAE that judges patches of images."""

    network: nn.Module
    """(x [batch, *shape], y, train=) -> logits [batch, *patches] of "real"."""
    optimizer: optax.GradientTransformation
    weight: float | Float[Array, ""] = 0.8
    """Of its part in the decoder's loss, beside the adaptive one."""
    start: int = 0
    """The first step in which the decoder hears it; it is trained from the first of all on."""
    perceptual: Callable[[Array, Array], Float[Array, " batch"]] | None = None
    """(made, x), both in [0, 1] -> what is added to the decoder's loss of each example, such as LPIPS with its weights,
    which look at images in [-1, 1]."""


class SimilarityCritic(NamedTuple):
    """A player beside a VAE that judges images, and by whose features they are alike."""

    network: nn.Module
    """(x [batch, *shape], y, train=) -> (logits [batch] of "real", features [batch, n])."""
    optimizer: optax.GradientTransformation
    gamma: float | Float[Array, ""]
    """Weight of likeness beside the verdict, in the decoder's loss."""


def init(network: nn.Module, optimizer: optax.GradientTransformation, key: PRNGKey, x: Array, y: Array | None) -> Any:
    """A `CriticState` before the first step, for examples like x."""
    params, stats = init_module(network, key, x, y)
    return CriticState(params, stats, optimizer.init(params))


def judging(network: nn.Module, state: CriticState) -> Judge:
    """The critic as the autoencoder hears it: its statistics are not kept."""
    return lambda x, y: train_apply(network, state.params, state.stats, x, y)[0]


def update(
    network: nn.Module,
    optimizer: optax.GradientTransformation,
    state: CriticState,
    loss: Callable[[Judge], tuple[Float[Array, ""], Info]],
    step: Int[Array, ""],
    axis_name: str | None,
) -> tuple[CriticState, Info]:
    """The critic after one descent of (judge) -> (loss, terms)."""

    def of_params(params: PyTree) -> tuple[Float[Array, ""], tuple[Info, PyTree]]:
        stats = state.stats

        def judge(x: Array, y: Array | None) -> Any:
            nonlocal stats
            found, stats = train_apply(network, params, stats, x, y)
            return found

        value, info = loss(judge)
        return value, (info | {"critic_loss": value}, stats)

    grads, (info, stats) = jax.grad(of_params, has_aux=True)(state.params)
    grads = mean_over(grads, axis_name)
    updates, optimizer_state = updates_of(optimizer, grads, state.optimizer, state.params, step)
    after = CriticState(optax.apply_updates(state.params, updates), stats, optimizer_state)
    return after, mean_over(info, axis_name)


# Of VQ-VAEs ----------------------------------------------------------------------------------------------------------


def patch_loss(real: Float[Array, "batch *patches"], fake: Float[Array, "batch *patches"]) -> Float[Array, ""]:
    """Half the hinge loss of patches, their mean (Esser et al. 2021, published code)."""
    return losses.hinge_discriminator_loss(real.reshape(-1), fake.reshape(-1)).mean() / 2


def adaptive_weight(of_reconstruction: PyTree, of_verdict: PyTree) -> Float[Array, ""]:
    """|g_rec| / (|g_critic| + 1e-4), at most 1e4: the norms of both losses' gradients by the decoder's last kernel.

    Reference: Esser et al., "Taming Transformers for High-Resolution Image Synthesis", 2021, eq. 7.
    """
    return jnp.clip(tree.norm(of_reconstruction) / (tree.norm(of_verdict) + 1e-4), 0.0, 1e4)


def last_kernel(network: nn.Module, *inputs: Any) -> tuple[str, ...]:
    """Where the kernel of the layer that a network applies last stands among its parameters."""
    seen: list[tuple[str, ...]] = []

    def note(call: Callable[..., Any], args: Any, options: Any, context: Any) -> Any:
        found = call(*args, **options)
        if context.method_name == "__call__" and context.module.has_variable("params", "kernel"):
            seen.append((*context.module.path, "kernel"))
        return found

    with nn.intercept_methods(note):
        output_of(network, jax.random.key(0), *inputs)
    return seen[-1]


def with_leaf(params: PyTree, path: tuple[str, ...], leaf: Array) -> PyTree:
    """Parameters in which one is another."""
    first, *rest = path
    return {**params, first: with_leaf(params[first], tuple(rest), leaf) if rest else leaf}


def leaf_of(params: PyTree, path: tuple[str, ...]) -> Array:
    """The parameter that stands there."""
    for name in path:
        params = params[name]
    return params


# Of VAEs -------------------------------------------------------------------------------------------------------------


def vae_gan(
    vae: Model,
    encoder: nn.Module,
    decoder: nn.Module,
    observation: Observation,
    optimizer: optax.GradientTransformation,
    critic: SimilarityCritic,
    *,
    latent_dim: int,
    num_classes: int = 0,
    axis_name: str | None = None,
) -> Model:
    """A VAE whose decoder is told by a critic's features how alike its images are to the data, not by their pixels.

    The encoder descends KL + L, L = |f(x) - f(x~)|^2 / 2 with the features f of the critic; the decoder gamma L and
    -log D of x~ and of images of the prior's latents (not saturating, where the paper's algorithm has -log(1 - D) with
    the other sign); the critic the cross-entropy of data, x~ and those images.

    Args:
        vae: of the same networks, as `autoencoder` makes it with a standard normal prior; of it all is kept but `init`
            and `train_step`: so `elbo_nats` is by the pixels' likelihood, which nothing raised.
        encoder, decoder, observation, optimizer, latent_dim, num_classes, axis_name: as of `autoencoder`.
        critic: its player.

    Returns:
        A `Model` with states of type `VAEState`. The terms of training are `loss`, which is the encoder's,
        `decoder_loss`, `similarity`, which is L, `critic_loss`, `critic_real`, `critic_fake` and those of a VAE.

    Reference: Larsen et al., "Autoencoding beyond pixels using a learned similarity metric", 2016, algorithm 1.
    """

    def train_step(state: VAEState, batch: Batch, key: PRNGKey) -> tuple[VAEState, Info]:
        x, y = batch.x, one_hot(batch.y, num_classes)
        noise = rng.normal(key, (len(x), latent_dim), axis_name)
        prior = rng.normal(rng.stream(key, rng.CRITIC), (len(x), latent_dim), axis_name)
        judge = judging(critic.network, state.critic)
        _, of_data = judge(x, y)

        def forward(params: PyTree) -> tuple[tuple[Array, Array, Array], tuple[Info, PyTree, Array, Array]]:
            stats = dict(state.stats)

            def apply(name: str, module: nn.Module, inputs: Array) -> Any:
                found, stats[name] = train_apply(module, params[name], stats[name], inputs, y)
                return found

            mean, logvar = apply("encoder", encoder, x)
            raw = apply("decoder", decoder, reparametrised(mean, logvar, noise))
            made = observation.mean(raw)
            drawn = observation.mean(apply("decoder", decoder, prior))
            (said, of_made), (said_drawn, _) = judge(made, y), judge(drawn, y)
            kl, similarity = gaussian_kl(mean, logvar), 0.5 * ((of_data - of_made) ** 2).sum(-1)
            verdict = jax.nn.softplus(-said) + jax.nn.softplus(-said_drawn)
            reconstruction = observation.log_prob(raw, x)
            info = {
                "loss": (kl + similarity).mean(),
                "decoder_loss": (critic.gamma * similarity + verdict).mean(),
                "similarity": similarity.mean(),
                "elbo_nats": elbo(reconstruction, kl).mean(),
                "kl_nats": kl.mean(),
                "reconstruction_nats": reconstruction.mean(),
            }
            return (kl.mean(), similarity.mean(), verdict.mean()), (info, stats, made, drawn)

        _, back, (info, stats, made, drawn) = jax.vjp(forward, state.params, has_aux=True)
        one, none = jnp.ones(()), jnp.zeros(())
        grads = {
            "encoder": back((one, one, none))[0]["encoder"],
            "decoder": back((none, critic.gamma * one, one))[0]["decoder"],
        }
        grads = mean_over(grads, axis_name)
        updates, optimizer_state = updates_of(optimizer, grads, state.optimizer, state.params, state.step)

        def loss(judge: Judge) -> tuple[Float[Array, ""], Info]:
            real, fake, of_prior = (judge(images, y)[0] for images in (x, made, drawn))
            value = jax.nn.softplus(-real) + jax.nn.softplus(fake) + jax.nn.softplus(of_prior)
            return value.mean(), {"critic_real": real.mean(), "critic_fake": fake.mean()}

        after, said = update(critic.network, critic.optimizer, state.critic, loss, state.step, axis_name)
        params = optax.apply_updates(state.params, updates)
        new = VAEState(state.step + 1, params, stats, optimizer_state, after)
        return new, mean_over(info, axis_name) | said | {"grad_norm": tree.norm(grads)}

    def started(key: PRNGKey, batch: Batch) -> VAEState:
        state = vae.init(key, batch)
        y = jnp.zeros((2, num_classes)) if num_classes else None
        x = jnp.zeros((2, *batch.x.shape[1:]))
        of_critic = init(critic.network, critic.optimizer, rng.stream(key, rng.CRITIC), x, y)
        return state.replace(critic=of_critic)

    return vae._replace(init=started, train_step=train_step)
