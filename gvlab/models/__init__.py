"""Model families: each factory returns a `gvlab.types.Model`, a tuple of pure functions."""

from gvlab.models import observation
from gvlab.models.gan import GANState, alternating_gan, simultaneous_gan
from gvlab.models.observation import Observation
from gvlab.models.vae import VAEState, variational_autoencoder

__all__ = [
    "GANState",
    "Observation",
    "VAEState",
    "alternating_gan",
    "observation",
    "simultaneous_gan",
    "variational_autoencoder",
]
