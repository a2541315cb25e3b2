import inspect

import jax
import numpy as np
import pytest

from gvlab.data.synthetic import grid, ring
from gvlab.metrics.modes import mixture_coverage, stacked_coverage
from gvlab.types import UserError


@pytest.mark.parametrize("mixture", [ring(), grid()], ids=["ring", "grid"])
def test_samples_of_the_mixture_itself(mixture):
    n, modes = 5000, len(mixture.means)
    found = mixture_coverage(mixture.sample(jax.random.key(0), n), mixture.means, mixture.scale)
    assert found.modes_covered == modes
    expected = 1 - np.exp(-4.5)  # the Rayleigh distribution at 3
    assert abs(found.high_quality - expected) < 4 * np.sqrt(expected * (1 - expected) / n)
    # 2 n KL is chi-squared with modes - 1 degrees of freedom.
    statistic = 2 * n * found.reverse_kl_nats
    assert abs(statistic - (modes - 1)) < 5 * np.sqrt(2 * (modes - 1))


def test_lost_modes_have_the_closed_form():
    mixture = ring()
    found = mixture_coverage(np.repeat(mixture.means[:2], 50, axis=0), mixture.means, mixture.scale)
    assert found.modes_covered == 2
    assert found.high_quality == 1.0
    np.testing.assert_allclose(found.reverse_kl_nats, np.log(8 / 2), rtol=1e-12)
    one = mixture_coverage(np.repeat(mixture.means[:1], 50, axis=0), mixture.means, mixture.scale)
    np.testing.assert_allclose(one.reverse_kl_nats, np.log(8), rtol=1e-12)


def test_samples_between_the_modes_cover_none_but_count_in_the_histogram():
    means = np.array([[0.0, 0.0], [10.0, 0.0]])
    samples = np.array([[4.0, 0.0], [6.0, 0.0], [7.0, 0.0], [9.5, 0.0]])
    found = mixture_coverage(samples, means, scale=0.5)
    assert found.modes_covered == 1
    assert found.high_quality == 0.25
    np.testing.assert_allclose(found.reverse_kl_nats, 0.25 * np.log(0.5) + 0.75 * np.log(1.5), rtol=1e-12)
    # Three standard deviations are not within three standard deviations.
    assert mixture_coverage(np.array([[1.5, 0.0], [8.5, 0.0]]), means, scale=0.5).modes_covered == 0


def test_stacked_coverage_has_its_closed_forms():
    every = np.stack(np.unravel_index(np.arange(1000), (10, 10, 10)), axis=1)
    found = stacked_coverage(np.tile(every, (26, 1)))
    assert found.modes_covered == 1000
    assert found.kl_nats == pytest.approx(0.0, abs=1e-12)
    half = stacked_coverage(every[:500].astype(np.uint8))
    assert half.modes_covered == 500
    np.testing.assert_allclose(half.kl_nats, np.log(2), rtol=1e-12)
    collapsed = stacked_coverage(np.full((26_000, 3), 7))
    assert collapsed.modes_covered == 1
    np.testing.assert_allclose(collapsed.kl_nats, np.log(1000), rtol=1e-12)
    # Channels are distinguished: (1, 2, 3) is not (3, 2, 1).
    assert stacked_coverage(np.array([[1, 2, 3], [3, 2, 1], [1, 2, 3]])).modes_covered == 2


def test_stacked_coverage_of_uniform_samples_has_the_bias_that_is_stated():
    found = stacked_coverage(np.random.RandomState(0).randint(0, 10, (26_000, 3)))
    assert found.modes_covered == 1000
    assert abs(2 * 26_000 * found.kl_nats - 999) < 5 * np.sqrt(2 * 999)


MEANS = ring().means


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda f, g: f(MEANS[:1], MEANS, 0.01), "samples has 1 row"),
        (lambda f, g: f(MEANS[:, :1], MEANS, 0.01), "1 and 2 features"),
        (lambda f, g: f(MEANS[0], MEANS, 0.01), r"samples has shape \(2,\)"),
        (lambda f, g: f(MEANS * np.nan, MEANS, 0.01), r"samples\[0, 0\] is nan"),
        (lambda f, g: f(MEANS, MEANS, 0.0), "scale is 0.0"),
        (lambda f, g: g(np.zeros((4, 2), int)), r"digits has shape \(4, 2\)"),
        (lambda f, g: g(np.zeros((0, 3), int)), r"digits has shape \(0, 3\)"),
        (lambda f, g: g(np.array([[0, 1, 2], [3, 10, 4]])), "digits holds 10"),
        (lambda f, g: g(np.array([[0, -1, 2]])), "digits holds -1"),
    ],
)
def test_refuses_what_has_no_modes(call, sentence):
    with pytest.raises(UserError, match=sentence):  # unwrapped: without the tests' type checks
        call(inspect.unwrap(mixture_coverage), inspect.unwrap(stacked_coverage))
