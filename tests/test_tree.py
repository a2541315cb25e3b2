import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import tree


def example():
    return {"a": np.array([1.0, 2.0, 3.0, 4.0], np.float32), "b": {"c": np.array([5, 6], np.int32)}}


def test_count():
    assert tree.count(example()) == 6
    assert tree.count({}) == 0
    assert tree.count({"scalar": jnp.float32(1)}) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("position", [0, 3])
def test_all_finite_sees_one_bad_number(bad, position):
    good = example()
    assert tree.all_finite(good)
    good["a"][position] = bad
    assert not tree.all_finite(good)
    assert not jax.jit(tree.all_finite)(good)


def test_nothing_is_finite():
    assert bool(tree.all_finite({}))
    assert bool(tree.all_finite({"n": jnp.arange(3)}))


def test_all_finite_takes_no_offence_at_integers_and_keys():
    assert tree.all_finite({"key": jax.random.key(0), "step": jnp.int32(2**31 - 1), "x": jnp.ones(2)})


def test_ema_is_the_weighted_mean_of_each_leaf():
    average, new = (
        {"a": jnp.array([0.0, 10.0]), "b": jnp.float32(4)},
        {"a": jnp.array([1.0, 20.0]), "b": jnp.float32(8)},
    )
    out = tree.ema(average, new, jnp.float32(0.75))
    np.testing.assert_allclose(out["a"], [0.25, 12.5], rtol=1e-7)
    np.testing.assert_allclose(out["b"], 5.0, rtol=1e-7)


def test_ema_at_decay_0_is_the_new_tree_exactly():
    new = {"a": jnp.array([0.1, 1e-30, 3.0])}
    np.testing.assert_array_equal(tree.ema({"a": jnp.array([7.0, 8.0, 9.0])}, new, jnp.float32(0))["a"], new["a"])


def test_an_average_that_begins_late_is_until_then_what_it_averages():
    decays = [float(tree.ema_decay_from(0.75, 3, jnp.int32(step))) for step in range(4)]
    assert decays == [0.0, 0.0, 0.75, 0.75]


def test_ema_decay_follows_the_rule_of_tensorflow():
    steps = np.array([0, 1, 10, 89, 8989, 8990, 8991, 100_000])
    decays = [tree.ema_decay(0.999, jnp.int32(step)) for step in steps]
    np.testing.assert_allclose(decays, np.minimum(0.999, (1 + steps) / (10 + steps)), rtol=1e-6)
    np.testing.assert_allclose(decays[0], 0.1, rtol=1e-6)
    np.testing.assert_allclose(decays[-1], 0.999, rtol=1e-6)
    assert tree.ema_decay(0.0, jnp.int32(5)) == 0


def test_stack_puts_trees_on_a_new_leading_axis():
    trees = [jax.tree.map(lambda leaf, i=i: jnp.asarray(leaf) + i, example()) for i in range(3)]
    stacked = tree.stack(trees)
    assert stacked["a"].shape == (3, 4)
    for i, one in enumerate(trees):
        jax.tree.map(lambda whole, part, i=i: np.testing.assert_array_equal(whole[i], part), stacked, one)


def test_stack_takes_keys():
    stacked = tree.stack([jax.random.key(0), jax.random.key(1)])
    assert stacked.shape == (2,)
    assert jax.random.key_data(stacked[1]).tolist() == jax.random.key_data(jax.random.key(1)).tolist()


def test_norm_is_that_of_all_leaves_as_one_vector():
    values = {"a": jnp.array([[1.0, 2.0], [2.0, 4.0]]), "b": {"c": jnp.float32(-12.0)}}
    np.testing.assert_allclose(tree.norm(values), 13.0, rtol=1e-6)
    assert tree.norm({"zero": jnp.zeros(3)}) == 0


# digest ------------------------------------------------------------------------------------------------------------


def test_digest_is_the_sha256_of_names_types_shapes_and_bytes():
    x = np.array([1.5, -2.0], np.float32)
    expected = hashlib.sha256(b"['x'] float32 (2,)" + x.tobytes()).hexdigest()
    assert tree.digest({"x": x}) == tree.digest({"x": jnp.asarray(x)}) == expected


def test_digest_changes_with_any_bit():
    digests = {tree.digest(example())}
    for bit in range(4 * 32):
        changed = example()
        changed["a"].view(np.uint32)[bit // 32] ^= np.uint32(1) << np.uint32(bit % 32)
        digests.add(tree.digest(changed))
    assert len(digests) == 1 + 4 * 32


def test_digest_tells_zeros_of_different_signs_and_nans_of_different_payloads():
    assert tree.digest({"x": np.float32(0.0)}) != tree.digest({"x": np.float32(-0.0)})
    nans = np.array([0x7FC00000, 0x7FC00001], np.uint32).view(np.float32)
    assert tree.digest({"x": nans[:1]}) != tree.digest({"x": nans[1:]})


@pytest.mark.parametrize(
    "other",
    [
        {"x": np.zeros((2, 3), np.int32)},  # another type, the same bytes
        {"x": np.zeros((3, 2), np.float32)},  # another shape
        {"x": np.zeros(6, np.float32)},
        {"y": np.zeros((2, 3), np.float32)},  # another name
        {"x": {"x": np.zeros((2, 3), np.float32)}},
        {"x": np.zeros((2, 3), np.float32), "y": np.zeros(0, np.float32)},
        {},
    ],
)
def test_digest_changes_with_type_shape_and_name(other):
    assert tree.digest(other) != tree.digest({"x": np.zeros((2, 3), np.float32)})


def test_digest_depends_on_values_not_on_layout_or_order():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert tree.digest({"x": np.asfortranarray(x)}) == tree.digest({"x": x})
    assert tree.digest({"a": x, "b": x + 1}) == tree.digest({"b": x + 1, "a": x})
    assert tree.digest({"a": x, "b": x + 1}) != tree.digest({"a": x + 1, "b": x})
