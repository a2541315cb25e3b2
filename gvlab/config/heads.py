"""How a residual discriminator of a GAN judges its last maps, and how the class takes part in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from gvlab.config.checks import check_size
from gvlab.config.plain import settle

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    import flax.linen as nn


@dataclass(frozen=True)
class Projection:
    """The product with a vector of the class is part of the logit (Miyato & Koyama 2018)."""

    def head(self) -> Callable[..., nn.Module]:
        from gvlab import networks

        return networks.ProjectionHead


@dataclass(frozen=True)
class Classifier:
    """An auxiliary classifier beside the logit, for RealClasses and FakeClasses: AC-GAN (Odena et al. 2017)."""

    def head(self) -> Callable[..., nn.Module]:
        from gvlab import networks

        return networks.ClassifierHead


@dataclass(frozen=True)
class Embedding:
    """A vector of the image and one of its class beside the logit, for the terms of ContraGAN and ReACGAN.

    Those are RealContrast and FakeContrast, or RealDataToData and FakeDataToData.
    """

    features: int = 512
    """Length of the vectors."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("Embedding", features=self.features)

    def head(self) -> Callable[..., nn.Module]:
        from functools import partial

        from gvlab import networks

        return partial(networks.EmbeddingHead, features=self.features)


@dataclass(frozen=True)
class ExtraClass:
    """One classifier of the classes and of "generated", for the contest MultiHinge (Kavalerov et al. 2021)."""

    def head(self) -> Callable[..., nn.Module]:
        from gvlab import networks

        return networks.ExtraClassHead


AnyHead: TypeAlias = Projection | Classifier | Embedding | ExtraClass
