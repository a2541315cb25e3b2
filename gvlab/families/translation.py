"""Translators of a configuration."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Array

from gvlab import config as c
from gvlab import models, networks
from gvlab.config.translation import AnySeen
from gvlab.families.setting import Setting
from gvlab.models import cycle
from gvlab.models.translation import Seen
from gvlab.networks import residual_translator
from gvlab.own_parts import made
from gvlab.restoration import baselines
from gvlab.types import Model, UserError


def translator(config: c.Pix2Pix | c.CycleGAN, setting: Setting) -> Model:
    """The translator, or `UserError` if it is none for these data."""
    return pix2pix(config, setting) if isinstance(config, c.Pix2Pix) else cyclegan(config, setting)


def pix2pix(config: c.Pix2Pix, setting: Setting) -> Model:
    """The translator, or `UserError` if the data are no images, or the operator is none for them."""
    setting.check_images("Pix2Pix")
    network, axis_name = config.network, setting.axis_name
    height, width, channels = setting.shape
    if min(height, width) < 2:
        raise UserError(f"Pix2Pix halves images, but the data have {height}x{width} pixels: use larger ones.")
    return models.translator(
        setting.precise(networks.UNet(channels, network.width, network.dropout, axis_name)),
        setting.precise(networks.PatchDiscriminator(config.critic_width, config.critic_layers, axis_name)),
        (made(config.generator_optimizer, "transformation", 1), made(config.critic_optimizer, "transformation", 1)),
        _seen(config.seen, (height, width, channels)),
        shape=setting.shape,
        l1_weight=config.l1_weight,
        data_range=setting.values,
        axis_name=axis_name,
    )


def cyclegan(config: c.CycleGAN, setting: Setting) -> Model:
    """The translator, or `UserError` if the data are no images of its network's, or the operator is none for them."""
    setting.check_images("CycleGAN")
    height, width, channels = setting.shape
    if min(height, width) < residual_translator.SMALLEST:
        raise UserError(
            f"CycleGAN quarters images, but the data have {height}x{width} pixels: use some of "
            f"{residual_translator.SMALLEST} a side or more."
        )
    network = config.network
    generator = setting.precise(networks.ResidualTranslator(channels, network.width, network.blocks))
    critic = setting.precise(networks.InstancePatchDiscriminator(config.critic_width, config.critic_layers))
    return models.cycle_translator(
        cycle.Pair(generator, generator),
        cycle.Pair(critic, critic),
        (made(config.generator_optimizer, "transformation", 1), made(config.critic_optimizer, "transformation", 1)),
        _seen(config.seen, (height, width, channels)),
        shape=setting.shape,
        cycle_weight=config.cycle_weight,
        identity_weight=config.identity_weight,
        pool=config.pool,
        data_range=setting.values,
        axis_name=setting.axis_name,
    )


def _seen(seen: AnySeen, shape: tuple[int, int, int]) -> Seen:
    """`_picture` of images in [-1, 1]."""
    of_unit = _picture(seen, shape)

    def picture(x: Array) -> Array:
        return 2 * of_unit((x + 1) / 2) - 1

    return picture


def _picture(seen: AnySeen, shape: tuple[int, int, int]) -> Callable[[Array], Array]:
    """(images in [0, 1]) -> what is left of them, enlarged where it is less, and grey where it is hidden."""
    if isinstance(seen, c.Edges):
        return seen.picture(shape)
    operator, hidden = seen.operator(shape), np.full(shape, 0.5, np.float32)
    return lambda x: baselines.simple(operator, jax.vmap(operator.apply)(x), hidden)[1]
