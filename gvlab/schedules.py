"""Learning rates that are functions of the train step, which the models tell their optimizers."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from gvlab.types import PyTree


def scale_by_step(learning_rate: float | jax.Array, schedule: optax.Schedule) -> optax.GradientTransformationExtraArgs:
    """Multiplies updates by minus the learning rate and by the schedule's value at the train step.

    optax's own schedules count an optimizer's updates, of which a train step may have several, and keep the count as
    state; here `update(..., step=step)` is told, so that a rate depends on nothing but the step.

    Args:
        learning_rate: where the schedule says 1.
        schedule: train step, from 0 -> factor.
    """

    def init(params: PyTree) -> optax.EmptyState:
        return optax.EmptyState()

    def update(
        updates: PyTree, state: optax.EmptyState, params: PyTree | None = None, *, step: jax.Array, **extra: Any
    ) -> tuple[PyTree, optax.EmptyState]:
        rate = -learning_rate * jnp.asarray(schedule(step), jnp.float32)
        return jax.tree.map(lambda u: (rate * u).astype(u.dtype), updates), state

    return optax.GradientTransformationExtraArgs(init, update)
