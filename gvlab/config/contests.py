"""What the two players of a GAN minimise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from gvlab.config.plain import settle
from gvlab.config.protocols import OwnContest
from gvlab.config.schedules import AnySchedule, Constant
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.losses import Contest
    from gvlab.losses.margins import OfMargin


@dataclass(frozen=True)
class NonSaturating:
    """The game of Goodfellow et al. 2014, in which the generator descends -log D(G(z)) (section 3)."""

    def contest(self) -> Contest:
        from gvlab import losses

        return losses.non_saturating


@dataclass(frozen=True)
class Minimax:
    """The game of Goodfellow et al. 2014 as equation 1 has it: the generator descends log(1 - D(G(z)))."""

    def contest(self) -> Contest:
        from gvlab import losses

        return losses.minimax


@dataclass(frozen=True)
class Hinge:
    """The discriminator gains nothing beyond a margin of 1 (Lim & Ye 2017; Miyato et al. 2018)."""

    def contest(self) -> Contest:
        from gvlab import losses

        return losses.hinge


@dataclass(frozen=True)
class LeastSquares:
    """Logits are drawn to 1 for real examples and to 0 for generated ones (Mao et al. 2017)."""

    def contest(self) -> Contest:
        from gvlab import losses

        return losses.least_squares


@dataclass(frozen=True)
class Wasserstein:
    """The difference of the logits (Arjovsky et al. 2017), for a discriminator whose slope something bounds."""

    def contest(self) -> Contest:
        from gvlab import losses

        return losses.wasserstein


Margin: TypeAlias = Literal["logistic", "hinge", "least_squares", "wasserstein"]


def _of_margin(margin: Margin) -> OfMargin:
    from gvlab import losses

    return {
        "logistic": losses.logistic_margin_loss,
        "hinge": losses.hinge_margin_loss,
        "least_squares": losses.squared_margin_loss,
        "wasserstein": losses.linear_margin_loss,
    }[margin]


@dataclass(frozen=True)
class Relativistic:
    """Each real example against the generated one of its pair: RpGAN (Jolicoeur-Martineau 2018), R3GAN's loss."""

    margin: Margin = "logistic"
    """The loss of the lead of the example that should win."""

    def __post_init__(self) -> None:
        settle(self)

    def contest(self) -> Contest:
        from gvlab import losses

        return losses.relativistic(_of_margin(self.margin))


@dataclass(frozen=True)
class RelativisticAverage:
    """Each example against the mean of the batch of the other kind: RaGAN (Jolicoeur-Martineau 2018)."""

    margin: Margin = "logistic"
    """The loss of the lead of the example that should win."""

    def __post_init__(self) -> None:
        settle(self)

    def contest(self) -> Contest:
        from gvlab import losses

        return losses.relativistic_average(_of_margin(self.margin))


@dataclass(frozen=True)
class TopK:
    """The generator learns from those of its examples alone that are judged most real (Sinha et al. 2020)."""

    game: NonSaturating | Minimax | Hinge | LeastSquares | Wasserstein | Relativistic | Smoothed | OwnContest = (
        NonSaturating()
    )
    """The game that is played; not RelativisticAverage, by whose means the other examples would count, too."""
    share: float = 0.5
    """Of the generated examples of a step, how many count."""
    schedule: AnySchedule = Constant()
    """A factor on the share: Exponential(steps of an epoch, 0.99, end=0.5) of a share of 1 is the paper's."""

    def __post_init__(self) -> None:
        settle(self)
        if not 0 < self.share <= 1:
            raise UserError(f"TopK.share is {self.share}, but must be above 0 and at most 1.")

    def contest(self) -> Contest:
        from gvlab import losses

        if isinstance(self.schedule, Constant):
            return losses.top_k(self.game.contest(), self.share)
        factor = self.schedule.schedule()
        return losses.scheduled_top_k(self.game.contest(), lambda step: self.share * factor(step))


@dataclass(frozen=True)
class Smoothed:
    """A game whose discriminator must not be sure of real examples: one-sided smoothing (Salimans et al. 2016)."""

    game: NonSaturating | Minimax | LeastSquares = NonSaturating()
    """The game that is played."""
    target: float = 0.9
    """What the verdict on real examples is drawn to, instead of 1."""

    def __post_init__(self) -> None:
        settle(self)
        if not 0.5 < self.target <= 1:
            raise UserError(f"Smoothed.target is {self.target}, but must be above 0.5 and at most 1.")

    def contest(self) -> Contest:
        from functools import partial

        from gvlab import losses

        squares = isinstance(self.game, LeastSquares)
        loss = losses.smoothed_least_squares_discriminator_loss if squares else losses.smoothed_discriminator_loss
        return self.game.contest()._replace(discriminator=partial(loss, target=self.target))


@dataclass(frozen=True)
class MultiHinge:
    """One classifier of the classes and of "generated", with a margin of 1 (Kavalerov et al. 2021).

    For a conditional GAN whose discriminator has the head ExtraClass; without MHGAN's matching of features.
    """

    def contest(self) -> Contest:
        from gvlab import losses

        return losses.multi_hinge


AnyContest = (
    NonSaturating
    | Minimax
    | Hinge
    | LeastSquares
    | Wasserstein
    | Relativistic
    | RelativisticAverage
    | TopK
    | Smoothed
    | MultiHinge
    | OwnContest
)
