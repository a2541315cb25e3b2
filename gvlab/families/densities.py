"""Density models of a configuration."""

from __future__ import annotations

from gvlab import config as c
from gvlab import networks
from gvlab.data import modality_of_shape
from gvlab.families.setting import Setting
from gvlab.models import densities
from gvlab.own_parts import made
from gvlab.types import Model, UserError


def density(config: c.Density, setting: Setting, sizes: tuple[int, ...] | None = None) -> Model:
    """The density model, or `UserError` if it is none of such data.

    Args:
        config: of the model.
        setting: of vectors, of sentences, or of codes.
        sizes: how many codes there are at each position, if it is of codes.
    """
    if setting.levels and sizes is None:
        distribution = _of_sentences(config.distribution, setting.shape[0], setting.levels)
    else:
        distribution = _distribution(config.distribution, setting.shape, sizes)
    optimizer = made(config.optimizer, "transformation", 1)
    return densities.density(distribution, optimizer, axis_name=setting.axis_name)


def _of_sentences(config: object, length: int, levels: int) -> densities.Distribution:
    if not isinstance(config, c.CausalTransformer | c.SentenceGRU):
        raise UserError(
            f"{type(config).__name__} is none of sentences, but the data are: use CausalTransformer or SentenceGRU."
        )
    return densities.sentences(config.language(length, levels), length, levels)


def _distribution(config: object, shape: tuple[int, ...], sizes: tuple[int, ...] | None) -> densities.Distribution:
    name = type(config).__name__
    if sizes is None and len(shape) != 1:
        data = modality_of_shape(shape).name
        raise UserError(
            f"Density is a model of vectors and sentences, but the data are {data} {shape}: train a VAE of them, and a "
            "Mixture or Flow on its latents (SecondStage)."
        )
    if isinstance(config, c.SentenceGRU):
        of = "codes: use CausalTransformer or GatedPixelCNN" if sizes else f"vectors {shape}: use Mixture or Flow"
        raise UserError(f"SentenceGRU is a model of sentences, but the data are {of}.")
    if isinstance(config, c.CausalTransformer | c.GatedPixelCNN):
        if sizes is None:
            raise UserError(f"{name} is a model of codes, but the data are vectors {shape}: use Mixture or Flow.")
        return densities.autoregressive(config.network(len(sizes), max(sizes)), sizes)
    if sizes is not None:
        raise UserError(
            f"{name} is a model of vectors, but the first stage has codes: use CausalTransformer or GatedPixelCNN."
        )
    match config:
        case c.Mixture():
            return densities.mixture(networks.NormalMixture(config.components, shape[0]), shape[0])
        case c.Flow():
            kind = networks.MAF if config.kind == "maf" else networks.RealNVP
            return densities.flow(kind(config.layers, config.hidden), shape[0])
    raise AssertionError(config)
