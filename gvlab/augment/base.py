"""What may be done to images before a discriminator sees them: draws and their use are two functions.

So the same draws may be used again, given by a test, or drawn for a batch that is spread over devices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
from jaxtyping import Array, Float, Num, Shaped

from gvlab import rng
from gvlab.types import PRNGKey, PyTree, UserError

Number: TypeAlias = float | Num[Array, ""]
Shape: TypeAlias = tuple[int, ...]
"""Of one example: (height, width, channels)."""

EXACT = jax.lax.Precision.HIGHEST
"""Of products: in the lower precision of accelerators images would be blurred and moved."""


def _as_they_are(draws: PyTree, real: Array, fake: Array, p: Number) -> Array:
    return real


def _check_image(shape: Shape) -> None:
    if len(shape) != 3:
        raise UserError(
            f"Images can be augmented, but not examples of shape {shape}: use data of (height, width, channels)."
        )


class Transform(NamedTuple):
    """What may be done to images, as pure functions.

    One set of draws is for one batch; real and generated images get draws of their own.
    """

    name: str
    draw: Callable[[PRNGKey, int, Shape, str | None], PyTree]
    """(key, n, shape, axis_name) -> all random numbers for n images of that shape, in arrays [n, ...]. With an
    `axis_name` n is one device's share, and the numbers are those that one device would draw for the whole batch."""
    apply: Callable[[PyTree, Array, Number], Array]
    """(draws, x [n, height, width, channels] in [-1, 1], p) -> images of the same shape, differentiable in x. A part
    that is done with a probability is done with p times that; others ignore p."""
    deceive: Callable[[PyTree, Array, Array, Number], Array] = _as_they_are
    """(draws, real, fake, p) -> what the discriminator is told to be real: for nearly all, the real images."""
    check: Callable[[Shape], None] = _check_image
    """(shape of an image) -> None. Raises `UserError` if it cannot take such images."""


def chain(*transforms: Transform) -> Transform:
    """One transform after another, each with draws of its own; none at all leaves the images as they are.

    Args:
        transforms: the first is done first.
    """

    def draw(key: PRNGKey, n: int, shape: Shape, axis_name: str | None) -> PyTree:
        keys = [jax.random.fold_in(key, i) for i in range(len(transforms))]
        return tuple(transform.draw(key, n, shape, axis_name) for transform, key in zip(transforms, keys, strict=True))

    def apply(draws: PyTree, x: Array, p: Number) -> Array:
        for transform, of_this in zip(transforms, draws, strict=True):
            x = transform.apply(of_this, x, p)
        return x

    def deceive(draws: PyTree, real: Array, fake: Array, p: Number) -> Array:
        for transform, of_this in zip(transforms, draws, strict=True):
            real = transform.deceive(of_this, real, fake, p)
        return real

    def check(shape: Shape) -> None:
        for transform in transforms:
            transform.check(shape)

    return Transform("+".join(transform.name for transform in transforms), draw, apply, deceive, check)


class Gated(NamedTuple):
    """The random numbers of a part that is done to some images and not to others."""

    value: Num[Array, "n *numbers"]
    """What is done."""
    chance: Float[Array, " n"]
    """Of U(0, 1): it is done where this is below the part's probability."""


Draw: TypeAlias = Callable[[PRNGKey, tuple[int, ...], str | None], Array]
"""`rng.uniform` or `rng.normal`."""


def draw_gated(
    parts: dict[str, tuple[Draw, tuple[int, ...]]], key: PRNGKey, n: int, axis_name: str | None
) -> dict[str, Gated]:
    """Numbers for n images, by part: of its distribution, of the shape [n, *numbers]."""
    draws = {}
    for i, (name, (draw, numbers)) in enumerate(parts.items()):
        for_value, for_chance = jax.random.split(jax.random.fold_in(key, i))
        value = draw(for_value, (n, *numbers), axis_name)
        draws[name] = Gated(value, rng.uniform(for_chance, (n,), axis_name))
    return draws


def by_image(numbers: Shaped[Array, " n"]) -> Shaped[Array, "n 1 1 1"]:
    """One number for each image, to be combined with all of its pixels."""
    return numbers.reshape(-1, 1, 1, 1)
