"""Posteriors beyond independent normals: published numbers, densities of their own draws, bounds, refusals."""

import json
from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import dataset
from scipy import integrate, stats
from waves import waves
from zoo import quick_jit

from gvlab import build, losses, networks, rng, tree
from gvlab import config as c
from gvlab.evaluate.latents import latents
from gvlab.models import posteriors
from gvlab.networks.posterior_flows import planar, radial
from gvlab.types import Batch, UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "vae_posteriors.json").read_text())
NORMALS = [c.FullCovariance(), c.InverseAutoregressive(2, (4,), 1), c.Planar(2, 1), c.Radial(2, 1)]
POSTERIORS = [*NORMALS, c.VonMisesFisher()]
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

        @quick_jit
        def found(heads, noise):
            return made.draw(no_network, heads, noise[None]), made.moments(no_network, heads), made.kl(heads)

        (z, log_q), (mean, spread), kl = found(heads, noise)
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

    @quick_jit
    def found(z, u, w, centre, b, alpha, beta):
        return planar(z, u, w, b), radial(z, centre, alpha, beta)

    with jax.enable_x64(True):
        for step, name in zip(found(z, u, w, centre, b, alpha, beta), ("planar", "radial"), strict=True):
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


@pytest.mark.parametrize("dimension", [5, 40])
def test_the_distribution_on_the_sphere_is_that_of_mpmath(dimension):
    rows = [row for row in GOLDEN["von_mises_fisher"]["outputs"]["rows"] if row["m"] == dimension]
    mean = jnp.eye(dimension)[:1].repeat(len(rows), 0)

    @quick_jit
    def found(k):
        kl, back = jax.vjp(lambda k: losses.von_mises_fisher_kl(k, dimension), k)
        log_prob = losses.von_mises_fisher_log_prob(mean, mean, k)
        return kl, back(jnp.ones(len(rows)))[0], losses.mean_resultant(k, dimension), log_prob - k

    numbers = found(jnp.asarray([row["kappa"] for row in rows]))
    names = ("kl_to_uniform", "d_kl_d_kappa", "mean_resultant", "log_normaliser_C")
    for name, of in zip(names, numbers, strict=True):
        np.testing.assert_allclose(of, [row[name] for row in rows], rtol=2e-5, err_msg=name)


@pytest.mark.parametrize("dimension", [2, 6])
def test_draws_on_the_sphere_are_those_of_scipy_and_turn_with_their_mean(dimension):
    """Their angles by SciPy's distribution function, and the gradient of E[a z]: a m A'(k), and A(k) across m."""
    n, k = 20_000, jnp.asarray([0.5, 4.0, 60.0])
    axes = jnp.eye(dimension)[:2]

    @quick_jit
    def found(k, turn):
        noise = jax.random.normal(rng.root(0), (n, 3, dimension))

        def draws(k, turn):
            mean = jnp.cos(turn)[:, None] * axes[:1] + jnp.sin(turn)[:, None] * axes[1:]
            return losses.von_mises_fisher_draws(mean, k, noise)

        z, by_k = jax.jvp(lambda k: draws(k, turn), (k,), (jnp.ones(3),))
        _, by_turn = jax.jvp(lambda turn: draws(k, turn), (turn,), (jnp.ones(3),))
        slope = jax.vmap(jax.grad(lambda k: losses.mean_resultant(k[None], dimension)[0]))(k)
        return z, by_k, by_turn, losses.mean_resultant(k, dimension), slope

    z, by_k, by_turn, resultant, slope = jax.device_get(found(k, jnp.zeros(3)))
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1, rtol=1e-6)
    np.testing.assert_allclose((z * by_k).sum(-1), 0, atol=1e-5)  # along the sphere
    for i in range(3):
        cosines = np.linspace(-1, 1, 2001)
        angles = np.arccos(cosines[::-1])
        density = np.exp(float(k[i]) * (np.cos(angles) - 1)) * np.sin(angles) ** (dimension - 2)
        cumulative = integrate.cumulative_simpson(density, x=angles, initial=0)
        quantiles = np.interp(np.arccos(np.clip(z[:, i, 0], -1, 1)), angles, cumulative / cumulative[-1])
        assert stats.kstest(quantiles, "uniform").pvalue > 1e-3
        assert abs((z[:, i, 1] > 0).mean() - 0.5) < 0.02
    for mean, expected in ((by_k[..., 0], slope), (by_turn[..., 1], resultant)):
        error = mean.std(axis=0) / np.sqrt(n)
        assert (np.abs(mean.mean(axis=0) - expected) < 4 * error + 1e-6).all()
        assert (error < 0.05 * expected).all()


def program_of(posterior, **options):
    if isinstance(posterior, c.VonMisesFisher):
        options["prior"] = c.UniformSphere()
    vae = c.VAE(c.MLP((8,)), latent_dim=2, likelihood=c.Gaussian(variance=30.0), posterior=posterior, **options)
    return build.program(c.Experiment("e", vae, steps=1, batch_size=4), dataset((3,)))


@cache
def stepped(posterior):
    """(program, batch, state before and after a step of 64 draws, its terms): compiled once."""
    program = program_of(posterior, num_samples=64)
    split = program.dataset.train
    batch = Batch(jnp.asarray(split.x[:4]), jnp.asarray(split.y[:4]))
    state = quick_jit(program.model.init)(rng.root(0), program.first_batch())
    after, info = jax.jit(program.model.train_step)(state, batch, rng.root(1))
    return program, batch, state, after, info


@every_posterior
def test_a_step_moves_what_makes_the_posterior(posterior):
    state, after, info = jax.device_get(stepped(posterior)[2:])
    changed = jax.tree.map(lambda a, b: (a != b).any(), state.params, after.params)
    assert changed["encoder"]["mean"]["kernel"]
    assert changed["encoder"]["logvar"]["kernel"]
    assert any(jax.tree.leaves(changed.get("posterior", True)))
    np.testing.assert_allclose(info["elbo_nats"], info["reconstruction_nats"] - info["kl_nats"], rtol=1e-5)


@pytest.mark.parametrize(
    "options",
    [{"posterior": c.InverseAutoregressive(2, (4,), 1)}, {"posterior": c.Radial(2, 1)}, {"prior": c.Flow(layers=2)}],
    ids=lambda options: type(*options.values()).__name__,
)
def test_those_of_conditional_models_are_of_all_classes(options):
    program = program_of(**({"posterior": c.DiagonalNormal()} | options), conditional=True)
    state = jax.eval_shape(program.model.init, rng.root(0), program.first_batch())
    classes = program.dataset.num_classes
    assert state.params["decoder"]["Dense_0"]["kernel"].shape[0] == 2 + classes
    after, _ = jax.eval_shape(program.model.train_step, state, program.first_batch(), rng.root(1))
    assert jax.tree.map(jnp.shape, after.params) == jax.tree.map(jnp.shape, state.params)


@every_posterior
def test_the_bound_is_a_bound(posterior):
    """Importance weights have the mean p(x), as found by draws of the prior; so log q is the density of q's draws."""
    program, batch, _, state, _ = stepped(posterior)
    model, k = program.model, 20_000

    @jax.jit
    def found(state):
        params = jax.tree.map(lambda leaf: moved(leaf, 0.1), state.params)
        params["encoder"]["logvar"]["bias"] += 1  # not narrower than the prior, where few draws would weigh most
        state = state.replace(params=params)
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


@pytest.mark.parametrize("posterior", [POSTERIORS[0], POSTERIORS[-1]], ids=["normal", "sphere"])
def test_some_have_their_kl_by_formula(posterior):
    program, batch, _, state, _ = stepped(posterior)
    terms = [jax.jit(program.model.evaluate)(state, batch, rng.root(seed))["kl_nats"] for seed in (0, 1)]
    np.testing.assert_array_equal(*terms)


def test_latents_on_the_sphere_stay_on_it():
    """Also those of the encoder, which are means of draws, and lie within."""
    program, batch, _, state, _ = stepped(POSTERIORS[-1])
    model = program.model

    @quick_jit
    def found(state):
        z = model.latents(state, rng.root(0), 50)
        return z, model.decode(state, z), model.decode(state, 0.3 * z), *model.encode(state, batch)

    z, decoded, shorter, mean, logvar = jax.device_get(found(state))
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1, rtol=1e-6)
    np.testing.assert_allclose(shorter, decoded, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose((mean**2 + np.exp(logvar)).sum(-1), 1, rtol=1e-5)  # E|z|^2
    assert (np.linalg.norm(mean, axis=-1) < 1).all()


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
        (
            {"posterior": c.VonMisesFisher()},
            "VAE.posterior is VonMisesFisher and VAE.prior StandardNormal, but latents",
        ),
        ({"prior": c.UniformSphere()}, "VAE.posterior is DiagonalNormal and VAE.prior UniformSphere, but latents are"),
        (
            {"posterior": c.VonMisesFisher(), "prior": c.UniformSphere(), "latent_dim": 1},
            "VAE.latent_dim is 1, but a sphere in one dimension is two points",
        ),
        (
            {"posterior": c.VonMisesFisher(), "prior": c.UniformSphere(), "objective": c.StickingTheLanding()},
            "VAE.posterior is VonMisesFisher, but StickingTheLanding looks at independent normals",
        ),
        ({"posterior": c.Radial(), "network": c.TwoLayerMLP(first=2), "latent_dim": 4}, "TwoLayerMLP has two"),
        ({"posterior": c.NormalisedMeans(), "network": c.TwoLayerMLP(first=2), "latent_dim": 4}, "TwoLayerMLP has two"),
        ({"posterior": c.NormalisedMeans(), "prior": c.Vamp()}, "the prior Vamp gives the encoder learned examples"),
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


def test_normalised_means_keep_the_kl_above_their_bound():
    """Zhu et al. 2020, eq. 7: over a batch the means have the deviation gamma, whatever the encoder says."""
    gamma, latents = 0.6, 3
    encoder = networks.NormalisedMeans(networks.MLPEncoder(latents, (5,)), gamma)
    shared = networks.NormalisedMeans(networks.MLPEncoder(latents, (5,)), gamma, "data")

    @quick_jit
    def found(key):
        x = jax.random.normal(key, (40, 7))
        variables = encoder.init(jax.random.key(1), x, train=True)
        variables["params"]["shift"] = jnp.array([0.0, 1.0, -2.0])
        (mean, logvar), moved = encoder.apply(variables, x, train=True, mutable=["batch_stats"])

        def share(x):
            return shared.apply(variables, x, train=True, mutable=["batch_stats"])[0][0]

        over = jax.vmap(share, axis_name="data")(x.reshape(2, 20, 7)).reshape(40, latents)
        fixed = {"params": variables["params"], "batch_stats": moved["batch_stats"]}
        alone, among = (encoder.apply(fixed, some, train=False)[0] for some in (x[:1], x))
        return mean, losses.gaussian_kl(mean, logvar), over, alone, among

    mean, kl, over, alone, among = jax.device_get(found(jax.random.key(0)))
    np.testing.assert_allclose(mean.std(0), gamma, rtol=1e-2)
    np.testing.assert_allclose(mean.mean(0), [0, 1, -2], atol=1e-5)
    bound = 0.5 * ((gamma**2 + np.array([0.0, 1.0, 4.0])) * 0.99).sum()
    assert kl.mean() >= bound
    np.testing.assert_allclose(over, mean, rtol=1e-4, atol=1e-5)
    # Out of training the running averages take the place of the batch's, and an example has a mean of its own.
    np.testing.assert_allclose(alone, among[:1], rtol=1e-5)


def test_a_vae_of_normalised_means_trains_with_them():
    vae = c.VAE(c.MLP((8,)), 2, posterior=c.NormalisedMeans(0.5))
    program = build.program(c.Experiment("e", vae, steps=1, batch_size=16), dataset((4, 4, 1)))
    batch = Batch(program.preprocess(jnp.asarray(program.dataset.train.x[:16]), rng.root(0)))
    state = quick_jit(program.model.init)(rng.root(0), batch)
    new, info = quick_jit(program.model.train_step)(state, batch, rng.root(1))
    assert info["kl_nats"] >= 0.99 * 2 * 0.5**2 / 2
    assert tree.digest(new.stats["encoder"]) != tree.digest(state.stats["encoder"])
