"""What is done to images before a GAN's discriminator sees them, real and generated ones alike, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from gvlab.config.checks import check_fraction, check_not_negative, check_probability, check_size
from gvlab.config.plain import settle
from gvlab.config.protocols import OwnAugmentation
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.augment import Augmentation, Transform


@dataclass(frozen=True)
class Fixed:
    """The same probability in all steps."""

    p: float = 1.0

    def __post_init__(self) -> None:
        settle(self)
        check_probability("Fixed", p=self.p)

    def of(self, transform: Transform) -> Augmentation:
        from gvlab import augment

        return augment.constant(transform, self.p)


@dataclass(frozen=True)
class Adaptive:
    """The probability that holds E[sign D(x)] of real images at a target (Karras et al. 2020)."""

    target: float = 0.6
    """Of E[sign D(x)], which is 1 where the discriminator knows all real images."""
    images: int = 500_000
    """Real images in which the probability may rise from 0 to 1."""
    interval: int = 4
    """Updates of the discriminator from one adjustment to the next."""

    def __post_init__(self) -> None:
        settle(self)
        check_fraction("Adaptive", target=self.target)
        check_size("Adaptive", images=self.images, interval=self.interval)

    def of(self, transform: Transform) -> Augmentation:
        from gvlab import augment

        return augment.adaptive(transform, self.target, self.images, self.interval)


@dataclass(frozen=True)
class Ramp:
    """From `begin` to `end` along half a cosine, then `end` (R3GAN's published code)."""

    begin: float = 0.0
    end: float = 0.55
    images: int = 20_000_000
    """Real images until the end is reached."""

    def __post_init__(self) -> None:
        settle(self)
        check_probability("Ramp", begin=self.begin, end=self.end)
        check_size("Ramp", images=self.images)

    def of(self, transform: Transform) -> Augmentation:
        from gvlab import augment

        return augment.ramp(transform, self.end, self.images, self.begin)


AnyProbability: TypeAlias = Fixed | Adaptive | Ramp


@dataclass(frozen=True)
class DiffAugment:
    """Colours, shifts and holes, in every image (Zhao et al. 2020)."""

    policy: tuple[Literal["color", "translation", "cutout"], ...] = ("color", "translation", "cutout")
    """What is done, in this order."""

    def __post_init__(self) -> None:
        settle(self)
        if not self.policy or len(set(self.policy)) != len(self.policy):
            raise UserError(
                f"DiffAugment.policy is {self.policy}, but must be one or more of color, translation and cutout, each "
                "once."
            )

    def transform(self) -> Transform:
        from gvlab import augment

        return augment.diffaugment(self.policy)

    def augmentation(self) -> Augmentation:
        return Fixed().of(self.transform())


@dataclass(frozen=True)
class FlipAndTranslate:
    """Mirror images and shifts, as consistency regularization has them (Zhang et al. 2020)."""

    def transform(self) -> Transform:
        from gvlab import augment

        return augment.flip_and_translate()


@dataclass(frozen=True)
class ADA:
    """Adaptive discriminator augmentation (Karras et al. 2020)."""

    preset: Literal[
        "blit", "geom", "color", "filter", "noise", "cutout", "bg", "bgc", "bgcf", "bgcfn", "bgcfnc", "r3gan"
    ] = "bgc"
    """What is done: whole pixels moved (b), general geometry (g), colours (c), filters (f), noise (n), holes (c).
    r3gan: bgc and holes, colours half as often."""
    probability: AnyProbability = Adaptive()
    """Of each of its transformations; no adaptive one in a contest whose signs say nothing."""

    def __post_init__(self) -> None:
        settle(self)

    def transform(self) -> Transform:
        from gvlab import augment

        return augment.ada(augment.ADA_PRESETS[self.preset])

    def augmentation(self) -> Augmentation:
        return self.probability.of(self.transform())


@dataclass(frozen=True)
class APA:
    """Some generated images are called real: adaptive pseudo augmentation (Jiang et al. 2021)."""

    probability: AnyProbability = Adaptive()
    """That a generated image stands in for a real one; no adaptive one in a contest whose signs say nothing."""

    def __post_init__(self) -> None:
        settle(self)

    def augmentation(self) -> Augmentation:
        from gvlab import augment

        return self.probability.of(augment.apa())


@dataclass(frozen=True)
class InstanceNoise:
    """Normal noise on real and generated examples (Sønderby et al. 2017)."""

    deviation: float = 0.1
    """In units of the data."""
    share: Fixed | Ramp = Fixed()
    """Of the deviation: Ramp(1.0, 0.0, images) lets the noise fall to nothing."""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("InstanceNoise", deviation=self.deviation)

    def augmentation(self) -> Augmentation:
        from gvlab import augment

        return self.share.of(augment.instance_noise(self.deviation))


AnyAugmentation: TypeAlias = DiffAugment | ADA | APA | InstanceNoise | OwnAugmentation
