"""What the latents of a VAE are drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from gvlab.config.checks import check_layers, check_size
from gvlab.config.plain import settle
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.models.latents import Prior


@dataclass(frozen=True)
class StandardNormal:
    """N(0, I), with the KL by its formula."""

    def prior(self, shape: tuple[int, ...], latent_dim: int, data_range: tuple[float, float]) -> Prior | None:
        return None


@dataclass(frozen=True)
class Mixture:
    """A mixture of normal distributions with learned weights, means and variances."""

    components: int = 10

    def __post_init__(self) -> None:
        settle(self)
        check_size("Mixture", components=self.components)

    def prior(self, shape: tuple[int, ...], latent_dim: int, data_range: tuple[float, float]) -> Prior | None:
        from gvlab import networks
        from gvlab.models import priors

        return priors.mixture(networks.NormalMixture(self.components, latent_dim))


@dataclass(frozen=True)
class VaDE:
    """A mixture that is fitted to what a plain autoencoder, trained first, makes of the data: a cluster for each
    component (Jiang et al. 2017)."""

    components: int = 10
    pretraining: int = 1000
    """Steps of the plain autoencoder, which has neither noise nor a KL term."""
    examples: int = 2048
    """Training examples whose encodings the mixture is fitted to; in the steps that take these nothing is trained."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("VaDE", components=self.components, pretraining=self.pretraining, examples=self.examples)
        if self.examples < self.components:
            raise UserError(
                f"VaDE.examples is {self.examples}, to which {self.components} components cannot be fitted: use more."
            )

    def steps_before(self, batch_size: int) -> int:
        """Steps until the mixture has been fitted."""
        return self.pretraining + -(-self.examples // batch_size)

    def prior(self, shape: tuple[int, ...], latent_dim: int, data_range: tuple[float, float]) -> Prior | None:
        from gvlab import networks
        from gvlab.models import priors

        return priors.mixture(networks.FittedMixture(self.components, latent_dim, rows=self.examples))


@dataclass(frozen=True)
class Vamp:
    """The mean of the posteriors of learned examples: VampPrior (Tomczak & Welling 2018)."""

    components: int = 500
    """Learned examples, all of which the encoder sees in every step."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("Vamp", components=self.components)

    def prior(self, shape: tuple[int, ...], latent_dim: int, data_range: tuple[float, float]) -> Prior | None:
        from gvlab import networks
        from gvlab.models import priors

        return priors.vamp(networks.PseudoInputs(self.components, shape, *data_range))


@dataclass(frozen=True)
class Flow:
    """What a learned bijection makes of N(0, I) (Rezende & Mohamed 2015; as a prior Chen et al. 2017)."""

    kind: Literal["maf", "realnvp"] = "realnvp"
    """maf: masked autoregressive (Papamakarios et al. 2017), slow to draw from. realnvp: couplings (Dinh et al.
    2017)."""
    layers: int = 4
    """Blocks, or couplings."""
    hidden: tuple[int, ...] = (64, 64)
    """Units of the hidden layers of each."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("Flow", layers=self.layers)
        check_layers("Flow", hidden=self.hidden)

    def prior(self, shape: tuple[int, ...], latent_dim: int, data_range: tuple[float, float]) -> Prior | None:
        from gvlab import networks
        from gvlab.models import priors

        kind = networks.MAF if self.kind == "maf" else networks.RealNVP
        return priors.flow(kind(self.layers, self.hidden), latent_dim)


@dataclass(frozen=True)
class UniformSphere:
    """The same everywhere on the sphere of vectors of length 1, for the posterior VonMisesFisher (Davidson et al.
    2018)."""

    def prior(self, shape: tuple[int, ...], latent_dim: int, data_range: tuple[float, float]) -> Prior | None:
        from gvlab.models import priors

        return priors.on_sphere(latent_dim)


AnyPrior: TypeAlias = StandardNormal | Mixture | VaDE | Vamp | Flow | UniformSphere
