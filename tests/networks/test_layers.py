"""The layers: parameters, initial distributions, bias and label; the functions under them are in test_convolution."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab.networks import Conv, ConvTranspose, append_label, conv_transpose
from gvlab.networks.layers import Dropout


def draw(*shapes):
    generator = np.random.default_rng(0)
    return [jnp.asarray(generator.normal(size=shape), jnp.float32) for shape in shapes]


def test_conv_transpose_layer_adds_its_bias_and_matches_the_function():
    x, kernel = draw((2, 3, 4, 3), (5, 5, 2, 3))
    layer = ConvTranspose(2, (5, 5), (2, 2))
    bias = jnp.array([1.0, -2.0])
    out = layer.apply({"params": {"kernel": kernel, "bias": bias}}, x)
    np.testing.assert_allclose(out, conv_transpose(x, kernel, (2, 2)) + bias[None, None, None], rtol=1e-6)
    without = ConvTranspose(2, (5, 5), use_bias=False)
    assert jax.tree.map(jnp.shape, without.init(jax.random.key(0), x)) == {"params": {"kernel": (5, 5, 2, 3)}}


def test_dropout_is_that_of_flax_on_one_device_and_on_several():
    (x,) = draw((8, 5))
    key = jax.random.key(0)

    @jax.jit
    def found(x):
        def dropped(layer, x, axis_name=None):
            options = {"axis_name": axis_name} if layer is Dropout else {}
            return nn.Sequential([layer(0.4, deterministic=False, **options)]).apply({}, x, rngs={"dropout": key})

        shares = jax.vmap(lambda x: dropped(Dropout, x, "data"), axis_name="data")(x.reshape(4, 2, 5))
        return dropped(nn.Dropout, x), dropped(Dropout, x), shares.reshape(8, 5)

    expected, *ours = found(x)
    for one in ours:
        np.testing.assert_array_equal(one, expected)
    assert 0.2 < (expected == 0).mean() < 0.6


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize(("kernel_size", "strides"), [((5, 5), (2, 2)), ((3, 3), (1, 1)), ((4, 3), (1, 2))])
def test_conv_layer_equals_that_of_flax(kernel_size, strides, use_bias):
    """The same parameters from the same key, bit for bit, and the same values."""
    (x,) = draw((2, 7, 6, 3))
    ours, theirs = (
        layer(4, kernel_size, strides, use_bias=use_bias, bias_init=nn.initializers.normal())
        for layer in (Conv, nn.Conv)
    )

    @jax.jit
    def both(key, x):
        found, expected = (layer.init_with_output(key, x) for layer in (ours, theirs))
        return found, expected

    (found, variables), (expected, of_flax) = both(jax.random.key(0), x)
    jax.tree.map(np.testing.assert_array_equal, variables, of_flax)
    assert ("bias" in variables["params"]) == use_bias
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_conv_layer_defaults_are_those_of_flax():
    (x,) = draw((1, 4, 4, 3))
    ours, theirs = (jax.jit(layer(8, (3, 3)).init)(jax.random.key(1), x) for layer in (Conv, nn.Conv))
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_conv_transpose_default_kernel_is_distributed_as_that_of_flax():
    """In its own layout, so not the same bits: the fan-in, the truncation and the spread are compared."""
    x = jnp.zeros((1, 2, 2, 256))
    ours, theirs = (
        np.sort(np.ravel(jax.jit(layer(4, (5, 5)).init)(jax.random.key(0), x)["params"]["kernel"]))
        for layer in (ConvTranspose, nn.ConvTranspose)
    )
    # Kolmogorov and Smirnov: two samples of 25600 differ by more than 0.0172 in 1 of 1000 cases.
    grid = np.linspace(-0.03, 0.03, 1001)
    distance = np.abs(np.searchsorted(ours, grid) - np.searchsorted(theirs, grid)).max() / len(ours)
    assert distance < 0.0172
    np.testing.assert_allclose(ours[[0, -1]], theirs[[0, -1]], rtol=0.01)  # both cut at two standard deviations


def test_conv_transpose_default_kernel_has_the_variance_of_the_fan_in():
    """256 channels in, 4 out: LeCun's variance is 1 / (kernel area * 256), and not 1 / (kernel area * 4)."""
    params = jax.jit(ConvTranspose(4, (5, 5)).init)(jax.random.key(0), jnp.zeros((1, 2, 2, 256)))["params"]
    variance = np.var(params["kernel"])
    # 25600 draws: the standard error of the variance is at most its sqrt(2 / 25600) = 0.9 %.
    np.testing.assert_allclose(variance, 1 / (25 * 256), rtol=5 * 0.009)
    np.testing.assert_array_equal(params["bias"], 0)


def test_append_label_to_vectors_and_images():
    y = jnp.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    vectors = append_label(jnp.full((2, 4), 7.0), y)
    np.testing.assert_array_equal(vectors, [[7, 7, 7, 7, 0, 1, 0], [7, 7, 7, 7, 1, 0, 0]])
    images = append_label(jnp.full((2, 3, 5, 1), 7.0), y)
    assert images.shape == (2, 3, 5, 4)
    np.testing.assert_array_equal(images[..., 0], 7)
    np.testing.assert_array_equal(images[..., 1:], np.broadcast_to(np.asarray(y)[:, None, None], (2, 3, 5, 3)))


def test_append_label_without_a_label_changes_nothing():
    x = jnp.ones((2, 3))
    assert append_label(x, None) is x
