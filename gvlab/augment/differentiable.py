"""Augmentations that are done to every image: DiffAugment's, and the flip and shift of consistency regularisation."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Num

from gvlab import rng
from gvlab.augment.base import Number, Shape, Transform, by_image, chain
from gvlab.types import PRNGKey, PyTree, UserError

SHIFT = 1 / 8
"""The farthest that an image is moved, of its side."""
HOLE = 1 / 2
"""The side of what is cut out, of the image's."""


def colour() -> Transform:
    """Brightness, saturation and contrast of each image, in this order.

    Brightness: x + U(-1/2, 1/2). Saturation: each pixel's distance from the mean of its channels, times U(0, 2).
    Contrast: the distance from the image's mean, times U(1/2, 3/2). Nothing is clipped.

    Reference: Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", 2020, and its published code.
    """

    def draw(key: PRNGKey, n: int, shape: Shape, axis_name: str | None) -> PyTree:
        names = ("brightness", "saturation", "contrast")
        keys = jax.random.split(key, len(names))
        return {name: rng.uniform(key, (n,), axis_name) for name, key in zip(names, keys, strict=True)}

    def apply(draws: PyTree, x: Array, p: Number) -> Array:
        x = x + by_image(draws["brightness"] - 0.5)
        grey = x.mean(axis=3, keepdims=True)
        x = grey + (x - grey) * by_image(2 * draws["saturation"])
        mean = x.mean(axis=(1, 2, 3), keepdims=True)
        return mean + (x - mean) * by_image(draws["contrast"] + 0.5)

    return Transform("colour", draw, apply)


def translation() -> Transform:
    """A shift by whole pixels, at most 1/8 of a side each way, with zeros where nothing is left.

    Reference: Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", 2020, and its published code.
    """

    def apply(draws: PyTree, x: Array, p: Number) -> Array:
        return _shifted(x, draws["rows"], draws["columns"], mode="constant")

    return Transform("translation", _draw_shift, apply)


def cutout() -> Transform:
    """A square of half the side, anywhere, set to 0; beyond the border there is less of it.

    Reference: Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", 2020, and its published code.
    """

    def draw(key: PRNGKey, n: int, shape: Shape, axis_name: str | None) -> PyTree:
        keys, names = jax.random.split(key), ("rows", "columns")
        # Middles of holes of an even side lie between two pixels: there is one place more.
        places = [size + 1 - _rounded(size * HOLE) % 2 for size in shape[:2]]
        return {name: _integers(key, n, count, axis_name) for name, key, count in zip(names, keys, places, strict=True)}

    def apply(draws: PyTree, x: Array, p: Number) -> Array:
        rows = _within(draws["rows"], x.shape[1])[:, :, None, None]
        columns = _within(draws["columns"], x.shape[2])[:, None, :, None]
        return jnp.where(rows & columns, 0, x)

    return Transform("cutout", draw, apply)


POLICIES = {"color": colour, "translation": translation, "cutout": cutout}
"""By the names of the published code."""


def diffaugment(policy: Sequence[str] = ("color", "translation", "cutout")) -> Transform:
    """DiffAugment: the same kinds of augmentation for real and generated images, all of them always.

    Args:
        policy: of "color", "translation" and "cutout", the first of which is done first. Published are all three
            (StyleGAN2) and the last two (BigGAN on CIFAR).

    Raises:
        UserError: if one of them is unknown or there twice, or there is none.

    Reference: Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", 2020, and its published code.
    """
    if not policy or len(set(policy)) != len(policy) or not set(policy) <= set(POLICIES):
        raise UserError(f"policy is {policy!r}, but must be one or more of {', '.join(POLICIES)}, each once.")
    return chain(*(POLICIES[name]() for name in policy))._replace(name="diffaugment")


def flip_and_translate() -> Transform:
    """A mirror image of one in two, then a shift by at most 1/8 of a side, with the image mirrored at its border.

    Reference: Zhang et al., "Consistency Regularization for Generative Adversarial Networks", 2020, as StudioGAN does
    it.
    """

    def draw(key: PRNGKey, n: int, shape: Shape, axis_name: str | None) -> PyTree:
        for_flip, for_shift = jax.random.split(key)
        return {"flip": rng.uniform(for_flip, (n,), axis_name)} | _draw_shift(for_shift, n, shape, axis_name)

    def apply(draws: PyTree, x: Array, p: Number) -> Array:
        x = jnp.where(by_image(draws["flip"]) < 0.5, x[:, :, ::-1], x)
        return _shifted(x, draws["rows"], draws["columns"], mode="reflect")

    return Transform("flip_and_translate", draw, apply)


def _rounded(size: float) -> int:
    """To the nearest whole number, and halves up."""
    return int(size + 0.5)


def _integers(key: PRNGKey, n: int, count: int, axis_name: str | None) -> Num[Array, " n"]:
    """n of 0, 1, ..., count - 1, each as often."""
    return jnp.floor(count * rng.uniform(key, (n,), axis_name)).astype(jnp.int32)


def _draw_shift(key: PRNGKey, n: int, shape: Shape, axis_name: str | None) -> dict[str, Array]:
    draws = {}
    for name, of_axis, size in zip(("rows", "columns"), jax.random.split(key), shape[:2], strict=True):
        most = _rounded(size * SHIFT)
        draws[name] = _integers(of_axis, n, 2 * most + 1, axis_name) - most
    return draws


def _shifted(x: Array, rows: Num[Array, " n"], columns: Num[Array, " n"], mode: str) -> Array:
    """Each image from its row `rows` and its column `columns` on, with what `jnp.pad` has beyond its border."""
    most = [_rounded(size * SHIFT) for size in x.shape[1:3]]
    padded = jnp.pad(x, [(0, 0), *((side, side) for side in most), (0, 0)], mode=mode)

    def window(image: Array, row: Array, column: Array) -> Array:
        return jax.lax.dynamic_slice(image, (row + most[0], column + most[1], jnp.int32(0)), x.shape[1:])

    return jax.vmap(window)(padded, rows, columns)


def _within(places: Num[Array, " n"], size: int) -> Bool[Array, "n size"]:
    """Which of `size` rows or columns belong to the hole that is at the place."""
    side = _rounded(size * HOLE)
    first = places[:, None] - side // 2
    pixels = jnp.arange(size)[None, :]
    return (pixels >= first) & (pixels < first + side)
