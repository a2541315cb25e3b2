"""Posteriors beyond independent normals: published numbers, densities of their own draws, bounds, refusals."""

import json
from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import dataset
from waves import waves

from gvlab import build, networks, rng
from gvlab import config as c
from gvlab.evaluate.latents import latents
from gvlab.models import posteriors
from gvlab.networks.posterior_flows import planar, radial
from gvlab.types import Batch, UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "vae_posteriors.json").read_text())
POSTERIORS = [c.FullCovariance(), c.InverseAutoregressive(2, (4,), 1), c.Planar(2, 1), c.Radial(2, 1)]
every_posterior = pytest.mark.parametrize("posterior", POSTERIORS, ids=lambda of: type(of).__name__)


def no_network(*of):
    raise AssertionError


def test_a_full_covariance_is_that_of_torch():
    given, published = waves(GOLDEN["full_covariance"]["inputs"]), GOLDEN["full_covariance"]["outputs"]
    made, below = posteriors.full_covariance(3), np.tril_indices(3, -1)
    rest = np.pad(given["factor"][:, below[0], below[1]], ((0, 0), (0, 1)))
    logvar = 2 * np.diagonal(given["factor"], axis1=1, axis2=2)
    heads = np.concatenate([given["mean"], rest[:, :2]], 1), np.concatenate([logvar, rest[:, 2:]], 1)
    factor = np.tril(given["factor"], -1) + np.exp(0.5 * logvar)[..., None] * np.eye(3)
    noise = np.linalg.solve(factor, (given["x"] - given["mean"])[..., None])[..., 0]
    with jax.enable_x64(True):
        heads, noise = jax.tree.map(jnp.asarray, (heads, noise))
        z, log_q = made.draw(no_network, heads, noise[None])
        mean, spread = made.moments(no_network, heads)
        kl = made.kl(heads)
    np.testing.assert_allclose(z[0], given["x"], rtol=1e-9)
    np.testing.assert_allclose(log_q[0], published["log_prob_x"], rtol=1e-9)
    np.testing.assert_allclose(kl, published["kl_to_standard"], rtol=1e-9)
    np.testing.assert_allclose(mean, given["mean"])
    np.testing.assert_allclose(np.exp(spread), np.diagonal(factor @ factor.swapaxes(1, 2), axis1=1, axis2=2))


def test_a_planar_and_a_radial_step_are_those_of_the_published_code():
    given, published = waves(GOLDEN["flows"]["inputs"]), GOLDEN["flows"]["outputs"]
    rows = len(given["z"])
    z, u, w, centre = (np.broadcast_to(given[name], (rows, 4)) for name in ("z", "u", "w", "x0"))
    b, alpha, beta = (np.full(rows, number) for number in (given["b"], np.exp(given["log_alpha"]), given["beta"]))
    with jax.enable_x64(True):
        z, u, w, centre, b, alpha, beta = map(jnp.asarray, (z, u, w, centre, b, alpha, beta))
        for step, name in ((planar(z, u, w, b), "planar"), (radial(z, centre, alpha, beta), "radial")):
            np.testing.assert_allclose(step[0], published[name]["out"], rtol=1e-6)  # the root's floor
            np.testing.assert_allclose(step[1], published[name]["log_det"], rtol=1e-5)


def moved(leaf, by):
    return leaf + by * jnp.cos(jnp.arange(leaf.size, dtype=leaf.dtype)).reshape(leaf.shape)


FLOWS = [networks.InverseAutoregressive(3, 3, (5,)), networks.Planar(3, 3), networks.Radial(3, 3)]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: type(flow).__name__)
def test_determinants_of_flows_are_those_of_the_jacobian(flow):
    given = jnp.sin(0.7 * jnp.arange(28.0)).reshape(4, 7)

    @jax.jit
    def found(given):
        params = flow.init(rng.root(0), given, train=True)
        params = jax.tree.map(lambda leaf: moved(leaf, 0.4), params)

        def one(z, context):
            return flow.apply(params, jnp.concatenate([z, context])[None], train=False)[0][0]

        jacobian = jax.vmap(jax.jacobian(one))(given[:, :3], given[:, 3:])
        return flow.apply(params, given, train=False), jnp.linalg.slogdet(jacobian)

    (_, log_det), (sign, expected) = found(given)
    assert (sign == 1).all()
    assert (abs(expected) > 0.01).all()
    np.testing.assert_allclose(log_det, expected, rtol=1e-4, atol=1e-5)


def program_of(posterior, **options):
    vae = c.VAE(c.MLP((8,)), latent_dim=2, likelihood=c.Gaussian(variance=30.0), posterior=posterior, **options)
    return build.program(c.Experiment("e", vae, steps=1, batch_size=4), dataset((3,)))


@cache
def stepped(posterior):
    """(program, batch, state before and after a step of 64 draws, its terms): compiled once."""
    program = program_of(posterior, num_samples=64)
    split = program.dataset.train
    batch = Batch(jnp.asarray(split.x[:4]), jnp.asarray(split.y[:4]))
    state = program.model.init(rng.root(0), program.first_batch())
    after, info = jax.jit(program.model.train_step)(state, batch, rng.root(1))
    return program, batch, state, after, info


@every_posterior
def test_a_step_moves_what_makes_the_posterior(posterior):
    _, _, state, after, info = stepped(posterior)
    changed = jax.tree.map(lambda a, b: (a != b).any(), state.params, after.params)
    assert changed["encoder"]["mean"]["kernel"]
    assert changed["encoder"]["logvar"]["kernel"]
    assert any(jax.tree.leaves(changed.get("posterior", True)))
    np.testing.assert_allclose(info["elbo_nats"], info["reconstruction_nats"] - info["kl_nats"], rtol=1e-5)


@every_posterior
def test_the_bound_is_a_bound(posterior):
    """Importance weights have the mean p(x), as found by draws of the prior; so log q is the density of q's draws."""
    program, batch, _, state, _ = stepped(posterior)
    model, k = program.model, 20_000
    params = jax.tree.map(lambda leaf: moved(leaf, 0.1), state.params)
    params["encoder"]["logvar"]["bias"] += 1  # not narrower than the prior, where few draws would weigh most
    state = state.replace(params=params)

    @jax.jit
    def found(state):
        weights = model.log_weights(state, batch, rng.root(3), k)
        z = jnp.broadcast_to(model.latents(state, rng.root(4), k)[:, None], (k, 4, 2))
        return weights, model.log_likelihood(state, batch, z), model.encode(state, batch)

    weights, by_prior, (mean, logvar) = jax.device_get(found(state))
    evidence = [np.exp(of).mean(axis=0) for of in (weights, by_prior)]
    errors = [np.exp(of).std(axis=0) / np.sqrt(k) for of in (weights, by_prior)]
    assert (np.hypot(*errors) < 0.07 * evidence[1]).all()  # a density that is wrong would be noticed
    assert (np.abs(evidence[0] - evidence[1]) < 4 * np.hypot(*errors)).all()
    assert mean.shape == logvar.shape == (4, 2)
    assert np.isfinite(logvar).all()


def test_a_full_covariance_has_its_kl_by_formula():
    program, batch, _, state, _ = stepped(POSTERIORS[0])
    terms = [jax.jit(program.model.evaluate)(state, batch, rng.root(seed))["kl_nats"] for seed in (0, 1)]
    np.testing.assert_array_equal(*terms)


def test_measures_that_want_independent_normals_are_left_out():
    program, _, _, state, _ = stepped(POSTERIORS[1])
    assert set(latents(program, state, rng.root(0))) == {"active_units"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"posterior": c.Planar(), "objective": c.FreeNats()}, "VAE.posterior is Planar, but FreeNats looks at"),
        ({"posterior": c.Planar(), "prior": c.Vamp()}, "VAE.posterior is Planar, but the prior Vamp is a mixture"),
        (
            {"posterior": c.InverseAutoregressive(), "latent_dim": 1},
            "VAE.latent_dim is 1, but in Inverse",
        ),
        ({"posterior": c.Radial(), "network": c.TwoLayerMLP(first=2), "latent_dim": 4}, "TwoLayerMLP has two"),
    ],
)
def test_what_a_posterior_cannot_be_with_is_refused(options, words):
    with pytest.raises(UserError, match=words):
        c.VAE(**options)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (partial(c.Planar, steps=0), "Planar.steps is 0"),
        (partial(c.Radial, context=0), "Radial.context is 0"),
        (partial(c.InverseAutoregressive, hidden=()), "InverseAutoregressive.hidden"),
    ],
)
def test_impossible_sizes_are_refused(make, words):
    with pytest.raises(UserError, match=words):
        make()
