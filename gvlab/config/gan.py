"""A GAN, as an experiment states it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from gvlab.config import own
from gvlab.config.augmentations import ADA, APA, Adaptive, AnyAugmentation
from gvlab.config.checks import check_fraction, check_not_negative, check_positive, check_size
from gvlab.config.class_terms import (
    FakeClasses,
    FakeContrast,
    FakeDataToData,
    RealClasses,
    RealContrast,
    RealDataToData,
)
from gvlab.config.contests import (
    AnyContest,
    LeastSquares,
    MultiHinge,
    NonSaturating,
    Relativistic,
    RelativisticAverage,
    Smoothed,
    TopK,
    Wasserstein,
)
from gvlab.config.heads import Classifier, Embedding, ExtraClass, Projection
from gvlab.config.networks import DCGAN, MLP, R3GAN, Article, MaxoutMLP, TwoMLPs
from gvlab.config.optimizers import Adam, AnyOptimizer
from gvlab.config.plain import settle
from gvlab.config.protocols import OwnNetworks
from gvlab.config.residual_networks import SAGAN, SNGAN, BigGAN, BigGANDeep
from gvlab.config.schedules import AnySchedule, Constant
from gvlab.config.sentences import SentenceConvolutions
from gvlab.config.stylegan2 import StyleGAN2
from gvlab.config.terms import AnyGeneratorTerm, AnyTerm, PathLength, check_given_once, check_sides, innermost
from gvlab.config.waves import WaveGAN
from gvlab.errors import UserError

AnyNetworks: TypeAlias = (
    DCGAN
    | Article
    | MLP
    | TwoMLPs
    | MaxoutMLP
    | R3GAN
    | SNGAN
    | SAGAN
    | BigGAN
    | BigGANDeep
    | StyleGAN2
    | WaveGAN
    | SentenceConvolutions
    | OwnNetworks
)


@dataclass(frozen=True)
class HalfLife:
    """An average that forgets half of an old value while the discriminator sees so many real images."""

    images: float = 500_000.0
    """The half-life."""
    schedule: AnySchedule = Constant()
    """A factor on it: Linear(begin=0, end=1) for StyleGAN2's ramp, Cosine(begin=0, end=1) for R3GAN's."""

    def __post_init__(self) -> None:
        settle(self)
        check_positive("HalfLife", images=self.images)

    def decay(self) -> Callable[[Any, Any], Any]:
        """(train steps before, images of a step) -> decay of that step."""
        from gvlab import tree

        factor = self.schedule.schedule()
        return lambda step, images: tree.half_life_decay(self.images * factor(step), images)


@dataclass(frozen=True)
class GAN:
    """A generative adversarial network (Goodfellow et al. 2014)."""

    network: AnyNetworks = DCGAN()
    latent_dim: int = 100
    contest: AnyContest = NonSaturating()
    update: Literal["alternating", "simultaneous", "separate"] = "alternating"
    """alternating: `discriminator_steps` updates of the discriminator, then one of the generator against the new one.
    simultaneous: both from the same generated batch, which costs one generator pass less.
    separate: as alternating, but the generator is compared with a batch of real examples of its own, as in R3GAN."""
    discriminator_steps: int = 1
    ema_decay: float = 0.999
    """Decay per step of the generator's average, which `sample` uses; 0 switches the average off."""
    conditional: bool = False
    """Give the class label to both networks (Mirza & Osindero 2014)."""
    generator_optimizer: AnyOptimizer = Adam(learning_rate=2e-4, b1=0.5)
    discriminator_optimizer: AnyOptimizer = Adam(learning_rate=2e-4, b1=0.5)
    discriminator_terms: tuple[AnyTerm, ...] = ()
    """What is added to the discriminator's loss: a sum of terms, each of them once."""
    generator_terms: tuple[AnyGeneratorTerm, ...] = ()
    """What is added to the generator's."""
    augmentation: AnyAugmentation | None = None
    """What is done to images, real and generated ones, before the discriminator sees them."""
    half_life: HalfLife | None = None
    """Of the generator's average, in images; then `ema_decay` is not read. None: the average is by `ema_decay`."""
    packing: int = 1
    """Examples of one source that the discriminator sees at once, on its channels: PacGAN (Lin et al. 2018). Of a batch
    it sees so many times fewer packs; in the paper a batch is of packs."""
    ema_start: int = 0
    """The train step from which on `ema_decay` holds, as it is; until then the average is the generator itself. 20,000
    in BigGAN's published training. 0: from the first one on, and less in a young average (`tree.ema_decay`)."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("GAN", latent_dim=self.latent_dim, discriminator_steps=self.discriminator_steps)
        check_size("GAN", packing=self.packing)
        check_fraction("GAN", ema_decay=self.ema_decay)
        check_not_negative("GAN", ema_start=self.ema_start)
        if self.ema_start and self.half_life:
            raise UserError(
                f"GAN.ema_start is {self.ema_start}, but GAN.half_life is given, with which ema_decay is not read: "
                "leave one of them out."
            )
        check_given_once("GAN.discriminator_terms", self.discriminator_terms)
        check_given_once("GAN.generator_terms", self.generator_terms)
        check_sides(self.discriminator_terms, self.generator_terms)
        _check_styles(self.network, self.generator_terms)
        _check_signs(self.augmentation, self.contest)
        _check_head(self)
        if self.update == "simultaneous" and self.discriminator_steps != 1:
            raise UserError(
                f"GAN.discriminator_steps is {self.discriminator_steps}, but simultaneous updates take exactly 1: "
                "use update='alternating'."
            )
        if self.packing > 1 and self.conditional:
            raise UserError(
                f"GAN.packing is {self.packing}, but a conditional discriminator would need one class per pack: use "
                "conditional=False, or packing=1."
            )
        if self.packing > 1 and isinstance(self.augmentation, APA):
            raise UserError(
                f"GAN.packing is {self.packing}, but APA lets single generated images stand in for real ones, so that "
                "packs would be of both: use packing=1, or another augmentation."
            )

    def decay(self) -> Any:
        """Of the generator's average: a number, or (train steps before, images of a step) -> that of the step."""
        from gvlab import tree

        if self.half_life:
            return self.half_life.decay()
        if not self.ema_start:
            return self.ema_decay
        return lambda step, images: tree.ema_decay_from(self.ema_decay, self.ema_start, step)

    @property
    def writes(self) -> bool:
        """Whether what it makes are sentences."""
        return isinstance(self.network, SentenceConvolutions)

    @property
    def batches(self) -> int:
        """Batches of real examples that a train step takes."""
        return self.discriminator_steps + (self.update == "separate")


def _check_styles(network: AnyNetworks, terms: tuple[AnyGeneratorTerm, ...]) -> None:
    """Raises UserError if path lengths are asked of one of our generators that has no styles."""
    has_paths = any(isinstance(innermost(term), PathLength) for term in terms)
    if has_paths and not isinstance(network, StyleGAN2) and not _is_unknown(network):
        raise UserError(
            f"GAN.generator_terms has PathLength, but the generator of {type(network).__name__} has no styles: use "
            "StyleGAN2."
        )


def _check_signs(augmentation: AnyAugmentation | None, contest: AnyContest) -> None:
    """Raises UserError if a probability follows the sign of logits in a contest where it says nothing, or if pairs
    would be of one image."""
    game: Any = contest
    while isinstance(game, TopK | Smoothed):
        game = game.game
    if isinstance(augmentation, APA) and isinstance(game, Relativistic):
        raise UserError(
            "GAN.augmentation is APA, but in the contest Relativistic a generated image that stands in for a real one "
            "would be compared with itself: use RelativisticAverage, or another augmentation."
        )
    if not isinstance(game, Relativistic | RelativisticAverage | Wasserstein | LeastSquares):
        return
    if isinstance(augmentation, ADA | APA) and isinstance(augmentation.probability, Adaptive):
        raise UserError(
            f"GAN.augmentation is {type(augmentation).__name__} with the probability Adaptive, which follows the sign "
            f"of the logits, but in the contest {type(game).__name__} it does not tell real examples from generated "
            "ones: use Ramp or Fixed."
        )


_HEADS: dict[Any, Any] = {
    RealClasses: Classifier,
    FakeClasses: Classifier,
    RealContrast: Embedding,
    FakeContrast: Embedding,
    RealDataToData: Embedding,
    FakeDataToData: Embedding,
    MultiHinge: ExtraClass,
}
"""By what reads it."""


def _check_head(gan: GAN) -> None:
    """Raises UserError if the discriminator's head is not what terms and contest read, or if nothing reads it.

    What classes of one's own give and read is not known before they are built: then the model looks at it.
    """
    if _is_unknown(gan.network):
        return
    network: Any = gan.network
    head = getattr(network, "head", None)
    of_discriminator = [gan.contest, *map(innermost, gan.discriminator_terms)]
    for part in (*of_discriminator, *map(innermost, gan.generator_terms)):
        wanted = _HEADS.get(type(part))
        if wanted is not None and not isinstance(head, wanted):
            found = f"the head {type(head).__name__}" if head else "none"
            raise UserError(
                f"{type(part).__name__} reads the head {wanted.__name__} of a discriminator, but that of "
                f"{type(gan.network).__name__} has {found}: use SNGAN, SAGAN, BigGAN or BigGANDeep with that head."
            )
    if head is None:
        return
    name = type(head).__name__
    if not gan.conditional:
        raise UserError(f"GAN.network has the head {name}, which is about classes: use conditional=True.")
    if isinstance(head, Projection):  # the one that None stands for: one discriminator has one configuration
        object.__setattr__(gan, "network", replace(network, head=None))
    elif not any(_is_unknown(part) or _HEADS.get(type(part)) is type(head) for part in of_discriminator):
        readers = [part.__name__ for part, wanted in _HEADS.items() if wanted is type(head)]
        raise UserError(
            f"GAN.network has the head {name}, which nothing in the discriminator's loss reads: use "
            f"{' or '.join(reader for reader in readers if reader.startswith(('Real', 'Multi')))}."
        )


def _is_unknown(part: Any) -> bool:
    return isinstance(part, own.Unopened) or own.is_own(type(part))
