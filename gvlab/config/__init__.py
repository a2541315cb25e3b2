"""The experiment: frozen dataclasses, checked when made, equal to their JSON.

Schedules are stated in absolute steps, so that `steps` only says when to stop: the first n steps of a run are the same
whatever `steps` is, and a finished run can be continued by asking for more.
"""

from gvlab.config.contests import (
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Relativistic,
    RelativisticAverage,
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
from gvlab.config.gan import GAN
from gvlab.config.likelihoods import Bernoulli, Categorical, DiscretizedLogistic, Gaussian, LearnedGaussian
from gvlab.config.members import choices, with_choice
from gvlab.config.networks import DCGAN, MLP, R3GAN, Article, MaxoutMLP, ReluMLP, TwoLayerMLP, TwoMLPs
from gvlab.config.optimizers import SGD, Adam, AdamW, Clipped, RMSprop
from gvlab.config.protocols import (
    OwnCoders,
    OwnContest,
    OwnData,
    OwnModel,
    OwnNetworks,
    OwnObservation,
    OwnOptimizer,
    OwnSchedule,
)
from gvlab.config.schedules import Constant, Cosine, Linear
from gvlab.config.sources import Arrays, Folder, Tfds
from gvlab.config.vae import VAE
from gvlab.spelling import nearest

__all__ = [
    "CADENCE",
    "DCGAN",
    "GAN",
    "MLP",
    "R3GAN",
    "SGD",
    "VAE",
    "WITHOUT_INFLUENCE",
    "Adam",
    "AdamW",
    "Arrays",
    "Article",
    "Bernoulli",
    "Categorical",
    "Clipped",
    "Constant",
    "Cosine",
    "Data",
    "DiscretizedLogistic",
    "Evaluation",
    "Experiment",
    "Folder",
    "Gaussian",
    "Hinge",
    "LearnedGaussian",
    "LeastSquares",
    "Linear",
    "MaxoutMLP",
    "Minimax",
    "NonSaturating",
    "OwnCoders",
    "OwnContest",
    "OwnData",
    "OwnModel",
    "OwnNetworks",
    "OwnObservation",
    "OwnOptimizer",
    "OwnSchedule",
    "RMSprop",
    "Relativistic",
    "RelativisticAverage",
    "ReluMLP",
    "Tfds",
    "TopK",
    "TwoLayerMLP",
    "TwoMLPs",
    "Wasserstein",
    "choices",
    "completed",
    "difference",
    "from_dict",
    "from_json",
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
