"""Networks of codes: nothing is known of a code before it is there, and their probabilities are probabilities."""

import itertools
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gvlab import networks
from gvlab.models import densities
from gvlab.types import Batch, UserError

LEVELS, ROWS, COLUMNS = 3, 3, 4
NETWORKS = {
    "transformer": networks.CausalTransformer(LEVELS, width=8, blocks=2, heads=2),
    "pixelcnn": networks.GatedPixelCNN(LEVELS, ROWS, COLUMNS, width=16, layers=2),
    "far pixelcnn": networks.GatedPixelCNN(LEVELS, ROWS, COLUMNS, width=16, layers=1, reach=2),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


def moved(params, seed=0):
    """The parameters with noise, since the first ones' last kernel is zero."""
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    return jax.tree.unflatten(
        tree, [x + 0.5 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True)]
    )


@cache
def ready(name):
    """(parameters, the logits as a function of parameters and codes)."""
    network = NETWORKS[name]
    codes = jnp.zeros((2, ROWS * COLUMNS), jnp.int32)
    params = jax.jit(lambda: moved(network.init(jax.random.key(0), codes, train=True)["params"]))()
    return params, jax.jit(lambda params, codes: network.apply({"params": params}, codes, train=False))


@every_network
def test_a_code_changes_the_logits_behind_it_and_no_others(name):
    params, logits = ready(name)
    positions = ROWS * COLUMNS
    codes = np.random.default_rng(0).integers(0, LEVELS, positions, dtype=np.int32)
    changed = np.stack([np.where(np.arange(positions) == i, (codes + 1) % LEVELS, codes) for i in range(positions)])
    before, after = logits(params, jnp.asarray(np.stack([codes] * positions))), logits(params, jnp.asarray(changed))
    depends = np.abs(np.asarray(after - before)).max(-1) > 0  # [which was changed, whose logits]
    assert not depends[np.tril_indices(positions)].any()
    if name == "transformer":
        assert depends[np.triu_indices(positions, 1)].all()
        return
    # Of a grid: the whole rows above within reach, and what is to the left; nothing is blind.
    for i, j in itertools.combinations(range(positions), 2):
        rows, columns = j // COLUMNS - i // COLUMNS, abs(j % COLUMNS - i % COLUMNS)
        assert depends[i, j] or not rows or columns > rows, (i, j)


@every_network
def test_all_codes_are_equally_likely_before_training(name):
    network, codes = NETWORKS[name], jnp.ones((2, ROWS * COLUMNS), jnp.int32)
    logits = jax.jit(lambda: network.init_with_output(jax.random.key(0), codes, train=True)[0])()
    assert not np.asarray(logits).any()


TINY = {
    "transformer": (networks.CausalTransformer(3, width=4, blocks=1, heads=2), (3, 2, 3, 2)),
    "pixelcnn": (networks.GatedPixelCNN(3, 2, 2, width=4, layers=2), (2, 3, 3, 3)),
}


@pytest.mark.parametrize("name", TINY)
def test_probabilities_of_all_codes_are_one_in_sum_and_those_of_the_draws(name):
    """By enumeration; and what the scan draws is drawn by the probabilities that one pass over the codes gives."""
    network, sizes = TINY[name]
    model = densities.density(densities.autoregressive(network, sizes), optax.sgd(0.1))
    everything = jnp.array(list(itertools.product(*map(range, sizes))), jnp.int32)
    n = 4000

    @jax.jit
    def computed(key):
        state = model.init(key, Batch(everything))
        state = state.replace(params=moved(state.params))
        log_prob = model.evaluate(state, Batch(everything), key)["log_prob_nats"]
        return log_prob, model.sample(state, key, n)

    log_prob, drawn = computed(jax.random.key(0))
    probability = np.exp(np.asarray(log_prob, np.float64))
    np.testing.assert_allclose(probability.sum(), 1, rtol=1e-5)
    assert drawn.dtype == jnp.int32
    counts = np.array([(np.asarray(drawn) == codes).all(1).sum() for codes in np.asarray(everything)])
    assert counts.sum() == n
    deviation = np.sqrt(n * probability * (1 - probability))
    assert (np.abs(counts - n * probability) < 5 * deviation + 1).all()


@pytest.mark.parametrize("name", ["transformer", "pixelcnn"])
def test_the_scan_draws_what_one_pass_over_its_draws_says(name):
    """The inverse of the cumulative probabilities of all codes at once is the code that was drawn."""
    positions = ROWS * COLUMNS
    distribution = densities.autoregressive(NETWORKS[name], (LEVELS,) * positions)
    params, logits = ready(name)
    noise = np.asarray(distribution.noise(jax.random.key(1), 5))

    def apply(codes, method=None):
        return NETWORKS[name].apply({"params": params}, codes, train=False)

    codes = np.asarray(jax.jit(lambda noise: distribution.decode(apply, noise))(noise))
    cumulative = np.cumsum(jax.nn.softmax(logits(params, jnp.asarray(codes))), axis=-1)[..., :-1]
    np.testing.assert_array_equal(codes, (noise[..., None] >= cumulative).sum(-1))


def test_a_grid_refuses_other_positions():
    with pytest.raises(UserError, match="There are 5 positions, but a grid of 2x2 has 4"):
        jax.eval_shape(
            lambda: networks.GatedPixelCNN(3, 2, 2).init(jax.random.key(0), jnp.zeros((1, 5), jnp.int32), train=True)
        )
