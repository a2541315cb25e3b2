"""What a VAE's encoder says of the latents of an example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from gvlab.config.checks import check_layers, check_positive, check_size
from gvlab.config.plain import settle

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    import flax.linen as nn

    from gvlab.models.latents import Posterior


@dataclass(frozen=True)
class DiagonalNormal:
    """Independent normals (Kingma & Welling 2014)."""

    def posterior(self, latent_dim: int) -> Posterior | None:
        return None


@dataclass(frozen=True)
class NormalisedMeans:
    """Independent normals whose means have a fixed variance over a batch of training, by BatchNorm, so that there the
    KL of d latents is at least d gamma^2 / 2 nats: BN-VAE (Zhu et al. 2020)."""

    gamma: float = 0.5
    """The means' standard deviation over a batch."""

    def __post_init__(self) -> None:
        settle(self)
        check_positive("NormalisedMeans", gamma=self.gamma)

    def posterior(self, latent_dim: int) -> Posterior | None:
        return None

    def encoder(self, network: nn.Module, axis_name: str | None) -> nn.Module:
        """The encoder with its means normalised."""
        from gvlab import networks

        return networks.NormalisedMeans(network, self.gamma, axis_name)


@dataclass(frozen=True)
class FullCovariance:
    """A normal distribution whose latents depend on each other, with latent_dim (latent_dim - 1) / 2 numbers more."""

    def posterior(self, latent_dim: int) -> Posterior | None:
        from gvlab.models import posteriors

        return posteriors.full_covariance(latent_dim)


@dataclass(frozen=True)
class InverseAutoregressive:
    """Normals through steps in which every latent hears those before it: IAF (Kingma et al. 2016)."""

    steps: int = 2
    hidden: tuple[int, ...] = (64, 64)
    """Units of the hidden layers of each step."""
    context: int = 16
    """Half of the numbers that the encoder gives to the steps, besides the normals' means and variances."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("InverseAutoregressive", steps=self.steps, context=self.context)
        check_layers("InverseAutoregressive", hidden=self.hidden)

    def posterior(self, latent_dim: int) -> Posterior | None:
        from gvlab import networks
        from gvlab.models import posteriors

        steps = networks.InverseAutoregressive(latent_dim, self.steps, self.hidden)
        return posteriors.flow(steps, latent_dim, self.context)


@dataclass(frozen=True)
class Planar:
    """Normals bent along directions that the encoder chooses (Rezende & Mohamed 2015)."""

    steps: int = 10
    context: int = 16
    """As of InverseAutoregressive."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("Planar", steps=self.steps, context=self.context)

    def posterior(self, latent_dim: int) -> Posterior | None:
        from gvlab import networks
        from gvlab.models import posteriors

        return posteriors.flow(networks.Planar(latent_dim, self.steps), latent_dim, self.context)


@dataclass(frozen=True)
class Radial:
    """Normals drawn to, or from, points that the encoder chooses (Rezende & Mohamed 2015)."""

    steps: int = 10
    context: int = 16
    """As of InverseAutoregressive."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("Radial", steps=self.steps, context=self.context)

    def posterior(self, latent_dim: int) -> Posterior | None:
        from gvlab import networks
        from gvlab.models import posteriors

        return posteriors.flow(networks.Radial(latent_dim, self.steps), latent_dim, self.context)


@dataclass(frozen=True)
class VonMisesFisher:
    """Around a direction, on the sphere of vectors of length 1; for the prior UniformSphere (Davidson et al. 2018)."""

    def posterior(self, latent_dim: int) -> Posterior | None:
        from gvlab.models import posteriors

        return posteriors.von_mises_fisher(latent_dim)


AnyPosterior: TypeAlias = (
    DiagonalNormal | NormalisedMeans | FullCovariance | InverseAutoregressive | Planar | Radial | VonMisesFisher
)
INDEPENDENT_NORMALS = DiagonalNormal | NormalisedMeans
"""Those that an encoder's mean and log-variance are all of."""
