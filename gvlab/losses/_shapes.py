"""Explicit broadcasting: silent broadcasting of a wrong shape is the classic way to train on a wrong loss."""

import jax.numpy as jnp
from jaxtyping import Array, Shaped

from gvlab.types import UserError


def require_equal(**arrays: Shaped[Array, "..."]) -> None:
    """Refuses arrays whose shapes differ ([batch] with [batch, 1] would broadcast to [batch, batch])."""
    if len({array.shape for array in arrays.values()}) > 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise UserError(f"These arrays must have one shape, but the shapes are {shapes}: reshape one of them.")


def lift(array: Shaped[Array, "..."], like: tuple[int, ...], name: str) -> Shaped[Array, "..."]:
    """`array` with axes of length 1 put in front, so that it broadcasts against the shape `like` it is a suffix of."""
    extra = len(like) - array.ndim
    if extra < 0 or like[extra:] != array.shape:
        raise UserError(f"{name} has shape {array.shape}, but must have the last axes of {like}: reshape {name}.")
    return array.reshape((1,) * extra + array.shape)


def fill(value: Shaped[Array, "..."] | float, like: Shaped[Array, "..."], name: str) -> Shaped[Array, "..."]:
    """`value` in the shape of `like`: either one number for all elements, or one for each."""
    array = jnp.asarray(value, like.dtype) if isinstance(value, float | int) else value
    if array.shape not in ((), like.shape):
        raise UserError(f"{name} has shape {array.shape}: give one number, or an array of shape {like.shape}.")
    return jnp.broadcast_to(array, like.shape)
