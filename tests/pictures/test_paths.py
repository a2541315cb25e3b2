import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab.pictures.paths import spherical, straight


def draw(seed, paths=5, latent=16):
    return (jnp.asarray(x) for x in np.random.RandomState(seed).standard_normal((2, paths, latent)).astype(np.float32))


def test_both_ends_are_included():
    start, end = draw(0)
    path = np.asarray(spherical(start, end, 7))
    assert path.shape == (5, 7, 16)
    np.testing.assert_allclose(path[:, 0], start, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(path[:, -1], end, rtol=1e-5, atol=1e-5)


def test_the_norm_is_kept_and_the_angle_grows_evenly():
    start, end = (jnp.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True) * 3.0) for x in draw(1))
    path = np.asarray(spherical(start, end, 9), np.float64)
    np.testing.assert_allclose(np.linalg.norm(path, axis=-1), 3.0, rtol=1e-5)
    cosines = np.sum(path[:, 1:] * path[:, :-1], axis=-1) / 9
    angle = np.arccos(np.sum(path[:, 0] * path[:, -1], axis=-1) / 9)
    np.testing.assert_allclose(np.arccos(cosines), np.broadcast_to(angle[:, None] / 8, (5, 8)), rtol=1e-3)


def test_a_quarter_circle():
    path = np.asarray(spherical(jnp.array([[2.0, 0.0, 0.0]]), jnp.array([[0.0, 2.0, 0.0]]), 9))
    np.testing.assert_allclose(path[0, ::4], [[2, 0, 0], [np.sqrt(2), np.sqrt(2), 0], [0, 2, 0]], atol=1e-6)


def test_the_length_passes_evenly_from_one_to_the_other_for_orthogonal_ends():
    """Shoemake's formula on vectors of different lengths: |path|^2 = cos^2 |a|^2 + sin^2 |b|^2."""
    path = np.asarray(spherical(jnp.array([[1.0, 0.0, 0.0]]), jnp.array([[0.0, 3.0, 0.0]]), 9))
    t = np.linspace(0, np.pi / 2, 9)
    np.testing.assert_allclose(path[0], np.stack([np.cos(t), 3 * np.sin(t), 0 * t], axis=1), atol=1e-6)


def test_parallel_latents_are_joined_by_the_straight_line():
    start = np.array([[1.0, 2.0, -2.0]], np.float32)
    t = np.linspace(0, 1, 9)[:, None]
    for factor in (1.0, 2.0):
        path = np.asarray(spherical(jnp.asarray(start), jnp.asarray(start * np.float32(factor)), 9))
        np.testing.assert_allclose(path[0], start * (1 - t + t * factor), rtol=1e-6)


@pytest.mark.parametrize("tilt", [0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3])
@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["parallel", "antiparallel"])
def test_nearly_parallel_and_antiparallel_latents_stay_bounded(sign, tilt):
    """No division by the sine of nothing: finite, and never longer than the ends."""
    start = np.array([[3.0, 4.0, 0.0]], np.float32)
    end = (sign * start + np.array([[0.0, 0.0, tilt]])).astype(np.float32)
    path = np.asarray(spherical(jnp.asarray(start), jnp.asarray(end), 9))
    assert np.isfinite(path).all()
    assert np.linalg.norm(path, axis=-1).max() <= 5 * 1.001
    np.testing.assert_allclose(path[:, 0], start, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(path[0, -1], sign * np.array([3, 4, 0]) + [0, 0, tilt], rtol=1e-4, atol=1e-3)


def test_a_latent_of_zeros_is_joined_by_the_straight_line():
    end = jnp.array([[1.0, -2.0, 3.0]])
    walk = np.asarray(spherical(jnp.array([[0.0, 0.0, 0.0]]), end, 9))
    np.testing.assert_allclose(walk[0], np.linspace(0, 1, 9)[:, None] * np.asarray(end), atol=1e-6)


def test_it_may_be_jitted():
    start, end = draw(2)
    jitted = jax.jit(spherical, static_argnums=2)(start, end, 7)
    np.testing.assert_allclose(jitted, spherical(start, end, 7), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("points", "places"), [(2, [0, 2]), (5, [0, 0.5, 1, 1.5, 2]), (3, [0, 1, 2])])
def test_straight_lines_pass_every_corner_in_equal_steps(points, places):
    corners = jnp.asarray([[0.0, 0.0], [4.0, 0.0], [4.0, 8.0]])
    expected = [[4 * min(place, 1), 8 * max(place - 1, 0)] for place in places]
    np.testing.assert_allclose(straight(corners, points), expected, atol=1e-6)
