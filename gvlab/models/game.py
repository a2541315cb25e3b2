"""What the two players of a GAN do in one update each: the parts of a game, and its state."""

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
from gvlab.augment import Augmentation, Verdict
from gvlab.losses import Contest
from gvlab.losses import terms as sums
from gvlab.losses.adversarial import PerPair
from gvlab.losses.terms import Round, Styled, Term
from gvlab.models.base import advancing_apply, one_hot, train_apply, updates_of
from gvlab.parallel import gather, mean_over
from gvlab.types import Batch, Info, Judged, PRNGKey, PyTree, UserError

Memory: TypeAlias = dict[str, PyTree]
Decay: TypeAlias = Callable[[Int[Array, ""], int], Float[Array, ""]]
"""(train steps before, images a step) -> decay of the generator's average."""


@flax.struct.dataclass
class Player:
    """One of the two networks, with its optimizer."""

    params: PyTree
    stats: PyTree
    optimizer: optax.OptState
    collections: PyTree = flax.struct.field(default_factory=dict)
    """Every other Linen collection by name, such as the singular vectors of spectral normalisation."""


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
    """What the terms of the discriminator's loss remember, by their names; a dict."""
    generator_memory: PyTree = flax.struct.field(default_factory=dict)
    """What those of the generator's loss remember."""
    augmentation: PyTree = flax.struct.field(default_factory=dict)
    """What the augmentation remembers: its probability, and what that is set by."""


class Game(NamedTuple):
    """What all kinds of update are made of."""

    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: optax.GradientTransformation
    discriminator_optimizer: optax.GradientTransformation
    latent_dim: int
    contest: Contest
    discriminator_terms: Sequence[Term]
    generator_terms: Sequence[Term]
    augmentation: Augmentation | None
    decay: Decay
    num_classes: int
    axis_name: str | None


class Sight(NamedTuple):
    """What the discriminator sees of an update's examples: each kind through its own draws of the augmentation."""

    real: Callable[[Array], Array]
    fake: Callable[[Array], Array]
    replaced: Callable[[Array, Array], Array]
    """(real, fake) -> the examples that count as real."""


def sight_of(game: Game, remembered: PyTree, n: int, shape: tuple[int, ...], key: PRNGKey) -> Sight:
    """One look at n examples of each kind."""
    if game.augmentation is None:
        return Sight(lambda x: x, lambda x: x, lambda real, fake: real)
    transform, p = game.augmentation.transform, game.augmentation.p(remembered)
    on_real, on_fake = jax.random.split(rng.stream(key, rng.VIEW))
    draws = [transform.draw(k, n, shape, game.axis_name) for k in (on_real, on_fake)]
    return Sight(
        lambda x: transform.apply(draws[0], x, p),
        lambda x: transform.apply(draws[1], x, p),
        lambda real, fake: transform.deceive(draws[0], real, fake, p),
    )


def latents(game: Game, n: int, key: PRNGKey) -> Float[Array, "n latent"]:
    return rng.normal(key, (n, game.latent_dim), game.axis_name)


def draws_of(game: Game, key: PRNGKey) -> dict[str, PRNGKey] | None:
    """The stream of a generator that draws more than its latents, such as StyleGAN2's noise; the same for all its
    passes of one update."""
    return {"noise": rng.stream(key, rng.NOISE)} if getattr(game.generator, "draws", False) else None


def generate(game: Game, g: Player, z: Array, y: Array | None, key: PRNGKey) -> tuple[Array, PyTree]:
    """(examples, batch statistics) of the generator in training; the key is the update's."""
    rngs = draws_of(game, key)
    return train_apply(game.generator, g.params, g.stats, z, y, collections=g.collections, rngs=rngs)


def generate_and_advance(game: Game, g: Player, z: Array, y: Array | None, key: PRNGKey) -> tuple[Array, Player]:
    """The examples, and the generator with what it keeps besides its parameters."""
    rngs = draws_of(game, key)
    x, stats, collections = advancing_apply(game.generator, g.params, g.stats, g.collections, z, y, rngs=rngs)
    return x, replace(g, stats=stats, collections=collections)


def styled_by(game: Game, g: Player, y: Array | None, key: PRNGKey) -> Callable[[Array], Styled] | None:
    """The generator in its two halves, as terms are given it; None where it has no styles."""
    if not getattr(game.generator, "styled", False):
        return None

    def half(method: str, *inputs: Array | None) -> Array:
        options = {"collections": g.collections, "rngs": draws_of(game, key), "method": method}
        return train_apply(game.generator, g.params, g.stats, *inputs, **options)[0]

    return lambda z: (half("styles", z, None if y is None else y[: len(z)]), lambda ws: half("images", ws))


def as_judged(output: Judged | Float[Array, " batch"]) -> Judged:
    """What a discriminator gives, which may be logits alone."""
    return output if isinstance(output, Judged) else Judged(output)


def judge(game: Game, d: Player, x: Array, y: Array | None) -> tuple[Judged, PyTree]:
    """(verdict, batch statistics) of the discriminator in training; of what `Sight` shows of examples."""
    output, stats = train_apply(game.discriminator, d.params, d.stats, x, y, collections=d.collections)
    return as_judged(output), stats


def judge_and_advance(game: Game, d: Player, x: Array, y: Array | None) -> tuple[Judged, Player]:
    """The verdict, and the discriminator with what it keeps besides its parameters."""
    output, stats, collections = advancing_apply(game.discriminator, d.params, d.stats, d.collections, x, y)
    return as_judged(output), replace(d, stats=stats, collections=collections)


def discriminator_update(
    game: Game,
    state: GANState,
    batch: Batch,
    updates: Int[Array, ""],
    key: PRNGKey,
    counted: Int[Array, ""] | None = None,
) -> tuple[GANState, Info]:
    """The state after one descent of the discriminator on a batch and as many generated examples.

    `updates` are those of the discriminator before this one, in all steps; `counted` are the same, for terms, where a
    step has several.
    """
    g, d, step = state.generator, state.discriminator, state.step
    y = one_hot(batch.y, game.num_classes)
    z = latents(game, len(batch.x), key)
    fake, _ = generate(game, g, z, y, key)
    sight = sight_of(game, state.augmentation, len(batch.x), batch.x.shape[1:], key)
    real = sight.replaced(batch.x, fake)

    def objective(params: PyTree) -> tuple[Float[Array, ""], tuple[Info, Player, Memory, Array]]:
        before = replace(d, params=params)
        judged_real, between = judge_and_advance(game, before, sight.real(real), y)
        judged_fake, after = judge_and_advance(game, between, sight.fake(fake), y)
        loss = mean_loss(game, contest_at(game, step).discriminator, judged_real, judged_fake, y)
        info, memory = discriminator_info(loss, judged_real.logits, judged_fake.logits), state.memory
        if game.discriminator_terms:
            saw = as_it_saw(before, between, after)
            this = round_of(game, g, saw, real, fake, z, y, judged_real, judged_fake, step, key, sight)
            this = this._replace(updates=counted)
            added, term_info, memory = added_terms(game.discriminator_terms, "d_term", this, memory)
            loss, info = loss + added, info | term_info
        return loss, (info, after, memory, judged_real.logits)

    grads, (info, after, memory, real_logits) = jax.grad(objective, has_aux=True)(d.params)
    d, norm = descend(game.discriminator_optimizer, replace(after, params=d.params), grads, step, game.axis_name)
    remembered, seen = after_verdict(game, state.augmentation, real_logits, updates)
    info = mean_over(info, game.axis_name) | seen | {"grad_norm/discriminator": norm}
    return replace(state, discriminator=d, memory=memory, augmentation=remembered), info


def generator_update(
    game: Game, state: GANState, batch: Batch, remembered: PyTree, key: PRNGKey
) -> tuple[GANState, Info]:
    """The state after one descent of the generator against the discriminator as it is.

    `remembered` is the augmentation's memory of the discriminator's last update, so that both look alike.
    """
    g, d, step = state.generator, state.discriminator, state.step
    y = one_hot(batch.y, game.num_classes)
    z = latents(game, len(batch.x), key)
    sight = sight_of(game, remembered, len(batch.x), batch.x.shape[1:], key)
    # Dropped before it is compiled where the contest's generator leaves it unread.
    judged_real, _ = judge(game, d, sight.real(batch.x), y)

    def objective(params: PyTree) -> tuple[Float[Array, ""], tuple[Array, Info, Player, Memory]]:
        before = replace(g, params=params)
        fake, after = generate_and_advance(game, before, z, y, key)
        judged_fake, _ = judge(game, d, sight.fake(fake), y)
        contest = mean_loss(game, contest_at(game, step).generator, judged_real, judged_fake, y)
        info: Info = {}
        loss, memory = contest, state.generator_memory
        if game.generator_terms:
            this = round_of(game, before, (d, d), batch.x, fake, z, y, judged_real, judged_fake, step, key, sight)
            added, info, memory = added_terms(game.generator_terms, "g_term", this, memory)
            loss = contest + added
        return loss, (contest, info, after, memory)

    grads, (loss, info, after, memory) = jax.grad(objective, has_aux=True)(g.params)
    g, norm = descend(game.generator_optimizer, replace(after, params=g.params), grads, step, game.axis_name)
    info = mean_over({"g_loss": loss} | info, game.axis_name) | {"grad_norm/generator": norm}
    return replace(state, generator=g, generator_memory=memory), info


def after_verdict(game: Game, remembered: PyTree, real_logits: Array, updates: Int[Array, ""]) -> tuple[PyTree, Info]:
    """The augmentation's memory after an update of the discriminator, and its probability in that update."""
    if game.augmentation is None:
        return remembered, {}
    on_real = gather(real_logits, game.axis_name)
    verdict = Verdict(updates.astype(jnp.float32) * len(on_real), on_real)
    return game.augmentation.update(remembered, verdict), {"augmentation_p": game.augmentation.p(remembered)}


def as_it_saw(d: Player, *after: Player) -> tuple[Player, ...]:
    """The discriminator with what each of its passes had advanced, such as singular vectors, and computed with.

    So what a term compares with a logit of that pass is judged by the same function.
    """
    return tuple(replace(d, collections=player.collections) for player in after)


def round_of(
    game: Game,
    g: Player,
    saw: tuple[Player, ...],
    real: Array,
    fake: Array,
    z: Array,
    y: Array | None,
    judged_real: Judged,
    judged_fake: Judged,
    step: Int[Array, ""],
    key: PRNGKey,
    sight: Sight,
) -> Round:
    """What the terms of a loss may look at; what none of them does, XLA drops.

    `saw` are the discriminator as it judged the real examples, and as it judged the generated ones.
    """
    of_real, of_fake = saw
    return Round(
        step=step,
        key=rng.stream(key, rng.TERMS),
        real=real,
        fake=fake,
        z=z,
        critic=lambda x: judge(game, of_real, sight.real(x), y)[0].logits,
        generate=lambda z: generate(game, g, z, y, key)[0],
        on_real=judged_real.logits,
        on_fake=judged_fake.logits,
        axis_name=game.axis_name,
        critic_of_fake=lambda x: judge(game, of_fake, sight.fake(x), y)[0].logits,
        y=y,
        judged_real=judged_real,
        judged_fake=judged_fake,
        styled=styled_by(game, g, y, key),
    )


def added_terms(terms: Sequence[Term], name: str, this: Round, memory: Memory) -> tuple[Float[Array, ""], Info, Memory]:
    """The sum of the terms, a curve for each under that name, and what they remember."""
    added, means, memory = sums.summed(terms, this, memory)
    return added, {f"{name}/{term}": mean for term, mean in means.items()}, memory


def contest_at(game: Game, step: Int[Array, ""]) -> Contest:
    """The contest of a train step."""
    return game.contest.at(step) if game.contest.at else game.contest


def mean_loss(game: Game, side: PerPair, real: Judged, fake: Judged, y: Array | None) -> Float[Array, ""]:
    """Over the batch of all devices, which a contest may look at as a whole (means, ranks)."""
    read = game.contest.reads(real, y), game.contest.reads(fake, y)
    # Every device has the same loss, of its own logits and of the others': their gradients add up on the way back.
    return side(*gather(read, game.axis_name)).mean()


def check_augmentation(game: Game, shape: tuple[int, ...]) -> None:
    """Raises UserError if the augmentation cannot take such examples, or follows signs that mean nothing."""
    if game.augmentation is None:
        return
    game.augmentation.transform.check(shape)
    if game.augmentation.by_sign and not game.contest.has_sign:
        raise UserError(
            f"The probability of {game.augmentation.transform.name} follows the sign of the logits, but in this "
            "contest it does not tell real examples from generated ones: use a ramp, or a constant."
        )


def check_coupling(game: Game, d_stats: PyTree) -> None:
    """Raises UserError if a term takes slopes by single examples, of which the discriminator sees several at once."""
    name = type(game.discriminator).__name__
    for term in (*game.discriminator_terms, *game.generator_terms):
        if term.by_example and d_stats:
            raise UserError(
                f"The term {term.name} takes the gradient of {name} by single examples, but its BatchNorm couples "
                "those of a batch: use a discriminator without."
            )
        if term.by_example and getattr(game.discriminator, "couples", False):
            raise UserError(
                f"The term {term.name} takes the gradient of {name} by single examples, but a logit of it is that of "
                "several, whose slope would count for each: use packing=1, or a term by finite differences."
            )


def check_verdict(game: Game, d: Player, x: Array, y: Array | None) -> None:
    """Raises UserError if a term, or the contest, reads what the discriminator does not say; computes nothing."""

    def said() -> Judged:
        judged, _ = judge(game, d, x, y)
        game.contest.reads(judged, y)
        return judged

    judged, name = jax.eval_shape(said), type(game.discriminator).__name__
    for term in (*game.discriminator_terms, *game.generator_terms):
        if term.needs and y is None:
            raise UserError(f"The term {term.name} is about classes, but the model has none: make it conditional.")
        for field in term.needs:
            if getattr(judged, field) is None:
                raise UserError(
                    f"The term {term.name} reads Judged.{field}, which {name} does not give: use another head of it, "
                    "or another term."
                )


def discriminator_info(loss: Array, real_logits: Array, fake_logits: Array) -> Info:
    return {"d_loss": loss, "real_logit": real_logits.mean(), "fake_logit": fake_logits.mean()}


def descend(
    optimizer: optax.GradientTransformation,
    player: Player,
    grads: PyTree,
    step: Int[Array, ""],
    axis_name: str | None,
) -> tuple[Player, Float[Array, ""]]:
    """The player after one optimizer update, and the norm of its gradient."""
    grads = mean_over(grads, axis_name)
    updates, optimizer_state = updates_of(optimizer, grads, player.optimizer, player.params, step)
    params = optax.apply_updates(player.params, updates)
    return replace(player, params=params, optimizer=optimizer_state), tree.norm(grads)


def next_step(game: Game, state: GANState, images: int) -> GANState:
    """The state with the average of its generator, one step on; `images` are a device's."""
    everywhere = images if game.axis_name is None else images * jax.lax.axis_size(game.axis_name)
    decay = game.decay(state.step, everywhere)
    return replace(
        state,
        step=state.step + 1,
        ema_params=tree.ema(state.ema_params, state.generator.params, decay),
        ema_stats=tree.ema(state.ema_stats, state.generator.stats, decay),
    )


def decay_of(decay: float | Float[Array, ""] | Decay) -> Decay:
    """The function itself, or that of a decay stated per step; see `tree.ema_decay` for its first steps."""
    return decay if callable(decay) else lambda step, images: tree.ema_decay(decay, step)
