from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gvlab import rng
from gvlab.data import batch, permute
from gvlab.types import Batch, UserError

jitted = jax.jit(batch, static_argnums=3)


def indices(count: int, key: jax.Array, steps: range, size: int) -> np.ndarray:
    """The example numbers of the given steps, one row a step, in one compiled call."""
    examples = Batch(jnp.arange(count, dtype=jnp.float32)[:, None], jnp.arange(count, dtype=jnp.int32))
    drawn = jax.jit(jax.vmap(lambda step: batch(examples, key, step, size)))(jnp.asarray(steps, dtype=jnp.int32))
    np.testing.assert_array_equal(drawn.x[..., 0], drawn.y)
    return np.asarray(drawn.y)


def orders(count: int, keys: int) -> np.ndarray:
    """One epoch's whole order for each of many keys: [keys, count]."""
    examples = Batch(jnp.zeros((count, 1)), jnp.arange(count, dtype=jnp.int32))
    return np.asarray(
        jax.jit(jax.vmap(lambda key: batch(examples, key, 0, count).y))(jax.random.split(rng.root(7), keys))
    )


@pytest.mark.parametrize(
    ("count", "size"), [(1, 1), (2, 1), (10, 10), (10, 3), (16, 4), (17, 5), (997, 64), (1497, 100), (1000, 999)]
)
def test_every_example_comes_once_an_epoch(count, size):
    epochs = 4
    steps = range(-(-epochs * count // size))
    read = indices(count, rng.root(0), steps, size).reshape(-1)[: epochs * count].reshape(epochs, count)
    np.testing.assert_array_equal(np.sort(read, axis=1), np.tile(np.arange(count), (epochs, 1)))


def test_epochs_and_keys_have_their_own_orders():
    count = 500
    epochs = indices(count, rng.root(0), range(3), count)
    other = indices(count, rng.root(1), range(1), count)
    rows = np.concatenate([epochs, other, np.arange(count)[None]])
    for i in range(len(rows)):
        for j in range(i):
            # Two independent permutations agree in one place on average, Poisson distributed.
            assert (rows[i] == rows[j]).sum() <= 8


def test_the_order_is_that_of_the_feistel_network_in_plain_python():
    count, size, step = 23, 7, 6
    side = 5

    def mix(x):
        x = (x ^ x >> 16) * 0x7FEB352D % 2**32
        x = (x ^ x >> 15) * 0x846CA68B % 2**32
        return x ^ x >> 16

    expected = []
    for position in range(step * size, (step + 1) * size):
        epoch, value = divmod(position, count)
        keys = np.asarray(jax.random.bits(rng.stream(rng.root(3), rng.ORDER, epoch), (8,), jnp.uint32)).tolist()
        while True:
            left, right = divmod(value, side)
            for key in keys:
                left, right = right, (left + mix(right ^ key)) % side
            value = left * side + right
            if value < count:
                break
        expected.append(value)
    assert step * size // count != ((step + 1) * size - 1) // count  # the case straddles two epochs
    np.testing.assert_array_equal(indices(count, rng.root(3), range(step, step + 1), size)[0], expected)


@pytest.mark.parametrize("count", [5, 10, 30])
def test_each_example_is_equally_likely_at_each_position(count):
    keys = 4000
    seen = orders(count, keys)
    # One statistic a position; Bonferroni over the positions at the 0.1 % level. The keys are fixed.
    limit = stats.chi2.ppf(1 - 1e-3 / count, count - 1)
    for position in range(count):
        table = np.bincount(seen[:, position], minlength=count)
        assert ((table - keys / count) ** 2 / (keys / count)).sum() < limit


def test_pairs_of_positions_are_spread_evenly():
    count, keys = 6, 6000
    seen = orders(count, keys)
    limit = stats.chi2.ppf(1 - 1e-3 / 15, count * (count - 1) - 1)
    for i in range(count):
        for j in range(i):
            table = np.bincount(seen[:, i] * count + seen[:, j], minlength=count**2).reshape(count, count)
            table = table[~np.eye(count, dtype=bool)]
            assert ((table - table.mean()) ** 2 / table.mean()).sum() < limit


def test_neighbours_are_torn_apart():
    count, keys = 1497, 40
    step = np.diff(orders(count, keys), axis=1)
    for distance in (-39, -1, 1, 39):  # 39 is the side of the Feistel square
        # (count - |distance|) of the count (count - 1) ordered pairs have this distance.
        expected = keys * (count - abs(distance)) / count
        assert abs((step == distance).sum() - expected) < 5 * np.sqrt(expected)


def test_a_batch_depends_on_key_and_step_alone():
    examples = Batch(jnp.arange(60, dtype=jnp.uint8).reshape(20, 3), None)
    key = rng.root(5)
    forwards = [np.asarray(jitted(examples, key, step, 6).x) for step in range(8)]
    backwards = [np.asarray(jitted(examples, key, jnp.int32(step), 6).x) for step in reversed(range(8))]
    np.testing.assert_array_equal(forwards, backwards[::-1])
    np.testing.assert_array_equal(batch(examples, key, 7, 6).x, forwards[7])
    assert jitted(examples, key, 0, 6).y is None
    assert jitted(examples, key, 0, 6).x.dtype == jnp.uint8


def test_under_vmap_over_keys_each_row_is_that_key_alone():
    examples = Batch(jnp.arange(101, dtype=jnp.float32)[:, None], jnp.arange(101, dtype=jnp.int32))
    keys = jax.random.split(rng.root(0), 5)
    together = jax.jit(jax.vmap(partial(batch, size=30), in_axes=(None, 0, None)))(examples, keys, 3)
    for row, key in enumerate(keys):
        alone = jitted(examples, key, 3, 30)
        np.testing.assert_array_equal(together.x[row], alone.x)
        np.testing.assert_array_equal(together.y[row], alone.y)


def test_a_new_step_does_not_compile_again():
    examples = Batch(jnp.zeros((12, 1)), None)
    traces = []

    @jax.jit
    def counted(key, step):
        traces.append(step)
        return batch(examples, key, step, 5).x

    for step in range(4):
        counted(rng.root(step), jnp.int32(step))
    assert len(traces) == 1


def test_permute_reaches_the_largest_positions():
    count = 2**32 - 1
    position = jnp.asarray(np.array([0, 1, count - 2, count - 1], dtype=np.uint32))
    sent = np.asarray(permute(position, jnp.arange(32, dtype=jnp.uint32).reshape(8, 4) // 4, count))
    assert len(set(sent.tolist())) == 4
    assert sent.max() < count


@pytest.mark.parametrize("size", [0, -1, 11])
def test_refuses_a_size_that_the_data_cannot_fill(size):
    with pytest.raises(UserError, match=f"batch of {size} cannot be drawn from 10"):
        batch(Batch(jnp.zeros((10, 2)), None), rng.root(0), 0, size)
