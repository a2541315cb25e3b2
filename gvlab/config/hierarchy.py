"""A hierarchical VAE, as an experiment states it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gvlab.config.checks import check_fraction, check_not_negative, check_size
from gvlab.config.ladders import NVAE, VDVAE, LadderMLP
from gvlab.config.likelihoods import (
    Bernoulli,
    Categorical,
    DiscretizedLogistic,
    Gaussian,
    LearnedGaussian,
    MixtureOfLogistics,
)
from gvlab.config.objectives import (
    ELBO,
    CombinedImportanceWeighted,
    DoublyReparametrised,
    ImportanceWeighted,
    MultiplyImportanceWeighted,
    PartiallyImportanceWeighted,
    Renyi,
    StickingTheLanding,
)
from gvlab.config.optimizers import Adam, AnyOptimizer, Skipped
from gvlab.config.plain import settle
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.models.weight_terms import WeightTerm


@dataclass(frozen=True)
class Unregularised:
    """The loss is the bound's alone."""

    def weight_term(self) -> WeightTerm | None:
        return None


@dataclass(frozen=True)
class SpectralRegularisation:
    """weight x the sum of the largest singular values of all convolutions, which keeps the network smooth (Vahdat &
    Kautz 2020)."""

    weight: float = 0.01
    """lambda"""
    iterations: int = 4
    """Of the power iteration that follows the singular vectors, in each step."""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("SpectralRegularisation", weight=self.weight)
        check_size("SpectralRegularisation", iterations=self.iterations)

    def weight_term(self) -> WeightTerm | None:
        from gvlab.models import weight_terms

        return weight_terms.spectral_regularisation(self.weight, self.iterations)


@dataclass(frozen=True)
class HierarchicalVAE:
    """A variational autoencoder with many layers of latents, drawn from the top down (Sønderby et al. 2016)."""

    network: VDVAE | NVAE | LadderMLP = VDVAE()
    objective: (
        ELBO
        | ImportanceWeighted
        | MultiplyImportanceWeighted
        | CombinedImportanceWeighted
        | Renyi
        | StickingTheLanding
        | DoublyReparametrised
        | PartiallyImportanceWeighted
    ) = ELBO()
    """What is raised; the last three are of one layer of latents, and refused."""
    likelihood: Bernoulli | Gaussian | LearnedGaussian | DiscretizedLogistic | Categorical | MixtureOfLogistics = (
        Bernoulli()
    )
    beta: float = 1.0
    """Weight of the KL term (Higgins et al. 2017)."""
    kl_warmup_steps: int = 0
    """The weight rises linearly from 0 to `beta` over so many steps (Sønderby et al. 2016)."""
    num_samples: int = 1
    """Monte-Carlo samples of all latents per example and step."""
    ema_decay: float = 0.999
    """Decay per step of the average that is evaluated and sampled from; 0 switches it off."""
    optimizer: AnyOptimizer | Skipped = Adam()
    regulariser: Unregularised | SpectralRegularisation = Unregularised()
    """Of the weights."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("HierarchicalVAE", num_samples=self.num_samples)
        check_fraction("HierarchicalVAE", ema_decay=self.ema_decay)
        check_not_negative("HierarchicalVAE", beta=self.beta, kl_warmup_steps=self.kl_warmup_steps)
        if isinstance(self.regulariser, SpectralRegularisation) and isinstance(self.network, LadderMLP):
            raise UserError(
                "HierarchicalVAE.regulariser is SpectralRegularisation, which is of convolutions, but LadderMLP has "
                "none: use NVAE or VDVAE, or Unregularised."
            )
        name = type(self.objective).__name__
        if isinstance(self.objective, StickingTheLanding | DoublyReparametrised | PartiallyImportanceWeighted):
            raise UserError(
                f"HierarchicalVAE.objective is {name}, which is of one layer of latents, but "
                f"{type(self.network).__name__} has several: use ELBO or ImportanceWeighted."
            )
        if not isinstance(self.objective, ELBO) and (self.beta != 1 or self.kl_warmup_steps):
            raise UserError(
                f"HierarchicalVAE.beta is {self.beta} and HierarchicalVAE.kl_warmup_steps {self.kl_warmup_steps}, but "
                f"{name} has no KL term for them to weigh: use 1 and 0, or objective=ELBO()."
            )
        if isinstance(self.objective, MultiplyImportanceWeighted) and self.num_samples % self.objective.groups:
            raise UserError(
                f"HierarchicalVAE.num_samples is {self.num_samples}, but {name} puts its draws into "
                f"{self.objective.groups} equal groups: use a multiple."
            )
