"""Arrays as pictures: grids, PNG files, scatter plots."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from jaxtyping import Float

from gvlab import files
from gvlab.data import picture_file
from gvlab.types import UserError


def grid(images: Float[np.ndarray, "n height width channel"], columns: int, gap: int = 1) -> np.ndarray:
    """Images in [0, 1] side by side in rows of `columns`, as uint8 [height, width, 1 or 3]; gaps are mid-grey.

    Two channels are shown as red and green. Of four the last is taken for the opacity of the other three, and what is
    transparent shows the mid-grey behind.
    """
    images = _shown(images)
    n, height, width, channel = images.shape
    rows = -(-n // columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channel), 0.5, np.float32)
    for i, image in enumerate(images):
        top, left = (i // columns) * (height + gap) + gap, (i % columns) * (width + gap) + gap
        sheet[top : top + height, left : left + width] = image
    return np.round(np.clip(sheet, 0, 1) * 255).astype(np.uint8)


def _shown(images: Float[np.ndarray, "n height width channel"]) -> Float[np.ndarray, "n height width shown"]:
    """Of 1 or 3 channels, which a picture has; such images come back as they are."""
    if images.shape[-1] == 2:
        return np.concatenate([images, np.zeros_like(images[..., :1])], axis=-1)
    if images.shape[-1] == 4:
        opacity = np.clip(images[..., 3:], 0, 1)
        return opacity * np.clip(images[..., :3], 0, 1) + (1 - opacity) * np.float32(0.5)
    return images


def enlarge(sheet: np.ndarray, least: int = 512) -> np.ndarray:
    """The sheet with every pixel repeated, until its longer side has at least `least` pixels."""
    times = max(1, -(-least // max(sheet.shape[:2])))
    return sheet.repeat(times, 0).repeat(times, 1)


def save_png(target: Path, sheet: np.ndarray) -> None:
    """Writes a uint8 picture [height, width, 1 or 3], the whole file or nothing.

    Raises:
        UserError: the file's name does not end in .png.
    """
    from PIL import Image

    if target.suffix.lower() != ".png":
        raise UserError(f"Pictures are PNG files, but {target} is no name of one: choose one such as grid.png.")

    with files.replacing(target) as part:
        Image.fromarray(sheet[..., 0] if sheet.shape[-1] == 1 else sheet).save(part, format="PNG")


def read_png(file: Path) -> np.ndarray:
    """A picture that `save_png` wrote, as uint8 [height, width, 1 or 3].

    Raises:
        UserError: there is no such file, or it is damaged.
    """
    with picture_file.opened(file, ("PNG",)) as picture:
        pixels = np.array(picture if picture.mode == "L" else picture.convert("RGB"))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def png_bytes(sheet: np.ndarray) -> bytes:
    """A uint8 picture [height, width, 1 or 3] as the smallest PNG file that Pillow makes of it."""
    from PIL import Image

    made = io.BytesIO()
    Image.fromarray(sheet[..., 0] if sheet.shape[-1] == 1 else sheet).save(made, format="PNG", optimize=True)
    return made.getvalue()


def scatter(samples: Float[np.ndarray, "n 2"], real: Float[np.ndarray, "m 2"], pixels: int = 512) -> np.ndarray:
    """Generated points (orange) over real ones (grey), as a uint8 picture that spans the real data."""
    low, high = real.min(0), real.max(0)
    margin = 0.1 * (high - low)
    low, high = low - margin, high + margin
    sheet = np.full((pixels, pixels, 3), 255, np.uint8)
    for points, colour in ((real, (190, 190, 190)), (samples, (213, 94, 0))):
        at = (points - low) / (high - low) * (pixels - 1)
        at = at[((at >= 0) & (at <= pixels - 1)).all(1)].round().astype(int)
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                y, x = np.clip(pixels - 1 - at[:, 1] + dy, 0, pixels - 1), np.clip(at[:, 0] + dx, 0, pixels - 1)
                sheet[y, x] = colour
    return sheet
