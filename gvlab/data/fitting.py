"""Pictures brought to one size, each by one resampling: Pillow's Lanczos filter on 8-bit values."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import UInt8

from gvlab.data.picture_file import Colour

Fit = Literal["crop", "pad", "stretch"]


def stamp() -> str:
    """What made the pixels, for the record: another version of Pillow may round otherwise."""
    import PIL

    return f"Pillow {PIL.__version__}, Lanczos on 8 bits, no reducing gap"


def fit(
    image: UInt8[np.ndarray, "height width channel"], size: tuple[int, int], how: Fit, background: Colour
) -> UInt8[np.ndarray, "new_height new_width channel"]:
    """The picture at (height, width); one that has this size already keeps every bit.

    Args:
        image: grey, RGB, or of 2 or 4 channels, which are resampled each by itself.
        size: the new height and width.
        how: crop: the largest middle part of the new shape. pad: the whole, in the middle of the background.
            stretch: the whole, its proportions changed.
        background: of pad, given to grey pictures as the mean of the three.
    """
    height, width = image.shape[:2]
    if (height, width) == size:
        return image
    if how == "crop":
        scale = min(height / size[0], width / size[1])
        top, left = (height - size[0] * scale) / 2, (width - size[1] * scale) / 2
        return _resized(image, size, (left, top, left + size[1] * scale, top + size[0] * scale))
    if how == "stretch":
        return _resized(image, size, (0, 0, width, height))
    scale = max(height / size[0], width / size[1])
    inner = max(1, min(size[0], round(height / scale))), max(1, min(size[1], round(width / scale)))
    colour = {1: (round(sum(background) / 3),), 3: background}.get(image.shape[2], (0,) * image.shape[2])
    out = np.empty((*size, image.shape[2]), np.uint8)
    out[:] = np.array(colour, np.uint8)
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    out[top : top + inner[0], left : left + inner[1]] = _resized(image, inner, (0, 0, width, height))
    return out


def _resized(
    image: UInt8[np.ndarray, "height width channel"], size: tuple[int, int], box: tuple[float, float, float, float]
) -> UInt8[np.ndarray, "new_height new_width channel"]:
    """The part in the box (left, top, right, bottom), at (height, width)."""
    from PIL import Image

    height, width = image.shape[:2]
    # By rounding a side may end beyond the picture, which Pillow refuses.
    box = (max(box[0], 0.0), max(box[1], 0.0), min(box[2], float(width)), min(box[3], float(height)))
    planes = [image] if image.shape[2] == 3 else [image[..., channel] for channel in range(image.shape[2])]
    new = [Image.fromarray(plane).resize((size[1], size[0]), Image.Resampling.LANCZOS, box) for plane in planes]
    return np.asarray(new[0]) if image.shape[2] == 3 else np.stack([np.asarray(plane) for plane in new], axis=-1)
