"""Numbers for each channel and sums over all else: both forms of the sum, and the gradients of each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from gvlab.networks.channels import _by_product, _by_sum, by_channel, channel_means, channel_sums

X = 1 + np.sin(np.arange(2 * 3 * 4 * 5.0)).reshape(2, 3, 4, 5)


@pytest.mark.parametrize("form", [channel_sums, _by_product, _by_sum])
def test_sums_are_over_all_axes_but_the_last(form):
    with jax.enable_x64(True):
        np.testing.assert_allclose(form(jnp.asarray(X)), X.sum((0, 1, 2)), rtol=1e-13)


def test_means_and_what_is_spread_have_their_gradients():
    with jax.enable_x64(True):

        @jax.jit
        def variance_of_squares(x, numbers):
            x = x * by_channel(numbers, x.shape)
            return channel_means(jnp.square(x - by_channel(channel_means(x), x.shape)))

        x, numbers = jnp.asarray(X), jnp.arange(1.0, 6.0)
        np.testing.assert_allclose(variance_of_squares(x, numbers), (X * np.arange(1, 6)).var((0, 1, 2)), rtol=1e-12)
        check_grads(variance_of_squares, (x, numbers), order=2, modes=["rev"])


def test_few_bits_add_up_in_float32():
    """In bfloat16 256 + 1 is 256."""
    ones = jnp.ones((1000, 2), jnp.bfloat16)
    assert _by_product(ones).dtype == jnp.bfloat16
    np.testing.assert_allclose(_by_product(ones).astype(jnp.float32), 1000, rtol=1 / 256)
