"""What latents are together, against published implementations and against definitions."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from waves import waves

from gvlab import losses, rng
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "vae_divergences.json").read_text())


def inputs(entry):
    """Of an entry by the golden file's formula, in float64 where that is enabled."""
    given = waves(GOLDEN[entry]["inputs"])
    return {name: jnp.asarray(of) for name, of in given.items() if isinstance(of, np.ndarray)}


@pytest.mark.parametrize(
    ("densities", "name"),
    [(losses.stratified_log_densities, "mss_definition"), (losses.weighted_log_densities, "mws")],
)
def test_the_decomposition_of_the_kl(densities, name):
    expected = GOLDEN["tc_decomposition"]["outputs"][name]
    with jax.enable_x64(True):
        given = inputs("tc_decomposition")

        @jax.jit
        def decomposed(given):
            together, alone = densities(**given, examples=GOLDEN["tc_decomposition"]["inputs"]["dataset_size"])
            log_posterior, log_prior = losses.normal_log_prob(**given), losses.standard_normal_log_prob(given["z"])
            terms = [(log_posterior - together).mean(), (together - alone).mean(), (alone - log_prior).mean()]
            return together, alone, terms

        together, alone, terms = decomposed(given)
    np.testing.assert_allclose(together, expected["log_qz"], rtol=1e-7)
    np.testing.assert_allclose(alone, expected["log_prod_qz"], rtol=1e-7)
    names = ("mutual_information", "total_correlation", "dimension_wise_kl")
    np.testing.assert_allclose(terms, [expected[name] for name in names], rtol=1e-7)


def test_stratified_weights_are_those_of_a_mean():
    """Where all posteriors are one, so is their mean."""
    z, mean = jax.random.normal(rng.root(0), (5, 2)), jnp.ones((5, 2))
    together, alone = losses.stratified_log_densities(z, mean, mean, examples=100)
    np.testing.assert_allclose(together, losses.normal_log_prob(z, mean, mean), rtol=1e-5)
    np.testing.assert_allclose(alone, together, rtol=1e-5)


@pytest.mark.parametrize(("batch", "examples"), [(1, 10), (5, 4)])
def test_a_batch_that_cannot_be_stratified_is_refused(batch, examples):
    z = jnp.zeros((batch, 2))
    with pytest.raises(UserError, match=f"The batch has {batch} examples and the training set {examples}, but"):
        losses.stratified_log_densities(z, z, z, examples)


def test_covariances_and_what_they_cost():
    expected = GOLDEN["dip"]["outputs"]
    with jax.enable_x64(True):
        given = inputs("dip")
        of_means, of_latents = losses.covariance_of_means(given["mean"]), losses.covariance_of_latents(**given)
        first = losses.disentangled_prior_loss(of_means, off_diagonal=10, diagonal=100)
        second = losses.disentangled_prior_loss(of_latents, off_diagonal=10, diagonal=10)
    np.testing.assert_allclose(of_means, expected["cov_mean"], rtol=1e-9)
    np.testing.assert_allclose(of_latents, expected["cov_z"], rtol=1e-9)
    np.testing.assert_allclose(first, expected["dip_i_od10_d100"], rtol=1e-9)
    np.testing.assert_allclose(second, expected["dip_ii_od10_d10"], rtol=1e-9)


@pytest.mark.parametrize(
    ("kernel", "name"), [(losses.gaussian_kernel, "rbf"), (losses.multiquadric_kernel, "imq_wae_scales")]
)
def test_the_discrepancy_and_its_gradient(kernel, name):
    expected = GOLDEN["mmd"]["outputs"][name]
    with jax.enable_x64(True):
        given = inputs("mmd")
        discrepancy = jax.jit(jax.value_and_grad(lambda z, prior: losses.squared_mmd(z, prior, kernel(4))))
        value, slope = discrepancy(given["z"], given["z_prior"])
    np.testing.assert_allclose(value, expected["mmd2_unbiased"], rtol=1e-9)
    np.testing.assert_allclose(slope, expected["grad_wrt_z"], rtol=1e-7, atol=1e-10)


def test_the_discrepancy_is_0_on_average_for_equal_distributions():
    draws = jax.random.normal(rng.root(0), (400, 2, 8, 3))
    found = jax.jit(jax.vmap(lambda both: losses.squared_mmd(both[0], both[1], losses.gaussian_kernel(3))))(draws)
    assert abs(found.mean()) < 3 * found.std() / 20
    with pytest.raises(UserError, match="A discrepancy of 1 latents is unknown"):
        losses.squared_mmd(jnp.zeros((1, 2)), jnp.zeros((1, 2)), losses.gaussian_kernel(2))
