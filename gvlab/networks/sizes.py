"""The sizes of images that a network can make, and how others are made of them."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.types import UserError

BORDER = 8
"""Fewer pixels than these, along a side, may be cut off the images that a network makes."""


def side_for(network: str, shape: tuple[int, ...], sides: tuple[int, ...]) -> int:
    """Which of the square images' sides that a network makes is that for images of the shape.

    Raises:
        UserError: none of them is, or it is no image.
    """
    if len(shape) == 3:
        for side in sides:
            if all(side - BORDER < size <= side for size in shape[:2]):
                return side
    ranges = " or ".join(f"{side - BORDER + 1} to {side}" for side in sides)
    raise UserError(
        f"{network} makes images of {ranges} pixels a side, not of shape {shape}: use DCGAN or R3GAN, or images of "
        "another size."
    )


def middle(
    x: Float[Array, "batch made_height made_width channel"], shape: tuple[int, ...]
) -> Float[Array, "batch height width channel"]:
    """The middle of larger images, of the shape's height and width."""
    top, left = ((made - wanted) // 2 for made, wanted in zip(x.shape[1:3], shape[:2], strict=True))
    return x[:, top : top + shape[0], left : left + shape[1]]


def bordered(
    x: Float[Array, "batch height width channel"], height: int, width: int
) -> Float[Array, "batch made_height made_width channel"]:
    """Images in the middle of ones of that height and width, with a border of -1, the darkest value."""
    borders = (height - x.shape[1], width - x.shape[2])
    padding = [(0, 0), *((border // 2, border - border // 2) for border in borders), (0, 0)]
    return jnp.pad(x, padding, constant_values=-1.0)


def nearest_sizes(height: int, width: int, works: Callable[[int, int], bool]) -> str:
    """The nearest smaller and larger sizes that work, as HEIGHTxWIDTH, for a sentence.

    They are looked for among multiples of powers of two, which is where strides of two lead.
    """
    sizes = set()
    for unit in (2**n for n in range(1, 12)):
        for y in {height // unit * unit, -(-height // unit) * unit, 4 * unit}:
            for x in {width // unit * unit, -(-width // unit) * unit, 4 * unit}:
                if min(y, x) > 0 and works(y, x):
                    sizes.add((y, x))
    distance = {size: abs(size[0] - height) + abs(size[1] - width) for size in sizes}
    smaller = [size for size in sizes if size[0] <= height and size[1] <= width]
    larger = [size for size in sizes if size[0] >= height and size[1] >= width]
    chosen = [min(some, key=lambda size: (distance[size], size)) for some in (smaller, larger) if some]
    return " and ".join(f"{y}x{x}" for y, x in chosen)
