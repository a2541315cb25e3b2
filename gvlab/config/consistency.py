"""What holds a GAN's networks to the same answer where their input changes a little, or keeps them from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gvlab.config.augmentations import DiffAugment, FlipAndTranslate
from gvlab.config.checks import check_not_negative
from gvlab.config.plain import settle

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.losses import Term


@dataclass(frozen=True)
class RealConsistency:
    """weight (D(T(x)) - D(x))^2 at real examples: CR (Zhang et al. 2020)."""

    weight: float = 10.0
    """lambda"""
    transform: FlipAndTranslate | DiffAugment = FlipAndTranslate()
    """T"""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("RealConsistency", weight=self.weight)

    def term(self) -> Term:
        from gvlab import losses

        return losses.real_consistency(self.weight, self.transform.transform())


@dataclass(frozen=True)
class FakeConsistency:
    """weight (D(T(G(z))) - D(G(z)))^2 at generated examples: bCR beside RealConsistency (Zhao et al. 2021)."""

    weight: float = 10.0
    """lambda"""
    transform: FlipAndTranslate | DiffAugment = FlipAndTranslate()
    """T"""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("FakeConsistency", weight=self.weight)

    def term(self) -> Term:
        from gvlab import losses

        return losses.fake_consistency(self.weight, self.transform.transform())


@dataclass(frozen=True)
class LatentConsistency:
    """weight (D(G(z + e)) - D(G(z)))^2: the discriminator's part of zCR (Zhao et al. 2021)."""

    weight: float = 20.0
    """lambda"""
    deviation: float = 0.05
    """Of e."""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("LatentConsistency", weight=self.weight, deviation=self.deviation)

    def term(self) -> Term:
        from gvlab import losses

        return losses.latent_consistency(self.weight, self.deviation)


@dataclass(frozen=True)
class LatentDiversity:
    """-weight (G(z + e) - G(z))^2, the mean over an example: the generator's part of zCR (Zhao et al. 2021)."""

    weight: float = 0.5
    """lambda"""
    deviation: float = 0.05
    """Of e."""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("LatentDiversity", weight=self.weight, deviation=self.deviation)

    def term(self) -> Term:
        from gvlab import losses

        return losses.latent_diversity(self.weight, self.deviation)
