"""How often a transform is done as the training goes on: always alike, by a schedule, or as overfitting asks for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from gvlab.augment.base import Number, Transform
from gvlab.types import PyTree, UserError


class Verdict(NamedTuple):
    """What an update of the discriminator leaves for its augmentation to learn from."""

    images: Num[Array, ""]
    """Real images seen before it, of all devices."""
    on_real: Float[Array, " batch"]
    """Its logits of the real images, of all devices."""


class Augmentation(NamedTuple):
    """A transform, and its probability in a memory that belongs to the training state."""

    transform: Transform
    init: Callable[[], PyTree]
    """() -> the memory before the first update: a pytree of arrays."""
    update: Callable[[PyTree, Verdict], PyTree]
    """(memory, verdict) -> the memory after an update of the discriminator; called once for each."""
    p: Callable[[PyTree], Float[Array, ""]]
    """memory -> what `Transform.apply` is given."""
    by_sign: bool = False
    """Whether it follows the sign of the logits, which a relativistic game leaves without a meaning."""


def constant(transform: Transform, p: Number = 1.0) -> Augmentation:
    """The same probability in all steps.

    Args:
        transform: what is done.
        p: its probability, of those parts that have one.
    """
    return Augmentation(transform, dict, lambda memory, verdict: memory, lambda memory: jnp.asarray(p, jnp.float32))


def adaptive(
    transform: Transform, target: Number = 0.6, images: Number = 500_000, interval: int = 4, limit: Number = math.inf
) -> Augmentation:
    """The probability that holds a measure of overfitting at a target (adaptive discriminator augmentation).

    The measure is r_t = E[sign D(x)] of the real images of the last `interval` updates: 0 where the discriminator
    cannot tell them, 1 where it knows them all. After these updates p is moved by the share that their images have of
    `images`: up where r_t is above the target, down to no less than 0 where it is below.

    Args:
        transform: what is done.
        target: of r_t.
        images: real images in which p may rise from 0 to 1.
        interval: updates between two adjustments.
        limit: of p. The published code has none, and p may wait above 1, where it does what 1 does; StudioGAN's is 1.

    Raises:
        UserError: if the interval is below 1.

    Reference: Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, section 3.
    """
    if interval < 1:
        raise UserError(f"p was to be adjusted every {interval} updates: adaptive() takes an interval of at least 1.")

    def init() -> PyTree:
        return {
            "p": jnp.zeros(()), "signs": jnp.zeros(()), "logits": jnp.zeros(()), "updates": jnp.zeros((), jnp.int32)
        }  # fmt: skip

    def update(memory: PyTree, verdict: Verdict) -> PyTree:
        signs = memory["signs"] + jnp.sign(verdict.on_real).sum().astype(jnp.float32)
        logits = memory["logits"] + len(verdict.on_real)
        updates = memory["updates"] + 1
        due = updates == interval
        moved = jnp.clip(memory["p"] + jnp.sign(signs / logits - target) * logits / images, 0, limit)
        return {
            "p": jnp.where(due, moved, memory["p"]),
            "signs": jnp.where(due, 0, signs),
            "logits": jnp.where(due, 0, logits),
            "updates": jnp.where(due, 0, updates),
        }

    return Augmentation(transform, init, update, lambda memory: memory["p"], by_sign=True)


def ramp(transform: Transform, end: Number, images: Number, begin: Number = 0.0) -> Augmentation:
    """A probability that goes from one value to another along half a cosine, and stays there.

    Args:
        transform: what is done.
        end: p after `images`.
        images: real images until then.
        begin: p before the first one.

    Reference: Huang et al., "The GAN is dead; long live the GAN!", 2024, published code.
    """

    def update(memory: PyTree, verdict: Verdict) -> PyTree:
        return {"images": (verdict.images + len(verdict.on_real)).astype(jnp.float32)}

    def p(memory: PyTree) -> Float[Array, ""]:
        share = jnp.minimum(memory["images"] / images, 1)
        risen = jnp.square(jnp.sin(jnp.pi / 2 * share))  # (1 - cos(pi share)) / 2, of which float32 keeps no small ones
        return begin + risen * (end - begin)

    return Augmentation(transform, lambda: {"images": jnp.zeros(())}, update, p)
