"""Adaptive discriminator augmentation's transformations: what is done to colours, the filter, noise, cutout, and all.

Reference: Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, appendix B, and its
published code, which the multipliers are named as in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array

from gvlab import rng
from gvlab.augment import geometry, wavelets
from gvlab.augment.base import Draw, Number, Shape, Transform, by_image, chain, draw_gated
from gvlab.spelling import nearest
from gvlab.types import PRNGKey, PyTree, UserError

BRIGHTNESS_DEVIATION = 0.2
CONTRAST_DEVIATION = 0.5
"""In octaves."""
SATURATION_DEVIATION = 1.0
"""In octaves."""
FILTER_DEVIATION = 1.0
"""In octaves."""
NOISE_DEVIATION = 0.1
"""Of the noise's own deviation."""
HOLE = 0.5
"""The side of what is cut out, of the image's."""
POWER = np.array([10, 1, 1, 1]) / 13
"""What the bands of natural images have of their power."""

GREY = np.array([1, 1, 1]) / np.sqrt(3)
ALONG_GREY = np.outer(GREY, GREY)
AROUND_GREY = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
"""v -> GREY x v."""

_BLIT = ("xflip", "rotate90", "xint")
_GEOM = ("scale", "rotate", "aniso", "xfrac")
_COLOUR = ("brightness", "contrast", "lumaflip", "hue", "saturation")
_ALL = (*_BLIT, *_GEOM, *_COLOUR, "imgfilter", "noise", "cutout")

PRESETS: dict[str, dict[str, float]] = {
    name: dict.fromkeys(names, 1.0)
    for name, names in {
        "blit": _BLIT,
        "geom": _GEOM,
        "color": _COLOUR,
        "filter": ("imgfilter",),
        "noise": ("noise",),
        "cutout": ("cutout",),
        "bg": (*_BLIT, *_GEOM),
        "bgc": (*_BLIT, *_GEOM, *_COLOUR),
        "bgcf": (*_BLIT, *_GEOM, *_COLOUR, "imgfilter"),
        "bgcfn": (*_BLIT, *_GEOM, *_COLOUR, "imgfilter", "noise"),
        "bgcfnc": _ALL,
    }.items()
} | {"r3gan": dict.fromkeys((*_BLIT, *_GEOM, "cutout"), 1.0) | dict.fromkeys(_COLOUR, 0.5)}
"""Multipliers of `ada`, by the names of the published code; r3gan is what R3GAN's code asks for."""


def ada(multipliers: Mapping[str, Number]) -> Transform:
    """The transformations of adaptive discriminator augmentation, in the published order.

    Each is done to an image with its multiplier times p; what is not named is neither done nor drawn. Images of one
    channel are neither rotated in hue nor saturated. The geometric ones mirror an image as far as can be and look at it
    twice as large, which takes memory of 36 images.

    Args:
        multipliers: by name, such as `ADA_PRESETS["bgc"]`: xflip, rotate90, xint (shift by whole pixels), scale,
            rotate, aniso, xfrac (shift by parts of pixels); brightness, contrast, lumaflip, hue, saturation;
            imgfilter; noise; cutout.

    Raises:
        UserError: a name is unknown; from `check`: colours of images of neither one nor three channels, or filters of
            images with a side below 22 pixels.

    Reference: Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, appendix B.
    """
    for name in multipliers:
        if name not in _ALL:
            raise UserError(f"ada() has no transformation {name}{nearest(name, _ALL)}: it has {', '.join(_ALL)}.")
    groups: dict[tuple[str, ...], Callable[[dict[str, Number]], Transform]] = {
        (*_BLIT, *_GEOM): geometry.geometry,
        _COLOUR: _colour,
        ("imgfilter",): lambda of_group: _filter(of_group["imgfilter"]),
        ("noise",): lambda of_group: _noise(of_group["noise"]),
        ("cutout",): lambda of_group: _cutout(of_group["cutout"]),
    }
    transforms = []
    for names, make in groups.items():
        of_group = {name: multipliers[name] for name in names if name in multipliers}
        if of_group:
            transforms.append(make(of_group))
    return chain(*transforms)._replace(name="ada")


# Colours --------------------------------------------------------------------------------------------------------------


class _Part(NamedTuple):
    """Of the colours (r, g, b) -> linear (r, g, b) + offset."""

    draw: Draw
    linear: Callable[[Array], ArrayLike]
    """Of numbers [n, 1, 1]: matrices [n, 3, 3]."""
    offset: Callable[[Array], Array] = jnp.zeros_like
    """Of numbers [n, 1, 1]: what is added to each channel."""


def _same(u: Array) -> Array:
    return jnp.eye(3, dtype=u.dtype)[None] + 0 * u


def _hue(u: Array) -> ArrayLike:
    angle = jnp.pi * (2 * u - 1)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return ALONG_GREY[None] * (1 - cos) + np.eye(3)[None] * cos + AROUND_GREY[None] * sin


PARTS = {
    "brightness": _Part(rng.normal, _same, lambda normal: BRIGHTNESS_DEVIATION * normal),
    "contrast": _Part(rng.normal, lambda normal: np.eye(3)[None] * jnp.exp2(CONTRAST_DEVIATION * normal)),
    "lumaflip": _Part(rng.uniform, lambda u: np.eye(3)[None] - 2 * ALONG_GREY[None] * jnp.floor(2 * u)),
    "hue": _Part(rng.uniform, _hue),
    "saturation": _Part(
        rng.normal,
        lambda normal: ALONG_GREY[None] + (np.eye(3) - ALONG_GREY)[None] * jnp.exp2(SATURATION_DEVIATION * normal),
    ),
}
"""In the order in which they are done."""


def _colour(multipliers: dict[str, Number]) -> Transform:
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
            matrix, offset = (jnp.matmul(linear, of, precision=geometry.EXACT) for of in (matrix, offset))
            offset = offset + jnp.where(done, part.offset(number), 0)
        if x.shape[3] == 1:  # the mean of what would be three channels
            return x * by_image(matrix.mean(axis=1).sum(axis=1)) + by_image(offset.mean(axis=(1, 2)))
        return jnp.einsum("nhwc,ndc->nhwd", x, matrix, precision=geometry.EXACT) + offset[:, None, None, :, 0]

    def check(shape: Shape) -> None:
        if len(shape) != 3 or shape[2] not in (1, 3):
            raise UserError(
                f"ADA changes the colours of images of one or three channels, but these are of shape {shape}: use a "
                "preset without colours, such as bg."
            )

    return Transform("colour", draw, apply, check=check)


# The filter, noise, cutout --------------------------------------------------------------------------------------------


def _filter(multiplier: Number) -> Transform:
    """Each of four bands of frequencies made stronger or weaker, the power of a natural image kept."""
    names = [f"band{band}" for band in range(len(POWER))]

    def draw(key: PRNGKey, n: int, shape: Shape, axis_name: str | None) -> PyTree:
        return draw_gated(dict.fromkeys(names, (rng.normal, ())), key, n, axis_name)

    def apply(draws: PyTree, x: Array, p: Number) -> Array:
        gains = jnp.ones((1, len(POWER)), x.dtype)
        for band, name in enumerate(names):
            strength = jnp.exp2(FILTER_DEVIATION * draws[name].value)
            strength = jnp.where(draws[name].chance < multiplier * p, strength, 1)[:, None]
            of_bands = jnp.where(jnp.arange(len(POWER))[None] == band, strength, 1)
            power = (jnp.asarray(POWER, x.dtype)[None] * jnp.square(of_bands)).sum(axis=1, keepdims=True)
            gains = gains * of_bands / jnp.sqrt(power)
        of_rows, of_columns = (
            jnp.einsum("nb,bij->nij", gains, jnp.asarray(wavelets.bands(side), x.dtype), precision=geometry.EXACT)
            for side in x.shape[1:3]
        )
        x = jnp.einsum("nrh,nhwc->nrwc", of_rows, x, precision=geometry.EXACT)
        return jnp.einsum("nsw,nrwc->nrsc", of_columns, x, precision=geometry.EXACT)

    def check(shape: Shape) -> None:
        if len(shape) != 3 or min(shape[:2]) < wavelets.SMALLEST_FILTERED:
            raise UserError(
                f"ADA's filters take images of at least {wavelets.SMALLEST_FILTERED} pixels a side, but these are of "
                f"shape {shape}: use a preset without them, such as bgc."
            )

    return Transform("filter", draw, apply, check=check)


def _noise(multiplier: Number) -> Transform:
    """Normal noise, of a deviation that differs from image to image."""

    def draw(key: PRNGKey, n: int, shape: Shape, axis_name: str | None) -> PyTree:
        for_deviation, for_noise = jax.random.split(key)
        noise = rng.normal(for_noise, (n, *shape), axis_name)
        return draw_gated({"deviation": (rng.normal, ())}, for_deviation, n, axis_name) | {"noise": noise}

    def apply(draws: PyTree, x: Array, p: Number) -> Array:
        deviation = NOISE_DEVIATION * jnp.abs(draws["deviation"].value)
        return x + by_image(jnp.where(draws["deviation"].chance < multiplier * p, deviation, 0)) * draws["noise"]

    return Transform("noise", draw, apply)


def _cutout(multiplier: Number) -> Transform:
    """A rectangle of half the sides around any place, set to 0."""

    def draw(key: PRNGKey, n: int, shape: Shape, axis_name: str | None) -> PyTree:
        return draw_gated({"middle": (rng.uniform, (2,))}, key, n, axis_name)

    def apply(draws: PyTree, x: Array, p: Number) -> Array:
        middle, chance = draws["middle"]

        def within(middle: Array, size: int) -> Array:
            places = ((np.arange(size) + 0.5) / size)[None]
            return jnp.abs(places - middle[:, None]) < HOLE / 2

        rows = within(middle[:, 1], x.shape[1])[:, :, None, None]
        columns = within(middle[:, 0], x.shape[2])[:, None, :, None]
        return jnp.where(rows & columns & by_image(chance < multiplier * p), 0, x)

    return Transform("cutout", draw, apply)
