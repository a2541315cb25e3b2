"""Terms that tie examples to classes, by what a discriminator says of them besides a logit.

Those of real examples are for the discriminator's loss, those of generated ones for the generator's.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
from jaxtyping import Array, Float

from gvlab.losses.classes import class_cross_entropy, conditional_contrastive_loss, data_to_data_loss
from gvlab.losses.penalties import Number
from gvlab.losses.terms import Round, Term
from gvlab.parallel import gather
from gvlab.types import Judged, PyTree

VECTORS = ("embedding", "proxy")
"""What the losses of vectors read."""


def real_classes(weight: Number) -> Term:
    """weight times `class_cross_entropy` of real examples, for the discriminator's loss (AC-GAN).

    The paper adds `fake_classes` to the discriminator's loss, too; StudioGAN does not.

    Args:
        weight: lambda.

    Reference: Odena et al., "Conditional Image Synthesis with Auxiliary Classifier GANs", 2017.
    """
    return _of_real("real_classes", weight, ("classes",), _cross_entropy)


def fake_classes(weight: Number) -> Term:
    """weight times `class_cross_entropy` of generated examples, for the generator's loss; see `real_classes`.

    Args:
        weight: lambda.

    Reference: Odena et al., "Conditional Image Synthesis with Auxiliary Classifier GANs", 2017.
    """
    return _of_fake("fake_classes", weight, ("classes",), _cross_entropy)


def real_contrast(weight: Number, temperature: Number = 1.0) -> Term:
    """weight times `conditional_contrastive_loss` of real examples, for the discriminator's loss (ContraGAN).

    Args:
        weight: lambda.
        temperature: of the loss.

    Reference: Kang & Park, "ContraGAN: Contrastive Learning for Conditional Image Generation", 2020.
    """
    return _of_real("real_contrast", weight, VECTORS, _contrast(temperature))


def fake_contrast(weight: Number, temperature: Number = 1.0) -> Term:
    """weight times `conditional_contrastive_loss` of generated examples, for the generator's loss; see `real_contrast`.

    Args:
        weight: lambda.
        temperature: of the loss.

    Reference: Kang & Park, "ContraGAN: Contrastive Learning for Conditional Image Generation", 2020.
    """
    return _of_fake("fake_contrast", weight, VECTORS, _contrast(temperature))


def real_data_to_data(weight: Number, temperature: Number = 0.5, margin: Number = 0.98) -> Term:
    """weight times `data_to_data_loss` of real examples, for the discriminator's loss (ReACGAN).

    Args:
        weight: lambda.
        temperature: of the loss.
        margin: of the loss.

    Reference: Kang et al., "Rebooting ACGAN: Auxiliary Classifier GANs with Stable Training", 2021.
    """
    return _of_real("real_data_to_data", weight, VECTORS, _data_to_data(temperature, margin))


def fake_data_to_data(weight: Number, temperature: Number = 0.5, margin: Number = 0.98) -> Term:
    """weight times `data_to_data_loss` of generated examples, for the generator's loss; see `real_data_to_data`.

    Args:
        weight: lambda.
        temperature: of the loss.
        margin: of the loss.

    Reference: Kang et al., "Rebooting ACGAN: Auxiliary Classifier GANs with Stable Training", 2021.
    """
    return _of_fake("fake_data_to_data", weight, VECTORS, _data_to_data(temperature, margin))


OfVerdict = Callable[[Judged, Array], Array]
"""(what the discriminator says, one-hot classes) -> loss of each example."""


def _cross_entropy(judged: Judged, y: Array) -> Array:
    assert judged.classes is not None  # a model refuses discriminators without at its start
    return class_cross_entropy(judged.classes, y)


def _contrast(temperature: Number) -> OfVerdict:
    return lambda judged, y: conditional_contrastive_loss(*_vectors(judged), y, temperature)


def _data_to_data(temperature: Number, margin: Number) -> OfVerdict:
    return lambda judged, y: data_to_data_loss(*_vectors(judged), y, temperature, margin)


def _vectors(judged: Judged) -> tuple[Array, Array]:
    assert judged.embedding is not None  # as above
    assert judged.proxy is not None
    return judged.embedding, judged.proxy


def _of_real(name: str, weight: Number, needs: tuple[str, ...], loss: OfVerdict) -> Term:
    def value(this: Round, memory: PyTree) -> tuple[Array, PyTree]:
        return weight * _of_all_devices(loss, this, this.judged_real), memory

    return Term(name, value, needs=needs)


def _of_fake(name: str, weight: Number, needs: tuple[str, ...], loss: OfVerdict) -> Term:
    def value(this: Round, memory: PyTree) -> tuple[Array, PyTree]:
        return weight * _of_all_devices(loss, this, this.judged_fake), memory

    return Term(name, value, needs=needs)


def _of_all_devices(loss: OfVerdict, this: Round, judged: Judged | None) -> Float[Array, " batch"]:
    """The losses of this device's examples beside those of all others, which a loss may couple."""
    found = loss(*gather((judged, this.y), this.axis_name))
    if this.axis_name is None:
        return found
    n = len(this.on_real)
    return jax.lax.dynamic_slice_in_dim(found, jax.lax.axis_index(this.axis_name) * n, n)
