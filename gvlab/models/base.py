"""What the model families share: applying a Linen module, labels, and the look at the first batch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Num

from gvlab import rng
from gvlab.data.checks import check_batch
from gvlab.models.observation import Observation
from gvlab.types import Batch, PRNGKey, PyTree, Size, UserError

EMPTY: Mapping[str, PyTree] = MappingProxyType({})


def init_module(module: nn.Module, key: jax.Array, *inputs: Any) -> tuple[PyTree, PyTree]:
    """Fresh (parameters, batch statistics) of a module; the statistics are {} where it has none."""
    params, stats, _ = init_collections(module, key, *inputs)
    return params, stats


def init_collections(module: nn.Module, key: jax.Array, *inputs: Any) -> tuple[PyTree, PyTree, dict[str, PyTree]]:
    """Fresh (parameters, batch statistics, every other collection by name) of a module; {} where it has none."""
    # Compiled as one: eagerly, every parameter's random draw would compile on its own.
    variables = dict(jax.jit(functools.partial(module.init, train=True))(key, *inputs))
    return variables.pop("params", {}), variables.pop("batch_stats", {}), variables


def output_of(module: nn.Module, key: jax.Array, *inputs: Any) -> Any:
    """Shapes and types of what the module gives, found without computing anything."""
    return jax.eval_shape(lambda: module.init_with_output(key, *inputs, train=True)[0])


def train_apply(
    module: nn.Module,
    params: PyTree,
    stats: PyTree,
    *inputs: Any,
    collections: Mapping[str, PyTree] = EMPTY,
    rngs: dict[str, PRNGKey] | None = None,
    method: str | None = None,
) -> tuple[Any, PyTree]:
    """The module in training mode: (output, updated batch statistics); its other collections are read alone."""
    variables = {"params": params, "batch_stats": stats, **collections}
    output, new = module.apply(variables, *inputs, train=True, mutable=["batch_stats"], rngs=rngs, method=method)
    return output, new.get("batch_stats", stats)


def advancing_apply(
    module: nn.Module,
    params: PyTree,
    stats: PyTree,
    collections: Mapping[str, PyTree],
    *inputs: Any,
    rngs: dict[str, PRNGKey] | None = None,
) -> tuple[Any, PyTree, Mapping[str, PyTree]]:
    """The module in training mode: (output, batch statistics, other collections), both updated."""
    variables = {"params": params, "batch_stats": stats, **collections}
    output, new = module.apply(variables, *inputs, train=True, mutable=["batch_stats", *collections], rngs=rngs)
    return output, new.get("batch_stats", stats), {name: new.get(name, old) for name, old in collections.items()}


def eval_apply(
    module: nn.Module,
    params: PyTree,
    stats: PyTree,
    *inputs: Any,
    collections: Mapping[str, PyTree] = EMPTY,
    method: str | None = None,
) -> Any:
    """The module in evaluation mode, with its running statistics."""
    return module.apply({"params": params, "batch_stats": stats, **collections}, *inputs, train=False, method=method)


def updates_of(
    optimizer: optax.GradientTransformation, grads: PyTree, optimizer_state: PyTree, params: PyTree, step: jax.Array
) -> tuple[PyTree, PyTree]:
    """What is to be added to the parameters, and the optimizer's next state; schedules are told the train step."""
    return optax.with_extra_args_support(optimizer).update(grads, optimizer_state, params, step=step)


Labels: TypeAlias = Int[Array, " batch"] | Float[Array, "batch classes"] | None
"""Classes, or weights of all classes, which may lie between two; None for an unconditional model."""


def one_hot(y: Labels, num_classes: int) -> Float[Array, "batch classes"] | None:
    """Labels as the networks take them; None for an unconditional model (`num_classes` 0).

    Weights stay as they are.

    Raises:
        UserError: a conditional model is given no labels.
    """
    if num_classes and y is None:
        raise UserError(f"The model is conditional on {num_classes} classes, but the batch has no labels y.")
    if not num_classes or y is None:
        return None
    return y if jnp.issubdtype(y.dtype, jnp.floating) else jax.nn.one_hot(y, num_classes)


def labels_for(y: Labels, n: Size, num_classes: int) -> Float[Array, "batch classes"] | None:
    """One-hot labels for n samples: those given, else the classes in turn, so that each is drawn equally often."""
    if num_classes and y is None:
        y = jnp.arange(n) % num_classes
    return one_hot(y, num_classes)


def check_first_batch(batch: Batch, shape: tuple[int, ...], data_range: tuple[float, float], num_classes: int) -> None:
    """Refuses a batch that the model would train on silently to nonsense (`UserError`)."""
    check_batch(batch.x, shape=shape, low=data_range[0], high=data_range[1])
    if num_classes and batch.y is None:
        raise UserError(f"The model is conditional on {num_classes} classes, but the batch has no labels y.")


def generating(
    observed: Observation,
    raw: Callable[[PyTree, Array, Labels], Array],
    latents: Callable[[PyTree, PRNGKey, Size], Array],
    data_range: tuple[float, float],
) -> tuple[Callable[..., Array], Callable[..., Array], Callable[..., Array] | None]:
    """`decode`, `sample` and `draw` of a `gvlab.types.Model`; `draw` is None where the likelihood cannot be drawn from.

    Args:
        observed: the likelihood.
        raw: (state, z [n, latent], y) -> the likelihood's raw parameters.
        latents: (state, key, n) -> z of the prior.
        data_range: that means are clipped to.
    """

    def decode(state: PyTree, z: Num[Array, "n latent"], y: Labels = None) -> Array:
        return jnp.clip(observed.mean(raw(state, z, y)), *data_range)

    def sample(state: PyTree, key: PRNGKey, n: int, y: Labels = None) -> Array:
        return decode(state, latents(state, key, n), y)

    def draw(state: PyTree, key: PRNGKey, n: int, y: Labels = None) -> Array:
        assert observed.draw is not None
        return observed.draw(rng.stream(key, rng.OBSERVATION), raw(state, latents(state, key, n), y))

    return decode, sample, draw if observed.draw else None
