"""VAEs whose encoder is trained until it has caught up with the decoder, before each step of that (He et al. 2019).

In a plain VAE q(z|x) lags behind the model's true posterior at first, and the decoder learns to do without z before z
tells it anything. Here a train step is a loop of updates of what q is made of, then one update of the rest.

Reference: He, Spokoyny, Neubig & Berg-Kirkpatrick, "Lagging Inference Networks and Posterior Collapse in Variational
Autoencoders", 2019, section 4.2 and algorithm 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from gvlab import rng
from gvlab.models.latents import VAEState
from gvlab.types import Batch, Info, Model, PRNGKey, PyTree, UserError

OF_INFERENCE = frozenset({"encoder", "posterior"})
"""The networks that q(z|x) is made of; all others are p's."""


def in_parts(
    optimizer: optax.GradientTransformation, moves_inference: bool, moves_model: bool
) -> optax.GradientTransformation:
    """An optimizer with a memory for q's networks and another for p's, of which a step moves one or both.

    A part that does not move keeps its memory, and its parameters to the last bit.
    """
    # Sums with minus zero are what they were, also of zeros of either sign.
    moves = {"inference": moves_inference, "model": moves_model}

    def parts_of(named: PyTree) -> dict[str, PyTree]:
        return {
            "inference": {name: of for name, of in named.items() if name in OF_INFERENCE},
            "model": {name: of for name, of in named.items() if name not in OF_INFERENCE},
        }

    def init(params: PyTree) -> PyTree:
        return {part: optimizer.init(of) for part, of in parts_of(params).items()}

    def update(grads: PyTree, state: PyTree, params: PyTree = None, **given: Array) -> tuple[PyTree, PyTree]:
        updates: dict[str, PyTree] = {}
        new: dict[str, PyTree] = {}
        for (part, of), own in zip(parts_of(grads).items(), parts_of(params).values(), strict=True):
            if moves[part]:
                found, new[part] = optax.with_extra_args_support(optimizer).update(of, state[part], own, **given)
            else:
                found, new[part] = jax.tree.map(lambda leaf: jnp.full_like(leaf, -0.0), of), state[part]
            updates |= found
        return {name: updates[name] for name in grads}, new

    return optax.GradientTransformationExtraArgs(init, update)


class Inner(NamedTuple):
    """What a loop of updates of the encoder has come to."""

    state: VAEState
    done: Int[Array, ""]
    """Updates."""
    total: Float[Array, ""]
    """Loss, of those since the last look."""
    before: Float[Array, ""]
    """The mean loss between the last two looks."""
    improves: Array
    """Whether it was no more at the last look than before."""


def in_turns(
    make: Callable[[optax.GradientTransformation], Model],
    optimizer: optax.GradientTransformation,
    *,
    most: int,
    window: int,
    until: int,
) -> Model:
    """A VAE that is trained by algorithm 1 of He et al. for its first steps, then as any other.

    Every update of the encoder has a batch of its own, as in the paper: updates on one batch would fit q(z|x) to that,
    and say nothing of other examples. So a step's batch has `most` + 1 shares; where the loop ends sooner, and in the
    plain steps, all are passed over but those that are used.

    Simplifications: the paper's loop ends on the mean loss of a word, here of an example; and the paper ends the whole
    on mutual information of validation data that does not climb any more, here the steps are counted.

    Args:
        make: optimizer -> the VAE, with states of type `VAEState`.
        optimizer: of q's networks and of p's, with a memory each.
        most: updates of the encoder before each of the decoder.
        window: so many updates, whose mean loss is compared with that of those before, and ends the loop if it
            is more; from `most` on nothing ends it sooner.
        until: the number of the first plain step.

    Returns:
        The `Model`, whose terms are those of the last update of a step, and `encoder_updates`, the loop's.

    Raises:
        UserError: from `train_step`: the batch has no equal shares.
    """
    joint, of_inference, of_model = (
        make(in_parts(optimizer, *moves)) for moves in ((True, True), (True, False), (False, True))
    )

    def caught_up(state: VAEState, shares: Batch, key: PRNGKey) -> Inner:
        def goes_on(inner: Inner) -> Array:
            return (inner.done < most) & inner.improves

        def update(inner: Inner) -> Inner:
            share = jax.tree.map(lambda leaf: leaf[inner.done], shares)
            new, info = of_inference.train_step(inner.state, share, rng.stream(key, rng.INFERENCE, inner.done))
            stats = {name: (new if name in OF_INFERENCE else state).stats[name] for name in state.stats}
            done, total = inner.done + 1, inner.total + info["loss"]
            looks, mean = done % window == 0, total / window
            return Inner(
                replace(new, step=state.step, stats=stats),
                done,
                jnp.where(looks, 0.0, total),
                jnp.where(looks, mean, inner.before),
                jnp.where(looks, mean <= inner.before, True),
            )

        none, infinite = jnp.zeros(()), jnp.full((), jnp.inf)
        begin = Inner(state, jnp.zeros((), jnp.int32), none, infinite, jnp.array(True))
        return jax.lax.while_loop(goes_on, update, begin)

    def train_step(state: VAEState, batch: Batch, key: PRNGKey) -> tuple[VAEState, Info]:
        if len(batch.x) % (most + 1):
            raise UserError(
                f"The batch has {len(batch.x)} examples (per device), of which {most} updates of the encoder and one "
                f"of the decoder cannot have equal shares: use a multiple of {most + 1}."
            )
        # Shares taken in strides: then N devices see the same as one.
        shares = jax.tree.map(lambda leaf: jnp.moveaxis(leaf.reshape(-1, most + 1, *leaf.shape[1:]), 1, 0), batch)
        first, others = (jax.tree.map(lambda leaf, of=of: leaf[of], shares) for of in (0, slice(1, None)))

        def alternating() -> tuple[VAEState, Info]:
            inner = caught_up(state, others, key)
            new, info = of_model.train_step(inner.state, first, key)
            return new, info | {"encoder_updates": inner.done.astype(jnp.float32)}

        def plain() -> tuple[VAEState, Info]:
            new, info = joint.train_step(state, first, key)
            return new, info | {"encoder_updates": jnp.ones(())}

        return jax.lax.cond(state.step < until, alternating, plain)

    return joint._replace(train_step=train_step)
