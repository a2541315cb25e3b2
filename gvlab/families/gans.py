"""GANs of a configuration."""

from __future__ import annotations

from typing import Any

from gvlab import config as c
from gvlab import models, networks
from gvlab.config.terms import innermost
from gvlab.data import TOKENS
from gvlab.families.setting import Setting
from gvlab.own_parts import made
from gvlab.types import Model, UserError

_OF_IMAGES = (c.ClippedDragan, c.RealConsistency, c.FakeConsistency)
"""Terms that look at pixels."""


def gan(config: c.GAN, setting: Setting) -> Model:
    """The GAN, or `UserError` if its networks cannot make such data."""
    if setting.modality != TOKENS:
        setting.check_network(config.network)
        return _of_numbers(config, setting, config.latent_dim)
    assert isinstance(config.network, c.SentenceConvolutions)  # which `check_family` made sure of
    if config.augmentation is not None:
        setting.check_images(type(config.augmentation).__name__)
    for term in (*config.discriminator_terms, *config.generator_terms):
        name = type(innermost(term)).__name__
        if isinstance(innermost(term), _OF_IMAGES):
            raise UserError(f"{name} is of images, but the data are {setting.modality.name}: leave it out.")
    length, levels = setting.shape[0], setting.levels
    rows = setting._replace(shape=(length, levels), values=(0.0, 1.0), levels=0)
    numbers = config.latent_dim + config.network.noise(length, levels)
    return models.of_one_hot(_of_numbers(config, rows, numbers), length, levels)


def _of_numbers(config: c.GAN, setting: Setting, latent_dim: int) -> Model:
    generator, discriminator = made(config.network, "networks", setting.shape, setting.classes, setting.axis_name)
    if config.packing > 1:
        discriminator = networks.Packed(discriminator, config.packing)
    generator, discriminator = setting.precise(generator), setting.precise(discriminator)
    optimizers = (
        made(config.generator_optimizer, "transformation", 1),
        made(config.discriminator_optimizer, "transformation", config.discriminator_steps),
    )
    options: dict[str, Any] = setting.options() | {
        "latent_dim": latent_dim,
        "contest": made(config.contest, "contest"),
        "ema_decay": config.decay(),
    }
    if any(isinstance(innermost(term), c.ClippedDragan) for term in config.discriminator_terms):
        setting.check_images("ClippedDragan")
    if config.discriminator_terms:
        options["discriminator_terms"] = [made(term, "term") for term in config.discriminator_terms]
    if config.generator_terms:
        options["generator_terms"] = [made(term, "term") for term in config.generator_terms]
    if config.augmentation is not None:
        options["augmentation"] = made(config.augmentation, "augmentation")
    if config.update == "simultaneous":
        return models.simultaneous_gan(generator, discriminator, *optimizers, **options)
    alternating = models.separate_gan if config.update == "separate" else models.alternating_gan
    return alternating(generator, discriminator, *optimizers, discriminator_steps=config.discriminator_steps, **options)
