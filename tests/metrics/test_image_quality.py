import inspect
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from gvlab.metrics import image_quality
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "image_quality.json").read_text())
psnr, ssim, ms_ssim = METRICS = [
    jax.jit(metric, static_argnums=2) for metric in (image_quality.psnr, image_quality.ssim, image_quality.ms_ssim)
]

_A = np.random.RandomState(70).random_sample((2, 3, 192, 192))
_B = np.clip(_A + 0.1 * np.random.RandomState(71).standard_normal(_A.shape), 0, 1)
A64, B64 = _A.transpose(0, 2, 3, 1), _B.transpose(0, 2, 3, 1)
A, B = jnp.asarray(A64, jnp.float32), jnp.asarray(B64, jnp.float32)


def test_agrees_with_torchmetrics():
    # Its PSNR is of the batch's mean squared error, ours of each image's.
    batch = -10 * np.log10(np.mean(10 ** (-np.asarray(psnr(A, B, 1.0), np.float64) / 10)))
    np.testing.assert_allclose(batch, GOLDEN["psnr"], rtol=1e-6)
    np.testing.assert_allclose(ssim(A, B, 1.0).mean(), GOLDEN["ssim"], rtol=1e-6)
    np.testing.assert_allclose(ms_ssim(A, B, 1.0).mean(), GOLDEN["ms_ssim"], rtol=1e-6)


def test_in_double_precision_too():
    with jax.enable_x64(True):
        a, b = jnp.asarray(A64), jnp.asarray(B64)
        np.testing.assert_allclose(ssim(a, b, 1.0).mean(), GOLDEN["ssim"], rtol=1e-9)
        np.testing.assert_allclose(ms_ssim(a, b, 1.0).mean(), GOLDEN["ms_ssim"], rtol=1e-8)


def test_ssim_is_scipys_gaussian():
    def blur(x):
        for axis in (1, 2):
            x = gaussian_filter1d(x, 1.5, axis, mode="mirror", radius=5)
        return x

    a, b = A64[:, :24, :17], B64[:, :24, :17]
    mean_a, mean_b = blur(a), blur(b)
    variances = blur(a * a) - mean_a**2 + blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    expected = (
        (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4) * (2 * covariance + 9e-4) / (variances + 9e-4)
    )
    np.testing.assert_allclose(ssim(A[:, :24, :17], B[:, :24, :17], 1.0), expected.mean((1, 2, 3)), rtol=1e-5)


def test_in_closed_form():
    x, y = jnp.full_like(A, 0.25), jnp.full_like(A, 0.75)
    np.testing.assert_allclose(psnr(x, y, 1.0), [20 * np.log10(2)] * 2, rtol=1e-6)
    # Constant images have no contrast: only the luminance differs, and in MS-SSIM only at the coarsest scale. What
    # rounding leaves of the contrast, 1e-7 of the square, is 1e-4 of the constant 9e-4.
    luminance = (2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4)
    np.testing.assert_allclose(ssim(x, y, 1.0), [luminance] * 2, rtol=1e-4)
    np.testing.assert_allclose(ms_ssim(x, y, 1.0), [luminance**0.1333] * 2, rtol=1e-4)


@pytest.mark.parametrize(("metric", "perfect"), [(psnr, np.inf), (ssim, 1.0), (ms_ssim, 1.0)])
def test_equal_images_are_perfect(metric, perfect):
    np.testing.assert_allclose(metric(A, A, 1.0), [perfect] * 2, rtol=1e-6)


def test_the_negative_is_dissimilar():
    assert (ssim(A, 1 - A, 1.0) < -0.5).all()
    np.testing.assert_array_equal(ms_ssim(A, 1 - A, 1.0), 0)  # its contrasts are negative: no real power


@pytest.mark.parametrize("metric", METRICS)
def test_the_range_is_a_unit(metric):
    """Bytes and unit intervals give the same number; integers are no obstacle."""
    a, b = (jnp.round(255 * x) for x in (A, B))
    found = metric(a.astype(jnp.uint8), b.astype(jnp.uint8), 255.0)
    np.testing.assert_allclose(found, metric(a / 255, b / 255, 1.0), rtol=1e-5)
    np.testing.assert_allclose(metric(B, A, 1.0), metric(A, B, 1.0), rtol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_nan_stays_in_its_image(metric):
    found = metric(A.at[0, 5, 6, 1].set(jnp.nan), B, 1.0)
    assert np.isnan(found[0])
    np.testing.assert_allclose(found[1], metric(A, B, 1.0)[1], rtol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("x", "y", "data_range", "sentence"),
    [
        (A, A[:1], 1.0, "The images have shapes"),
        (A[0], A[0], 1.0, "The images have shapes"),
        (A, A, 0.0, r"data_range is 0\.0"),
        (A, A, float("nan"), "data_range is nan"),
    ],
)
def test_refuses_what_cannot_be_compared(metric, x, y, data_range, sentence):
    with pytest.raises(UserError, match=sentence):
        inspect.unwrap(metric)(x, y, data_range)


def test_refuses_images_smaller_than_the_window():
    with pytest.raises(UserError, match=r"SSIM needs images of at least 11x11 pixels, but these have \(10, 192\)"):
        image_quality.ssim(A[:, :10], B[:, :10], 1.0)
    with pytest.raises(UserError, match="MS-SSIM needs images of at least 176x176"):
        image_quality.ms_ssim(A[:, :175], B[:, :175], 1.0)
