"""What adaptive augmentation does to pixels: filters, noise and holes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gvlab import rng
from gvlab.augment import wavelets
from gvlab.augment.base import EXACT, Number, Shape, Transform, by_image, draw_gated
from gvlab.types import PRNGKey, PyTree, UserError

FILTER_DEVIATION = 1.0
"""In octaves."""
NOISE_DEVIATION = 0.1
"""Of the noise's own deviation."""
HOLE = 0.5
"""The side of what is cut out, of the image's."""
POWER = np.array([10, 1, 1, 1]) / 13
"""What the bands of natural images have of their power."""


def filtering(multiplier: Number) -> Transform:
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
            jnp.einsum("nb,bij->nij", gains, jnp.asarray(wavelets.bands(side), x.dtype), precision=EXACT)
            for side in x.shape[1:3]
        )
        x = jnp.einsum("nrh,nhwc->nrwc", of_rows, x, precision=EXACT)
        return jnp.einsum("nsw,nrwc->nrsc", of_columns, x, precision=EXACT)

    def check(shape: Shape) -> None:
        if len(shape) != 3 or min(shape[:2]) < wavelets.SMALLEST_FILTERED:
            raise UserError(
                f"ADA's filters take images of at least {wavelets.SMALLEST_FILTERED} pixels a side, but these are of "
                f"shape {shape}: use a preset without them, such as bgc."
            )

    return Transform("filter", draw, apply, check=check)


def noising(multiplier: Number) -> Transform:
    """Normal noise, of a deviation that differs from image to image."""

    def draw(key: PRNGKey, n: int, shape: Shape, axis_name: str | None) -> PyTree:
        for_deviation, for_noise = jax.random.split(key)
        noise = rng.normal(for_noise, (n, *shape), axis_name)
        return draw_gated({"deviation": (rng.normal, ())}, for_deviation, n, axis_name) | {"noise": noise}

    def apply(draws: PyTree, x: Array, p: Number) -> Array:
        deviation = NOISE_DEVIATION * jnp.abs(draws["deviation"].value)
        return x + by_image(jnp.where(draws["deviation"].chance < multiplier * p, deviation, 0)) * draws["noise"]

    return Transform("noise", draw, apply)


def holes(multiplier: Number) -> Transform:
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
