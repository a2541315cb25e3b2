"""VAEs of bits, of a configuration."""

from __future__ import annotations

from gvlab import config as c
from gvlab import models, networks
from gvlab.families.setting import Setting
from gvlab.own_parts import made
from gvlab.types import Model


def binary_vae(config: c.BinaryVAE, setting: Setting) -> Model:
    """The VAE, or `UserError` if its networks cannot make such data, or its likelihood is of other data."""
    setting.check_network(config.network)
    setting.check_likelihood(config.likelihood)
    observed = made(config.likelihood, "observation")
    decoded, parameters = observed.made_for(setting.shape)
    rest = (parameters, setting.classes, setting.axis_name)
    _, decoder = made(config.network, "coders", decoded, config.latent_dim, *rest)
    # Its two heads are the log odds, side by side.
    encoder, *_ = made(config.network, "coders", decoded, -(-config.latent_dim // 2), *rest)
    if observed.shared:
        decoder = networks.WithShared(decoder, observed.shared)
    return models.binary_autoencoder(
        setting.precise(encoder),
        setting.precise(decoder),
        observed,
        made(config.optimizer, "transformation", 1),
        estimator=config.estimator.estimator(),
        latent_dim=config.latent_dim,
        **setting.options(),
    )
