"""Hierarchical VAEs of a configuration."""

from __future__ import annotations

from gvlab import config as c
from gvlab import models
from gvlab.data import IMAGES
from gvlab.families.setting import Setting
from gvlab.own_parts import made
from gvlab.types import Model, UserError


def hierarchical_vae(config: c.HierarchicalVAE, setting: Setting) -> Model:
    """The hierarchical VAE, or `UserError` if its network cannot make such data, or its likelihood is of other data."""
    if setting.modality != IMAGES and not isinstance(config.likelihood, c.Gaussian | c.LearnedGaussian):
        raise UserError(
            f"The likelihood {type(config.likelihood).__name__} is one of images in [0, 1], but the data are vectors "
            f"{setting.shape}: use Gaussian or LearnedGaussian."
        )
    observed = config.likelihood.observation()
    network = config.network.hierarchy(*observed.made_for(setting.shape), setting.axis_name)
    return models.hierarchical_autoencoder(
        setting.precise(network),
        observed,
        made(config.optimizer, "transformation", 1),
        layers=network.layers,
        objective=_objective(config),
        num_samples=config.num_samples,
        ema_decay=config.ema_decay,
        data_range=setting.values,
        axis_name=setting.axis_name,
        weight_term=config.regulariser.weight_term(),
    )


def _objective(config: c.HierarchicalVAE) -> models.objectives.Objective:
    if isinstance(config.objective, c.ELBO):
        return models.objectives.evidence_lower_bound(config.beta, config.kl_warmup_steps)
    return config.objective.objective()
