"""What is done to images before a discriminator sees them, real and generated ones alike, for small data sets."""

from gvlab.augment.base import Transform, chain
from gvlab.augment.differentiable import colour, cutout, diffaugment, flip_and_translate, translation
from gvlab.augment.instances import apa, instance_noise
from gvlab.augment.pipeline import PRESETS as ADA_PRESETS
from gvlab.augment.pipeline import ada
from gvlab.augment.probabilities import Augmentation, Verdict, adaptive, constant, ramp

__all__ = [
    "ADA_PRESETS",
    "Augmentation",
    "Transform",
    "Verdict",
    "ada",
    "adaptive",
    "apa",
    "chain",
    "colour",
    "constant",
    "cutout",
    "diffaugment",
    "flip_and_translate",
    "instance_noise",
    "ramp",
    "translation",
]


def __dir__() -> list[str]:
    """What a notebook completes: the public names, and none of the modules that they come from."""
    return __all__
