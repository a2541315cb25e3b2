"""Generative adversarial networks as pure functions (Goodfellow et al. 2014)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from gvlab import rng, tree
from gvlab.losses import Contest, non_saturating
from gvlab.losses import terms as sums
from gvlab.losses.adversarial import PerPair
from gvlab.losses.terms import Round, Term
from gvlab.models.base import (
    Labels,
    check_first_batch,
    eval_apply,
    init_module,
    labels_for,
    one_hot,
    output_of,
    train_apply,
    updates_of,
)
from gvlab.parallel import gather, mean_over
from gvlab.types import Batch, Info, Model, PRNGKey, PyTree, Size, UserError

Memory: TypeAlias = dict[str, PyTree]


@flax.struct.dataclass
class Player:
    """One of the two networks, with its optimizer."""

    params: PyTree
    stats: PyTree
    optimizer: optax.OptState


@flax.struct.dataclass
class GANState:
    """All that a GAN carries from step to step."""

    step: PyTree
    """Int[Array, ""]; not declared so, because trees are also made of shapes (`eval_shape`) and of stacked states."""
    generator: Player
    discriminator: Player
    ema_params: PyTree
    ema_stats: PyTree
    memory: PyTree = flax.struct.field(default_factory=dict)
    """What the terms of the losses remember, by their names; a dict."""


class _Parts(NamedTuple):
    """What both kinds of update are made of."""

    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: optax.GradientTransformation
    discriminator_optimizer: optax.GradientTransformation
    latent_dim: int
    contest: Contest
    discriminator_terms: Sequence[Term]
    ema_decay: float | Float[Array, ""]
    num_classes: int
    axis_name: str | None


def alternating_gan(
    generator: nn.Module,
    discriminator: nn.Module,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    latent_dim: int,
    contest: Contest = non_saturating,
    discriminator_terms: Sequence[Term] = (),
    discriminator_steps: int = 1,
    ema_decay: float | Float[Array, ""] = 0.999,
    num_classes: int = 0,
    data_range: tuple[float, float] = (-1.0, 1.0),
    axis_name: str | None = None,
) -> Model:
    """A GAN trained by algorithm 1 of Goodfellow et al. 2014.

    A step takes `discriminator_steps` updates of the discriminator, each on its own share of the batch and its own
    generated images, then one update of the generator against the new discriminator. So a batch holds
    `discriminator_steps` times as many examples as an update sees.

    Args:
        generator: Linen module, (z [b, latent_dim], y one-hot or None, train=) -> x [b, *shape] in `data_range`.
        discriminator: Linen module, (x, y, train=) -> logits [b].
        generator_optimizer: optax transformation of the generator's gradients.
        discriminator_optimizer: the discriminator's.
        latent_dim: length of the standard normal latent z.
        contest: what the two players minimise, each (real logits [b], fake logits [b]) -> loss [b].
        discriminator_terms: what is added to the discriminator's loss, in each of its updates.
        discriminator_steps: updates of the discriminator per step.
        ema_decay: decay of the average of the generator (parameters and batch statistics) that `sample` and `decode`
            use; see `tree.ema_decay` for its first steps.
        num_classes: 0, or the number of classes that both networks are conditioned on (Mirza & Osindero 2014).
        data_range: smallest and largest value of real data; `init` refuses anything outside.
        axis_name: name of the `pmap` axis over which gradients, statistics and losses are averaged.

    Returns:
        A `Model` with states of type `GANState` and the curves `d_loss`, `g_loss` (of the contest alone, in nats where
        it is of log-likelihoods), `real_logit`, `fake_logit`, `grad_norm/generator`, `grad_norm/discriminator`, and
        `d_term/...` for each of `discriminator_terms`.

    Raises:
        UserError: from `init`: a term takes the discriminator's gradient by single examples, but it has BatchNorm.
    """
    parts = _Parts(
        generator,
        discriminator,
        generator_optimizer,
        discriminator_optimizer,
        latent_dim,
        contest,
        discriminator_terms,
        ema_decay,
        num_classes,
        axis_name,
    )

    def train_step(state: GANState, batch: Batch, key: PRNGKey) -> tuple[GANState, Info]:
        if len(batch.x) % discriminator_steps:
            raise UserError(
                f"The batch has {len(batch.x)} examples (per device), which {discriminator_steps} updates of the "
                "discriminator cannot share equally: use a multiple."
            )
        # One share per discriminator update, taken in strides: then N devices see the same shares as one.
        shares = jax.tree.map(lambda leaf: leaf.reshape(-1, discriminator_steps, *leaf.shape[1:]), batch)
        g, d, memory = state.generator, state.discriminator, state.memory
        for i in range(discriminator_steps):
            share = jax.tree.map(lambda leaf, i=i: leaf[:, i], shares)
            d, memory, d_info = _discriminator_update(
                parts, g, d, memory, share, state.step, jax.random.fold_in(key, i)
            )
        g, g_info = _generator_update(parts, g, d, share, state.step, jax.random.fold_in(key, discriminator_steps))
        return _next(parts, state, g, d, memory), d_info | g_info

    return _model(parts, train_step, data_range)


def simultaneous_gan(
    generator: nn.Module,
    discriminator: nn.Module,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    latent_dim: int,
    contest: Contest = non_saturating,
    discriminator_terms: Sequence[Term] = (),
    ema_decay: float | Float[Array, ""] = 0.999,
    num_classes: int = 0,
    data_range: tuple[float, float] = (-1.0, 1.0),
    axis_name: str | None = None,
) -> Model:
    """A GAN whose two networks are updated at once, from one generated batch.

    Both gradients are taken at the old parameters, so the generator's forward pass and the discriminator's on the
    generated images are shared (simultaneous gradient descent; Mescheder et al. 2017, "The Numerics of GANs").
    Arguments and terms as in `alternating_gan`.
    """
    parts = _Parts(
        generator,
        discriminator,
        generator_optimizer,
        discriminator_optimizer,
        latent_dim,
        contest,
        discriminator_terms,
        ema_decay,
        num_classes,
        axis_name,
    )

    def train_step(state: GANState, batch: Batch, key: PRNGKey) -> tuple[GANState, Info]:
        g, d, y = state.generator, state.discriminator, one_hot(batch.y, num_classes)
        z = rng.normal(key, (len(batch.x), latent_dim), axis_name)

        # 1. forward, once: each pull-back maps cotangents of an output to those of parameters (and images)
        fake, pull_fake, g_stats = jax.vjp(lambda p: train_apply(generator, p, g.stats, z, y), g.params, has_aux=True)
        real_logits, pull_real_logits, stats = jax.vjp(
            lambda p: train_apply(discriminator, p, d.stats, batch.x, y), d.params, has_aux=True
        )
        fake_logits, pull_fake_logits, d_stats = jax.vjp(
            lambda p, x: train_apply(discriminator, p, stats, x, y), d.params, fake, has_aux=True
        )

        # 2. the losses, and their gradients with respect to the logits
        d_loss, (to_real, to_fake) = jax.value_and_grad(
            lambda r, f: _mean_loss(contest.discriminator, r, f, axis_name), argnums=(0, 1)
        )(real_logits, fake_logits)
        g_loss, to_generator = jax.value_and_grad(lambda f: _mean_loss(contest.generator, real_logits, f, axis_name))(
            fake_logits
        )

        # 3. what the terms add to the discriminator's: through its logits, and through passes of their own
        term_grads, term_info, memory = None, {}, state.memory
        if discriminator_terms:

            def added(params: PyTree, r: Array, f: Array) -> tuple[Float[Array, ""], tuple[Info, Memory]]:
                this = _round(parts, g, replace(d, params=params), batch.x, fake, z, y, r, f, state.step, key)
                return _discriminator_terms(parts, this, memory)

            (term_grads, r, f), (term_info, memory) = jax.grad(added, argnums=(0, 1, 2), has_aux=True)(
                d.params, real_logits, fake_logits
            )
            to_real, to_fake = to_real + r, to_fake + f

        # 4. backward, through the discriminator twice and the generator once
        d_grads = jax.tree.map(jnp.add, pull_real_logits(to_real)[0], pull_fake_logits(to_fake)[0])
        if discriminator_terms:
            d_grads = jax.tree.map(jnp.add, d_grads, term_grads)
        (g_grads,) = pull_fake(pull_fake_logits(to_generator)[1])

        d, d_norm = _descend(discriminator_optimizer, d, d_grads, d_stats, state.step, axis_name)
        g, g_norm = _descend(generator_optimizer, g, g_grads, g_stats, state.step, axis_name)
        info = _discriminator_info(d_loss, real_logits, fake_logits) | {"g_loss": g_loss} | term_info
        norms = {"grad_norm/discriminator": d_norm, "grad_norm/generator": g_norm}
        return _next(parts, state, g, d, memory), mean_over(info, axis_name) | norms

    return _model(parts, train_step, data_range)


def _discriminator_update(
    parts: _Parts, g: Player, d: Player, memory: Memory, batch: Batch, step: Int[Array, ""], key: PRNGKey
) -> tuple[Player, Memory, Info]:
    y = one_hot(batch.y, parts.num_classes)
    z = rng.normal(key, (len(batch.x), parts.latent_dim), parts.axis_name)
    fake, _ = train_apply(parts.generator, g.params, g.stats, z, y)

    def objective(params: PyTree) -> tuple[Float[Array, ""], tuple[Info, PyTree, Memory]]:
        real_logits, stats = train_apply(parts.discriminator, params, d.stats, batch.x, y)
        fake_logits, stats = train_apply(parts.discriminator, params, stats, fake, y)
        loss = _mean_loss(parts.contest.discriminator, real_logits, fake_logits, parts.axis_name)
        info = _discriminator_info(loss, real_logits, fake_logits)
        if not parts.discriminator_terms:
            return loss, (info, stats, memory)
        this = _round(parts, g, replace(d, params=params), batch.x, fake, z, y, real_logits, fake_logits, step, key)
        added, (term_info, after) = _discriminator_terms(parts, this, memory)
        return loss + added, (info | term_info, stats, after)

    grads, (info, stats, memory_after) = jax.grad(objective, has_aux=True)(d.params)
    d, norm = _descend(parts.discriminator_optimizer, d, grads, stats, step, parts.axis_name)
    return d, memory_after, mean_over(info, parts.axis_name) | {"grad_norm/discriminator": norm}


def _round(
    parts: _Parts,
    g: Player,
    d: Player,
    real: Array,
    fake: Array,
    z: Array,
    y: Array | None,
    on_real: Array,
    on_fake: Array,
    step: Int[Array, ""],
    key: PRNGKey,
) -> Round:
    """What the terms of the discriminator's loss may look at; what none of them does, XLA drops."""

    def critic(x: Array) -> Array:
        return train_apply(parts.discriminator, d.params, d.stats, x, y)[0]

    def generate(z: Array) -> Array:
        return train_apply(parts.generator, g.params, g.stats, z, y)[0]

    noise = rng.stream(key, rng.TERMS)
    return Round(step, noise, real, fake, z, critic, generate, on_real, on_fake, parts.axis_name)


def _discriminator_terms(parts: _Parts, this: Round, memory: Memory) -> tuple[Float[Array, ""], tuple[Info, Memory]]:
    """The sum of the terms, a curve for each, and what they remember."""
    added, means, memory = sums.summed(parts.discriminator_terms, this, memory)
    return added, ({f"d_term/{name}": mean for name, mean in means.items()}, memory)


def _generator_update(
    parts: _Parts, g: Player, d: Player, batch: Batch, step: Int[Array, ""], key: PRNGKey
) -> tuple[Player, Info]:
    y = one_hot(batch.y, parts.num_classes)
    z = rng.normal(key, (len(batch.x), parts.latent_dim), parts.axis_name)
    # Dropped before it is compiled where the contest's generator leaves it unread.
    real_logits, _ = train_apply(parts.discriminator, d.params, d.stats, batch.x, y)

    def objective(params: PyTree) -> tuple[Float[Array, ""], PyTree]:
        fake, stats = train_apply(parts.generator, params, g.stats, z, y)
        fake_logits, _ = train_apply(parts.discriminator, d.params, d.stats, fake, y)
        return _mean_loss(parts.contest.generator, real_logits, fake_logits, parts.axis_name), stats

    (loss, stats), grads = jax.value_and_grad(objective, has_aux=True)(g.params)
    g, norm = _descend(parts.generator_optimizer, g, grads, stats, step, parts.axis_name)
    return g, mean_over({"g_loss": loss}, parts.axis_name) | {"grad_norm/generator": norm}


def _mean_loss(side: PerPair, real_logits: Array, fake_logits: Array, axis_name: str | None) -> Float[Array, ""]:
    """Over the batch of all devices, which a contest may look at as a whole (means, ranks)."""
    # Every device has the same loss, of its own logits and of the others': their gradients add up on the way back.
    return side(*gather((real_logits, fake_logits), axis_name)).mean()


def _discriminator_info(loss: Array, real_logits: Array, fake_logits: Array) -> Info:
    return {"d_loss": loss, "real_logit": real_logits.mean(), "fake_logit": fake_logits.mean()}


def _descend(
    optimizer: optax.GradientTransformation,
    player: Player,
    grads: PyTree,
    stats: PyTree,
    step: Int[Array, ""],
    axis_name: str | None,
) -> tuple[Player, Float[Array, ""]]:
    """The player after one optimizer update, and the norm of its gradient."""
    grads = mean_over(grads, axis_name)
    updates, optimizer_state = updates_of(optimizer, grads, player.optimizer, player.params, step)
    params = optax.apply_updates(player.params, updates)
    return Player(params=params, stats=stats, optimizer=optimizer_state), tree.norm(grads)


def _next(parts: _Parts, state: GANState, g: Player, d: Player, memory: Memory) -> GANState:
    decay = tree.ema_decay(parts.ema_decay, state.step)
    return GANState(
        step=state.step + 1,
        generator=g,
        discriminator=d,
        ema_params=tree.ema(state.ema_params, g.params, decay),
        ema_stats=tree.ema(state.ema_stats, g.stats, decay),
        memory=memory,
    )


def _model(
    parts: _Parts,
    train_step: Callable[[GANState, Batch, PRNGKey], tuple[GANState, Info]],
    data_range: tuple[float, float],
) -> Model:
    generator, discriminator, num_classes = parts.generator, parts.discriminator, parts.num_classes

    def init(key: PRNGKey, batch: Batch) -> GANState:
        z, y = jnp.zeros((2, parts.latent_dim)), labels_for(None, 2, num_classes)
        g_key, d_key = jax.random.split(key)
        made = output_of(generator, g_key, z, y).shape[1:]
        if batch.x.shape[1:] != made:
            raise UserError(f"The data have the shape {batch.x.shape[1:]}, but the generator makes {made}.")
        check_first_batch(batch, made, data_range, num_classes)
        g_params, g_stats = init_module(generator, g_key, z, y)
        d_params, d_stats = init_module(discriminator, d_key, jnp.zeros((2, *made)), y)
        for term in parts.discriminator_terms:
            if term.by_example and d_stats:
                raise UserError(
                    f"The term {term.name} takes the gradient of {type(discriminator).__name__} by single examples, "
                    "but its BatchNorm couples those of a batch: use a discriminator without."
                )
        return GANState(
            step=jnp.zeros((), jnp.int32),
            generator=Player(g_params, g_stats, parts.generator_optimizer.init(g_params)),
            discriminator=Player(d_params, d_stats, parts.discriminator_optimizer.init(d_params)),
            # Copies: a step that donates its state may not be given one buffer twice.
            ema_params=jax.tree.map(jnp.copy, g_params),
            ema_stats=jax.tree.map(jnp.copy, g_stats),
            memory=sums.memories(parts.discriminator_terms),
        )

    def prior(key: PRNGKey, n: Size) -> Float[Array, "n latent"]:
        return jax.random.normal(key, (n, parts.latent_dim))

    def decode(state: GANState, z: Float[Array, "n latent"], y: Labels = None) -> Array:
        return eval_apply(generator, state.ema_params, state.ema_stats, z, labels_for(y, z.shape[0], num_classes))

    def sample(state: GANState, key: PRNGKey, n: int, y: Labels = None) -> Array:
        return decode(state, prior(key, n), y)

    def evaluate(state: GANState, batch: Batch, key: PRNGKey) -> Info:
        d, y = state.discriminator, one_hot(batch.y, num_classes)
        fake = eval_apply(generator, state.ema_params, state.ema_stats, prior(key, len(batch.x)), y)
        real_logits = eval_apply(discriminator, d.params, d.stats, batch.x, y)
        fake_logits = eval_apply(discriminator, d.params, d.stats, fake, y)
        return {
            "d_loss": parts.contest.discriminator(real_logits, fake_logits),
            "real_logit": real_logits,
            "fake_logit": fake_logits,
        }

    return Model(init, train_step, sample, evaluate, prior, decode)
