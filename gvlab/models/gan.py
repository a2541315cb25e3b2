"""Generative adversarial networks as pure functions (Goodfellow et al. 2014)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from gvlab.augment import Augmentation
from gvlab.losses import Contest, non_saturating
from gvlab.losses import terms as sums
from gvlab.losses.adversarial import logits_of
from gvlab.losses.terms import Term
from gvlab.models import game as played
from gvlab.models.base import (
    Labels,
    check_first_batch,
    eval_apply,
    init_collections,
    labels_for,
    one_hot,
    output_of,
)
from gvlab.models.game import Decay, Game, GANState, Memory, Player
from gvlab.models.standing import standing_statistics
from gvlab.models.truncation import towards_mean
from gvlab.parallel import mean_over
from gvlab.types import Batch, Info, Judged, Model, PRNGKey, PyTree, Size, UserError


def alternating_gan(
    generator: nn.Module,
    discriminator: nn.Module,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    latent_dim: int,
    contest: Contest = non_saturating,
    discriminator_terms: Sequence[Term] = (),
    generator_terms: Sequence[Term] = (),
    augmentation: Augmentation | None = None,
    discriminator_steps: int = 1,
    ema_decay: float | Float[Array, ""] | Decay = 0.999,
    num_classes: int = 0,
    data_range: tuple[float, float] = (-1.0, 1.0),
    axis_name: str | None = None,
) -> Model:
    """A GAN trained by algorithm 1 of Goodfellow et al. 2014.

    A step takes `discriminator_steps` updates of the discriminator, each on its own share of the batch and its own
    generated images, then one update of the generator against the new discriminator. So a batch holds
    `discriminator_steps` times as many examples as an update sees. Where the generator's loss looks at real examples,
    they are those of the last share.

    Args:
        generator: Linen module, (z [b, latent_dim], y one-hot or None, train=) -> x [b, *shape] in `data_range`.
        discriminator: Linen module, (x, y, train=) -> logits [b], or a `Judged` of them and of what terms read.
        generator_optimizer: optax transformation of the generator's gradients.
        discriminator_optimizer: the discriminator's.
        latent_dim: length of the standard normal latent z.
        contest: what the two players minimise, each (real logits [b], fake logits [b]) -> loss [b].
        discriminator_terms: what is added to the discriminator's loss, in each of its updates.
        generator_terms: what is added to the generator's.
        augmentation: what is done to all images, real and generated, before the discriminator sees them; the slopes
            that terms look at go through it.
        discriminator_steps: updates of the discriminator per step.
        ema_decay: decay of the average of the generator (parameters and batch statistics) that `sample` and `decode`
            use, with `tree.ema_decay` for its first steps; or a function of the steps before and the images of a step.
        num_classes: 0, or the number of classes that both networks are conditioned on (Mirza & Osindero 2014).
        data_range: smallest and largest value of real data; `init` refuses anything outside.
        axis_name: name of the `pmap` axis over which gradients, statistics and losses are averaged.

    Returns:
        A `Model` with states of type `GANState` and the curves `d_loss`, `g_loss` (of the contest alone, in nats where
        it is of log-likelihoods), `real_logit`, `fake_logit`, `grad_norm/generator`, `grad_norm/discriminator`, and
        `d_term/...`, `g_term/...` for each term, `augmentation_p` for an augmentation.

    Raises:
        UserError: from `init`: a term takes the discriminator's gradient by single examples, but it has BatchNorm or
            sees several at once; or a term, or the contest, reads what it does not say.
    """
    game = Game(
        generator,
        discriminator,
        generator_optimizer,
        discriminator_optimizer,
        latent_dim,
        contest,
        discriminator_terms,
        generator_terms,
        augmentation,
        played.decay_of(ema_decay),
        num_classes,
        axis_name,
    )
    return _alternating(game, discriminator_steps, discriminator_steps, data_range)


def separate_gan(
    generator: nn.Module,
    discriminator: nn.Module,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    latent_dim: int,
    contest: Contest = non_saturating,
    discriminator_terms: Sequence[Term] = (),
    generator_terms: Sequence[Term] = (),
    augmentation: Augmentation | None = None,
    discriminator_steps: int = 1,
    ema_decay: float | Float[Array, ""] | Decay = 0.999,
    num_classes: int = 0,
    data_range: tuple[float, float] = (-1.0, 1.0),
    axis_name: str | None = None,
) -> Model:
    """A GAN trained as by `alternating_gan`, but with a batch of its own for the generator to be compared with.

    So a step's batch holds `discriminator_steps` + 1 times as many examples as an update sees, as in R3GAN's published
    training (Huang et al. 2024). Arguments and terms as in `alternating_gan`.
    """
    game = Game(
        generator,
        discriminator,
        generator_optimizer,
        discriminator_optimizer,
        latent_dim,
        contest,
        discriminator_terms,
        generator_terms,
        augmentation,
        played.decay_of(ema_decay),
        num_classes,
        axis_name,
    )
    return _alternating(game, discriminator_steps, discriminator_steps + 1, data_range)


def simultaneous_gan(
    generator: nn.Module,
    discriminator: nn.Module,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    latent_dim: int,
    contest: Contest = non_saturating,
    discriminator_terms: Sequence[Term] = (),
    generator_terms: Sequence[Term] = (),
    augmentation: Augmentation | None = None,
    ema_decay: float | Float[Array, ""] | Decay = 0.999,
    num_classes: int = 0,
    data_range: tuple[float, float] = (-1.0, 1.0),
    axis_name: str | None = None,
) -> Model:
    """A GAN whose two networks are updated at once, from one generated batch.

    Both gradients are taken at the old parameters, so the generator's forward pass and the discriminator's on the
    generated images are shared (simultaneous gradient descent; Mescheder et al. 2017, "The Numerics of GANs").
    Arguments and terms as in `alternating_gan`.
    """
    game = Game(
        generator,
        discriminator,
        generator_optimizer,
        discriminator_optimizer,
        latent_dim,
        contest,
        discriminator_terms,
        generator_terms,
        augmentation,
        played.decay_of(ema_decay),
        num_classes,
        axis_name,
    )

    def train_step(state: GANState, batch: Batch, key: PRNGKey) -> tuple[GANState, Info]:
        g, d, y = state.generator, state.discriminator, one_hot(batch.y, num_classes)
        z = played.latents(game, len(batch.x), key)
        sight = played.sight_of(game, state.augmentation, len(batch.x), batch.x.shape[1:], key)

        # 1. forward, once: each pull-back maps cotangents of an output to those of parameters (and images)
        def made(params: PyTree) -> tuple[Array, Player]:
            return played.generate_and_advance(game, replace(g, params=params), z, y, key)

        fake, pull_fake, g_after = jax.vjp(made, g.params, has_aux=True)
        real = sight.replaced(batch.x, fake)
        judged_real, pull_real, d_between = jax.vjp(
            lambda p: played.judge_and_advance(game, replace(d, params=p), sight.real(real), y), d.params, has_aux=True
        )
        judged_fake, pull_judged_fake, d_after = jax.vjp(
            lambda p, x: played.judge_and_advance(game, replace(d_between, params=p), sight.fake(x), y),
            d.params,
            fake,
            has_aux=True,
        )

        saw = played.as_it_saw(d, d_between, d_after)

        # 2. the losses, and their gradients with respect to the verdicts
        now = played.contest_at(game, state.step)
        d_loss, (to_real, to_fake) = jax.value_and_grad(
            lambda r, f: played.mean_loss(game, now.discriminator, r, f, y), argnums=(0, 1)
        )(judged_real, judged_fake)
        g_loss, to_generator = jax.value_and_grad(lambda f: played.mean_loss(game, now.generator, judged_real, f, y))(
            judged_fake
        )

        # 3. what the terms add to the discriminator's: through its verdicts, and through passes of their own
        d_term_grads, d_info, memory = None, {}, state.memory
        if discriminator_terms:

            def added_to_d(params: PyTree, r: Judged, f: Judged) -> tuple[Float[Array, ""], tuple[Info, Memory]]:
                before = tuple(replace(player, params=params) for player in saw)
                this = played.round_of(game, g, before, real, fake, z, y, r, f, state.step, key, sight)
                added, info, memory = played.added_terms(discriminator_terms, "d_term", this, state.memory)
                return added, (info, memory)

            (d_term_grads, r, f), (d_info, memory) = jax.grad(added_to_d, argnums=(0, 1, 2), has_aux=True)(
                d.params, judged_real, judged_fake
            )
            to_real, to_fake = jax.tree.map(jnp.add, (to_real, to_fake), (r, f))

        # 4. what they add to the generator's, through a pass of its own
        g_term_grads, g_info, g_memory = None, {}, state.generator_memory
        if generator_terms:

            def added_to_g(params: PyTree) -> tuple[Float[Array, ""], tuple[Info, Memory]]:
                before = replace(g, params=params)
                x, _ = played.generate(game, before, z, y, key)
                f, _ = played.judge(game, saw[1], sight.fake(x), y)
                this = played.round_of(game, before, saw, real, x, z, y, judged_real, f, state.step, key, sight)
                added, info, memory = played.added_terms(generator_terms, "g_term", this, state.generator_memory)
                return added, (info, memory)

            g_term_grads, (g_info, g_memory) = jax.grad(added_to_g, has_aux=True)(g.params)

        # 5. backward, through the discriminator twice and the generator once
        d_grads = jax.tree.map(jnp.add, pull_real(to_real)[0], pull_judged_fake(to_fake)[0])
        if d_term_grads is not None:
            d_grads = jax.tree.map(jnp.add, d_grads, d_term_grads)
        (g_grads,) = pull_fake(pull_judged_fake(to_generator)[1])
        if g_term_grads is not None:
            g_grads = jax.tree.map(jnp.add, g_grads, g_term_grads)

        d_next, d_norm = played.descend(
            discriminator_optimizer, replace(d_after, params=d.params), d_grads, state.step, axis_name
        )
        g_next, g_norm = played.descend(
            generator_optimizer, replace(g_after, params=g.params), g_grads, state.step, axis_name
        )
        info = played.discriminator_info(d_loss, judged_real.logits, judged_fake.logits)
        info |= {"g_loss": g_loss} | d_info | g_info
        remembered, seen = played.after_verdict(game, state.augmentation, judged_real.logits, state.step)
        norms = {"grad_norm/discriminator": d_norm, "grad_norm/generator": g_norm}
        after = replace(
            state,
            generator=g_next,
            discriminator=d_next,
            memory=memory,
            generator_memory=g_memory,
            augmentation=remembered,
        )
        return played.next_step(game, after, len(batch.x)), mean_over(info, axis_name) | seen | norms

    return _model(game, train_step, data_range)


def _alternating(game: Game, discriminator_steps: int, shares: int, data_range: tuple[float, float]) -> Model:
    """A share of the batch for each of the discriminator's updates, and the last one for the generator's."""
    of = " of the discriminator" if shares == discriminator_steps else ""

    def train_step(state: GANState, batch: Batch, key: PRNGKey) -> tuple[GANState, Info]:
        if len(batch.x) % shares:
            raise UserError(
                f"The batch has {len(batch.x)} examples (per device), which {shares} updates{of} cannot share "
                "equally: use a multiple."
            )
        # One share per update, taken in strides: then N devices see the same shares as one.
        shared = jax.tree.map(lambda leaf: leaf.reshape(-1, shares, *leaf.shape[1:]), batch)

        def share(i: int) -> Batch:
            return jax.tree.map(lambda leaf: leaf[:, i], shared)

        for i in range(discriminator_steps):
            remembered, updates = state.augmentation, state.step * discriminator_steps + i
            counted = updates if discriminator_steps > 1 else None
            state, d_info = played.discriminator_update(
                game, state, share(i), updates, jax.random.fold_in(key, i), counted
            )
        state, g_info = played.generator_update(
            game, state, share(shares - 1), remembered, jax.random.fold_in(key, discriminator_steps)
        )
        images = len(batch.x) // shares * discriminator_steps
        return played.next_step(game, state, images), d_info | g_info

    return _model(game, train_step, data_range)


def _model(
    game: Game,
    train_step: Callable[[GANState, Batch, PRNGKey], tuple[GANState, Info]],
    data_range: tuple[float, float],
) -> Model:
    generator, discriminator, num_classes = game.generator, game.discriminator, game.num_classes
    terms = (*game.discriminator_terms, *game.generator_terms)

    def init(key: PRNGKey, batch: Batch) -> GANState:
        z, y = jnp.zeros((2, game.latent_dim)), labels_for(None, 2, num_classes)
        g_key, d_key = jax.random.split(key)
        made = output_of(generator, g_key, z, y).shape[1:]
        if batch.x.shape[1:] != made:
            raise UserError(f"The data have the shape {batch.x.shape[1:]}, but the generator makes {made}.")
        check_first_batch(batch, made, data_range, num_classes)
        g_params, g_stats, g_others = init_collections(generator, g_key, z, y)
        d_params, d_stats, d_others = init_collections(discriminator, d_key, jnp.zeros((2, *made)), y)
        played.check_augmentation(game, made)
        if any(term.needs for term in terms) or game.contest.reads is not logits_of:
            played.check_verdict(game, Player(d_params, d_stats, (), d_others), jnp.zeros((2, *made)), y)
        played.check_coupling(game, d_stats)
        return GANState(
            step=jnp.zeros((), jnp.int32),
            generator=Player(g_params, g_stats, game.generator_optimizer.init(g_params), g_others),
            discriminator=Player(d_params, d_stats, game.discriminator_optimizer.init(d_params), d_others),
            # Copies: a step that donates its state may not be given one buffer twice.
            ema_params=jax.tree.map(jnp.copy, g_params),
            ema_stats=jax.tree.map(jnp.copy, g_stats),
            memory=sums.memories(game.discriminator_terms),
            generator_memory=sums.memories(game.generator_terms),
            augmentation=game.augmentation.init() if game.augmentation else {},
        )

    def prior(key: PRNGKey, n: Size) -> Float[Array, "n latent"]:
        return jax.random.normal(key, (n, game.latent_dim))

    def averaged(state: GANState, z: Array, y: Array | None) -> Array:
        g = state.generator
        return eval_apply(generator, state.ema_params, state.ema_stats, z, y, collections=g.collections)

    def judged(d: Player, x: Array, y: Array | None) -> Judged:
        return played.as_judged(eval_apply(discriminator, d.params, d.stats, x, y, collections=d.collections))

    def decode(state: GANState, z: Float[Array, "n latent"], y: Labels = None) -> Array:
        return averaged(state, z, labels_for(y, z.shape[0], num_classes))

    def sample(state: GANState, key: PRNGKey, n: Size, y: Labels = None) -> Array:
        return decode(state, prior(key, n), y)

    def evaluate(state: GANState, batch: Batch, key: PRNGKey) -> Info:
        d, y = state.discriminator, one_hot(batch.y, num_classes)
        fake = averaged(state, prior(key, len(batch.x)), y)
        judged_real, judged_fake, reads = judged(d, batch.x, y), judged(d, fake, y), game.contest.reads
        return {
            "d_loss": game.contest.discriminator(reads(judged_real, y), reads(judged_fake, y)),
            "real_logit": judged_real.logits,
            "fake_logit": judged_fake.logits,
        }

    def watch(state: GANState, train: Batch, held_out: Batch, key: PRNGKey) -> Info:
        """Of verdicts on examples as they are; `overfitting` is r_v of Karras et al. 2020, equation 1.

        What is told from signs, `real_sign` (r_t there) and the accuracies of each kind, is left out where they mean
        nothing.
        """
        g, d, y = state.generator, state.discriminator, one_hot(train.y, num_classes)
        z = prior(key, len(train.x))
        real = judged(d, train.x, y).logits
        unseen = judged(d, held_out.x, one_hot(held_out.y, num_classes)).logits
        made = eval_apply(generator, g.params, g.stats, z, y, collections=g.collections)
        fake = judged(d, made, y).logits
        lead = real.mean() - fake.mean()
        signs = {
            "d_accuracy_real": (real > 0).mean(),
            "d_accuracy_fake": (fake < 0).mean(),
            "real_sign": jnp.sign(real).mean(),
        }
        return (signs if game.contest.has_sign else {}) | {
            "d_accuracy_pairs": (real[:, None] > fake[None]).mean(),  # which no common offset of the logits changes
            "overfitting": (real.mean() - unseen.mean()) / jnp.where(lead == 0, 1.0, lead),
        }

    @functools.partial(jax.jit, static_argnums=3)  # once for all seeds
    def stats_after(state: GANState, stats: PyTree, key: PRNGKey, n: Size) -> PyTree:
        g = replace(state.generator, params=state.ema_params, stats=stats)
        return played.generate(game, g, prior(key, n), labels_for(None, n, num_classes), key)[1]

    def standing(state: GANState, key: PRNGKey, n: Size, batches: int) -> GANState:
        if not state.ema_stats:
            raise UserError(f"{type(generator).__name__} has no BatchNorm whose statistics could be estimated anew.")
        found = standing_statistics(lambda stats, k: stats_after(state, stats, k, n), state.ema_stats, key, batches)
        return replace(state, ema_stats=found)

    truncated = towards_mean(generator, prior, num_classes)
    return Model(init, train_step, sample, evaluate, prior, decode, watch=watch, standing=standing, truncated=truncated)
