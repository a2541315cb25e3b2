"""Diagnostics of Markov chains on processes whose autocorrelations are known."""

import numpy as np
import pytest

from gvlab.metrics.chains import effective_sample_size, split_r_hat
from gvlab.types import UserError


def autoregressive(rho, n, chains, seed=0):
    """Stationary, of variance 1."""
    noise = np.random.default_rng(seed).normal(size=(n, chains))
    x = np.empty_like(noise)
    x[0] = noise[0]
    for t in range(1, n):
        x[t] = rho * x[t - 1] + np.sqrt(1 - rho**2) * noise[t]
    return x


@pytest.mark.parametrize("rho", [-0.3, 0.0, 0.5, 0.9])
def test_the_size_of_an_autoregressive_process_is_the_known_one(rho):
    n, chains = 20_000, 4
    size = effective_sample_size(autoregressive(rho, n, chains))
    np.testing.assert_allclose(size, n * chains * (1 - rho) / (1 + rho), rtol=0.1)


def test_chains_that_agree_have_a_ratio_of_one_and_others_more():
    x = autoregressive(0.5, 2_000, 4)
    assert abs(split_r_hat(x) - 1) < 0.01
    apart = x + np.arange(4)[None]
    assert split_r_hat(apart) > 1.3
    drifting = x + np.linspace(-2, 2, 2_000)[:, None]
    assert split_r_hat(drifting) > 1.3
    assert effective_sample_size(apart) < 20


def test_quantities_are_apart_and_what_never_moves_has_no_number():
    x = np.stack([autoregressive(0.5, 500, 3), np.ones((500, 3))], axis=-1)
    for measure in (split_r_hat, effective_sample_size):
        found = measure(x)
        np.testing.assert_allclose(found[0], measure(x[..., 0]))
        assert np.isnan(found[1])


@pytest.mark.parametrize("measure", [split_r_hat, effective_sample_size])
def test_too_few_draws_are_refused(measure):
    with pytest.raises(UserError, match="at least 4 of each chain"):
        measure(np.zeros((3, 2)))
