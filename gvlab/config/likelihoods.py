"""The likelihoods that a VAE's decoder can have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gvlab.config.checks import check_positive, check_size
from gvlab.config.plain import settle
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.models import Observation


@dataclass(frozen=True)
class Bernoulli:
    """Pixels in [0, 1] as probabilities of a coin; a likelihood of the data only where they are 0 or 1."""

    def observation(self) -> Observation:
        from gvlab.models import observation

        return observation.bernoulli()


@dataclass(frozen=True)
class Gaussian:
    """Independent normal pixels of one fixed variance."""

    variance: float = 0.01

    def __post_init__(self) -> None:
        settle(self)
        check_positive("Gaussian", variance=self.variance)

    def observation(self) -> Observation:
        from gvlab.models import observation

        return observation.gaussian(self.variance)


@dataclass(frozen=True)
class LearnedGaussian:
    """Independent normal pixels; the decoder gives mean and log-variance of each."""

    def observation(self) -> Observation:
        from gvlab.models import observation

        return observation.learned_gaussian()


@dataclass(frozen=True)
class SharedGaussian:
    """Independent normal pixels of one variance, learned with the networks (sigma-VAE, Rybkin et al. 2021)."""

    def observation(self) -> Observation:
        from gvlab.models import observation

        return observation.shared_gaussian()


@dataclass(frozen=True)
class DiscretizedLogistic:
    """8-bit pixels under a logistic density integrated over each level (Kingma et al. 2016; Salimans et al. 2017)."""

    def observation(self) -> Observation:
        from gvlab.models import observation

        return observation.discretized_logistic()


@dataclass(frozen=True)
class MixtureOfLogistics:
    """8-bit grey or RGB pixels under a mixture of logistic densities, integrated over each level (PixelCNN++).

    The values of an RGB pixel depend on each other. The decoder gives 3 numbers for each component of a grey pixel, and
    10 of an RGB pixel (Salimans et al. 2017).
    """

    components: int = 10

    def __post_init__(self) -> None:
        settle(self)
        check_size("MixtureOfLogistics", components=self.components)

    def observation(self) -> Observation:
        from gvlab.models import observation

        return observation.mixture_of_logistics(self.components)


@dataclass(frozen=True)
class Categorical:
    """Each pixel's level drawn from a softmax over `levels` equally spaced ones in [0, 1]."""

    levels: int = 256

    def __post_init__(self) -> None:
        settle(self)
        if self.levels < 2:
            raise UserError(f"Categorical.levels is {self.levels}, but must be at least 2.")

    def observation(self) -> Observation:
        from gvlab.models import observation

        return observation.categorical(self.levels)


def check_slope(asked: str, likelihood: object) -> None:
    """Raises UserError if a critic of images would get images that are rounded to levels, and so no slope of them."""
    if isinstance(likelihood, DiscretizedLogistic | Categorical | MixtureOfLogistics):
        raise UserError(
            f"{asked}, but the mean of {type(likelihood).__name__} is one of its levels, through which no gradient "
            "goes: use Bernoulli, Gaussian, LearnedGaussian or SharedGaussian."
        )
