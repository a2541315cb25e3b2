"""Operators against golden values, their adjoints, and what is refused."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab.restoration import operators
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "restoration.json").read_text())["operators"]
SHAPE = (16, 16, 3)


def images():
    i, j = np.mgrid[0:16, 0:16]
    a = 0.5 + 0.4 * np.sin(0.5 * i) * np.cos(0.35 * j)
    return np.stack([a, a.T, 0.5 + 0.3 * np.cos(0.2 * (i + j))], axis=-1)


def rows_of(rows, columns):
    r, n = np.mgrid[0:rows, 0:columns]
    phase = np.modf(0.6180339887498949 * (r + 1) * (n + 1) ** 2)[0]
    return np.sqrt(2 / rows) * np.cos(0.7 + 2 * np.pi * phase)


def kept(name):
    i, j = np.mgrid[0:16, 0:16]
    if name.startswith("mask"):
        return (3 * i + 5 * j) % 7 != 0
    return ~((i >= 4) & (i <= 11) & (j >= 5) & (j <= 10))


MADE = {
    "mask_(3i+5j)%7!=0": lambda: operators.mask(SHAPE, kept("mask")),
    "block_rows4..11_cols5..10": lambda: operators.mask(SHAPE, kept("block")),
    "mean_downsample_2": lambda: operators.downsample(SHAPE, 2),
    "gaussian_blur_sigma1.2_7taps_zero_padding": lambda: operators.blur(SHAPE, 1.2, radius=3),
    "grey_0.299_0.587_0.114": lambda: operators.grey(SHAPE),
    "projection_40": lambda: operators.matrix(SHAPE, rows_of(40, 768)),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_values_and_adjoints_are_the_golden_ones(name):
    golden = GOLDEN[name]
    with jax.enable_x64(True):
        operator = MADE[name]()
        y = operator.apply(jnp.asarray(images()))
        assert list(y.shape) == golden["shape"] == list(operator.measured_shape)
        u = jnp.sin(0.9 * jnp.arange(y.size) + 0.4).reshape(y.shape)
        back = operator.adjoint(u)
        inner = (jnp.vdot(y, u), jnp.vdot(images(), back))
        y, back, inner = jax.device_get((y, back, inner))
    np.testing.assert_allclose(y.sum(), golden["sum"], rtol=1e-8)
    np.testing.assert_allclose(y.ravel()[:6], golden["first6"], rtol=1e-7)
    np.testing.assert_allclose(inner, golden["inner_product"], rtol=1e-7)
    np.testing.assert_allclose(back.sum(), golden["adjoint_sum"], rtol=1e-6)
    np.testing.assert_allclose(back.ravel()[:6], golden["adjoint_first6"], rtol=1e-6)


def test_what_a_mask_hides_has_no_noise_and_is_no_measurement():
    operator = MADE["mask_(3i+5j)%7!=0"]()
    y = operator.observed(jax.random.key(0), jnp.asarray(images(), jnp.float32)[None], 0.5)
    hidden = ~kept("mask")
    assert (np.asarray(y)[0][hidden] == 0).all()
    assert operator.measurements == 3 * kept("mask").sum()
    deviation = (y[0] - operator.apply(jnp.asarray(images(), jnp.float32)))[~hidden]
    assert abs(deviation.std() - 0.5) < 0.05


def test_a_projection_keeps_lengths_on_average_and_is_the_seeds():
    operator, again, other = (operators.projection((8, 8, 1), 40, seed) for seed in (0, 0, 1))
    x = jax.random.normal(jax.random.key(0), (200, 8, 8, 1))
    y, same, another = (jax.vmap(of.apply)(x) for of in (operator, again, other))
    np.testing.assert_array_equal(y, same)
    assert np.abs(y - another).max() > 0.1
    assert abs((y**2).sum() / (x**2).sum() - 1) < 0.1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: operators.mask(SHAPE, np.zeros((16, 16), bool)), "hides every pixel"),
        (lambda: operators.mask(SHAPE, np.ones((8, 16), bool)), r"The mask has \(8, 16\) pixels"),
        (lambda: operators.downsample(SHAPE, 3), "The factor 3 does not divide"),
        (lambda: operators.downsample(SHAPE, 0), "The factor 0 does not divide"),
        (lambda: operators.blur(SHAPE, 0.0), "sigma is 0.0"),
        (lambda: operators.blur(SHAPE, 17.0), "at most 16 pixels"),
        (lambda: operators.grey((16, 16, 1)), r"the images have 1 channel"),
        (lambda: operators.projection(SHAPE, 0, 0), "The number of measurements is 0"),
        (lambda: operators.projection(SHAPE, 769, 0), "must be from 1 to 768"),
        (lambda: operators.matrix(SHAPE, np.ones((2, 5))), r"The matrix has the shape \(2, 5\)"),
    ],
)
def test_impossible_operators_are_refused(make, words):
    with pytest.raises(UserError, match=words):
        make()
