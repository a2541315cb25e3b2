"""What a model is made for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import numpy as np

from gvlab import config as c
from gvlab.audio.standardised import Frequencies
from gvlab.config import own
from gvlab.data import IMAGES, TOKENS, VECTORS, WAVES, Modality, modality_of_shape
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
    levels: int = 0
    """Of sentences, the integers that a symbol may be; 0: the data are none."""
    frequencies: Frequencies | None = None
    """Of the training sounds, where they are wanted and known."""

    @property
    def modality(self) -> Modality:
        """The kind of the data."""
        return TOKENS if self.levels else modality_of_shape(self.shape)

    def options(self) -> dict[str, Any]:
        """Those that all models of gvlab take by these names."""
        return {"num_classes": self.classes, "data_range": self.values, "axis_name": self.axis_name}

    def check_family(self, config: Any) -> None:
        """Raises UserError if the data are sentences, and the model makes none, or the other way round."""
        writes = isinstance(config, c.VAE | c.GAN) and config.writes
        may_write = writes or isinstance(config, c.Density) or not isinstance(config, c.FAMILIES)
        if self.modality == TOKENS and not may_write:
            network = f" with {type(config.network).__name__}" if isinstance(config, c.VAE | c.GAN) else ""
            raise UserError(
                f"{type(config).__name__}{network} makes no sentences, but the data are: use a Density with "
                "CausalTransformer or SentenceGRU, a VAE with SentenceGRU and Sentences, or a GAN with "
                "SentenceConvolutions."
            )
        if writes and self.modality != TOKENS:
            raise UserError(
                f"{type(config.network).__name__} makes sentences, but the data are {self.modality.name} "
                f"{self.shape}: use another network."
            )

    def check_likelihood(self, likelihood: Any) -> None:
        """Raises UserError if the likelihood is one of images in [0, 1], and the data are none."""
        normal = isinstance(likelihood, c.Gaussian | c.LearnedGaussian | c.SharedGaussian)
        if self.modality in (VECTORS, WAVES) and not normal and not own.is_own(type(likelihood)):
            raise UserError(
                f"The likelihood {type(likelihood).__name__} is one of images in [0, 1], but the data are "
                f"{self.modality.name} {self.shape}: use Gaussian or LearnedGaussian."
            )

    def check_network(self, network: Any) -> None:
        """Raises UserError if the network is one of images alone, or of waves, and the data are none."""
        instead = "WaveGAN or MLP, or the model within Spectrograms" if self.modality == WAVES else "MLP"
        if self.modality != IMAGES and isinstance(network, _OF_IMAGES):
            raise UserError(
                f"The network {type(network).__name__} makes images, not {self.modality.name} {self.shape}: use "
                f"{instead}."
            )
        if self.modality != WAVES and isinstance(network, c.WaveGAN):
            instead = "DCGAN, or another of images" if self.modality == IMAGES else "MLP"
            raise UserError(f"The network WaveGAN makes waves, not {self.modality.name} {self.shape}: use {instead}.")

    def check_images(self, part: str) -> None:
        """Raises UserError if a part of a model that is of images alone would see others."""
        if self.modality != IMAGES:
            raise UserError(f"{part} is of images, but the data are {self.modality.name} {self.shape}: leave it out.")
