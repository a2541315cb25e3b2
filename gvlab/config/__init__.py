"""The experiment: frozen dataclasses, checked when made, equal to their JSON.

Schedules are stated in absolute steps, so that `steps` only says when to stop: the first n steps of a run are the same
whatever `steps` is, and a finished run can be continued by asking for more.
"""

from gvlab.config.augmentations import ADA, APA, Adaptive, DiffAugment, Fixed, FlipAndTranslate, InstanceNoise, Ramp
from gvlab.config.consistency import FakeConsistency, LatentConsistency, LatentDiversity, RealConsistency
from gvlab.config.contests import (
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Relativistic,
    RelativisticAverage,
    Smoothed,
    TopK,
    Wasserstein,
)
from gvlab.config.experiment import (
    CADENCE,
    WITHOUT_INFLUENCE,
    Data,
    Evaluation,
    Experiment,
    from_dict,
    from_json,
    image_range,
    is_conditional,
    to_json,
    with_value,
)
from gvlab.config.fields import completed, difference, leaves, member_to_dict, to_dict, value, with_traced
from gvlab.config.gan import GAN, HalfLife
from gvlab.config.likelihoods import Bernoulli, Categorical, DiscretizedLogistic, Gaussian, LearnedGaussian
from gvlab.config.members import choices, holds_several, with_choice
from gvlab.config.networks import DCGAN, MLP, R3GAN, Article, MaxoutMLP, ReluMLP, TwoLayerMLP, TwoMLPs
from gvlab.config.optimizers import SGD, Adam, AdamW, AnnealedAdam, Boxed, Clipped, LazyAdam, Orthogonal, RMSprop
from gvlab.config.protocols import (
    OwnCoders,
    OwnContest,
    OwnData,
    OwnModel,
    OwnNetworks,
    OwnObservation,
    OwnOptimizer,
    OwnSchedule,
    OwnTerm,
)
from gvlab.config.residual_networks import SAGAN, SNGAN, BigGAN, BigGANDeep
from gvlab.config.schedules import Constant, Cosine, Linear
from gvlab.config.sources import Arrays, Folder, Tfds
from gvlab.config.stylegan2 import StyleGAN2
from gvlab.config.terms import (
    R1,
    R2,
    Centring,
    Dragan,
    Every,
    GradientPenalty,
    LeCam,
    OneSidedGradientPenalty,
    PathLength,
    R1FiniteDifference,
    R2FiniteDifference,
    Scheduled,
    ZeroCentred,
)
from gvlab.config.vae import VAE
from gvlab.spelling import nearest

__all__ = [
    "ADA",
    "APA",
    "CADENCE",
    "DCGAN",
    "GAN",
    "MLP",
    "R1",
    "R2",
    "R3GAN",
    "SAGAN",
    "SGD",
    "SNGAN",
    "VAE",
    "WITHOUT_INFLUENCE",
    "Adam",
    "AdamW",
    "Adaptive",
    "AnnealedAdam",
    "Arrays",
    "Article",
    "Bernoulli",
    "BigGAN",
    "BigGANDeep",
    "Boxed",
    "Categorical",
    "Centring",
    "Clipped",
    "Constant",
    "Cosine",
    "Data",
    "DiffAugment",
    "DiscretizedLogistic",
    "Dragan",
    "Evaluation",
    "Every",
    "Experiment",
    "FakeConsistency",
    "Fixed",
    "FlipAndTranslate",
    "Folder",
    "Gaussian",
    "GradientPenalty",
    "HalfLife",
    "Hinge",
    "InstanceNoise",
    "LatentConsistency",
    "LatentDiversity",
    "LazyAdam",
    "LeCam",
    "LearnedGaussian",
    "LeastSquares",
    "Linear",
    "MaxoutMLP",
    "Minimax",
    "NonSaturating",
    "OneSidedGradientPenalty",
    "Orthogonal",
    "OwnCoders",
    "OwnContest",
    "OwnData",
    "OwnModel",
    "OwnNetworks",
    "OwnObservation",
    "OwnOptimizer",
    "OwnSchedule",
    "OwnTerm",
    "PathLength",
    "R1FiniteDifference",
    "R2FiniteDifference",
    "RMSprop",
    "Ramp",
    "RealConsistency",
    "Relativistic",
    "RelativisticAverage",
    "ReluMLP",
    "Scheduled",
    "Smoothed",
    "StyleGAN2",
    "Tfds",
    "TopK",
    "TwoLayerMLP",
    "TwoMLPs",
    "Wasserstein",
    "ZeroCentred",
    "choices",
    "completed",
    "difference",
    "from_dict",
    "from_json",
    "holds_several",
    "image_range",
    "is_conditional",
    "leaves",
    "member_to_dict",
    "nearest",
    "to_dict",
    "to_json",
    "value",
    "with_choice",
    "with_traced",
    "with_value",
]


def __dir__() -> list[str]:
    """What a notebook completes: the public names, and none of the modules that they come from."""
    return __all__
