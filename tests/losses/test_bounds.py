import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.test_util import check_grads

from gvlab import losses
from gvlab.losses import bits_per_dim
from gvlab.types import UserError

# One program is compiled for each shape, and not one for each operation; that both agree is the contract's to test.
elbo = jax.jit(losses.elbo)
gaussian_log_prob = jax.jit(losses.gaussian_log_prob)
gaussian_kl = jax.jit(losses.gaussian_kl)
importance_weighted_bound = jax.jit(losses.importance_weighted_bound)
normal_log_prob = jax.jit(losses.normal_log_prob)
standard_normal_log_prob = jax.jit(losses.standard_normal_log_prob)


def normal(seed, *shape):
    return np.random.RandomState(seed).standard_normal(shape)


def test_gaussian_kl_is_zero_at_the_prior_and_keeps_its_digits_near_it():
    zero = np.zeros((3, 4), np.float32)
    np.testing.assert_array_equal(gaussian_kl(zero, zero), np.zeros(3))
    # KL = logvar^2 / 4 + ...: exp(1e-3) - 1 - 1e-3 in float32 has 2 digits left, by expm1 it has 4.
    np.testing.assert_allclose(gaussian_kl(jnp.array([[0.0]]), jnp.array([[1e-3]])), [2.5008e-7], rtol=1e-3)


def test_gaussian_kl_against_quadrature():
    mean, logvar = normal(0, 3, 2), normal(1, 3, 2)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)  # E over N(0, 1), exact for these polynomials
    z = mean[..., None] + np.exp(logvar / 2)[..., None] * nodes
    q = scipy.stats.norm.logpdf(z, mean[..., None], np.exp(logvar / 2)[..., None])
    expected = ((q - scipy.stats.norm.logpdf(z)) @ weights / np.sqrt(2 * np.pi)).sum(-1)
    with jax.enable_x64(True):
        np.testing.assert_allclose(gaussian_kl(jnp.asarray(mean), jnp.asarray(logvar)), expected, rtol=1e-10)


def test_normal_densities_against_scipy():
    z, mean, logvar = normal(2, 5, 3, 2), normal(3, 3, 2), normal(4, 3, 2)
    with jax.enable_x64(True):
        found = normal_log_prob(jnp.asarray(z), jnp.asarray(mean), jnp.asarray(logvar))
        expected = scipy.stats.norm.logpdf(z, mean, np.exp(logvar / 2)).sum(-1)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        np.testing.assert_allclose(
            standard_normal_log_prob(jnp.asarray(z)), scipy.stats.norm.logpdf(z).sum(-1), rtol=1e-12
        )


def test_elbo_is_a_difference():
    likelihood, kl = jnp.array([-90.0, -80.0]), jnp.array([20.0, 10.0])
    np.testing.assert_array_equal(elbo(likelihood, kl), [-110.0, -90.0])
    of_a_number = jax.jit(partial(losses.elbo, beta=4.0))
    np.testing.assert_array_equal(of_a_number(likelihood, kl), [-170.0, -120.0])
    np.testing.assert_array_equal(elbo(likelihood, kl, beta=jnp.array(0.5)), [-100.0, -85.0])


def test_importance_weighted_bound_is_the_log_of_the_mean_weight():
    weights = np.array([[0.1, 1.0, 0.0], [0.3, 1.0, 2.0]])
    with np.errstate(divide="ignore"):
        log_weights = np.log(weights).astype(np.float32)  # a weight of 0 has the logarithm -inf
    np.testing.assert_allclose(importance_weighted_bound(log_weights), np.log(weights.mean(0)), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(importance_weighted_bound(log_weights[:1, :2]), log_weights[0, :2], rtol=1e-6)
    gradient = jax.jit(jax.grad(lambda w: importance_weighted_bound(w).sum()))(log_weights)
    np.testing.assert_allclose(gradient, weights / weights.sum(0), rtol=1e-6)  # the normalised weights, Burda's eq. 14


def test_bits_per_dim():
    # Uniform over 256 values in each of 784 dimensions: 8 bits.
    np.testing.assert_allclose(bits_per_dim(jnp.array([784 * np.log(256.0)], jnp.float32), 784), [8.0], rtol=1e-6)
    with pytest.raises(UserError, match="dims is 0"):
        bits_per_dim(jnp.array([0.0]), 0)


def test_numerical_gradients():
    with jax.enable_x64(True):
        z, mean, logvar = jnp.asarray(normal(5, 3, 2, 2)), jnp.asarray(normal(6, 2, 2)), jnp.asarray(normal(7, 2, 2))
        check_grads(gaussian_kl, (mean, logvar), order=1)
        check_grads(normal_log_prob, (z, mean, logvar), order=1)
        check_grads(standard_normal_log_prob, (z,), order=1)
        check_grads(elbo, (mean, logvar, jnp.array(0.7)), order=1)
        check_grads(importance_weighted_bound, (z,), order=1)


def test_extremes_give_no_nan():
    extremes = np.array([-1e4, 0.0, 1e4], np.float32)
    mean, logvar = (grid.reshape(-1, 1) for grid in np.meshgrid(extremes, extremes))
    for function in (gaussian_kl, partial(normal_log_prob, np.zeros_like(mean))):
        value, pull = jax.vjp(function, mean, logvar)
        assert not np.isnan(value).any()
        assert not np.isnan(jax.jit(pull)(np.ones_like(value))).any()
    # Where the exact value fits float32 it is found.
    np.testing.assert_allclose(gaussian_kl(jnp.array([[1e4]]), jnp.array([[-1e4]])), [0.5 * (1e8 + 1e4 - 1)], rtol=1e-6)
    log_weights = jnp.array([[1e4, -1e4], [-1e4, -1e4]])
    np.testing.assert_allclose(importance_weighted_bound(log_weights), [1e4 - np.log(2), -1e4], rtol=1e-7)
    gradient = jax.jit(jax.grad(lambda w: importance_weighted_bound(w).sum()))(log_weights)
    np.testing.assert_allclose(gradient, [[1.0, 0.5], [0.0, 0.5]], rtol=1e-6)


class TestLinearGaussian:
    """z ~ N(0, I), x | z ~ N(W z, s^2 I): log p(x) and the posterior are known, so every bound can be placed."""

    noise = 0.5
    weight = normal(8, 4, 2)
    x = np.array([[0.7, -1.2, 0.4, 2.0]])
    precision = np.eye(2) + weight.T @ weight / noise**2
    posterior_mean = np.linalg.solve(precision, weight.T @ x[0]) / noise**2
    log_evidence = scipy.stats.multivariate_normal.logpdf(x[0], np.zeros(4), weight @ weight.T + noise**2 * np.eye(4))

    @partial(jax.jit, static_argnums=(0, 3, 4))
    def log_weights(self, mean, logvar, k, replicates):
        """log p(x, z) - log q(z), [k, replicates], for q = N(mean, diag(exp(logvar)))."""
        mean, logvar = (jnp.broadcast_to(jnp.asarray(a), (replicates, 2)) for a in (mean, logvar))
        noise = jax.random.normal(jax.random.key(0), (k, replicates, 2), mean.dtype)
        z = mean[None] + jnp.exp(logvar / 2.0)[None] * noise
        x = jnp.broadcast_to(jnp.asarray(self.x), (replicates, 4))
        decoded = jnp.einsum("krz,xz->krx", z, jnp.asarray(self.weight))
        log_joint = gaussian_log_prob(decoded, 2 * float(np.log(self.noise)), x) + standard_normal_log_prob(z)
        return log_joint - normal_log_prob(z, mean, logvar)

    def test_bounds_are_ordered(self):
        with jax.enable_x64(True):
            mean, logvar = self.posterior_mean + [0.3, -0.2], np.log([0.3, 0.1])
            log_weights = np.asarray(self.log_weights(mean, logvar, 64, 4000))
            bounds = np.array([importance_weighted_bound(log_weights[:k]) for k in (1, 4, 16, 64)])
        # The ELBO misses log p(x) by exactly KL(q || posterior).
        shift, variance = mean - self.posterior_mean, np.exp(logvar)
        gap = 0.5 * (
            np.sum(np.diag(self.precision) * variance)
            + shift @ self.precision @ shift
            - 2
            - logvar.sum()
            - np.linalg.slogdet(self.precision)[1]
        )
        errors = bounds.std(axis=1, ddof=1) / np.sqrt(bounds.shape[1])
        assert abs(bounds[0].mean() - (self.log_evidence - gap)) < 4 * errors[0]
        # Non-decreasing in k, paired: each step is nonnegative within its standard errors ...
        steps = np.diff(bounds, axis=0)
        step_errors = steps.std(axis=1, ddof=1) / np.sqrt(steps.shape[1])
        assert (steps.mean(axis=1) > -4 * step_errors).all()
        # ... here by far, since q is wrong; and never above log p(x).
        assert steps[0].mean() > 4 * step_errors[0]
        assert (bounds.mean(axis=1) < self.log_evidence + 4 * errors).all()

    def test_analytic_elbo_agrees_with_the_monte_carlo_elbo(self):
        with jax.enable_x64(True):
            mean, logvar = self.posterior_mean[None], np.log([[0.3, 0.1]])
            log_weights = np.asarray(self.log_weights(mean, logvar, 1, 4000))[0]
            kl = gaussian_kl(mean, logvar)
            # E_q log p(x|z) in closed form: the log density at the mean, less the variance that W carries over.
            at_mean = np.asarray(gaussian_log_prob(mean @ self.weight.T, 2 * np.log(self.noise), self.x))
            carried = (self.weight**2 @ np.exp(logvar[0])).sum() / (2 * self.noise**2)
            exact = elbo(at_mean - carried, kl).item()
        error = log_weights.std(ddof=1) / np.sqrt(log_weights.size)
        assert abs(log_weights.mean() - exact) < 4 * error
        assert exact < self.log_evidence

    def test_the_gradient_of_one_weight_is_that_of_the_elbo_and_of_many_is_smaller(self):
        """By the means of q, through reparametrised draws: against the ELBO's gradient, which is known."""
        with jax.enable_x64(True):
            mean, logvar = self.posterior_mean + [0.3, -0.2], np.log([0.3, 0.1])

            def gradients(k):
                def bound(shifted):  # one copy of the mean for each replicate: a gradient for each
                    return importance_weighted_bound(self.log_weights(shifted, logvar, k, 4000)).sum()

                return np.asarray(jax.jit(jax.grad(bound))(np.broadcast_to(mean, (4000, 2))))

            one, many = gradients(1), gradients(64)
        exact = -self.precision @ (mean - self.posterior_mean)
        errors = [found.std(axis=0, ddof=1) / np.sqrt(len(found)) for found in (one, many)]
        assert (np.abs(one.mean(axis=0) - exact) < 4 * errors[0]).all()
        # The bound of many weights is nearly tight whatever q is, so it pulls less.
        assert np.linalg.norm(many.mean(axis=0)) + 4 * np.linalg.norm(errors[1]) < np.linalg.norm(exact)

    def test_under_the_true_posterior_every_weight_is_the_evidence(self):
        # One latent variable, where the posterior is diagonal.
        weight, noise, x = 1.3, 0.5, 0.8
        variance = 1 / (1 + weight**2 / noise**2)
        with jax.enable_x64(True):
            mean, logvar = np.full((1, 1), variance * weight * x / noise**2), np.full((1, 1), np.log(variance))
            z = mean[None] + np.exp(logvar / 2.0)[None] * np.array([-2.0, 0.1, 1.4])[:, None, None]
            log_joint = np.asarray(gaussian_log_prob(weight * z, 2 * np.log(noise), np.full((1, 1), x)))
            log_weights = log_joint + np.asarray(standard_normal_log_prob(z) - normal_log_prob(z, mean, logvar))
            expected = scipy.stats.norm.logpdf(x, 0, np.sqrt(weight**2 + noise**2))
            np.testing.assert_allclose(log_weights, np.full((3, 1), expected), rtol=1e-12)
            np.testing.assert_allclose(importance_weighted_bound(log_weights), [expected], rtol=1e-12)


@pytest.mark.parametrize(
    ("function", "shapes", "sentence"),
    [
        (losses.gaussian_kl, [(4, 2), (2,)], r"mean \(4, 2\), logvar \(2,\)"),
        (losses.elbo, [(4,), (4, 1)], r"log_likelihood \(4,\), kl \(4, 1\)"),
        (losses.normal_log_prob, [(3, 4, 2), (4, 2), (2,)], r"mean \(4, 2\), logvar \(2,\)"),
        (losses.normal_log_prob, [(3, 4, 2), (3, 2), (3, 2)], r"mean has shape \(3, 2\)"),
    ],
)
def test_shapes_that_would_broadcast_silently_are_refused(function, shapes, sentence):
    with pytest.raises(UserError, match=sentence):  # unwrapped: without the tests' type checks
        inspect.unwrap(function)(*(jnp.asarray(np.zeros(shape, np.float32)) for shape in shapes))
