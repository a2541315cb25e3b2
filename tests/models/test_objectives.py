"""Bounds and estimators of their gradients, in a linear normal model, against the published definitions' numbers."""

import json
from functools import cache
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gvlab import config as c
from gvlab import losses, models, rng
from gvlab.models import objectives, observation
from gvlab.types import Batch, UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "vae_bounds.json").read_text())
LINEAR = GOLDEN["bounds_linear_gaussian"]
DRAWS, EXAMPLES, LATENTS = LINEAR["inputs"]["eps"]["shape"]
UNBOUNDED = (-float("inf"), float("inf"))


def formula(recipe):
    """Of the golden file, in float64."""
    i = np.arange(np.prod(recipe["shape"]))
    return (recipe["offset"] + recipe["scale"] * np.sin(recipe["a"] * i + recipe["b"])).reshape(recipe["shape"])


class Encoder(nn.Module):
    @nn.compact
    def __call__(self, x, y=None, *, train):
        return nn.Dense(LATENTS, name="mean")(x), nn.Dense(LATENTS, name="logvar")(x)


class Decoder(nn.Module):
    @nn.compact
    def __call__(self, z, y=None, *, train):
        return nn.Dense(3, name="out")(z)


def linear(objective):
    return models.autoencoder(
        Encoder(),
        Decoder(),
        observation.gaussian(1.0),
        optax.sgd(1.0),
        objective=objective,
        latent_dim=LATENTS,
        num_samples=DRAWS,
        data_range=UNBOUNDED,
    )


@cache
def state_and_batch():
    """As any objective begins, in float64."""
    batch = Batch(jnp.asarray(formula(LINEAR["inputs"]["x"])))
    return linear(objectives.evidence_lower_bound()).init(rng.root(0), batch), batch


def step_of(objective, monkeypatch):
    """(minus the loss, the gradient of the batch's mean by the golden file's names) of one step, in float64."""
    state, batch = state_and_batch()
    noise = jnp.asarray(formula(LINEAR["inputs"]["eps"]))
    monkeypatch.setattr(rng, "normal", lambda key, shape, axis_name=None, axis=0: noise)
    weight = {name: formula(LINEAR["inputs"][name]) for name in "WbAaCc"}
    params = {
        "encoder": {
            "mean": {"kernel": weight["A"].T, "bias": weight["a"]},
            "logvar": {"kernel": weight["C"].T, "bias": weight["c"]},
        },
        "decoder": {"out": {"kernel": weight["W"].T, "bias": weight["b"]}},
    }
    after, info = jax.jit(linear(objective).train_step)(state.replace(params=params), batch, rng.root(0))
    ascent = jax.tree.map(lambda new, old: np.asarray(new) - old, after.params, params)  # of a step of size 1
    encoder, decoder = ascent["encoder"], ascent["decoder"]["out"]
    named = {"W": decoder["kernel"].T, "b": decoder["bias"], "A": encoder["mean"]["kernel"].T}
    named |= {"a": encoder["mean"]["bias"], "C": encoder["logvar"]["kernel"].T, "c": encoder["logvar"]["bias"]}
    return -float(info["loss"]), named


OBJECTIVES = {
    "elbo_analytic_kl": ("elbo_analytic_kl", objectives.evidence_lower_bound()),
    "iwae": ("iwae", objectives.importance_weighted),
    "elbo_sampled": ("elbo_sampled", objectives.renyi(1.0)),
    "vr_alpha=0.5": ("vr_alpha=0.5", objectives.renyi(0.5)),
    "vr_alpha=2.0": ("vr_alpha=2.0", objectives.renyi(2.0)),
    "vr_alpha=-1.0": ("vr_alpha=-1.0", objectives.renyi(-1.0)),
    "ciwae_beta0.05": ("ciwae_beta0.05", objectives.combined_importance_weighted(0.05)),
    "miwae_M2_K3": ("miwae_M2_K3", objectives.multiply_importance_weighted(2)),
    "stl_elbo": ("elbo_sampled", objectives.sticking_the_landing),
    "dreg": ("iwae", objectives.doubly_reparametrised),
    "piwae_M2_K3": ("iwae", objectives.partially_importance_weighted(2)),
}
"""Golden gradient -> golden value, and ours."""


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_value_and_the_gradient_are_those_of_the_definition(name, monkeypatch):
    value_of, objective = OBJECTIVES[name]
    with jax.enable_x64(True):
        value, gradient = step_of(objective, monkeypatch)
    np.testing.assert_allclose(value, np.mean(LINEAR["outputs"]["bounds"][value_of]), rtol=1e-9)
    expected = LINEAR["outputs"]["gradients_of_batch_mean"][name]
    assert gradient.keys() == expected.keys()
    for parameter, found in gradient.items():
        np.testing.assert_allclose(found, expected[parameter], rtol=1e-8, atol=1e-10, err_msg=parameter)


def test_orders_of_renyis_bound_fall_from_the_largest_weight_to_the_elbo():
    log_weights = jax.random.normal(rng.root(0), (7, 5)) * 3
    orders = [-float("inf"), -1.0, 0.0, 0.5, 1.0, 2.0]
    bounds = np.stack([losses.renyi_bound(log_weights, alpha) for alpha in orders])
    assert (np.diff(bounds, axis=0) < 0).all()
    np.testing.assert_allclose(bounds[2], losses.importance_weighted_bound(log_weights), rtol=1e-6)
    np.testing.assert_array_equal(bounds[0], log_weights.max(0))
    for alpha in (float("nan"), float("inf")):
        with pytest.raises(UserError, match="must be a number, or minus infinity"):
            losses.renyi_bound(log_weights, alpha)


def test_groups_share_the_draws_equally_or_are_refused():
    log_weights = jax.random.normal(rng.root(0), (6, 5))
    one, all_of_them = (losses.multiply_importance_weighted_bound(log_weights, groups) for groups in (1, 6))
    np.testing.assert_allclose(one, losses.importance_weighted_bound(log_weights), rtol=1e-6)
    np.testing.assert_allclose(all_of_them, log_weights.mean(0), rtol=1e-5)
    for groups in (0, 4):
        with pytest.raises(UserError, match=f"6 importance weights cannot be put into {groups} equal groups"):
            losses.multiply_importance_weighted_bound(log_weights, groups)


# What becomes of the KL ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capacity", [0.0, 0.6, 1.0, 2.0])
def test_the_capacity_is_held_by_the_mean_of_the_batch(capacity):
    entry = GOLDEN["capacity"]
    with jax.enable_x64(True):
        kl = losses.gaussian_kl(*(jnp.asarray(formula(entry["inputs"][name])) for name in ("mean", "logvar")))
        found = losses.capacity_loss(kl, capacity, entry["inputs"]["gamma"])
    np.testing.assert_allclose(kl, entry["outputs"]["kl"], rtol=1e-9)
    np.testing.assert_allclose(found, entry["outputs"][f"C={capacity}"]["of_batch_mean"], rtol=1e-9)


def test_free_nats_of_the_batch_and_of_each_example():
    entry = GOLDEN["schedules_and_free_bits"]
    expected = entry["outputs"]["free_bits_0.25"]
    with jax.enable_x64(True):
        kl = losses.gaussian_kl_by_latent(*(jnp.asarray(formula(entry["inputs"][name])) for name in ("mean", "logvar")))
        np.testing.assert_allclose(kl, expected["kl_per_dim"], rtol=1e-9)
        np.testing.assert_allclose(losses.free_nats(kl, 0.25), expected["iaf_batch_mean_per_dim"], rtol=1e-9)
        of_examples = losses.free_nats_of_examples(kl, 0.25)
    np.testing.assert_allclose(of_examples, expected["per_example_per_dim"], rtol=1e-9)


def test_a_cyclical_weight_rises_in_each_cycle_and_stays_1_at_the_end():
    factor = c.Cyclical(steps=40, cycles=4, rise=0.5).schedule()
    found = [float(factor(jnp.int32(step))) for step in range(45)]
    golden = GOLDEN["schedules_and_free_bits"]["outputs"]["cyclical_T40_M4_R0.5_linear"]
    np.testing.assert_allclose(found, golden + [1.0] * 5, atol=1e-6)


def draw_of(kl, mean=None):
    """With a likelihood of 0."""
    zeros = jnp.zeros((1, len(kl)))
    posterior = None if mean is None else objectives.Normal(mean, jnp.zeros_like(mean))
    return objectives.Draw(zeros[..., None], zeros, zeros, zeros, zeros, kl, posterior)


def test_the_capacity_rises_with_the_steps():
    objective = objectives.capacity(gamma=10.0, end=4.0, steps=8)
    for step, now in ((0, 0.5), (3, 2.0), (7, 4.0), (100, 4.0)):
        value = objective(draw_of(jnp.array([1.0, 5.0])), objectives.Context(jnp.int32(step)))
        np.testing.assert_allclose(value, -10 * abs(3 - now), rtol=1e-6)


def test_the_schedule_weighs_the_kl():
    objective = objectives.evidence_lower_bound(2.0, schedule=lambda step: step / 4)
    for step in (0, 4):
        value = objective(draw_of(jnp.array([1.0, 5.0])), objectives.Context(jnp.int32(step)))
        np.testing.assert_allclose(value, -2 * np.array([1.0, 5.0]) * step / 4)


def test_free_nats_press_no_latent_below_them():
    mean = jnp.array([[0.0, 2.0], [0.2, 2.0]])
    objective = objectives.free_nats(0.25)
    value, slope = jax.value_and_grad(lambda m: objective(draw_of(m[:, 0], m), objectives.Context(jnp.int32(0))))(mean)
    np.testing.assert_allclose(value, -(0.25 + 2.0), rtol=1e-6)
    assert (np.asarray(slope)[:, 0] == 0).all()
    assert (np.asarray(slope)[:, 1] != 0).all()


@cache
def made_draw(likelihood=0.0):
    """Of eight examples with three latents."""

    @jax.jit
    def draw(key):
        keys = jax.random.split(key, 3)
        mean, logvar = (jax.random.normal(key, (8, 3)) for key in keys[:2])
        z = (mean + jnp.exp(logvar / 2) * jax.random.normal(keys[2], (8, 3)))[None]
        prior, posterior = losses.standard_normal_log_prob(z), losses.normal_log_prob(z, mean, logvar)
        kl, of_x = losses.gaussian_kl(mean, logvar), jnp.full((1, 8), likelihood)
        of_z = objectives.Normal(mean, logvar)
        return objectives.Draw(z, of_x, prior, posterior, of_x + prior - posterior, kl, of_z)

    return draw(rng.root(1))


def test_a_total_correlation_of_weight_1_leaves_the_elbo_and_more_of_it_costs():
    draw, context = made_draw(likelihood=-3.0), objectives.Context(jnp.int32(0), examples=100)

    @jax.jit
    def everything(draw):
        densities = losses.stratified_log_densities(draw.z[0], *draw.posterior, examples=100)
        return densities, *(objectives.total_correlation(weight)(draw, context) for weight in (1.0, 6.0))

    (together, alone), elbo, found = everything(draw)
    np.testing.assert_allclose(elbo, draw.log_weights.mean(), rtol=1e-5)
    np.testing.assert_allclose(found, draw.log_weights.mean() - 5 * (together - alone).mean(), rtol=1e-5)
    with pytest.raises(UserError, match="depends on the size of the training set: give the model `examples`"):
        objectives.total_correlation(6.0)(draw, context._replace(examples=None))


def test_covariances_cost_what_their_loss_says():
    draw, context = made_draw(likelihood=-3.0), objectives.Context(jnp.int32(0))
    mean, logvar = draw.posterior
    elbo = (-3.0 - draw.kl).mean()
    of_means = losses.disentangled_prior_loss(losses.covariance_of_means(mean), 2.0, 3.0)
    of_latents = losses.disentangled_prior_loss(losses.covariance_of_latents(mean, logvar), 2.0, 3.0)
    np.testing.assert_allclose(objectives.disentangled_means(2.0, 3.0)(draw, context), elbo - of_means, rtol=1e-5)
    np.testing.assert_allclose(objectives.disentangled_latents(2.0, 3.0)(draw, context), elbo - of_latents, rtol=1e-5)


def test_information_weighs_the_kl_and_the_discrepancy():
    draw, key = made_draw(likelihood=-3.0), rng.root(5)
    prior = jax.random.normal(rng.stream(key, rng.TERMS), (8, 3))
    apart = losses.squared_mmd(draw.z[0], prior, losses.gaussian_kernel(3))
    found = objectives.information(0.5, 10.0, losses.gaussian_kernel)(draw, objectives.Context(jnp.int32(0), key=key))
    np.testing.assert_allclose(found, (-3.0 - 0.5 * draw.kl).mean() - 9.5 * apart, rtol=1e-5)


@pytest.mark.parametrize(
    "make", [objectives.total_correlation, objectives.disentangled_latents, objectives.information]
)
def test_over_devices_a_batch_is_looked_at_as_a_whole(make):
    """Two halves on two devices, which a pmap's axis joins."""
    numbers = {"total_correlation": (6.0,), "disentangled_latents": (2.0, 3.0)}
    objective = make(*numbers.get(make.__name__, (0.5, 10.0, losses.gaussian_kernel)))
    whole, key = made_draw(likelihood=-3.0), rng.root(5)
    context = objectives.Context(jnp.int32(0), key=key, examples=100)

    def halves(leaf):
        axis = leaf.shape.index(8)
        return jnp.stack(jnp.split(leaf, 2, axis))

    @jax.jit
    def both(whole):
        of_two = jax.vmap(lambda half: objective(half, context._replace(axis_name="d")), axis_name="d")
        return of_two(jax.tree.map(halves, whole)).mean(), objective(whole, context)

    np.testing.assert_allclose(*both(whole), rtol=1e-5)


@pytest.mark.parametrize(
    "objective",
    [
        objectives.free_nats(0.1),
        objectives.total_correlation(1.0),
        objectives.disentangled_means(1.0, 1.0),
        objectives.sticking_the_landing,
        objectives.doubly_reparametrised,
        objectives.partially_importance_weighted(1),
    ],
)
def test_of_several_layers_some_objectives_are_refused(objective):
    with pytest.raises(UserError, match="one layer of latents, but this model has several"):
        objective(draw_of(jnp.ones(2)), objectives.Context(jnp.int32(0), examples=9))
