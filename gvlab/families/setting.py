"""What a model is made for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import numpy as np

from gvlab import config as c
from gvlab.config import own
from gvlab.types import UserError

_OF_IMAGES = (c.DCGAN, c.Article, c.R3GAN, c.SNGAN, c.SAGAN, c.BigGAN, c.BigGANDeep, c.StyleGAN2)
"""Networks that make images alone."""


class Setting(NamedTuple):
    """The data and the devices that a model is made for."""

    shape: tuple[int, ...]
    """Of one example."""
    classes: int
    """Of a conditional model; 0: it is none."""
    values: tuple[float, float]
    """The least and the greatest that examples take."""
    axis_name: str | None
    """Of the `pmap` axis, if the train step is to be `pmap`ped."""
    precise: Callable[[nn.Module], nn.Module]
    """A network, computing in the precision of the experiment."""
    examples: int | None
    """Of the whole training set, where that is known."""
    data_mean: np.ndarray | None
    """Of the training examples in [0, 1], [*shape], where it is wanted."""

    def options(self) -> dict[str, Any]:
        """Those that all models of gvlab take by these names."""
        return {"num_classes": self.classes, "data_range": self.values, "axis_name": self.axis_name}

    def check_likelihood(self, likelihood: Any) -> None:
        """Raises UserError if the likelihood is one of images in [0, 1], and the data are none."""
        normal = isinstance(likelihood, c.Gaussian | c.LearnedGaussian | c.SharedGaussian)
        if len(self.shape) != 3 and not normal and not own.is_own(type(likelihood)):
            raise UserError(
                f"The likelihood {type(likelihood).__name__} is one of images in [0, 1], but the data are vectors "
                f"{self.shape}: use Gaussian or LearnedGaussian."
            )

    def check_network(self, network: Any) -> None:
        """Raises UserError if the network is one of images alone, and the data are none."""
        if len(self.shape) != 3 and isinstance(network, _OF_IMAGES):
            raise UserError(f"The network {type(network).__name__} makes images, not vectors {self.shape}: use MLP.")

    def check_images(self, part: str) -> None:
        """Raises UserError if a part of a model that is of images alone would see vectors."""
        if len(self.shape) != 3:
            raise UserError(f"{part} is of images, but the data are vectors {self.shape}: leave it out.")
