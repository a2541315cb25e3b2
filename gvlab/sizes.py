"""Models that no memory would hold are refused by arithmetic, before anything is allocated."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from gvlab import config as c
from gvlab import memory
from gvlab.config import own
from gvlab.types import Batch, Model

Shape = tuple[int, ...]

_MARGIN = 8
"""What is this many times smaller than the memory by a generous estimate needs no exact one, which takes a second."""

_OF_IMAGES = (c.R3GAN, c.SNGAN, c.SAGAN, c.BigGAN, c.BigGANDeep, c.StyleGAN2)
_OF_MANY_BLOCKS = (
    *_OF_IMAGES,
    c.Convolutions,
    c.WaveGAN,
    c.SentenceGRU,
    c.SentenceTransformer,
    c.SentenceConvolutions,
)
"""Networks of which there is no estimate but the exact one."""


def check_training(experiment: c.Experiment, model: Model, batch: Batch) -> None:
    """Raises `UserError` unless the state and the largest array of a train step can be held.

    Args:
        experiment: that the model is of.
        model: to be trained.
        batch: one example or more in the shape that the model sees; their number plays no part.
    """
    shape, examples = batch.x.shape[1:], experiment.examples_per_step
    config = experiment.model
    known = _is_known(config)
    if (
        known
        and _MARGIN * (_most_of_state(config, shape) + examples * _most_of_example(config, shape)) < memory.limit()
    ):
        return
    key = jax.eval_shape(jax.random.key, 0)
    of_step = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((examples, *leaf.shape[1:]), leaf.dtype), batch)
    state = jax.eval_shape(model.init, key, batch)
    largest = ", ".join(f"{name} = {value}" for name, value in _largest(config))
    memory.check(
        f"The state of {experiment.name} ({largest})", memory.size(state), "use a smaller network or latent_dim"
    )
    memory.check(
        f"A step of {experiment.name} on {examples} examples ({largest})",
        memory.least(lambda *args: model.train_step(*args)[1], state, of_step, key),  # the new state overwrites the old
        "use a smaller batch_size or network, or fewer samples",
    )


def check_sampling(experiment: c.Experiment, model: Model, state: Any, n: int, shape: Shape, option: str) -> None:
    """Raises `UserError` unless n examples can be generated at once; `option` is what asked for them.

    A model without samples decodes latents that it is given.
    """
    if _is_known(experiment.model) and _MARGIN * n * _most_of_example(experiment.model, shape) < memory.limit():
        return
    key = jax.eval_shape(jax.random.key, 0)
    if model.unsampled and model.encode is not None:
        encode = model.encode
        z = jax.eval_shape(lambda state: encode(state, Batch(jnp.zeros((1, *shape))))[0], state)
        needed = memory.least(model.decode, state, jax.ShapeDtypeStruct((n, *z.shape[1:]), z.dtype))
    else:
        needed = memory.least(functools.partial(model.sample, n=n), state, key)
    memory.check(f"{option}, which generates {n} examples at once,", needed, "ask for fewer")


def _is_known(config: Any) -> bool:
    """Whether arithmetic below knows the network; of others the numbers of a configuration tell nothing."""
    if not isinstance(config, c.GAN | c.VAE):
        return False
    return not own.is_own(type(config.network)) and not isinstance(config.network, _OF_MANY_BLOCKS)


def _numbers(config: Any, prefix: str = "") -> Iterator[tuple[str, int]]:
    """The whole numbers of a model's configuration that are sides of its arrays, by dotted name."""
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), prefix + field.name
        if dataclasses.is_dataclass(value) and not hasattr(value, "transformation"):  # an optimizer has no sides
            yield from _numbers(value, f"{name}.")
        elif type(value) is int and not name.endswith("_steps"):
            yield name, value
        elif isinstance(value, tuple) and value and type(value[0]) is int:
            yield name, max(value)


def _pieces(config: Any) -> int:
    return config.network.pieces if isinstance(config.network, c.MaxoutMLP) else 1


def _largest(config: Any) -> list[tuple[str, int]]:
    """The two largest of them, the largest first."""
    return sorted(_numbers(getattr(config, "second", config)), key=lambda number: -number[1])[:2]


_NO_WIDTHS = ("num_samples", "likelihood.levels", "likelihood.components")


def _side(config: Any) -> int:
    """No layer has more units, or channels at the image's own size, than this; the article's networks have 1024."""
    fixed = 1024 if isinstance(config.network, c.Article) else 1
    return max(fixed, *(number for name, number in _numbers(config) if name not in _NO_WIDTHS))


def _parameters(config: Any, shape: Shape) -> int:
    """More numbers than the likelihood of one example, or the example itself, or a pack of such, has."""
    numbers = dict(_numbers(config))
    of_likelihood = max(numbers.get("likelihood.levels", 0), 4 * numbers.get("likelihood.components", 0))
    return math.prod(shape) * max(2, of_likelihood, numbers.get("packing", 0))


def _most_of_state(config: Any, shape: Shape) -> int:
    """More bytes than a state has: of all layers as wide as the widest, and of Adam's moments and an average."""
    numbers = 16 * max(128, _side(config)) * math.prod(shape)
    if isinstance(config.network, c.Article):
        return 16 * (8 * 1024**2 + 4096 * config.latent_dim + numbers)
    if isinstance(config.network, c.DCGAN):  # kernels of 4x4; channels double with every halving, up to eight times
        return 16 * (16 * (8 * config.network.width) ** 2 + 128 * config.network.width * config.latent_dim + numbers)
    layers = 4 + 2 * sum(len(value) for value in vars(config.network).values() if isinstance(value, tuple))
    pieces = _pieces(config)
    return 16 * layers * pieces * max(_side(config), _parameters(config, shape)) ** 2


def _most_of_example(config: Any, shape: Shape) -> int:
    """More bytes than any array of one example has: all channels at every pixel, or all parameters of the pixels."""
    pixels = math.prod(shape[:2]) if isinstance(config.network, c.DCGAN | c.Article) else 1
    pieces = _pieces(config)
    return 4 * getattr(config, "num_samples", 1) * max(_parameters(config, shape), pixels * pieces * _side(config))
