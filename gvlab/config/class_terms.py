"""What ties the examples of a conditional GAN to their classes, beside the contest.

Those of real examples are for the discriminator's loss, those of generated ones for the generator's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gvlab.config.checks import check_not_negative, check_positive, check_probability
from gvlab.config.plain import settle

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.losses import Term


@dataclass(frozen=True)
class RealClasses:
    """Cross entropy of real examples' classes, for the head Classifier: AC-GAN (Odena et al. 2017)."""

    weight: float = 1.0
    """lambda"""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("RealClasses", weight=self.weight)

    def term(self) -> Term:
        from gvlab import losses

        return losses.real_classes(self.weight)


@dataclass(frozen=True)
class FakeClasses:
    """Cross entropy of generated examples' classes, for the generator; AC-GAN's discriminator has it, too."""

    weight: float = 1.0
    """lambda"""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("FakeClasses", weight=self.weight)

    def term(self) -> Term:
        from gvlab import losses

        return losses.fake_classes(self.weight)


@dataclass(frozen=True)
class RealContrast:
    """2C of real examples, for the head Embedding: ContraGAN (Kang & Park 2020)."""

    weight: float = 1.0
    """lambda"""
    temperature: float = 1.0
    """What the cosines are divided by."""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("RealContrast", weight=self.weight)
        check_positive("RealContrast", temperature=self.temperature)

    def term(self) -> Term:
        from gvlab import losses

        return losses.real_contrast(self.weight, self.temperature)


@dataclass(frozen=True)
class FakeContrast:
    """2C of generated examples, for the generator of a ContraGAN."""

    weight: float = 1.0
    """lambda"""
    temperature: float = 1.0
    """What the cosines are divided by."""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("FakeContrast", weight=self.weight)
        check_positive("FakeContrast", temperature=self.temperature)

    def term(self) -> Term:
        from gvlab import losses

        return losses.fake_contrast(self.weight, self.temperature)


@dataclass(frozen=True)
class RealDataToData:
    """D2D-CE of real examples, for the head Embedding: ReACGAN (Kang et al. 2021), with StudioGAN's for CIFAR-10."""

    weight: float = 0.5
    """lambda"""
    temperature: float = 0.5
    """What the cosines are divided by."""
    margin: float = 0.98
    """The cosine with the vector of the class that is enough; 1 - margin is that with examples of others."""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("RealDataToData", weight=self.weight)
        check_positive("RealDataToData", temperature=self.temperature)
        check_probability("RealDataToData", margin=self.margin)

    def term(self) -> Term:
        from gvlab import losses

        return losses.real_data_to_data(self.weight, self.temperature, self.margin)


@dataclass(frozen=True)
class FakeDataToData:
    """D2D-CE of generated examples, for the generator of a ReACGAN."""

    weight: float = 0.5
    """lambda"""
    temperature: float = 0.5
    """What the cosines are divided by."""
    margin: float = 0.98
    """The cosine with the vector of the class that is enough; 1 - margin is that with examples of others."""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("FakeDataToData", weight=self.weight)
        check_positive("FakeDataToData", temperature=self.temperature)
        check_probability("FakeDataToData", margin=self.margin)

    def term(self) -> Term:
        from gvlab import losses

        return losses.fake_data_to_data(self.weight, self.temperature, self.margin)
