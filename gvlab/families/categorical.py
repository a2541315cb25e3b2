"""VAEs of categorical latents, of a configuration."""

from __future__ import annotations

from gvlab import config as c
from gvlab import models, networks
from gvlab.families.setting import Setting
from gvlab.own_parts import made
from gvlab.types import Model


def categorical_vae(config: c.CategoricalVAE, setting: Setting) -> Model:
    """The VAE, or `UserError` if its networks cannot make such data, or its likelihood is of other data."""
    setting.check_network(config.network)
    setting.check_likelihood(config.likelihood)
    observed = made(config.likelihood, "observation")
    decoded, parameters = observed.made_for(setting.shape)
    rest, width = (parameters, setting.classes, setting.axis_name), config.variables * config.classes
    _, decoder = made(config.network, "coders", decoded, width, *rest)
    # Its two heads are the logits, side by side.
    encoder, *_ = made(config.network, "coders", decoded, -(-width // 2), *rest)
    if observed.shared:
        decoder = networks.WithShared(decoder, observed.shared)
    temperature, schedule = config.estimator.temperature, made(config.temperature_schedule, "schedule")
    return models.categorical_autoencoder(
        setting.precise(encoder),
        setting.precise(decoder),
        observed,
        made(config.optimizer, "transformation", 1),
        variables=config.variables,
        classes=config.classes,
        temperature=lambda step: temperature * schedule(step),
        hard=isinstance(config.estimator, c.StraightThrough),
        **setting.options(),
    )
