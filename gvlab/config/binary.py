"""A VAE of bits, as an experiment states it."""

from __future__ import annotations

from dataclasses import dataclass

from gvlab.config.checks import check_size
from gvlab.config.estimators import AnyEstimator, DisARM
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
from gvlab.config.protocols import OwnCoders, OwnObservation


@dataclass(frozen=True)
class BinaryVAE:
    """A VAE whose latents are independent bits, with fair coins as their prior (Mnih & Gregor 2014)."""

    network: MLP | ReluMLP | Article | OwnCoders = MLP()
    latent_dim: int = 200
    """Bits of z."""
    estimator: AnyEstimator = DisARM()
    """How the gradient of the bound comes to the encoder; what is reported is always of bits."""
    likelihood: (
        Bernoulli
        | Gaussian
        | LearnedGaussian
        | DiscretizedLogistic
        | Categorical
        | MixtureOfLogistics
        | SharedGaussian
        | OwnObservation
    ) = Bernoulli()
    conditional: bool = False
    """Give the class label to both networks."""
    optimizer: AnyOptimizer = Adam()

    def __post_init__(self) -> None:
        settle(self)
        check_size("BinaryVAE", latent_dim=self.latent_dim)
