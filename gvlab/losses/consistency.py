"""Terms that hold a network to the same answer where its input changes a little, or keep it from giving it.

bCR is `real_consistency` and `fake_consistency` together; zCR is `latent_consistency` in the discriminator's loss and
`latent_diversity` in the generator's, ICR all four.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab import rng
from gvlab.augment import Transform, flip_and_translate
from gvlab.losses.penalties import Number
from gvlab.losses.terms import Round, Term
from gvlab.types import PyTree

PUBLISHED = flip_and_translate()
"""What images go through where nothing else is said."""


def real_consistency(weight: Number, transform: Transform = PUBLISHED) -> Term:
    """weight (D(T(x)) - D(x))^2 at real examples (CR).

    Args:
        weight: lambda.
        transform: T, with p = 1, and draws of its own.

    Reference: Zhang et al., "Consistency Regularization for Generative Adversarial Networks", 2020.
    """

    def value(this: Round, memory: PyTree) -> tuple[Array, PyTree]:
        return weight * jnp.square(this.critic(_transformed(transform, this, this.real)) - this.on_real), memory

    return Term("real_consistency", value)


def fake_consistency(weight: Number, transform: Transform = PUBLISHED) -> Term:
    """weight (D(T(G(z))) - D(G(z)))^2 at generated examples: with `real_consistency`, balanced (bCR).

    Args:
        weight: lambda.
        transform: T, with p = 1, and draws of its own.

    Reference: Zhao et al., "Improved Consistency Regularization for GANs", 2021.
    """

    def value(this: Round, memory: PyTree) -> tuple[Array, PyTree]:
        return weight * jnp.square(_of_fake(this)(_transformed(transform, this, this.fake)) - this.on_fake), memory

    return Term("fake_consistency", value)


def latent_consistency(weight: Number, deviation: Number = 0.05) -> Term:
    """weight (D(G(z + e)) - D(G(z)))^2, e ~ N(0, deviation^2): what zCR adds to the discriminator's loss.

    Args:
        weight: lambda of the discriminator.
        deviation: of e, in units of the latent's.

    Reference: Zhao et al., "Improved Consistency Regularization for GANs", 2021.
    """

    def value(this: Round, memory: PyTree) -> tuple[Array, PyTree]:
        return weight * jnp.square(_of_fake(this)(_near(this, deviation)) - this.on_fake), memory

    return Term("latent_consistency", value)


def latent_diversity(weight: Number, deviation: Number = 0.05) -> Term:
    """-weight (G(z + e) - G(z))^2, the mean over an example, e ~ N(0, deviation^2): for the generator's loss (zCR).

    It has no lower bound: a weight much beyond the published 0.5 makes it the whole loss.

    Args:
        weight: lambda of the generator.
        deviation: of e, in units of the latent's.

    Reference: Zhao et al., "Improved Consistency Regularization for GANs", 2021.
    """

    def value(this: Round, memory: PyTree) -> tuple[Array, PyTree]:
        apart = jnp.square(_near(this, deviation) - this.fake).reshape(len(this.fake), -1)
        return -weight * apart.mean(axis=1), memory

    return Term("latent_diversity", value)


def _of_fake(this: Round) -> Callable[[Array], Array]:
    """The discriminator as it saw the generated examples, whose augmentation has draws of its own."""
    return this.critic_of_fake or this.critic


def _transformed(transform: Transform, this: Round, x: Float[Array, "batch *shape"]) -> Float[Array, "batch *shape"]:
    transform.check(x.shape[1:])
    return transform.apply(transform.draw(this.key, len(x), x.shape[1:], this.axis_name), x, 1.0)


def _near(this: Round, deviation: Number) -> Float[Array, "batch *shape"]:
    """Examples of latents that lie near those of the batch."""
    return this.generate(this.z + deviation * rng.normal(this.key, this.z.shape, this.axis_name))
