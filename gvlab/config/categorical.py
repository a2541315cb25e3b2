"""A VAE of categorical latents, as an experiment states it."""

from __future__ import annotations

from dataclasses import dataclass

from gvlab.config.checks import check_size
from gvlab.config.estimators import GumbelSoftmax, StraightThrough
from gvlab.config.likelihoods import (
    Bernoulli,
    Categorical,
    DiscretizedLogistic,
    Gaussian,
    LearnedGaussian,
    MixtureOfLogistics,
    SharedGaussian,
)
from gvlab.config.networks import MLP, Article, ReluMLP
from gvlab.config.optimizers import Adam, AnyOptimizer
from gvlab.config.plain import settle
from gvlab.config.schedules import Constant, Cosine, Exponential, Linear
from gvlab.errors import UserError


@dataclass(frozen=True)
class CategoricalVAE:
    """A VAE whose latents are independent and categorical, with a uniform prior (Jang et al. 2017)."""

    network: MLP | ReluMLP | Article = MLP()
    variables: int = 20
    """Latents."""
    classes: int = 10
    """Of each."""
    estimator: GumbelSoftmax | StraightThrough = GumbelSoftmax(1.0)
    """How the gradient comes to the encoder; what is reported is always of hard draws."""
    temperature_schedule: Constant | Exponential | Linear | Cosine = Constant()
    """A factor on the estimator's temperature: Exponential anneals it."""
    likelihood: (
        Bernoulli | Gaussian | LearnedGaussian | DiscretizedLogistic | Categorical | MixtureOfLogistics | SharedGaussian
    ) = Bernoulli()
    conditional: bool = False
    """Give the class label to both networks."""
    optimizer: AnyOptimizer = Adam()

    def __post_init__(self) -> None:
        settle(self)
        check_size("CategoricalVAE", variables=self.variables)
        if self.classes < 2:
            raise UserError(
                f"CategoricalVAE.classes is {self.classes}, of which a latent says nothing: use at least 2."
            )
        schedule = self.temperature_schedule
        if 0 in (getattr(schedule, name, 1.0) for name in ("begin", "end")):
            raise UserError(
                f"CategoricalVAE.temperature_schedule is {schedule}, by which the temperature becomes 0 and the "
                "gradient infinite: let it begin and end above 0."
            )
