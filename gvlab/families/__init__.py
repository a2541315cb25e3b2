"""The families of models: from a configuration and what the model is made for to a `Model`."""

from gvlab.families.codes import vqvae
from gvlab.families.gans import gan
from gvlab.families.hierarchies import hierarchical_vae
from gvlab.families.setting import Setting
from gvlab.families.vaes import vae

__all__ = ["Setting", "gan", "hierarchical_vae", "vae", "vqvae"]
