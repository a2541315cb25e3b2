"""Losses that tie examples to classes: of an auxiliary classifier (AC-GAN), 2C (ContraGAN), D2D-CE (ReACGAN), and the
multi-hinge with its contest."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.losses._shapes import require_equal
from gvlab.losses.adversarial import Contest
from gvlab.losses.margins import hinge_margin_loss
from gvlab.losses.penalties import Number
from gvlab.types import Judged, UserError


def class_cross_entropy(
    classes: Float[Array, "*batch classes"], y: Float[Array, "*batch classes"]
) -> Float[Array, "*batch"]:
    """-log p(y | x) of a classifier.

    Args:
        classes: its logits, shape [*batch, classes].
        y: one-hot classes, or weights of all, shape [*batch, classes].

    Returns:
        The loss in nats, at least 0, shape [*batch].

    Raises:
        UserError: if the shapes differ.

    Reference: Odena et al., "Conditional Image Synthesis with Auxiliary Classifier GANs", 2017, eq. 3.
    """
    require_equal(classes=classes, y=y)
    return -jnp.sum(y * jax.nn.log_softmax(classes), axis=-1)


def conditional_contrastive_loss(
    embedding: Float[Array, "batch features"],
    proxy: Float[Array, "batch features"],
    y: Float[Array, "batch classes"],
    temperature: Number = 1.0,
) -> Float[Array, " batch"]:
    """-log of the share that those of an example's class have of all that it is like (2C).

    An example is like another by exp(cos / temperature), of the angle between their vectors; those of its class are
    its proxy and the other examples of the batch that have the class. The loss couples the examples of the batch.

    Args:
        embedding: vectors of any length above 0, shape [batch, features].
        proxy: the vector of the class of each example, shape [batch, features].
        y: one-hot classes, shape [batch, classes].
        temperature: what the cosines are divided by.

    Returns:
        The loss in nats, at least 0, shape [batch].

    Raises:
        UserError: if the shapes of the vectors differ.

    Reference: Kang & Park, "ContraGAN: Contrastive Learning for Conditional Image Generation", 2020, eq. 8.
    """
    require_equal(embedding=embedding, proxy=proxy)
    to_proxy, between = _cosines(embedding, proxy)
    likeness = jnp.concatenate([to_proxy[:, None], between], axis=1) / temperature
    others = 1 - jnp.eye(len(y))
    ones = jnp.ones((len(y), 1))
    of_class = jax.nn.logsumexp(likeness, axis=1, b=jnp.concatenate([ones, others * (y @ y.T)], axis=1))
    return jax.nn.logsumexp(likeness, axis=1, b=jnp.concatenate([ones, others], axis=1)) - of_class


def data_to_data_loss(
    embedding: Float[Array, "batch features"],
    proxy: Float[Array, "batch features"],
    y: Float[Array, "batch classes"],
    temperature: Number = 0.5,
    margin: Number = 0.98,
) -> Float[Array, " batch"]:
    """Cross entropy of an example's proxy against the batch's examples of other classes (D2D-CE).

    a + log(e^-a + sum e^(max(0, s_j) - max s)), where a = max(0, margin - cos) / temperature of the proxy, the sum is
    over examples of other classes, s_j = (cos + margin - 1) / temperature of them, and max s, which has no gradient, is
    over all other examples. So neither a proxy nearer than the margin nor a stranger farther than its complement has a
    gradient. The loss couples the examples of the batch. As in the published code max s is subtracted from the
    strangers alone, so that it is part of the value.

    Args:
        embedding: vectors of any length above 0, shape [batch, features].
        proxy: the vector of the class of each example, shape [batch, features].
        y: one-hot classes, shape [batch, classes].
        temperature: what the cosines are divided by.
        margin: the cosine with the proxy that is enough; 1 - margin is that with strangers.

    Returns:
        The loss, at least 0, shape [batch].

    Raises:
        UserError: if the shapes of the vectors differ.

    Reference: Kang et al., "Rebooting ACGAN: Auxiliary Classifier GANs with Stable Training", 2021, eq. 6, and its
    published code.
    """
    require_equal(embedding=embedding, proxy=proxy)
    to_proxy, between = _cosines(embedding, proxy)
    others = 1 - jnp.eye(len(y))
    likeness = (between + margin - 1) / temperature
    # No cosine is below -1: so a batch of one example has a maximum, too.
    largest = jnp.where(others > 0, likeness, (margin - 2) / temperature).max(axis=1, keepdims=True)
    attraction = jax.nn.relu((margin - to_proxy) / temperature)
    repulsion = jax.nn.relu(likeness) - jax.lax.stop_gradient(largest)
    exponents = jnp.concatenate([-attraction[:, None], repulsion], axis=1)
    counted = jnp.concatenate([jnp.ones((len(y), 1)), others * (1 - y @ y.T)], axis=1)
    return attraction + jax.nn.logsumexp(exponents, axis=1, b=counted)


def multi_hinge_loss(
    scores: Float[Array, "*batch classes"], y: Float[Array, "*batch classes"]
) -> Float[Array, "*batch"]:
    """max(0, 1 + max of the other classes' scores - that of the class): a lead of 1 over all others is enough.

    Args:
        scores: of a classifier, shape [*batch, classes].
        y: one-hot classes, shape [*batch, classes].

    Returns:
        The loss, at least 0, shape [*batch].

    Raises:
        UserError: if the shapes differ.

    Reference: Crammer & Singer, "On the Algorithmic Implementation of Multiclass Kernel-based Vector Machines", 2001;
    Kavalerov et al., "A Multi-Class Hinge Loss for Conditional GANs", 2021.
    """
    return hinge_margin_loss(_lead(scores, y))


def _lead(scores: Float[Array, "*batch classes"], y: Float[Array, "*batch classes"]) -> Float[Array, "*batch"]:
    """By how much the score of the class is above all others."""
    require_equal(scores=scores, y=y)
    return jnp.sum(y * scores, axis=-1) - jnp.where(y > 0, -jnp.inf, scores).max(axis=-1)


def _leads(judged: Judged, y: Float[Array, "batch classes"] | None) -> Float[Array, "batch 2"]:
    """The lead of the class of each example, and that of "generated"."""
    if y is None:
        raise UserError("The contest multi_hinge is about classes, but the model has none: make it conditional.")
    if judged.scores is None:
        raise UserError(
            "The contest multi_hinge reads Judged.scores, which the discriminator does not give: use ExtraClassHead, "
            "or another contest."
        )
    known = jnp.pad(y, ((0, 0), (0, 1)))
    generated = jnp.zeros_like(known).at[:, -1].set(1)
    return jnp.stack([_lead(judged.scores, known), _lead(judged.scores, generated)], axis=-1)


multi_hinge = Contest(
    lambda real, fake: hinge_margin_loss(real[..., 0]) + hinge_margin_loss(fake[..., 1]),
    lambda real, fake: hinge_margin_loss(fake[..., 0]),
    _leads,
)
"""Kavalerov et al. 2021: one classifier of the classes and of "generated", which gives `Judged.scores`.

The discriminator descends the multi-hinge of real examples and of generated ones as what they are, the generator that
of its own as what they are meant to be. MHGAN's generator matches features beside it, which is not here."""


def _cosines(
    embedding: Float[Array, "batch features"], proxy: Float[Array, "batch features"]
) -> tuple[Float[Array, " batch"], Float[Array, "batch batch"]]:
    """Of each vector with its proxy, and with each vector."""
    embedding, proxy = _unit(embedding), _unit(proxy)
    return jnp.sum(embedding * proxy, axis=1), embedding @ embedding.T


def _unit(vectors: Float[Array, "batch features"]) -> Float[Array, "batch features"]:
    """Of length 1; a vector of nothing stays so, with a gradient that is finite."""
    squared = jnp.sum(jnp.square(vectors), axis=1, keepdims=True)
    return vectors * jax.lax.rsqrt(jnp.maximum(squared, 1e-24))
