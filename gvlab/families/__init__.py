"""The families of models: from a configuration and what the model is made for to a `Model`."""

from gvlab.families.binary import binary_vae
from gvlab.families.categorical import categorical_vae
from gvlab.families.codes import vqvae
from gvlab.families.densities import density
from gvlab.families.gans import gan
from gvlab.families.hierarchies import hierarchical_vae
from gvlab.families.pictured import frequencies, spectrograms
from gvlab.families.regularised import rae
from gvlab.families.second_stages import check_beginning, check_data, resolved, second_stage
from gvlab.families.setting import Setting
from gvlab.families.translation import cyclegan, pix2pix, translator
from gvlab.families.vaes import check_clusters, vae

__all__ = [
    "Setting",
    "binary_vae",
    "categorical_vae",
    "check_beginning",
    "check_clusters",
    "check_data",
    "cyclegan",
    "density",
    "frequencies",
    "gan",
    "hierarchical_vae",
    "pix2pix",
    "rae",
    "resolved",
    "second_stage",
    "spectrograms",
    "translator",
    "vae",
    "vqvae",
]
