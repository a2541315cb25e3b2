"""What is added to the losses of a GAN's players."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from gvlab.config.checks import check_fraction, check_not_negative, check_positive, check_probability, check_size
from gvlab.config.class_terms import (
    FakeClasses,
    FakeContrast,
    FakeDataToData,
    RealClasses,
    RealContrast,
    RealDataToData,
)
from gvlab.config.consistency import FakeConsistency, LatentConsistency, LatentDiversity, RealConsistency
from gvlab.config.plain import settle
from gvlab.config.protocols import OwnTerm
from gvlab.config.schedules import AnySchedule, Cosine
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.losses import Term


@dataclass(frozen=True)
class R1:
    """weight / 2 ||grad D||^2 at real examples (Mescheder et al. 2018)."""

    weight: float = 10.0
    """gamma"""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("R1", weight=self.weight)

    def term(self) -> Term:
        from gvlab import losses

        return losses.r1(self.weight)


@dataclass(frozen=True)
class R2:
    """weight / 2 ||grad D||^2 at generated examples (Mescheder et al. 2018)."""

    weight: float = 10.0
    """gamma"""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("R2", weight=self.weight)

    def term(self) -> Term:
        from gvlab import losses

        return losses.r2(self.weight)


@dataclass(frozen=True)
class ZeroCentred:
    """weight ||grad D||^2 between real and generated examples (Thanh-Tung et al. 2019)."""

    weight: float = 10.0
    """lambda"""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("ZeroCentred", weight=self.weight)

    def term(self) -> Term:
        from gvlab import losses

        return losses.zero_centred(self.weight)


@dataclass(frozen=True)
class GradientPenalty:
    """weight (||grad D|| - target)^2 between real and generated examples: WGAN-GP (Gulrajani et al. 2017)."""

    weight: float = 10.0
    """lambda"""
    target: float = 1.0
    """The slope that is asked for."""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("GradientPenalty", weight=self.weight)
        check_positive("GradientPenalty", target=self.target)

    def term(self) -> Term:
        from gvlab import losses

        return losses.gradient_penalty(self.weight, self.target)


@dataclass(frozen=True)
class OneSidedGradientPenalty:
    """weight max(0, ||grad D|| - target)^2 between real and generated examples (Petzka et al. 2018)."""

    weight: float = 10.0
    """lambda"""
    target: float = 1.0
    """The largest slope that costs nothing."""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("OneSidedGradientPenalty", weight=self.weight)
        check_positive("OneSidedGradientPenalty", target=self.target)

    def term(self) -> Term:
        from gvlab import losses

        return losses.one_sided_gradient_penalty(self.weight, self.target)


@dataclass(frozen=True)
class Dragan:
    """weight (||grad D|| - 1)^2 around real examples (Kodali et al. 2017, as its published code has the noise)."""

    weight: float = 10.0
    """lambda"""
    scale: float = 0.5
    """Of the noise around them, in standard deviations of the data."""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("Dragan", weight=self.weight, scale=self.scale)

    def term(self) -> Term:
        from gvlab import losses

        return losses.dragan(self.weight, self.scale)


@dataclass(frozen=True)
class ClippedDragan:
    """weight (||grad D|| - 1)^2 around real images, with noise of both signs and in [0, 1], as compare_gan has it."""

    weight: float = 10.0
    """lambda"""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("ClippedDragan", weight=self.weight)

    def term(self) -> Term:
        from gvlab import losses

        return losses.clipped_dragan(self.weight)


@dataclass(frozen=True)
class R1FiniteDifference:
    """R1 by the difference of two logits a small random step apart, without a gradient of a gradient."""

    weight: float = 10.0
    """gamma"""
    radius: float = 0.01
    """Of the step, in units of the data."""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("R1FiniteDifference", weight=self.weight)
        check_positive("R1FiniteDifference", radius=self.radius)

    def term(self) -> Term:
        from gvlab import losses

        return losses.r1_finite_difference(self.weight, self.radius)


@dataclass(frozen=True)
class R2FiniteDifference:
    """R2 by the difference of two logits a small random step apart, without a gradient of a gradient."""

    weight: float = 10.0
    """gamma"""
    radius: float = 0.01
    """Of the step, in units of the data."""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("R2FiniteDifference", weight=self.weight)
        check_positive("R2FiniteDifference", radius=self.radius)

    def term(self) -> Term:
        from gvlab import losses

        return losses.r2_finite_difference(self.weight, self.radius)


@dataclass(frozen=True)
class Centring:
    """weight (r + f)^2 of the logits of each pair, whose common offset a relativistic contest leaves free."""

    weight: float = 0.01

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("Centring", weight=self.weight)

    def term(self) -> Term:
        from gvlab import losses

        return losses.centring(self.weight)


@dataclass(frozen=True)
class PathLength:
    """weight (||J^T y|| - a)^2 of a generator with styles, a an average of such lengths (Karras et al. 2020).

    Published in every fourth step: Every(4, PathLength()).
    """

    weight: float = 2.0
    decay: float = 0.01
    """Share of a new length in the average."""
    shrink: int = 2
    """The batch over the part of it that is taken."""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("PathLength", weight=self.weight)
        check_probability("PathLength", decay=self.decay)
        check_size("PathLength", shrink=self.shrink)

    def term(self) -> Term:
        from gvlab import losses

        return losses.path_length(self.weight, self.decay, self.shrink)


@dataclass(frozen=True)
class LeCam:
    """Holds logits near averages of those of the other kind, for small data sets (Tseng et al. 2021)."""

    weight: float = 0.3
    """lambda"""
    decay: float = 0.99
    """Of the averages, per step."""
    start: int = 1000
    """The first step with the term; until then the averages settle."""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("LeCam", weight=self.weight, start=self.start)
        check_fraction("LeCam", decay=self.decay)

    def term(self) -> Term:
        from gvlab import losses

        return losses.lecam(self.weight, self.decay, self.start)


InEachStep: TypeAlias = (
    R1
    | R2
    | ZeroCentred
    | GradientPenalty
    | OneSidedGradientPenalty
    | Dragan
    | ClippedDragan
    | R1FiniteDifference
    | R2FiniteDifference
    | Centring
    | LeCam
    | RealConsistency
    | FakeConsistency
    | LatentConsistency
    | RealClasses
    | FakeClasses
    | RealContrast
    | RealDataToData
)
OfGenerator: TypeAlias = LatentDiversity | PathLength | FakeClasses | FakeContrast | FakeDataToData


@dataclass(frozen=True)
class Every:
    """A term in every `steps`-th update alone, with `steps` times its weight: lazily (Karras et al. 2020)."""

    steps: int = 16
    """Updates of the player, of which a train step may have several (`discriminator_steps`)."""
    inner: InEachStep | OfGenerator | OwnTerm = R1()
    """What is added in these updates."""

    def __post_init__(self) -> None:
        settle(self)
        if self.steps < 1:
            raise UserError(f"Every.steps is {self.steps}, but must be at least 1.")

    def term(self) -> Term:
        from gvlab import losses

        return losses.every(self.steps, self.inner.term())


@dataclass(frozen=True)
class Scheduled:
    """A term whose weight changes with the train step: R3GAN's falls to a tenth along half a cosine."""

    inner: InEachStep | OfGenerator | Every | OwnTerm = R1()
    schedule: AnySchedule = Cosine(end=0.1)
    """A factor on the weight."""

    def __post_init__(self) -> None:
        settle(self)

    def term(self) -> Term:
        from gvlab import losses

        schedule = self.schedule.schedule()
        if isinstance(self.inner, Every):  # the same loss, and its curve has the factor, as that of any other
            return losses.every(self.inner.steps, losses.scheduled(schedule, self.inner.inner.term()))
        return losses.scheduled(schedule, self.inner.term())


AnyGeneratorTerm: TypeAlias = (
    LatentDiversity | PathLength | FakeClasses | FakeContrast | FakeDataToData | Every | Scheduled | OwnTerm
)


AnyTerm: TypeAlias = InEachStep | Every | Scheduled | OwnTerm


def innermost(term: Any) -> Any:
    """The term that others, Every and Scheduled, only change."""
    return innermost(term.inner) if isinstance(term, Every | Scheduled) else term


_MODULES = (__name__, RealConsistency.__module__, RealClasses.__module__)
"""Of gvlab's own terms."""


def check_sides(discriminator_terms: tuple[Any, ...], generator_terms: tuple[Any, ...]) -> None:
    """Raises UserError if one player's loss has a term of the other's, which Every and Scheduled would hide."""
    for side, terms, of_side, other, of_other in (
        ("discriminator", discriminator_terms, InEachStep, "generator", OfGenerator),
        ("generator", generator_terms, OfGenerator, "discriminator", InEachStep),
    ):
        for term in terms:
            if isinstance(innermost(term), of_other) and not isinstance(innermost(term), of_side):
                raise UserError(
                    f"GAN.{side}_terms has {type(innermost(term)).__name__}, but that is a term of the {other}'s "
                    f"loss: put it into {other}_terms."
                )


def check_differences(terms: tuple[Any, ...], precision: str) -> None:
    """Raises UserError if a slope would be the difference of two logits that are rounded nearly as far apart."""
    for term in map(innermost, terms):
        if isinstance(term, R1FiniteDifference | R2FiniteDifference):
            name = type(term).__name__
            raise UserError(
                f"Experiment.precision is {precision!r}, but {name} divides differences of logits by {term.radius}, "
                f"and such logits are rounded to three digits: use 'float32', or {name[:2]}."
            )


def check_given_once(field: str, terms: tuple[Any, ...]) -> None:
    """Raises UserError if two terms are of one kind, lazy or not, since curves and memories are known by it.

    Of classes of one's own nobody knows before they are built: `losses.terms.memories` looks at those, too.
    """
    kinds = [type(innermost(term)) for term in terms]
    for kind in kinds:
        if kinds.count(kind) > 1 and kind.__module__ in _MODULES:
            raise UserError(
                f"{field} has {kind.__name__} {kinds.count(kind)} times: give it once, with the sum of the weights."
            )
