"""How well a picture is reproduced: peak signal-to-noise ratio and structural similarity, per image.

They compute in the precision of the images. Float32 agrees with float64 to 1e-6 (relative), and to 1e-4 where a window
has next to no contrast. NaN in an image makes its result NaN, and no other's.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from gvlab.types import UserError

_TAPS = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
_WINDOW = _TAPS / _TAPS.sum()  # of 11 pixels, a Gaussian of standard deviation 1.5
_EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # from the finest scale to the coarsest

Images = Float[Array, "batch _ _ _"]  # height, width and channels


def psnr(
    x: Real[Array, "batch height width channel"], y: Real[Array, "batch height width channel"], data_range: float
) -> Float[Array, " batch"]:
    """10 log10(data_range^2 / mean squared error), in decibels.

    Args:
        x: images, [batch, height, width, channel].
        y: images of the same shape.
        data_range: the greatest minus the least value that a pixel can take: 1, 2 or 255.

    Returns:
        Decibels, [batch]; infinity for equal images.

    Raises:
        UserError: if the shapes differ, or `data_range` is not positive.
    """
    a, b = _as_images(x, y, data_range)
    return 10.0 * jnp.log10(data_range**2 / ((a - b) ** 2).mean((1, 2, 3)))


def ssim(
    x: Real[Array, "batch height width channel"], y: Real[Array, "batch height width channel"], data_range: float
) -> Float[Array, " batch"]:
    """The structural similarity, averaged over channels and all pixels; beyond the border the image is mirrored.

    Args:
        x: images, [batch, height, width, channel], of at least 11x11 pixels.
        y: images of the same shape.
        data_range: the greatest minus the least value that a pixel can take: 1, 2 or 255.

    Returns:
        Similarities in [-1, 1], [batch]; 1 for equal images.

    Raises:
        UserError: if the shapes differ, the images are too small, or `data_range` is not positive.

    Reference: Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004, eq. 13.
    """
    a, b = _as_images(x, y, data_range)
    _require_side(a, 11, "SSIM")
    luminance, contrast = _similarities(a, b, data_range)
    return (luminance * contrast).mean((1, 2, 3))


def ms_ssim(
    x: Real[Array, "batch height width channel"], y: Real[Array, "batch height width channel"], data_range: float
) -> Float[Array, " batch"]:
    """The structural similarity over five scales, each half as fine as the one before.

    As in torchmetrics, `ssim` at the coarsest scale and its contrast term at the others, there without the five pixels
    nearest to the border. A negative mean at a scale counts as 0, as it has no real power.

    Args:
        x: images, [batch, height, width, channel], of at least 176x176 pixels.
        y: images of the same shape.
        data_range: the greatest minus the least value that a pixel can take: 1, 2 or 255.

    Returns:
        Similarities in [0, 1], [batch]; 1 for equal images.

    Raises:
        UserError: if the shapes differ, the images are too small, or `data_range` is not positive.

    Reference: Wang, Simoncelli & Bovik, "Multi-scale Structural Similarity for Image Quality Assessment", 2003, eq. 7.
    """
    a, b = _as_images(x, y, data_range)
    _require_side(a, 11 * 2 ** (len(_EXPONENTS) - 1), "MS-SSIM")
    product = jnp.ones(a.shape[0], a.dtype)
    for exponent in _EXPONENTS[:-1]:
        _, contrast = _similarities(a, b, data_range)
        product *= _power(contrast[:, 5:-5, 5:-5].mean((1, 2, 3)), exponent)
        a, b = _halved(a), _halved(b)
    luminance, contrast = _similarities(a, b, data_range)
    return product * _power((luminance * contrast).mean((1, 2, 3)), _EXPONENTS[-1])


def _power(mean: Float[Array, " batch"], exponent: float) -> Float[Array, " batch"]:
    return jnp.maximum(mean, 0.0) ** exponent  # a relu would turn NaN to 0


def _as_images(x: Array, y: Array, data_range: float) -> tuple[Images, Images]:
    if x.shape != y.shape or x.ndim != 4:
        raise UserError(
            f"The images have shapes {x.shape} and {y.shape}: give two equal [batch, height, width, channel]."
        )
    if not data_range > 0:
        raise UserError(f"data_range is {data_range}, but must be positive: 1, 2 or 255, as the pixels' range is.")
    return x.astype(jnp.result_type(float, x)), y.astype(jnp.result_type(float, y))


def _require_side(x: Images, least: int, name: str) -> None:
    if min(x.shape[1:3]) < least:
        raise UserError(f"{name} needs images of at least {least}x{least} pixels, but these have {x.shape[1:3]}.")


def _similarities(x: Images, y: Images, data_range: float) -> tuple[Images, Images]:
    """Luminance and contrast-structure of every window (Wang et al., 2004, eq. 6 and the rest of eq. 13)."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    blurred = _blur(jnp.concatenate([x, y, x**2, y**2, x * y], -1))
    mean_x, mean_y, square_x, square_y, product = jnp.split(blurred, 5, -1)
    variance_x = jnp.maximum(square_x - mean_x**2, 0.0)
    variance_y = jnp.maximum(square_y - mean_y**2, 0.0)
    covariance = product - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance, (2 * covariance + c2) / (variance_x + variance_y + c2)


def _blur(x: Images) -> Images:
    """The Gaussian window around every pixel, as sums of shifted images: exact on every back-end."""
    height, width = x.shape[1:3]
    x = jnp.pad(x, ((0, 0), (5, 5), (5, 5), (0, 0)), mode="reflect")
    x = sum((float(w) * x[:, i : i + height] for i, w in enumerate(_WINDOW)), start=jnp.zeros((), x.dtype))
    return sum((float(w) * x[:, :, i : i + width] for i, w in enumerate(_WINDOW)), start=jnp.zeros((), x.dtype))


def _halved(x: Images) -> Images:
    """Means over 2x2 pixels; an odd last row or column is left out."""
    height, width = x.shape[1] // 2, x.shape[2] // 2
    even = x[:, : 2 * height, : 2 * width]
    return even.reshape(x.shape[0], height, 2, width, 2, x.shape[3]).mean((2, 4))
