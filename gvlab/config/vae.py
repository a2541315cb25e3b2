"""A VAE, as an experiment states it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from gvlab.config.checks import check_size
from gvlab.config.inference import Aggressive, AnyInference, Joint
from gvlab.config.likelihoods import (
    Bernoulli,
    Categorical,
    DiscretizedLogistic,
    Gaussian,
    LearnedGaussian,
    MixtureOfLogistics,
    SharedGaussian,
    check_slope,
)
from gvlab.config.networks import MLP, Article, Convolutions, ReluMLP, TwoLayerMLP
from gvlab.config.objectives import (
    BY_NAME,
    ELBO,
    GROUPED,
    OF_BATCHES,
    OF_COVARIANCES,
    OF_INDEPENDENT_NORMALS,
    OF_NORMAL_PRIOR,
    OF_ONE_LAYER,
    WITH_CRITIC,
    AnyObjective,
    LearnedSimilarity,
)
from gvlab.config.optimizers import Adam, AnyOptimizer
from gvlab.config.plain import settle
from gvlab.config.posteriors import (
    AnyPosterior,
    DiagonalNormal,
    InverseAutoregressive,
    NormalisedMeans,
    VonMisesFisher,
)
from gvlab.config.priors import AnyPrior, Flow, StandardNormal, UniformSphere, VaDE, Vamp
from gvlab.config.protocols import OwnCoders, OwnObservation
from gvlab.config.schedules import AnySchedule, Constant
from gvlab.config.sentences import SentenceGRU, Sentences, SentenceTransformer
from gvlab.errors import UserError


@dataclass(frozen=True)
class VAE:
    """A variational autoencoder (Kingma & Welling 2014)."""

    network: Article | MLP | ReluMLP | Convolutions | TwoLayerMLP | SentenceGRU | SentenceTransformer | OwnCoders = (
        Article()
    )
    latent_dim: int = 32
    """Length of z."""
    objective: AnyObjective | Literal["elbo", "importance_weighted"] = ELBO()
    """What is raised; the texts "elbo" and "importance_weighted" will do for these two."""
    likelihood: (
        Bernoulli
        | Gaussian
        | LearnedGaussian
        | DiscretizedLogistic
        | Categorical
        | MixtureOfLogistics
        | SharedGaussian
        | Sentences
        | OwnObservation
    ) = Bernoulli()
    output_bias: Literal["zeros", "data_mean"] = "zeros"
    """data_mean: fully connected networks with Bernoulli pixels begin with the mean of the training data (Burda et al.
    2016)."""
    beta: float = 1.0
    """Weight of the KL term (Higgins et al. 2017)."""
    kl_warmup_steps: int = 0
    """The weight rises linearly from 0 to `beta` over so many steps (Sønderby et al. 2016)."""
    kl_schedule: AnySchedule = Constant()
    """A factor on the weight besides: Cyclical (Fu et al. 2019)."""
    num_samples: int = 1
    """Monte-Carlo samples of the latent per example and step."""
    conditional: bool = False
    """Give the class label to both networks (Sohn et al. 2015)."""
    optimizer: AnyOptimizer = Adam()
    prior: AnyPrior = StandardNormal()
    """What the latents are drawn from; with another than StandardNormal the KL is estimated by the draws."""
    posterior: AnyPosterior = DiagonalNormal()
    """What the encoder says of an example's latents."""
    inference: AnyInference = Joint()
    """How the encoder is trained beside the decoder."""

    def __post_init__(self) -> None:
        if isinstance(self.objective, str) and self.objective in BY_NAME:
            object.__setattr__(self, "objective", BY_NAME[self.objective])
        settle(self)
        check_size("VAE", latent_dim=self.latent_dim, num_samples=self.num_samples)
        if not (self.beta >= 0 and math.isfinite(self.beta)):
            raise UserError(f"VAE.beta is {self.beta}, but must be a finite number of at least 0.")
        if self.output_bias == "data_mean" and not (
            isinstance(self.network, MLP | ReluMLP | TwoLayerMLP) and isinstance(self.likelihood, Bernoulli)
        ):
            raise UserError(
                f"VAE.output_bias is 'data_mean', which is for MLP with Bernoulli and its kind, not "
                f"{type(self.network).__name__} with {type(self.likelihood).__name__}: use 'zeros'."
            )
        if self.kl_warmup_steps < 0:
            raise UserError(f"VAE.kl_warmup_steps is {self.kl_warmup_steps}, but must be at least 0.")
        self._check_sentences()
        self._check_objective()
        self._check_prior()
        self._check_posterior()
        self._check_inference()
        if isinstance(self.network, TwoLayerMLP) and self.latent_dim <= self.network.first:
            raise UserError(
                f"VAE.latent_dim is {self.latent_dim}, but counts the latents of both layers, of which the first has "
                f"{self.network.first}: use more, or a smaller network.first."
            )

    @property
    def batches(self) -> int:
        """Batches of examples that a train step takes."""
        of_encoder = self.inference.most if isinstance(self.inference, Aggressive) else 0
        return 1 + of_encoder + isinstance(self.objective, WITH_CRITIC)

    @property
    def writes(self) -> bool:
        """Whether it is one of sentences."""
        return isinstance(self.network, SentenceGRU | SentenceTransformer)

    def _check_sentences(self) -> None:
        network, likelihood = type(self.network).__name__, type(self.likelihood).__name__
        if self.writes != isinstance(self.likelihood, Sentences):
            advice = "use Sentences" if self.writes else "use SentenceGRU or SentenceTransformer"
            raise UserError(
                f"VAE.network is {network} and VAE.likelihood {likelihood}, of which one is of sentences and the other "
                f"is not: {advice}."
            )
        if self.writes and isinstance(self.prior, Vamp):
            raise UserError("VAE.prior is Vamp, whose learned examples are no sentences: use another prior.")

    def _check_objective(self) -> None:
        objective, name = self.objective, type(self.objective).__name__
        if not isinstance(objective, ELBO) and (
            self.beta != 1 or self.kl_warmup_steps or not isinstance(self.kl_schedule, Constant)
        ):
            raise UserError(
                f"VAE.beta is {self.beta}, VAE.kl_warmup_steps {self.kl_warmup_steps} and VAE.kl_schedule "
                f"{self.kl_schedule}, but {name} has no KL term for them to weigh: use 1, 0 and Constant(), or "
                "objective='elbo'."
            )
        if isinstance(objective, GROUPED) and self.num_samples % objective.groups:
            raise UserError(
                f"VAE.num_samples is {self.num_samples}, but {name} puts its draws into {objective.groups} equal "
                "groups: use a multiple."
            )
        if isinstance(objective, LearnedSimilarity):
            check_slope("VAE.objective is LearnedSimilarity", self.likelihood)
            if self.num_samples != 1:
                raise UserError(
                    f"VAE.num_samples is {self.num_samples}, but {name} looks at one image of each example: use 1."
                )
        if isinstance(objective, OF_ONE_LAYER) and isinstance(self.network, TwoLayerMLP):
            raise UserError(
                f"VAE.objective is {name}, which is of one layer of latents, but TwoLayerMLP has two: use another "
                "network, or another objective."
            )

    def _check_prior(self) -> None:
        name = type(self.prior).__name__
        if isinstance(self.prior, StandardNormal):
            return
        if isinstance(self.network, TwoLayerMLP):
            raise UserError(
                f"VAE.prior is {name}, which is of one layer of latents, but TwoLayerMLP has two: use another network, "
                "or StandardNormal."
            )
        if isinstance(self.objective, OF_NORMAL_PRIOR):
            raise UserError(
                f"VAE.prior is {name}, but {type(self.objective).__name__} compares the latents with a standard normal "
                "prior: use StandardNormal, or another objective."
            )
        if isinstance(self.prior, VaDE):
            self._check_pretraining()
        if isinstance(self.prior, Vamp) and self.conditional:
            raise UserError(
                "VAE.prior is Vamp, whose learned examples have no classes, but the encoder of a conditional VAE wants "
                "them: use conditional=False, or another prior."
            )
        if isinstance(self.prior, Flow) and self.latent_dim < 2:
            raise UserError(
                f"VAE.latent_dim is {self.latent_dim}, but in a Flow one latent says how another changes: use at least "
                "2, or another prior."
            )

    def _check_pretraining(self) -> None:
        """Raises UserError unless what VaDE's pre-training leaves out is there to be left out."""
        if not isinstance(self.objective, ELBO):
            raise UserError(
                f"VAE.prior is VaDE, whose pre-training leaves out the KL term, but {type(self.objective).__name__} "
                "has none: use objective='elbo', or Mixture."
            )
        if self.kl_warmup_steps or not isinstance(self.kl_schedule, Constant):
            raise UserError(
                f"VAE.kl_warmup_steps is {self.kl_warmup_steps} and VAE.kl_schedule {self.kl_schedule}, but the prior "
                "VaDE says itself when the KL term begins: use 0 and Constant()."
            )
        if not isinstance(self.posterior, DiagonalNormal):
            raise UserError(
                f"VAE.posterior is {type(self.posterior).__name__}, but the prior VaDE is fitted to the means of "
                "independent normals: use DiagonalNormal, or Mixture."
            )

    def _check_posterior(self) -> None:
        name = type(self.posterior).__name__
        if isinstance(self.posterior, VonMisesFisher) != isinstance(self.prior, UniformSphere):
            raise UserError(
                f"VAE.posterior is {name} and VAE.prior {type(self.prior).__name__}, but latents are on a sphere by "
                "both or by neither: use VonMisesFisher with UniformSphere."
            )
        if isinstance(self.posterior, VonMisesFisher) and self.latent_dim < 2:
            raise UserError(
                f"VAE.latent_dim is {self.latent_dim}, but a sphere in one dimension is two points, between which "
                "VonMisesFisher has no gradient: use at least 2."
            )
        if isinstance(self.posterior, NormalisedMeans) and isinstance(self.prior, Vamp):
            raise UserError(
                "VAE.posterior is NormalisedMeans, but the prior Vamp gives the encoder learned examples, whose means "
                "would be normalised with those of the data: use DiagonalNormal, or another prior."
            )
        if isinstance(self.posterior, DiagonalNormal):
            return
        if isinstance(self.network, TwoLayerMLP):
            raise UserError(
                f"VAE.posterior is {name}, which is of one layer of latents, but TwoLayerMLP has two: use another "
                "network, or DiagonalNormal."
            )
        if isinstance(self.posterior, NormalisedMeans):
            return
        if isinstance(self.objective, OF_INDEPENDENT_NORMALS):
            raise UserError(
                f"VAE.posterior is {name}, but {type(self.objective).__name__} looks at independent normals: use "
                "DiagonalNormal, or another objective."
            )
        if isinstance(self.prior, Vamp):
            raise UserError(
                f"VAE.posterior is {name}, but the prior Vamp is a mixture of independent normals: use DiagonalNormal, "
                "or another prior."
            )
        if isinstance(self.posterior, InverseAutoregressive) and self.latent_dim < 2:
            raise UserError(
                f"VAE.latent_dim is {self.latent_dim}, but in InverseAutoregressive one latent says how another "
                "changes: use at least 2, or another posterior."
            )

    def _check_inference(self) -> None:
        if isinstance(self.inference, Joint):
            return
        if isinstance(self.objective, (*WITH_CRITIC, LearnedSimilarity)):
            raise UserError(
                f"VAE.inference is Aggressive, but {type(self.objective).__name__} trains a critic besides: use Joint, "
                "or another objective."
            )
        if isinstance(self.network, TwoLayerMLP):
            raise UserError(
                "VAE.inference is Aggressive, which is of one layer of latents, but TwoLayerMLP has two: use another "
                "network, or Joint."
            )
        if isinstance(self.prior, VaDE):
            raise UserError(
                "VAE.inference is Aggressive, but the prior VaDE says itself how the first steps are: use Joint, or "
                "Mixture."
            )

    def check_batch(self, size: int) -> None:
        """Raises UserError if an objective cannot be made of batches of that size."""
        name = type(self.objective).__name__
        if isinstance(self.objective, OF_BATCHES) and size < 2:
            raise UserError(
                f"Experiment.batch_size is {size}, but {name} looks at examples beside each other: use more."
            )
        if isinstance(self.objective, OF_COVARIANCES) and size < 2 * self.latent_dim:
            raise UserError(
                f"Experiment.batch_size is {size}, of which the covariance of {self.latent_dim} latents cannot be told "
                f"({name}): use at least {2 * self.latent_dim}, or fewer latents."
            )
