"""Fits of mixtures by expectation and maximisation: scikit-learn's numbers, and clusters that are there to be found."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import networks
from gvlab.losses import normal_mixture_log_prob
from gvlab.types import UserError

quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
MEANS = np.array([[4.0, 0.0], [-4.0, 1.0], [0.0, 5.0]])


def rows(n: int = 90) -> np.ndarray:
    """Three clusters of spread 0.5, in turn."""
    generator = np.random.default_rng(0)
    return MEANS[np.arange(n) % 3] + 0.5 * generator.normal(size=(n, 2))


def test_steps_are_those_of_scikit_learn():
    from sklearn.mixture import GaussianMixture

    x, means, variances = rows(), MEANS[:2] + [[0.5], [0.2]], np.array([[1.0, 2.0], [3.0, 1.5]])
    weights = np.array([0.3, 0.7])
    twin = GaussianMixture(
        2, covariance_type="diag", tol=0.0, max_iter=7, weights_init=weights, means_init=means,
        precisions_init=1 / variances,
    )  # fmt: skip
    with pytest.warns(Warning, match="did not converge"):
        twin.fit(x)
    with jax.enable_x64(True):
        found = quick_jit(partial(networks.em_mixture, iterations=7))(x, (np.log(weights), means, np.log(variances)))
    logits, mean, logvar = map(np.asarray, found)
    np.testing.assert_allclose(np.exp(logits), twin.weights_, rtol=1e-9)
    np.testing.assert_allclose(mean, twin.means_, rtol=1e-9)
    np.testing.assert_allclose(np.exp(logvar), twin.covariances_, rtol=1e-9)


def test_the_best_of_the_starts_finds_the_clusters():
    """In whatever order; one start of these finds two clusters as one in a third of the keys."""
    x = jnp.asarray(rows(), jnp.float32)
    fit = quick_jit(partial(networks.fitted_mixture, components=3))
    for seed in range(3):
        logits, mean, logvar = fit(jax.random.key(seed), x)
        order = np.argsort(-np.asarray(mean[:, 0]))[[0, 2, 1]]
        clusters = np.asarray(x).reshape(-1, 3, 2)
        np.testing.assert_allclose(mean[order], clusters.mean(0), atol=1e-4)
        np.testing.assert_allclose(jnp.exp(logvar)[order], clusters.var(0), atol=1e-4)
        np.testing.assert_allclose(jnp.exp(logits), 1 / 3, atol=1e-5)
        assert np.isfinite(normal_mixture_log_prob(x, logits, mean, logvar)).all()


def test_more_components_than_rows_are_refused():
    with pytest.raises(UserError, match=r"4 components cannot be fitted to 3 rows: use fewer, or more rows\."):
        networks.fitted_mixture(jax.random.key(0), jnp.zeros((3, 2)), 4)
