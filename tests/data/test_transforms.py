import jax
import jax.numpy as jnp
import numpy as np

from gvlab import rng
from gvlab.data import binarize, dequantize, flip, to_symmetric, to_unit

EVERY = jnp.arange(256, dtype=jnp.uint8)


def test_scalings_meet_both_ends_and_every_value_between():
    np.testing.assert_allclose(to_unit(EVERY), np.arange(256) / 255, rtol=1e-6)
    np.testing.assert_allclose(to_symmetric(EVERY), np.arange(256) / 127.5 - 1, rtol=1e-6, atol=1e-7)
    for scaled, low in ((to_unit(EVERY), 0), (to_symmetric(EVERY), -1)):
        assert scaled.dtype == jnp.float32
        assert (float(scaled[0]), float(scaled[-1])) == (low, 1)


def test_scalings_are_the_same_compiled():
    for scale in (to_unit, to_symmetric):
        np.testing.assert_array_equal(jax.jit(scale)(EVERY), scale(EVERY))


def test_binarize_is_one_as_often_as_the_intensity_says():
    n = 20_000
    x = jnp.broadcast_to(jnp.array([0.0, 0.1, 0.5, 1.0])[None, :], (n, 4))
    bits = np.asarray(binarize(rng.root(0), x))
    assert bits.dtype == np.float32
    assert set(np.unique(bits)) == {0.0, 1.0}
    p = np.array([0.0, 0.1, 0.5, 1.0])
    assert (np.abs(bits.mean(axis=0) - p) <= 4 * np.sqrt(p * (1 - p) / n)).all()  # exact at 0 and 1
    assert (bits != np.asarray(binarize(rng.root(1), x))).any()


def test_dequantize_keeps_each_intensity_in_its_bin():
    x = jnp.broadcast_to(to_unit(EVERY)[None, :], (400, 256))
    noisy = np.asarray(dequantize(rng.root(0), x), dtype=np.float64) * 256
    k = np.arange(256)[None, :]
    assert (noisy >= k - 1e-4).all()
    assert (noisy <= k + 1 + 1e-4).all()
    inside = noisy - k
    assert abs(inside.mean() - 0.5) < 4 * np.sqrt(1 / 12 / inside.size)
    assert abs(inside.var() - 1 / 12) < 4 * np.sqrt(1 / 180 / inside.size)


def test_flip_mirrors_half_of_the_images_whole():
    n = 2000
    image = jnp.arange(12, dtype=jnp.float32).reshape(2, 3, 2)
    out = np.asarray(flip(rng.root(0), jnp.broadcast_to(image[None], (n, 2, 3, 2))))
    same = (out == np.asarray(image)).all(axis=(1, 2, 3))
    mirrored = (out == np.asarray(image)[:, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert abs(mirrored.mean() - 0.5) < 4 * 0.5 / np.sqrt(n)
