"""Regularised autoencoders of a configuration."""

from __future__ import annotations

from gvlab import config as c
from gvlab import models, networks
from gvlab.families.setting import Setting
from gvlab.own_parts import made
from gvlab.types import Model


def rae(config: c.RAE, setting: Setting) -> Model:
    """The autoencoder, or `UserError` if its networks cannot make such data."""
    setting.check_network(config.network)
    encoder, decoder = made(config.network, "coders", setting.shape, config.latent_dim, 1, 0, setting.axis_name)
    if isinstance(config.regulariser, c.DecoderSpectralNorm):
        decoder = networks.SpectrallyNormalised(decoder)
    return models.regularised_autoencoder(
        setting.precise(encoder),
        setting.precise(decoder),
        made(config.optimizer, "transformation", 1),
        latent_dim=config.latent_dim,
        latent_weight=config.latent_weight,
        penalty=config.regulariser.penalty(),
        data_range=setting.values,
        axis_name=setting.axis_name,
    )
