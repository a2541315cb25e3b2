"""What adaptive augmentation does to colours: one affine map for each image."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array

from gvlab import rng
from gvlab.augment.base import EXACT, Draw, Number, Shape, Transform, by_image, draw_gated
from gvlab.types import PRNGKey, PyTree, UserError

BRIGHTNESS_DEVIATION = 0.2
CONTRAST_DEVIATION = 0.5
"""In octaves."""
SATURATION_DEVIATION = 1.0
"""In octaves."""
GREY = np.array([1, 1, 1]) / np.sqrt(3)
ALONG_GREY = np.outer(GREY, GREY)
AROUND_GREY = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
"""v -> GREY x v."""


class _Part(NamedTuple):
    """Of the colours (r, g, b) -> linear (r, g, b) + offset."""

    draw: Draw
    linear: Callable[[Array], ArrayLike]
    """Of numbers [n, 1, 1]: matrices [n, 3, 3], or one for all."""
    offset: Callable[[Array], Array] = jnp.zeros_like
    """Of numbers [n, 1, 1]: what is added to each channel."""


def _hue(u: Array) -> ArrayLike:
    angle = jnp.pi * (2 * u - 1)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return ALONG_GREY[None] * (1 - cos) + np.eye(3)[None] * cos + AROUND_GREY[None] * sin


PARTS = {
    "brightness": _Part(rng.normal, lambda normal: np.eye(3)[None], lambda normal: BRIGHTNESS_DEVIATION * normal),
    "contrast": _Part(rng.normal, lambda normal: np.eye(3)[None] * jnp.exp2(CONTRAST_DEVIATION * normal)),
    "lumaflip": _Part(rng.uniform, lambda u: np.eye(3)[None] - 2 * ALONG_GREY[None] * jnp.floor(2 * u)),
    "hue": _Part(rng.uniform, _hue),
    "saturation": _Part(
        rng.normal,
        lambda normal: ALONG_GREY[None] + (np.eye(3) - ALONG_GREY)[None] * jnp.exp2(SATURATION_DEVIATION * normal),
    ),
}
"""In the order in which they are done."""


def colours(multipliers: dict[str, Number]) -> Transform:
    """One affine map of the colours of each image."""

    def parts(channels: int) -> dict[str, _Part]:
        of_grey = ("brightness", "contrast", "lumaflip")
        return {name: part for name, part in PARTS.items() if name in multipliers and (channels > 1 or name in of_grey)}

    def draw(key: PRNGKey, n: int, shape: Shape, axis_name: str | None) -> PyTree:
        return draw_gated({name: (part.draw, ()) for name, part in parts(shape[2]).items()}, key, n, axis_name)

    def apply(draws: PyTree, x: Array, p: Number) -> Array:
        matrix, offset = jnp.eye(3, dtype=x.dtype)[None], jnp.zeros((1, 3, 1), x.dtype)
        for name, part in parts(x.shape[3]).items():
            number = draws[name].value[:, None, None].astype(x.dtype)
            done = (draws[name].chance < multipliers[name] * p)[:, None, None]
            linear = jnp.where(done, jnp.asarray(part.linear(number), x.dtype), jnp.eye(3, dtype=x.dtype)[None])
            matrix, offset = (jnp.matmul(linear, of, precision=EXACT) for of in (matrix, offset))
            offset = offset + jnp.where(done, part.offset(number), 0)
        if x.shape[3] == 1:  # the mean of what would be three channels
            return x * by_image(matrix.mean(axis=1).sum(axis=1)) + by_image(offset.mean(axis=(1, 2)))
        return jnp.einsum("nhwc,ndc->nhwd", x, matrix, precision=EXACT) + offset[:, None, None, :, 0]

    def check(shape: Shape) -> None:
        if len(shape) != 3 or shape[2] not in (1, 3):
            raise UserError(
                f"ADA changes the colours of images of one or three channels, but these are of shape {shape}: use a "
                "preset without colours, such as bg."
            )

    return Transform("colours", draw, apply, check=check)
