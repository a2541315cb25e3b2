"""Whether networks of one's own make anything of the labels of a conditional model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gvlab import config as c
from gvlab.config import own
from gvlab.own_parts import made, where
from gvlab.types import Batch

Shape = tuple[int, ...]


def unread_labels(model: Any, shape: Shape, classes: int) -> str | None:
    """A sentence, if own networks of a conditional model make the same of every class; computes nothing.

    Args:
        model: the configuration, whose parts have the right shapes.
        shape: of one example.
        classes: of the model.
    """
    whose, functions = _of_labels(model, shape, classes)
    if not (blind := [name for name, (function, y) in functions.items() if not _depends(function, y)]):
        return None
    who = f"The {' and the '.join(blind)} of {whose} {'make' if blind[1:] else 'makes'}"
    return (
        f"{who} the same of every class, although the model is conditional: give the labels y a way in, as by "
        "networks.append_label(features, y)."
    )


def _of_labels(model: Any, shape: Shape, classes: int) -> tuple[str, dict[str, tuple[Callable[..., Any], jax.Array]]]:
    """(whose networks they are, by name each as a function of labels, and labels)."""
    key = jax.random.key(0)
    if own.is_own(type(model)):
        made_of, x, labels = made(model, "model", shape, classes, None), jnp.zeros((2, *shape)), jnp.zeros(2, jnp.int32)

        def decode(y: jax.Array) -> Any:
            state = made_of.init(key, Batch(x, labels))
            return made_of.decode(state, made_of.latents(state, key, 2), y)

        return where(model, "model"), {"function decode": (decode, labels)}
    latents: Shape = (2, model.latent_dim)
    examples: Shape = (2, *shape)
    if isinstance(model, c.GAN):
        method, names, inputs = "networks", ("generator", "discriminator"), (latents, examples)
        modules = made(model.network, method, shape, classes, None)
    else:
        method, names, inputs = "coders", ("encoder", "decoder"), (examples, latents)
        decoded, parameters = made(model.likelihood, "observation").made_for(shape)
        modules = made(model.network, method, decoded, model.latent_dim, parameters, classes, None)

    def output(module: nn.Module, given: Shape) -> Callable[[jax.Array], Any]:
        return lambda y: module.init_with_output(key, jnp.zeros(given), y, train=True)[0]

    y = jnp.zeros((2, classes))
    each = zip(names, modules, inputs, strict=True)
    return where(model.network, method), {name: (output(module, given), y) for name, module, given in each}


def _depends(function: Callable[[jax.Array], Any], y: jax.Array) -> bool:
    """Whether anything that is made of y is part of what the function gives, by its program, in which what is jitted by
    itself is one operation; values are not looked at, which may be alike before training."""
    jaxpr = jax.make_jaxpr(function)(y).jaxpr
    made_of_y = {id(variable) for variable in jaxpr.invars}
    for equation in jaxpr.eqns:
        if any(id(variable) in made_of_y for variable in equation.invars):
            made_of_y |= {id(variable) for variable in equation.outvars}
    return any(id(variable) in made_of_y for variable in jaxpr.outvars)
