"""The likelihoods that a VAE's decoder can have."""

from __future__ import annotations

from dataclasses import dataclass

from gvlab.config.checks import check_positive
from gvlab.config.plain import settle
from gvlab.errors import UserError


@dataclass(frozen=True)
class Bernoulli:
    """Pixels in [0, 1] as probabilities of a coin; a likelihood of the data only where they are 0 or 1."""


@dataclass(frozen=True)
class Gaussian:
    """Independent normal pixels of one fixed variance."""

    variance: float = 0.01

    def __post_init__(self) -> None:
        settle(self)
        check_positive("Gaussian", variance=self.variance)


@dataclass(frozen=True)
class LearnedGaussian:
    """Independent normal pixels; the decoder gives mean and log-variance of each."""


@dataclass(frozen=True)
class DiscretizedLogistic:
    """8-bit pixels under a logistic density integrated over each level (Kingma et al. 2016; Salimans et al. 2017)."""


@dataclass(frozen=True)
class Categorical:
    """Each pixel's level drawn from a softmax over `levels` equally spaced ones in [0, 1]."""

    levels: int = 256

    def __post_init__(self) -> None:
        settle(self)
        if self.levels < 2:
            raise UserError(f"Categorical.levels is {self.levels}, but must be at least 2.")
