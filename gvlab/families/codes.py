"""VQ-VAEs of a configuration."""

from __future__ import annotations

from gvlab import config as c
from gvlab import models, networks
from gvlab.families.setting import Setting
from gvlab.own_parts import made
from gvlab.types import Model


def vqvae(config: c.VQVAE, setting: Setting) -> Model:
    """The VQ-VAE, or `UserError` if its networks cannot make such data, or its likelihood is of other data.

    Encoder and decoder compute in the experiment's precision, the quantiser in float32: distances of features that are
    near each other need the digits.
    """
    setting.check_likelihood(config.likelihood)
    grid = config.network.grid(setting.shape)
    observed = made(config.likelihood, "observation")
    decoded, parameters = observed.made_for(setting.shape)
    encoder, decoder = config.network.maps(decoded, config.quantizer.features, parameters)
    if observed.shared:
        decoder = networks.WithShared(decoder, observed.shared)
    quantizer = config.quantizer.quantizer(setting.axis_name)
    critic = None
    if config.critic is not None:
        setting.check_images("Patches")
        critic = config.critic.critic(made(config.critic.optimizer, "transformation", 1), setting.axis_name)
        critic = critic._replace(network=setting.precise(critic.network))
    return models.vector_quantized_autoencoder(
        setting.precise(encoder),
        quantizer,
        setting.precise(decoder),
        observed,
        made(config.optimizer, "transformation", 1),
        latent_shape=(*grid, config.quantizer.features),
        commitment=config.commitment,
        start=config.quantizer.start(quantizer),
        penalty=config.quantizer.penalty(),
        critic=critic,
        **setting.options(),
    )
