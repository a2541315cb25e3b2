"""Models with an exact log p(x): the density is one of what is drawn, and it is learned."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from zoo import quick_jit

from gvlab import networks, parallel
from gvlab.models import densities
from gvlab.types import Batch, UserError

MADE = {
    "mixture": lambda: densities.mixture(networks.NormalMixture(3, 2), 2),
    "realnvp": lambda: densities.flow(networks.RealNVP(2, (8,)), 2),
    "maf": lambda: densities.flow(networks.MAF(2, (8,)), 2),
    "transformer": lambda: densities.autoregressive(networks.CausalTransformer(3, 8, 1, 2), (3, 3, 2)),
}
every_density = pytest.mark.parametrize("name", MADE)
VECTORS = ["mixture", "realnvp", "maf"]


def examples(name, n=32, seed=0):
    """Two blobs, or codes of which the second is the first."""
    generator = np.random.default_rng(seed)
    which = generator.integers(0, 2, n)
    if name not in VECTORS:
        return Batch(jnp.asarray(np.stack([which, which, generator.integers(0, 2, n)], 1), jnp.int32))
    x = np.stack([4 * which - 2, 2 * which - 1], 1) + 0.3 * generator.normal(size=(n, 2))
    return Batch(jnp.asarray(x, jnp.float32))


@cache
def trained(name):
    """(model, first state, state after some steps, terms of the last)."""
    model = densities.density(MADE[name](), optax.adam(3e-2))
    step, batch = quick_jit(model.train_step), examples(name)
    first = state = quick_jit(model.init)(jax.random.key(0), batch)
    for number in range(150):
        state, info = step(state, batch, jax.random.key(number))
    return model, first, state, info


@every_density
def test_it_learns_a_density_and_says_it(name):
    model, first, state, info = trained(name)
    batch, key = examples(name), jax.random.key(0)
    before, after = (quick_jit(model.evaluate)(of, batch, key)["log_prob_nats"] for of in (first, state))
    assert after.mean() > before.mean() + 0.5
    assert set(info) == {"loss", "log_prob_nats", "grad_norm"}
    assert int(state.step) == 150
    weights = quick_jit(model.log_weights, static_argnums=3)(state, batch, key, 3)
    np.testing.assert_allclose(weights, np.stack([after] * 3), rtol=1e-4, atol=1e-4)


@every_density
def test_a_sample_is_decoded_noise(name):
    model, _, state, _ = trained(name)
    found = quick_jit(lambda state, key: (model.sample(state, key, 4), model.decode(state, model.prior(key, 4))))
    x, decoded = found(state, jax.random.key(5))
    np.testing.assert_array_equal(x, decoded)
    assert x.shape == (4, 2 if name in VECTORS else 3)


@pytest.mark.parametrize("name", VECTORS)
def test_draws_have_the_density_that_is_said(name):
    """The integral of exp(log p) over a grid is 1, and the mean of the draws the density's."""
    model, _, state, _ = trained(name)
    side = np.linspace(-8, 8, 321)
    grid = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2)
    density = np.exp(
        quick_jit(model.evaluate)(state, Batch(jnp.asarray(grid, jnp.float32)), jax.random.key(0))["log_prob_nats"]
    )
    mass = np.asarray(density, np.float64) * (side[1] - side[0]) ** 2
    assert mass.sum() == pytest.approx(1, abs=5e-3)
    n = 4000
    drawn = np.asarray(quick_jit(model.sample, static_argnums=2)(state, jax.random.key(1), n))
    mean = mass @ grid / mass.sum()
    variance = mass @ (grid - mean) ** 2 / mass.sum()
    assert (np.abs(drawn.mean(0) - mean) < 5 * np.sqrt(variance / n) + 0.02).all()


@pytest.mark.parametrize("name", ["maf", "transformer"])
def test_two_devices_train_as_one(name):
    batch, key = examples(name), jax.random.key(3)
    alone = densities.density(MADE[name](), optax.sgd(0.05))
    state = quick_jit(alone.init)(key, batch)
    expected, _ = quick_jit(alone.train_step)(state, batch, key)
    together = densities.density(MADE[name](), optax.sgd(0.05), axis_name=parallel.AXIS)
    found, _ = parallel.over_pmap(together.train_step, jax.devices()[:2])(state, batch, key)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), found, expected)


def test_data_of_another_kind_are_refused():
    flow, codes = (densities.density(MADE[name](), optax.sgd(0.1)) for name in ("maf", "transformer"))
    for model, x, sentence in (
        (flow, jnp.zeros((2, 3)), "shape"),
        (flow, jnp.full((2, 2), jnp.nan), "4 of the 4"),
        (codes, jnp.zeros((2, 3)), "float32, but CausalTransformer is of integer codes"),
        (codes, jnp.zeros((2, 4), jnp.int32), "but the model is of 3 codes"),
    ):
        with pytest.raises(UserError, match=sentence):
            model.init(jax.random.key(0), Batch(x))
