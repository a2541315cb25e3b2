"""Model families: each factory returns a `gvlab.types.Model`, a tuple of pure functions."""

from gvlab.models import (
    aggressive,
    binary,
    critics,
    cycle,
    densities,
    image_critics,
    objectives,
    observation,
    posteriors,
    pretraining,
    priors,
    regularised,
    second_stage,
    weight_terms,
)
from gvlab.models.binary import BinaryState, binary_autoencoder
from gvlab.models.categorical import CategoricalState, categorical_autoencoder
from gvlab.models.codes import CodesState, vector_quantized_autoencoder
from gvlab.models.cycle import cycle_translator
from gvlab.models.densities import DensityState
from gvlab.models.game import GANState
from gvlab.models.gan import alternating_gan, separate_gan, simultaneous_gan
from gvlab.models.hierarchy import HierarchyState, hierarchical_autoencoder
from gvlab.models.image_critics import vae_gan
from gvlab.models.latents import VAEState
from gvlab.models.observation import Observation
from gvlab.models.one_hot import of_one_hot
from gvlab.models.regularised import regularised_autoencoder
from gvlab.models.second_stage import SecondStageState, latent_model
from gvlab.models.spectrograms import SpectrogramState, of_spectrograms
from gvlab.models.translation import translator
from gvlab.models.two_layers import (
    two_layer_autoencoder,
    two_layer_importance_weighted_autoencoder,
    two_layer_variational_autoencoder,
)
from gvlab.models.vae import autoencoder, importance_weighted_autoencoder, variational_autoencoder

__all__ = [
    "BinaryState",
    "CategoricalState",
    "CodesState",
    "DensityState",
    "GANState",
    "HierarchyState",
    "Observation",
    "SecondStageState",
    "SpectrogramState",
    "VAEState",
    "aggressive",
    "alternating_gan",
    "autoencoder",
    "binary",
    "binary_autoencoder",
    "categorical_autoencoder",
    "critics",
    "cycle",
    "cycle_translator",
    "densities",
    "hierarchical_autoencoder",
    "image_critics",
    "importance_weighted_autoencoder",
    "latent_model",
    "objectives",
    "observation",
    "of_one_hot",
    "of_spectrograms",
    "posteriors",
    "pretraining",
    "priors",
    "regularised",
    "regularised_autoencoder",
    "second_stage",
    "separate_gan",
    "simultaneous_gan",
    "translator",
    "two_layer_autoencoder",
    "two_layer_importance_weighted_autoencoder",
    "two_layer_variational_autoencoder",
    "vae_gan",
    "variational_autoencoder",
    "vector_quantized_autoencoder",
    "weight_terms",
]


def __dir__() -> list[str]:
    """What a notebook completes: the public names, and none of the modules that they come from."""
    return __all__
