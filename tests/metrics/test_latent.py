import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from gvlab.losses import gaussian_kl
from gvlab.metrics import latent
from gvlab.metrics.latent import active_units, collapsed_units, elbo_surgery, unit_activity
from gvlab.types import UserError

KEY = jax.random.key(0)


def normal(seed, *shape):
    return np.random.RandomState(seed).standard_normal(shape)


def linear_posterior(n, gains, logvars, seed=0):
    """q(z|x) = N(gain * x, exp(logvar)) with x ~ N(0, I): the aggregate is N(0, gain^2 + exp(logvar))."""
    gains, logvars = np.asarray(gains, float), np.asarray(logvars, float)
    return normal(seed, n, len(gains)) * gains, np.tile(logvars, (n, 1))


def test_activity_is_the_variance_of_the_means():
    means = normal(0, 500, 4) * np.array([1.0, 0.2, 0.05, 0.0])
    np.testing.assert_allclose(unit_activity(means), np.var(means, axis=0, ddof=1), rtol=1e-12)
    assert active_units(means) == 2  # 1, 0.04 | 0.0025, 0
    assert active_units(means, 0.001) == 3
    assert active_units(means, 0.0) == 3
    assert active_units(jnp.asarray(means, jnp.float32)) == 2
    assert active_units(np.ones((5, 3))) == 0


def test_the_decomposition_has_the_closed_form_for_a_linear_encoder():
    gains, logvars = np.array([0.6, 0.9, 0.0]), np.log([0.5, 0.3, 1.0])
    mean, logvar = linear_posterior(4000, gains, logvars)
    found = elbo_surgery(KEY, mean, logvar)
    variance = gains**2 + np.exp(logvars)
    information = 0.5 * np.log(variance / np.exp(logvars)).sum()
    marginal = 0.5 * (variance - 1 - np.log(variance)).sum()
    # The population's terms, up to the draws of z, the draws of x, and the bias of a finite set.
    draws = scipy.stats.sem(gaussian_kl(jnp.asarray(mean), jnp.asarray(logvar)))
    error = math.hypot(found.standard_error_nats, draws)
    assert abs(found.mean_kl_nats - information - marginal) < 3 * draws
    assert abs(found.mutual_information_nats - information) < 3 * error
    assert abs(found.marginal_kl_nats - marginal) < 3 * error
    assert found.mean_kl_nats == pytest.approx(found.mutual_information_nats + found.marginal_kl_nats, rel=1e-12)


def test_small_sets_underestimate_the_information():
    """The bias that the docstring names: by more than 3 standard errors, in its direction."""
    gains, logvars = np.full(4, 0.95), np.log(np.full(4, 0.1))
    information = 4 * 0.5 * math.log((0.95**2 + 0.1) / 0.1)
    found = [
        elbo_surgery(jax.random.key(i), *linear_posterior(30, gains, logvars, seed=i)).mutual_information_nats
        for i in range(30)
    ]
    assert np.mean(found) < information - 3 * scipy.stats.sem(found)
    assert max(found) <= math.log(30) + 1e-9


def test_separate_posteriors_are_saturated():
    mean, logvar = 100.0 * np.arange(8.0)[:, None], np.zeros((8, 1))
    found = elbo_surgery(KEY, mean, logvar)
    assert found.mutual_information_nats == pytest.approx(math.log(8), rel=1e-9)
    assert found.log_examples == math.log(8)
    assert found.standard_error_nats < 1e-9
    np.testing.assert_allclose(found.marginal_kl_nats, found.mean_kl_nats - math.log(8), rtol=1e-9)


def test_a_collapsed_posterior_carries_nothing():
    found = elbo_surgery(KEY, np.zeros((20, 3)), np.zeros((20, 3)))
    assert found.mean_kl_nats == 0.0
    assert abs(found.mutual_information_nats) < 1e-12
    assert abs(found.marginal_kl_nats) < 1e-12


def test_equal_posteriors_away_from_the_prior_are_all_marginal():
    found = elbo_surgery(KEY, np.full((9, 2), 1.5), np.full((9, 2), -1.0))
    assert abs(found.mutual_information_nats) < 1e-12
    assert found.marginal_kl_nats == pytest.approx(2 * 0.5 * (1.5**2 + math.exp(-1) - 1 + 1), rel=1e-12)


@pytest.mark.parametrize("tile", [7, 1000])
def test_the_aggregate_agrees_with_an_independent_twin(tile, monkeypatch):
    monkeypatch.setattr(latent, "_TILE", tile)
    mean, logvar, z = 2 + normal(0, 30, 3), normal(1, 30, 3), 2 + normal(2, 20, 3)
    densities = scipy.stats.norm.pdf(z[:, None], mean[None], np.exp(0.5 * logvar)[None]).prod(-1)
    np.testing.assert_allclose(latent._log_aggregate(z, mean, logvar), np.log(densities.mean(1)), rtol=1e-10)


def test_equal_keys_give_equal_numbers():
    mean, logvar = linear_posterior(50, [0.5], [0.0])
    assert elbo_surgery(KEY, mean, logvar) == elbo_surgery(KEY, mean, logvar)
    assert elbo_surgery(KEY, mean, logvar) != elbo_surgery(jax.random.key(1), mean, logvar)


def test_collapse():
    # KL of each latent: exactly 0; 0.005; 0.005 but for 1 of 100 examples; but for 5; 0.5.
    mean, logvar = np.zeros((100, 5)), np.zeros((100, 5))
    mean[:, 1:4] = 0.1
    mean[:1, 2] = mean[:5, 3] = 2.0
    mean[:, 4] = 1.0
    np.testing.assert_array_equal(collapsed_units(mean, logvar), [True, True, True, False, False])
    np.testing.assert_array_equal(collapsed_units(mean, logvar, delta=0.0), [True, True, False, False, False])
    np.testing.assert_array_equal(collapsed_units(mean, logvar, delta=0.05), [True, True, True, True, False])
    np.testing.assert_array_equal(collapsed_units(mean, logvar, epsilon=1.0), [True, True, True, False, True])


GOOD = np.zeros((3, 2))


@pytest.mark.parametrize(
    ("function", "arguments", "sentence"),
    [
        (unit_activity, (np.zeros((1, 2)),), "means has 1 row"),
        (unit_activity, (np.zeros(4),), r"means has shape \(4,\)"),
        (active_units, (GOOD, -1.0), "threshold is -1.0"),
        (active_units, (GOOD, math.nan), "threshold is nan"),
        (collapsed_units, (GOOD, np.zeros((3, 4))), r"means has shape \(3, 2\) and logvars \(3, 4\)"),
        (collapsed_units, (GOOD, GOOD, 0.0), "epsilon is 0.0"),
        (collapsed_units, (GOOD, GOOD, 0.1, 1.0), "delta is 1.0"),
        (collapsed_units, (GOOD, np.full((3, 2), np.inf)), r"logvars\[0, 0\] is inf"),
        (elbo_surgery, (KEY, np.array([[0.0], [np.nan]]), np.zeros((2, 1))), r"means\[1, 0\] is nan"),
        (elbo_surgery, (KEY, GOOD, np.zeros((2, 2))), r"logvars \(2, 2\)"),
    ],
)
def test_refuses_bad_arguments(function, arguments, sentence):
    with pytest.raises(UserError, match=sentence):  # unwrapped: without the tests' type checks
        inspect.unwrap(function)(*arguments)
