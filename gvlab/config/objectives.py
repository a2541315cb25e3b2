"""What a VAE can raise: bounds on log p(x), and estimators of their gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gvlab.config.checks import check_layers, check_not_negative, check_positive, check_size
from gvlab.config.optimizers import Adam, AnyOptimizer
from gvlab.config.plain import settle
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    import flax.linen as nn
    import optax

    from gvlab.models.critics import LatentCritic
    from gvlab.models.image_critics import SimilarityCritic
    from gvlab.models.objectives import Objective


@dataclass(frozen=True)
class ELBO:
    """The evidence lower bound with its analytic KL, weighed by the VAE's beta (Kingma & Welling 2014)."""


@dataclass(frozen=True)
class Capacity:
    """E log p(x|z) - gamma |KL - C|, where C rises along a line: so many nats of information (Burgess et al. 2018)."""

    gamma: float = 1000.0
    end: float = 25.0
    """C from `steps` on, in nats."""
    steps: int = 100_000

    def __post_init__(self) -> None:
        settle(self)
        check_positive("Capacity", gamma=self.gamma)
        check_not_negative("Capacity", end=self.end)
        check_size("Capacity", steps=self.steps)

    def objective(self) -> Objective:
        from gvlab.models import objectives

        return objectives.capacity(self.gamma, self.end, self.steps)


@dataclass(frozen=True)
class FreeNats:
    """The ELBO in which a latent's mean KL counts as `least` nats where it is less: free bits (Kingma et al. 2016)."""

    least: float = 0.25

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("FreeNats", least=self.least)

    def objective(self) -> Objective:
        from gvlab.models import objectives

        return objectives.free_nats(self.least)


@dataclass(frozen=True)
class TotalCorrelation:
    """The ELBO with the latents' total correlation weighed by beta: beta-TCVAE (Chen et al. 2018, equation 4)."""

    beta: float = 6.0

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("TotalCorrelation", beta=self.beta)

    def objective(self) -> Objective:
        from gvlab.models import objectives

        return objectives.total_correlation(self.beta)


@dataclass(frozen=True)
class DisentangledMeans:
    """The ELBO, less how far the covariance of the posteriors' means is from 1: DIP-VAE-I (Kumar et al. 2018)."""

    off_diagonal: float = 10.0
    diagonal: float = 100.0

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("DisentangledMeans", off_diagonal=self.off_diagonal, diagonal=self.diagonal)

    def objective(self) -> Objective:
        from gvlab.models import objectives

        return objectives.disentangled_means(self.off_diagonal, self.diagonal)


@dataclass(frozen=True)
class DisentangledLatents:
    """The ELBO, less how far the covariance of drawn latents is from 1: DIP-VAE-II (Kumar et al. 2018)."""

    off_diagonal: float = 10.0
    diagonal: float = 10.0

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("DisentangledLatents", off_diagonal=self.off_diagonal, diagonal=self.diagonal)

    def objective(self) -> Objective:
        from gvlab.models import objectives

        return objectives.disentangled_latents(self.off_diagonal, self.diagonal)


@dataclass(frozen=True)
class Information:
    """E log p(x|z) - (1 - alpha) KL - (alpha + weight - 1) MMD^2 of the latents and the prior: InfoVAE (Zhao et al.
    2017)."""

    alpha: float = 0.5
    weight: float = 10.0
    """lambda"""
    kernel: Literal["gaussian", "multiquadric"] = "multiquadric"

    def __post_init__(self) -> None:
        settle(self)
        if not math.isfinite(self.alpha) or self.alpha > 1:
            raise UserError(f"Information.alpha is {self.alpha}, but must be a finite number of at most 1.")
        check_not_negative("Information", weight=self.weight)

    def objective(self) -> Objective:
        from gvlab import losses
        from gvlab.models import objectives

        kernels = {"gaussian": losses.gaussian_kernel, "multiquadric": losses.multiquadric_kernel}
        return objectives.information(self.alpha, self.weight, kernels[self.kernel])


@dataclass(frozen=True)
class Factor:
    """The ELBO with the latents' total correlation, as a critic sees it, besides: FactorVAE (Kim & Mnih 2018)."""

    gamma: float = 6.4
    """Of the total correlation."""
    hidden: tuple[int, ...] = (1000, 1000, 1000, 1000, 1000, 1000)
    """Units of the critic's hidden layers, with leaky ReLU."""
    optimizer: AnyOptimizer = Adam(learning_rate=1e-4, b1=0.5, b2=0.9)
    """The critic's."""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("Factor", gamma=self.gamma)
        check_layers("Factor", hidden=self.hidden)

    def objective(self) -> Objective:
        from gvlab.models import critics

        return critics.factor(self.gamma)

    def critic(self, optimizer: optax.GradientTransformation) -> LatentCritic:
        from gvlab.models import critics

        return critics.LatentCritic(_leaky(self.hidden), optimizer, critics.permuted)


@dataclass(frozen=True)
class Adversarial:
    """E log p(x|z), and latents that a critic cannot tell from the prior's: AAE (Makhzani et al. 2016), WAE-GAN."""

    weight: float = 10.0
    """Of what the critic's verdict costs: WAE's lambda."""
    hidden: tuple[int, ...] = (512, 512, 512, 512)
    """Units of the critic's hidden layers, with leaky ReLU."""
    optimizer: AnyOptimizer = Adam(learning_rate=5e-4, b1=0.5)
    """The critic's."""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("Adversarial", weight=self.weight)
        check_layers("Adversarial", hidden=self.hidden)

    def objective(self) -> Objective:
        from gvlab.models import critics

        return critics.adversarial(self.weight)

    def critic(self, optimizer: optax.GradientTransformation) -> LatentCritic:
        from gvlab.models import critics

        return critics.LatentCritic(_leaky(self.hidden), optimizer, critics.of_prior)


@dataclass(frozen=True)
class LearnedSimilarity:
    """Images that are like the data by the features of a critic, which cannot tell them from data: VAE-GAN (Larsen et
    al. 2016)."""

    gamma: float = 1e-2
    """Of likeness beside the critic's verdict, in the decoder's loss."""
    width: int = 32
    """Channels of the critic's first layer."""
    units: int = 512
    """Of its dense layer."""
    optimizer: AnyOptimizer = Adam(learning_rate=2e-4, b1=0.5)
    """The critic's."""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("LearnedSimilarity", gamma=self.gamma)
        check_size("LearnedSimilarity", width=self.width, units=self.units)

    def image_critic(self, optimizer: optax.GradientTransformation, axis_name: str | None) -> SimilarityCritic:
        from gvlab import networks
        from gvlab.models.image_critics import SimilarityCritic

        network = networks.SimilarityDiscriminator(self.width, self.units, axis_name)
        return SimilarityCritic(network, optimizer, self.gamma)


def _leaky(hidden: tuple[int, ...]) -> nn.Module:
    from functools import partial

    import jax

    from gvlab import networks

    return networks.MLPDiscriminator(hidden, activation=partial(jax.nn.leaky_relu, negative_slope=0.2))


@dataclass(frozen=True)
class StickingTheLanding:
    """The ELBO by its draws, with a gradient that vanishes where q is the true posterior (Roeder et al. 2017)."""

    def objective(self) -> Objective:
        from gvlab.models import objectives

        return objectives.sticking_the_landing


@dataclass(frozen=True)
class ImportanceWeighted:
    """The tighter bound by the weights of `num_samples` draws (IWAE; Burda et al. 2016, equation 8)."""

    def objective(self) -> Objective:
        from gvlab.models import objectives

        return objectives.importance_weighted


@dataclass(frozen=True)
class DoublyReparametrised:
    """The bound of ImportanceWeighted, with an encoder's gradient that many draws do not drown (Tucker et al. 2019)."""

    def objective(self) -> Objective:
        from gvlab.models import objectives

        return objectives.doubly_reparametrised


@dataclass(frozen=True)
class MultiplyImportanceWeighted:
    """The mean of the importance-weighted bounds of groups of the draws (MIWAE; Rainforth et al. 2018)."""

    groups: int = 8
    """M; `num_samples` is M K."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("MultiplyImportanceWeighted", groups=self.groups)

    def objective(self) -> Objective:
        from gvlab.models import objectives

        return objectives.multiply_importance_weighted(self.groups)


@dataclass(frozen=True)
class PartiallyImportanceWeighted:
    """The decoder raises the bound of all draws, the encoder that of groups (PIWAE; Rainforth et al. 2018)."""

    groups: int = 8
    """M; `num_samples` is M K."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("PartiallyImportanceWeighted", groups=self.groups)

    def objective(self) -> Objective:
        from gvlab.models import objectives

        return objectives.partially_importance_weighted(self.groups)


@dataclass(frozen=True)
class CombinedImportanceWeighted:
    """A share of the ELBO, the rest of the importance-weighted bound (CIWAE; Rainforth et al. 2018)."""

    share: float = 0.05
    """Of the ELBO; the paper's beta."""

    def __post_init__(self) -> None:
        settle(self)
        if not 0 <= self.share <= 1:
            raise UserError(f"CombinedImportanceWeighted.share is {self.share}, but must be in [0, 1].")

    def objective(self) -> Objective:
        from gvlab.models import objectives

        return objectives.combined_importance_weighted(self.share)


@dataclass(frozen=True)
class Renyi:
    """The bound of Rényi's divergence: ImportanceWeighted at alpha = 0, the ELBO at 1 (VR; Li & Turner 2016)."""

    alpha: float = 0.5

    def __post_init__(self) -> None:
        settle(self)
        if not math.isfinite(self.alpha):
            raise UserError(f"Renyi.alpha is {self.alpha}, but must be a finite number.")

    def objective(self) -> Objective:
        from gvlab.models import objectives

        return objectives.renyi(self.alpha)


AnyObjective = (
    ELBO
    | Capacity
    | FreeNats
    | TotalCorrelation
    | DisentangledMeans
    | DisentangledLatents
    | Information
    | Factor
    | Adversarial
    | LearnedSimilarity
    | StickingTheLanding
    | ImportanceWeighted
    | DoublyReparametrised
    | MultiplyImportanceWeighted
    | PartiallyImportanceWeighted
    | CombinedImportanceWeighted
    | Renyi
)

BY_NAME: dict[str, AnyObjective] = {"elbo": ELBO(), "importance_weighted": ImportanceWeighted()}
"""As texts, which an experiment file may give as well."""
GROUPED = (MultiplyImportanceWeighted, PartiallyImportanceWeighted)
OF_COVARIANCES = (DisentangledMeans, DisentangledLatents)
OF_BATCHES = (TotalCorrelation, DisentangledMeans, DisentangledLatents, Information, Factor)
"""They look at the batch as a whole, which must be large enough."""
OF_ONE_LAYER = (
    *(FreeNats, TotalCorrelation, DisentangledMeans, DisentangledLatents, Factor, Adversarial, LearnedSimilarity),
    *(StickingTheLanding, DoublyReparametrised, PartiallyImportanceWeighted),
)
"""They look at q(z|x) as one normal distribution, or at p(x, z) again."""
OF_INDEPENDENT_NORMALS = tuple(set(OF_ONE_LAYER) - {PartiallyImportanceWeighted})
"""They look at the means and variances of the posterior's independent normals."""
OF_NORMAL_PRIOR = (FreeNats, TotalCorrelation, Information, Adversarial, LearnedSimilarity)
"""They take the prior for N(0, I) by its formula or its draws."""
WITH_CRITIC = (Factor, Adversarial)
"""They train a critic of the latents, on a batch of its own."""
