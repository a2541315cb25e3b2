"""The weights of a generator fitted to one image, beside its latents."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from gvlab.restoration import driving, methods
from gvlab.restoration.operators import Operator
from gvlab.types import PyTree

_PATHS = ("params", "ema_params")
"""Fields of a state that hold weights; running statistics are none."""


class Tuned(NamedTuple):
    """What fine-tuning came to, of each image."""

    x: Float[Array, "n *shape"]
    objective: Float[Array, " n"]
    """The squared error over the measurements."""
    before: Float[Array, " n"]
    """The same before it."""


def weights_of(
    state: PyTree, decode: Callable[[PyTree], PyTree]
) -> tuple[list[Array], Callable[[list[Array]], PyTree]]:
    """The weights of a state that `decode` looks at, and the state with others in their place.

    Args:
        state: of a model.
        decode: a function of it.
    """
    paths, treedef = jax.tree_util.tree_flatten_with_path(state)
    leaves = [leaf for _, leaf in paths]
    program = jax.make_jaxpr(lambda leaves: decode(jax.tree.unflatten(treedef, leaves)))(leaves).jaxpr
    used = {id(variable) for equation in program.eqns for variable in equation.invars}
    chosen = [
        number
        for number, ((path, leaf), variable) in enumerate(zip(paths, program.invars, strict=True))
        if id(variable) in used
        and jnp.issubdtype(leaf.dtype, jnp.floating)
        and any(getattr(key, "name", None) in _PATHS for key in path)
    ]

    def with_weights(weights: list[Array]) -> PyTree:
        found = list(leaves)
        for number, weight in zip(chosen, weights, strict=True):
            found[number] = weight
        return jax.tree.unflatten(treedef, found)

    return [leaves[number] for number in chosen], with_weights


def finetune(
    weights: list[Array],
    generate: Callable[[list[Array], Float[Array, "1 latent"], Array], Float[Array, "1 *shape"]],
    operator: Operator,
    y: Float[Array, "n *measured"],
    z: Float[Array, "n latent"],
    *,
    steps: int,
    rate: float,
    latent_rate: float,
    listen: driving.Listener = driving.silent,
) -> Tuned:
    """The least |A G(z; w) - y|^2 over the weights w and z together, from a model's own and from what a search found.

    Each image has a copy of the weights for itself, one image after another. There is no penalty, so of noise too many
    steps restore too much: the steps are what holds it back.

    Args:
        weights: w to begin with.
        generate: (w, z, number of the image) -> G(z; w).
        operator: A.
        y: measurements.
        z: of each image, as `driving.searched` found them.
        steps: of Adam.
        rate: of Adam on the weights.
        latent_rate: of Adam on z.
        listen: hears how many steps are done, of those of all images.

    Reference: Hussein, Tirer & Giryes, "Image-Adaptive GAN Based Reconstruction", 2020.
    """
    optimizer = optax.multi_transform(
        {"weights": optax.adam(rate), "latents": optax.adam(latent_rate)}, ("weights", "latents")
    )
    stride = driving.stride_here()

    def decoded(both: tuple[list[Array], Array], image: Array) -> Array:
        weights, z = both
        return generate(weights, z, image)

    def error(both: tuple[list[Array], Array], y: Array, image: Array) -> Array:
        return methods.squared_error(operator, decoded(both, image), y)[0]

    def one(carry: PyTree, y: Array, image: Array) -> PyTree:
        both, state = carry
        updates, state = optimizer.update(jax.grad(error)(both, y, image), state)
        return optax.apply_updates(both, updates), state

    @jax.jit
    def advance(carry: PyTree, y: Array, image: Array, count: Array) -> PyTree:
        if stride == 1:
            return one(carry, y, image)
        return jax.lax.fori_loop(0, count, lambda _, carry: one(carry, y, image), carry)

    value, made, begin = jax.jit(error), jax.jit(decoded), jax.jit(optimizer.init)
    x, objective, before = [], [], []
    for number in range(len(y)):
        image, seen = jnp.arange(number, number + 1), y[number : number + 1]
        both = (weights, z[number : number + 1])
        before.append(value(both, seen, image))
        carry = (both, begin(both))
        for done in range(0, steps, stride):
            listen(number * steps + done, len(y) * steps)
            carry = advance(carry, seen, image, jnp.asarray(min(stride, steps - done)))
            jax.block_until_ready(carry)
        x.append(made(carry[0], image)[0])
        objective.append(value(carry[0], seen, image))
    return Tuned(jnp.stack(x), jnp.stack(objective), jnp.stack(before))
