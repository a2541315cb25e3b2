"""Heads of class-conditional discriminators that say more than a logit, beside `ProjectionHead`.

All are of h, which sums ReLU of the last maps over their pixels, and have the fields `dense`, which makes the layers of
h, and `embed`, which makes the table of the classes' vectors, where there is one.
"""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
from jaxtyping import Array, Float

from gvlab.networks.layers import unrounded
from gvlab.types import Judged, UserError

MakesLayer = Callable[..., nn.Module]


class ClassifierHead(nn.Module):
    """The logit w^T h + b, and beside it an auxiliary classifier's logits W h, without biases as in StudioGAN.

    Attributes:
        dense: makes the layers of w and W, given `features` and `name`.
        embed: not used.

    Reference: Odena et al., "Conditional Image Synthesis with Auxiliary Classifier GANs", 2017.
    """

    dense: MakesLayer = nn.Dense
    embed: MakesLayer = partial(nn.Dense, use_bias=False)

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"], y: Float[Array, "batch classes"] | None = None
    ) -> Judged:
        """`Judged.logits` and `Judged.classes`. Raises `UserError` without classes."""
        count = _known(self, y).shape[-1]
        h = _summed(x)
        logits = self.dense(1, name="logit")(h)[:, 0]
        return Judged(logits, classes=self.dense(count, use_bias=False, name="classes")(h))


class EmbeddingHead(nn.Module):
    """The logit w^T h + b, and beside it the vector V h + c, and a proxy of the example's class, E y.

    Both are of any length, since the losses of them are of angles.

    Attributes:
        dense: makes the layers of w and V, given `features` and `name`.
        embed: makes the table E, given `features` and `name`.
        features: length of the vectors; 512 in StudioGAN's for CIFAR-10.

    Reference: Kang & Park, "ContraGAN: Contrastive Learning for Conditional Image Generation", 2020; Kang et al.,
    "Rebooting ACGAN: Auxiliary Classifier GANs with Stable Training", 2021.
    """

    dense: MakesLayer = nn.Dense
    embed: MakesLayer = partial(nn.Dense, use_bias=False)
    features: int = 512

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"], y: Float[Array, "batch classes"] | None = None
    ) -> Judged:
        """`Judged.logits`, `Judged.embedding` and `Judged.proxy`. Raises `UserError` without classes."""
        h, known = _summed(x), _known(self, y)
        logits = self.dense(1, name="logit")(h)[:, 0]
        embedding = self.dense(self.features, name="embedding")(h)
        return Judged(logits, embedding=embedding, proxy=self.embed(self.features, name="proxies")(known))


class ExtraClassHead(nn.Module):
    """One classifier of the classes and of "generated", W h + b, for the contest of the multi-hinge.

    Its verdict "real", `Judged.logits`, is the largest score of a class less that of "generated".

    Attributes:
        dense: makes the layer of W and b, given `features` and `name`.
        embed: not used.

    Reference: Kavalerov et al., "A Multi-Class Hinge Loss for Conditional GANs", 2021.
    """

    dense: MakesLayer = nn.Dense
    embed: MakesLayer = partial(nn.Dense, use_bias=False)

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"], y: Float[Array, "batch classes"] | None = None
    ) -> Judged:
        """`Judged.logits` and `Judged.scores`. Raises `UserError` without classes."""
        count = _known(self, y).shape[-1]
        scores = self.dense(count + 1, name="scores")(_summed(x))
        return Judged(scores[:, :-1].max(axis=-1) - scores[:, -1], scores=scores)


def _summed(x: Float[Array, "batch height width channel"]) -> Float[Array, "batch channel"]:
    return unrounded(nn.relu(x).sum((1, 2)))


def _known(head: nn.Module, y: Float[Array, "batch classes"] | None) -> Float[Array, "batch classes"]:
    if y is None:
        name = type(head).__name__
        raise UserError(f"The head {name} is about classes, but the model has none: make it conditional.")
    return y
