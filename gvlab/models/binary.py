"""Autoencoders whose latents are bits, and the estimators that carry a gradient to the encoder of them.

The latents are codes of two values each, as those of `models.codes` are of several: z is int32 [n, latent]. Whatever
trains them, `evaluate` and `log_weights` are of hard draws of q(z|x).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from gvlab import losses, rng, tree
from gvlab.losses import elbo
from gvlab.losses.discrete import SignalStatistics
from gvlab.models.base import (
    Labels,
    check_first_batch,
    eval_apply,
    generating,
    init_module,
    labels_for,
    one_hot,
    output_of,
    train_apply,
    updates_of,
)
from gvlab.models.latents import repeat
from gvlab.models.observation import Observation
from gvlab.parallel import gather, mean_over
from gvlab.types import Batch, Info, Model, PRNGKey, PyTree, Size, UserError


@flax.struct.dataclass
class BinaryState:
    """All that such a model carries from step to step; `params` and `stats` have one entry for each network."""

    step: PyTree
    """Int[Array, ""]; not declared so, as in `VAEState`."""
    params: PyTree
    stats: PyTree
    optimizer: optax.OptState
    memory: PyTree
    """Of the estimator."""


class Sight(NamedTuple):
    """What an estimator may look at in a step."""

    logits: Float[Array, "batch latent"]
    """Of q(z|x)."""
    uniforms: Float[Array, "k batch latent"]
    """In [0, 1): the draws of the step."""
    log_joint: Callable[[Array], Float[Array, "*k_batch"]]
    """z [*k, batch, latent], hard or relaxed -> log p(x|z) + log p(z) in nats."""
    baseline: Callable[[], Float[Array, " batch"]]
    """What the estimator's own network says of x; an error without one."""
    memory: PyTree
    axis_name: str | None

    def bound(self, z: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
        """log p(x, z) - log q(z|x), with no gradient along log q."""
        return self.log_joint(z) - jax.lax.stop_gradient(bernoulli_log_prob(self.logits, z))


class Raised(NamedTuple):
    """What a step raises."""

    objective: Float[Array, " batch"]
    """With the gradient to be followed."""
    memory: PyTree
    """For the next step."""
    elbo_nats: Float[Array, " batch"] | None
    """Of the draws; None where they were relaxed, which makes it no bound."""
    added: Float[Array, " batch"] | float = 0.0
    """A loss beside it, of the estimator's own network."""


class Estimator(NamedTuple):
    """How a step estimates the bound and its gradient; made by the functions of this module."""

    raised: Callable[[Sight], Raised]
    memory: PyTree = ()
    """To begin with."""
    network: nn.Module | None = None
    """Of its own: (x [batch, *shape], y, train=) -> [batch]."""
    draws: int = 1
    """Of z per example and step."""


def bernoulli_log_prob(
    logits: Float[Array, "batch latent"], z: Float[Array, "*k batch latent"]
) -> Float[Array, "*k batch"]:
    """log q(z) in nats of bits with those log odds, summed over the latents."""
    logits = logits.reshape(*[1] * (z.ndim - 2), *logits.shape)
    return (z * logits - jax.nn.softplus(logits)).sum(-1)


def bernoulli_kl(logits: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
    """KL of bits with those log odds from fair coins, in nats: log 2 less the entropy of each."""
    entropy = jax.nn.softplus(logits) - logits * jax.nn.sigmoid(logits)
    return (math.log(2.0) - entropy).sum(-1)


def reinforce(decay: float) -> Estimator:
    """REINFORCE with the running mean of the bound as its baseline (Williams 1992).

    Args:
        decay: of the mean, which begins at the first step's.
    """

    def raised(sight: Sight) -> Raised:
        count, mean = sight.memory
        baseline = mean / jnp.where(count == 0, 1.0, 1 - decay**count)  # as Adam corrects a mean that began at 0
        estimate = losses.reinforce(
            sight.logits, sight.uniforms[0], sight.bound, jnp.broadcast_to(baseline, sight.logits.shape[:1])
        )
        now = mean_over(jax.lax.stop_gradient(estimate.value).mean(), sight.axis_name)
        memory = (count + 1, decay * mean + (1 - decay) * now)
        return Raised(losses.surrogate(sight.logits, estimate), memory, estimate.value)

    return Estimator(raised, (jnp.zeros(()), jnp.zeros(())))


def nvil(network: nn.Module, decay: float) -> Estimator:
    """REINFORCE with a baseline by a network of x, centred and scaled (Mnih & Gregor 2014).

    Args:
        network: (x, y, train=) -> [batch], trained by its squared error.
        decay: of the running mean and variance of the signal.
    """

    def raised(sight: Sight) -> Raised:
        said, statistics = sight.baseline(), SignalStatistics(*sight.memory)
        still = jax.lax.stop_gradient(said)
        estimate = losses.nvil(sight.logits, sight.uniforms[0], sight.bound, still, statistics)
        value = jax.lax.stop_gradient(estimate.value)
        values, foreseen = (gather(of, sight.axis_name) for of in (value, still))
        memory = losses.nvil_statistics(statistics, values, foreseen, decay)
        error = (value - statistics.mean - said) ** 2
        return Raised(losses.surrogate(sight.logits, estimate), tuple(memory), estimate.value, error)

    return Estimator(raised, (jnp.zeros(()), jnp.zeros(())), network)


def _by_two(estimate: Callable[..., losses.Estimate]) -> Estimator:
    def raised(sight: Sight) -> Raised:
        found = estimate(sight.logits, sight.uniforms[0], sight.bound)
        return Raised(losses.surrogate(sight.logits, found), (), found.value)

    return Estimator(raised)


def arm() -> Estimator:
    """ARM (Yin & Zhou 2019): two decoded draws a step."""
    return _by_two(losses.arm)


def disarm() -> Estimator:
    """DisARM, or U2G (Dong et al. 2020): ARM with less variance at the same cost."""
    return _by_two(losses.disarm)


def vimco(draws: int) -> Estimator:
    """VIMCO (Mnih & Rezende 2016): the importance-weighted bound of so many draws.

    Args:
        draws: at least 2.
    """

    def raised(sight: Sight) -> Raised:
        weights = []

        def log_weights(z: Float[Array, "k batch latent"]) -> Float[Array, "k batch"]:
            weights.append(sight.log_joint(z) - bernoulli_log_prob(sight.logits, z))
            return weights[0]

        estimate = losses.vimco(sight.logits, sight.uniforms, log_weights)
        return Raised(losses.surrogate(sight.logits, estimate), (), weights[0].mean(0))

    return Estimator(raised, draws=draws)


def relaxed(temperature: Float[Array, ""] | float, *, hard: bool) -> Estimator:
    """Bits relaxed to numbers between 0 and 1, beside the KL of the bits themselves (Jang et al. 2017): no bound.

    Args:
        temperature: above 0; the lower, the nearer to bits, and the more variance.
        hard: decode bits, with the (biased) gradient of the relaxed ones (straight-through): then it is the ELBO.
    """

    def raised(sight: Sight) -> Raised:
        u = jnp.clip(sight.uniforms[0], 1e-7, 1 - 1e-7)
        soft = losses.relaxed_bernoulli(sight.logits, jnp.log(u) - jnp.log1p(-u), temperature)
        bits = (soft > 0.5).astype(soft.dtype)
        z = jax.lax.stop_gradient(bits) + (soft - jax.lax.stop_gradient(soft)) if hard else soft
        # log p(z) of fair coins is the same for all z, and the KL has it.
        likelihood = sight.log_joint(z) + sight.logits.shape[-1] * math.log(2.0)
        value = likelihood - bernoulli_kl(sight.logits)
        return Raised(value, (), value if hard else None)

    return Estimator(raised)


def binary_autoencoder(
    encoder: nn.Module,
    decoder: nn.Module,
    observation: Observation,
    optimizer: optax.GradientTransformation,
    *,
    estimator: Estimator,
    latent_dim: int,
    num_classes: int = 0,
    data_range: tuple[float, float] = (0.0, 1.0),
    axis_name: str | None = None,
) -> Model:
    """A VAE of independent bits, whose prior is fair coins.

    Args:
        encoder: Linen module, (x [b, *shape], y one-hot or None, train=) -> two heads [b, at least latent_dim / 2],
            which are the log odds side by side.
        decoder: Linen module, (z [b, latent_dim] of zeros and ones, y, train=) -> raw [b, *shape[:-1], channels *
            parameters].
        observation: what the raw output means; see `gvlab.models.observation`.
        optimizer: optax transformation of the joint gradients, of the estimator's network, too.
        estimator: `reinforce`, `nvil`, `arm`, `disarm`, `vimco` or `relaxed` of this module.
        latent_dim: bits.
        num_classes, data_range, axis_name: as in `variational_autoencoder`.

    Returns:
        A `Model` with states of type `BinaryState` and latents int32 [n, latent_dim]: `codes` are the likelier values
        of q(z|x), `code_sizes` all 2. The terms in training are `loss`, `kl_nats`, `grad_norm` and, unless the latents
        are relaxed, `elbo_nats`; of held-out examples `elbo_nats`, `kl_nats` and `reconstruction_nats`.
    """
    modules = {"encoder": encoder, "decoder": decoder}
    if estimator.network is not None:
        modules["baseline"] = estimator.network

    def log_odds(heads: tuple[Array, Array]) -> Float[Array, "batch latent"]:
        return jnp.concatenate(heads, axis=-1)[:, :latent_dim]

    def evaluating(state: BinaryState, name: str, inputs: Array, y: Array | None) -> Any:
        return eval_apply(modules[name], state.params[name], state.stats[name], inputs, y)

    def train_step(state: BinaryState, batch: Batch, key: PRNGKey) -> tuple[BinaryState, Info]:
        y = one_hot(batch.y, num_classes)
        uniforms = rng.uniform(key, (estimator.draws, batch.x.shape[0], latent_dim), axis_name, axis=1)

        def loss(params: PyTree) -> tuple[Float[Array, ""], tuple[Info, PyTree, PyTree]]:
            stats = dict(state.stats)

            def apply(name: str, inputs: Array, y: Array | None) -> Any:
                out, stats[name] = train_apply(modules[name], params[name], stats[name], inputs, y)
                return out

            def log_joint(z: Float[Array, "*k batch latent"]) -> Float[Array, "*k batch"]:
                raw = apply("decoder", z.reshape(-1, latent_dim), repeat(y, math.prod(z.shape[:-2])))
                likelihood = observation.log_prob(raw.reshape(*z.shape[:-1], *raw.shape[1:]), batch.x)
                return likelihood - latent_dim * math.log(2.0)

            logits = log_odds(apply("encoder", batch.x, y))
            baseline = partial(apply, "baseline", batch.x, y)
            found = estimator.raised(Sight(logits, uniforms, log_joint, baseline, state.memory, axis_name))
            value = (-found.objective + found.added).mean()
            info = {"loss": -found.objective.mean(), "kl_nats": bernoulli_kl(logits).mean()}
            if found.elbo_nats is not None:
                info["elbo_nats"] = found.elbo_nats.mean()
            return value, (info, stats, found.memory)

        grads, (info, stats, memory) = jax.grad(loss, has_aux=True)(state.params)
        grads = mean_over(grads, axis_name)
        updates, optimizer_state = updates_of(optimizer, grads, state.optimizer, state.params, state.step)
        new = BinaryState(
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            stats=stats,
            optimizer=optimizer_state,
            memory=memory,
        )
        return new, mean_over(info, axis_name) | {"grad_norm": tree.norm(grads)}

    def init(key: PRNGKey, batch: Batch) -> BinaryState:
        y = labels_for(None, 2, num_classes)
        keys = dict(zip(modules, jax.random.split(key, len(modules)), strict=True))
        z = jnp.zeros((2, latent_dim))
        made = jax.eval_shape(observation.mean, output_of(decoder, keys["decoder"], z, y)).shape[1:]
        if batch.x.shape[1:] != made:
            raise UserError(f"The data have the shape {batch.x.shape[1:]}, but the decoder makes {made}.")
        check_first_batch(batch, made, data_range, num_classes)
        x = jnp.zeros((2, *made))
        variables = {
            name: init_module(module, keys[name], z if name == "decoder" else x, y) for name, module in modules.items()
        }
        params = {name: of[0] for name, of in variables.items()}
        return BinaryState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            stats={name: of[1] for name, of in variables.items()},
            optimizer=optimizer.init(params),
            memory=estimator.memory,
        )

    def logits_of(state: BinaryState, batch: Batch) -> Float[Array, "batch latent"]:
        return log_odds(evaluating(state, "encoder", batch.x, one_hot(batch.y, num_classes)))

    def drawn(logits: Array, key: PRNGKey, k: int) -> Int[Array, "k batch latent"]:
        return (jax.random.uniform(key, (k, *logits.shape)) < jax.nn.sigmoid(logits)[None]).astype(jnp.int32)

    def codes(state: BinaryState, batch: Batch) -> Int[Array, "batch latent"]:
        return (logits_of(state, batch) > 0).astype(jnp.int32)

    def log_likelihood(state: BinaryState, batch: Batch, z: Int[Array, "k batch latent"]) -> Float[Array, "k batch"]:
        y = one_hot(batch.y, num_classes)
        rows = z.reshape(-1, latent_dim).astype(jnp.float32)
        raw = evaluating(state, "decoder", rows, repeat(y, z.shape[0]))
        return observation.log_prob(raw.reshape(*z.shape[:2], *raw.shape[1:]), batch.x)

    def evaluate(state: BinaryState, batch: Batch, key: PRNGKey) -> Info:
        logits = logits_of(state, batch)
        reconstruction = log_likelihood(state, batch, drawn(logits, key, 1))[0]
        kl = bernoulli_kl(logits)
        return {"elbo_nats": elbo(reconstruction, kl), "kl_nats": kl, "reconstruction_nats": reconstruction}

    def log_weights(state: BinaryState, batch: Batch, key: PRNGKey, k: int) -> Float[Array, "k batch"]:
        logits = logits_of(state, batch)
        z = drawn(logits, key, k)
        log_q = bernoulli_log_prob(logits, z.astype(jnp.float32))
        return log_likelihood(state, batch, z) - latent_dim * math.log(2.0) - log_q

    def prior(key: PRNGKey, n: Size) -> Int[Array, "n latent"]:
        return jax.random.bernoulli(key, 0.5, (n, latent_dim)).astype(jnp.int32)

    def decoded(state: BinaryState, z: Int[Array, "n latent"], y: Labels) -> Array:
        """The likelihood's raw parameters."""
        return evaluating(state, "decoder", z.astype(jnp.float32), labels_for(y, z.shape[0], num_classes))

    decode, sample, draw = generating(observation, decoded, lambda state, key, n: prior(key, n), data_range)

    return Model(
        init,
        train_step,
        sample,
        evaluate,
        prior,
        decode,
        log_likelihood=log_likelihood,
        log_weights=log_weights,
        draw=draw,
        codes=codes,
        code_sizes=(2,) * latent_dim,
    )
