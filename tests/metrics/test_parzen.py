import inspect
import math

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from sklearn.cluster import KMeans

from gvlab.metrics import parzen
from gvlab.metrics.parzen import parzen_estimate, parzen_log_likelihood
from gvlab.types import UserError


def normal(seed, *shape):
    return np.random.RandomState(seed).standard_normal(shape)


def twin(samples, x, bandwidth):
    """All kernels at once, by scipy's density."""
    kernels = scipy.stats.norm.logpdf(x[:, None], samples[None], bandwidth).sum(-1)
    return scipy.special.logsumexp(kernels, axis=1) - math.log(len(samples))


@pytest.mark.parametrize("bandwidth", [0.01, 0.3, 20.0])
@pytest.mark.parametrize("tile", [7, 10_000])
def test_agrees_with_an_independent_twin(bandwidth, tile, monkeypatch):
    monkeypatch.setattr(parzen, "_TILE", tile)
    samples, x = 3 + normal(0, 40, 5), 3 + normal(1, 30, 5)
    np.testing.assert_allclose(parzen_log_likelihood(samples, x, bandwidth), twin(samples, x, bandwidth), rtol=1e-9)


def test_agrees_with_scikit_learn():
    from sklearn.neighbors import KernelDensity

    samples, x = normal(0, 200, 4), normal(1, 50, 4)
    expected = KernelDensity(bandwidth=0.4).fit(samples).score_samples(x)
    np.testing.assert_allclose(parzen_log_likelihood(samples, x, 0.4), expected, rtol=1e-9)


def test_many_samples_have_the_closed_form():
    # Kernels on samples of N(0, 1) are N(0, 1 + h^2), up to the noise of 20,000 samples.
    samples, x = normal(0, 20_000, 1), np.linspace(-2, 2, 9)[:, None]
    kernels = scipy.stats.norm.pdf(x, samples.T, 0.5)
    errors = kernels.std(1) / math.sqrt(20_000)
    found = np.exp(parzen_log_likelihood(samples, x, 0.5))
    assert (abs(found - scipy.stats.norm.pdf(x[:, 0], 0, math.sqrt(1.25))) < 3.5 * errors).all()


def test_identical_disjoint_and_degenerate_sets_stay_finite():
    point = np.ones((3, 4))
    peak = -4 * math.log(math.sqrt(2 * math.pi) * 0.1)
    np.testing.assert_allclose(parzen_log_likelihood(point, point, 0.1), peak, rtol=1e-12)
    far = parzen_log_likelihood(point, point + 1e3, 0.1)
    np.testing.assert_allclose(far, peak - 4e6 / (2 * 0.01), rtol=1e-12)


def test_arrays_of_jax_and_bytes():
    pixels = np.random.RandomState(0).randint(0, 256, (6, 3)).astype(np.uint8)
    expected = parzen_log_likelihood(pixels.astype(float), pixels.astype(float), 9.0)
    np.testing.assert_array_equal(parzen_log_likelihood(jnp.asarray(pixels), pixels, 9.0), expected)


def test_the_bandwidth_is_the_best_of_the_grid_for_the_validation_set():
    samples, validation, test = normal(0, 300, 2), normal(1, 200, 2), normal(2, 250, 2)
    grid = np.array([2.0, 0.05, 0.3])
    found = parzen_estimate(samples, validation, test, grid)
    means = [parzen_log_likelihood(samples, validation, float(h)).mean() for h in grid]
    assert found.bandwidth == grid[np.argmax(means)] == 0.3
    assert not found.at_edge
    each = parzen_log_likelihood(samples, test, 0.3)
    assert found.mean_nats == pytest.approx(each.mean(), rel=1e-12)
    assert found.standard_error_nats == pytest.approx(each.std(ddof=1) / math.sqrt(250), rel=1e-12)


def test_a_grid_that_is_too_narrow_is_told():
    copies = normal(0, 50, 3)
    assert parzen_estimate(copies, copies, copies).at_edge  # the narrower the better
    assert parzen_estimate(copies, copies, copies).bandwidth == pytest.approx(0.1)


def test_its_weakness():
    """Theis et al. 2016: what k-means makes of the training set, no model at all, beats the true distribution."""

    def truth(seed, n):  # a mixture of two normal distributions in 20 dimensions
        random = np.random.RandomState(seed)
        return 0.1 * random.standard_normal((n, 20)) + 0.5 * random.randint(0, 2, (n, 1))

    training, validation, test = truth(0, 1000), truth(1, 300), truth(2, 300)
    centres = KMeans(100, n_init=1, random_state=0).fit(training).cluster_centers_
    grid = np.logspace(-2, 0, 20)
    of_truth = parzen_estimate(truth(3, 100), validation, test, grid)
    of_centres = parzen_estimate(centres, validation, test, grid)
    error = math.hypot(of_truth.standard_error_nats, of_centres.standard_error_nats)
    assert of_centres.mean_nats > of_truth.mean_nats + 3 * error
    # And the estimate for the true distribution is nats away from its log-likelihood.
    halves = scipy.stats.norm.logpdf(test[:, None], np.array([0.0, 0.5])[None, :, None], 0.1).sum(-1)
    exact = (scipy.special.logsumexp(halves, axis=1) - math.log(2)).mean()
    assert of_truth.mean_nats < exact - 1.0


@pytest.mark.parametrize(
    ("samples", "x", "bandwidth", "sentence"),
    [
        (np.zeros((1, 2)), np.zeros((3, 2)), 1.0, "samples has 1 row"),
        (np.zeros((3, 2)), np.zeros((1, 2)), 1.0, "x has 1 row"),
        (np.zeros((3, 2, 2)), np.zeros((3, 2)), 1.0, r"samples has shape \(3, 2, 2\)"),
        (np.zeros((3, 2)), np.zeros((3, 4)), 1.0, "2 and 4 features|4 and 2 features"),
        (np.zeros((3, 2)), np.array([[0, 1], [np.nan, 0]]), 1.0, r"x\[1, 0\] is nan"),
        (np.zeros((3, 2)), np.zeros((3, 2)), 0.0, "bandwidth is 0.0"),
        (np.zeros((3, 2)), np.zeros((3, 2)), math.nan, "bandwidth is nan"),
    ],
)
def test_refuses_what_has_no_density(samples, x, bandwidth, sentence):
    with pytest.raises(UserError, match=sentence):  # unwrapped: without the tests' type checks
        inspect.unwrap(parzen_log_likelihood)(samples, x, bandwidth)


def test_refuses_an_empty_grid():
    with pytest.raises(UserError, match="bandwidths is empty"):
        parzen_estimate(np.zeros((3, 2)), np.zeros((3, 2)), np.zeros((3, 2)), np.zeros(0))
