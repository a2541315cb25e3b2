"""A regularised autoencoder, as an experiment states it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from gvlab.config.checks import check_not_negative, check_size
from gvlab.config.networks import MLP, Article, ReluMLP
from gvlab.config.optimizers import Adam, AnyOptimizer
from gvlab.config.plain import settle

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.models.regularised import Penalty


@dataclass(frozen=True)
class DecoderDecay:
    """weight |theta|^2 of the decoder's parameters: RAE-L2."""

    weight: float = 1e-4
    """lambda"""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("DecoderDecay", weight=self.weight)

    def penalty(self) -> Penalty | None:
        from gvlab.models import regularised

        return regularised.weight_decay(self.weight)


@dataclass(frozen=True)
class DecoderSlope:
    """weight |dD/dz|^2 at the latents: RAE-GP."""

    weight: float = 1e-3
    """lambda"""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("DecoderSlope", weight=self.weight)

    def penalty(self) -> Penalty | None:
        from gvlab.models import regularised

        return regularised.slope_penalty(self.weight)


@dataclass(frozen=True)
class DecoderSpectralNorm:
    """Kernels divided by their spectral norms: RAE-SN."""

    def penalty(self) -> Penalty | None:
        return None


AnyRegulariser: TypeAlias = DecoderDecay | DecoderSlope | DecoderSpectralNorm


@dataclass(frozen=True)
class RAE:
    """A deterministic autoencoder with a regularised decoder (Ghosh et al. 2020): no likelihood, and samples by a
    second stage alone."""

    network: Article | MLP | ReluMLP = Article()
    latent_dim: int = 16
    """Length of z."""
    regulariser: AnyRegulariser = DecoderDecay()
    """Of the decoder."""
    latent_weight: float = 1e-2
    """Of |z|^2 / 2 beside the squared error, summed over an example; beta in the paper."""
    optimizer: AnyOptimizer = Adam()

    def __post_init__(self) -> None:
        settle(self)
        check_size("RAE", latent_dim=self.latent_dim)
        check_not_negative("RAE", latent_weight=self.latent_weight)
