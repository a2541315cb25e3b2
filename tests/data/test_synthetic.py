import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gvlab import rng
from gvlab.data import Mixture, grid, ring


@pytest.mark.parametrize(("mixture", "modes", "scale"), [(ring(), 8, 0.01), (grid(), 25, 0.05)])
def test_log_prob_is_that_of_scipy(mixture, modes, scale):
    assert (len(mixture.means), mixture.scale) == (modes, scale)
    x = np.concatenate([mixture.means[:3] + 0.5 * scale, mixture.means[-2:] - 2 * scale]).astype(np.float32)
    parts = [stats.multivariate_normal(mean.astype(np.float64), scale**2).pdf(x) for mean in mixture.means]
    np.testing.assert_allclose(jax.jit(mixture.log_prob)(x), np.log(np.mean(parts, axis=0)), rtol=1e-4, atol=1e-4)


def test_where_the_modes_are():
    np.testing.assert_allclose(np.linalg.norm(ring().means, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(ring().means[2], [0, 1], atol=1e-6)
    assert {tuple(mean) for mean in grid().means.tolist()} == {(x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)}


def test_the_density_integrates_to_one():
    mixture = Mixture(np.array([[0.0, 0.0], [1.0, -0.5]], np.float32), 0.3)
    axis = np.linspace(-4, 4, 161, dtype=np.float32)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    total = np.exp(np.asarray(jax.jit(mixture.log_prob)(points), np.float64)).sum() * 0.05**2
    assert abs(total - 1) < 1e-5


def test_far_away_it_is_very_unlikely_and_not_nan():
    value, gradient = jax.jit(jax.value_and_grad(lambda x: ring().log_prob(x[None])[0]))(jnp.array([50.0, 0.0]))
    np.testing.assert_allclose(value, -(49**2) / 2e-4, rtol=1e-3)
    assert np.isfinite(gradient).all()


def test_samples_have_the_entropy_of_the_density():
    n = 4000
    x = jax.jit(ring().sample, static_argnums=1)(rng.root(0), n)
    assert x.shape == (n, 2)
    log_prob = np.asarray(jax.jit(ring().log_prob)(x), np.float64)
    # Modes that don't overlap: the entropy is log 8 + that of one Gaussian, log(2 pi e scale^2); log_prob varies by 1.
    assert abs(-log_prob.mean() - (np.log(8) + np.log(2 * np.pi * np.e * 1e-4))) < 4 / np.sqrt(n)
    nearest = np.argmin(np.linalg.norm(np.asarray(x)[:, None] - ring().means[None], axis=-1), axis=1)
    table = np.bincount(nearest, minlength=8)
    assert ((table - n / 8) ** 2 / (n / 8)).sum() < stats.chi2.ppf(0.999, 7)
