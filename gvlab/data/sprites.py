"""gvsprites: binary images of a shape that is scaled, turned and shifted. It is not dSprites.

The factors are those of dSprites (Matthey et al., "dSprites: Disentanglement testing Sprites dataset", 2017), shape,
scale, orientation and two coordinates, and the images are of the same size and number; but every image is another one,
drawn by the formulas below, so numbers on gvsprites are no numbers on dSprites.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gvlab.data.ground_truth import GroundTruth

SIDE, SPRITE = 64, 33
"""Pixels of an image's side, and of a sprite's."""
_CLASSES = ("square", "ellipse", "heart")
_SIZES = (3, 6, 40, 32, 32)


@functools.cache
def gvsprites() -> GroundTruth:
    """737,280 binary images 64x64: 3 shapes, 6 scales, 40 orientations, 32 x 32 places. It is not dSprites.

    All images differ. Orientations are 2 pi / 41 apart: over 40 the symmetric shapes would repeat themselves. A pixel
    is 0 or 255.
    """
    factors = ("shape", "scale", "orientation", "x", "y")
    return GroundTruth("gvsprites", factors, _SIZES, (SIDE, SIDE, 1), "shape", _CLASSES, table, drawn)


@functools.cache
def table() -> UInt8[np.ndarray, "sprites 33 33"]:
    """Every shape at every scale and orientation, in this order: 720 sprites, each pixel 0 or 255.

    A pixel is inside where a function of its centre is above 0. No |value| is below 2e-7 on the lattice, so the bits
    don't depend on whose sine it is. The centre lies off the lattice, lest small squares coincide.
    """
    centres = np.arange(-(SPRITE // 2), SPRITE // 2 + 1, dtype=np.float64)
    x, y = centres[None, :] - 0.31, centres[:, None] - 0.13  # columns to the right, rows downwards
    shapes, scales, orientations = _SIZES[:3]
    inside = np.empty((shapes, scales, orientations, SPRITE, SPRITE), bool)
    for s in range(scales):
        for o in range(orientations):
            scale, turn = (5 + s) / 10, 2 * np.pi * o / 41
            u = (np.cos(turn) * x + np.sin(turn) * y) / scale
            v = (-np.sin(turn) * x + np.cos(turn) * y) / scale
            p, q = u / 11.6, -(v - 1.2) / 11.6
            inside[0, s, o] = 11.2 - np.maximum(np.abs(u), np.abs(v)) > 0
            inside[1, s, o] = 1 - (u / 14.6) ** 2 - (v / 7.7) ** 2 > 0
            inside[2, s, o] = p**2 * q**3 - (p**2 + q**2 - 1) ** 3 > 0
    sprites = (inside.reshape(-1, SPRITE, SPRITE) * np.uint8(255)).astype(np.uint8)
    sprites.flags.writeable = False
    return sprites


def drawn(sprites: Any, factors: Any) -> Any:
    """Each sprite on black, its corner in the row `y` and the column `x`: [n, 64, 64, 1]."""
    shape, scale, orientation, x, y = (factors[:, j] for j in range(len(_SIZES)))
    sprite = (shape * _SIZES[1] + scale) * _SIZES[2] + orientation
    row, column = (
        np.arange(SIDE)[None, :] - corner[:, None] for corner in (y, x)
    )  # of the sprite, for each of the image
    inside = ((row >= 0) & (row < SPRITE))[:, :, None] & ((column >= 0) & (column < SPRITE))[:, None, :]
    row, column = row.clip(0, SPRITE - 1)[:, :, None], column.clip(0, SPRITE - 1)[:, None, :]
    return (sprites[sprite[:, None, None], row, column] * inside)[..., None]
