"""Grouped convolutions in all their forms against the definition, for several seeds and on several devices."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from gvlab.networks import grouped
from gvlab.networks.grouped import as_grouped, grouped_conv, in_turn
from gvlab.types import UserError


def arr(shape, scale, k):
    return (scale * np.sin(0.37 * np.arange(math.prod(shape)) + 0.1 + 0.7 * k)).reshape(shape)


@pytest.mark.parametrize("groups", [4])
@pytest.mark.parametrize("form", [in_turn, as_grouped])
def test_all_forms_of_a_grouped_convolution_are_one(form, groups, monkeypatch):
    """And their gradients, and the gradients of a gradient penalty."""
    monkeypatch.setattr(grouped, "PACK", 4)  # two packs of two groups each
    with jax.enable_x64(True):
        x = jnp.asarray(arr((2, 5, 4, 8), 1, 1))
        kernel = jnp.asarray(arr((3, 3, 8 // groups, 12), 0.5, 2))

        @partial(jax.jit, static_argnums=0)
        def everything(convolve, x, kernel):
            def penalty(kernel, x):
                out, pull = jax.vjp(lambda x: jnp.tanh(convolve(x, kernel)), x)
                return jnp.sum(pull(jnp.ones_like(out))[0] ** 2)

            return convolve(x, kernel), *jax.grad(penalty, argnums=(0, 1))(kernel, x)

        expected = everything(lambda x, kernel: _by_definition(x, kernel, groups), x, kernel)
        for found in (lambda x, k: form(x, k, groups=groups), lambda x, k: grouped_conv(x, k, groups)):
            for a, b in zip(everything(found, x, kernel), expected, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_a_grouped_convolution_is_the_same_for_several_seeds_at_once_and_on_a_mesh():
    """In one program: kernels of two seeds, and images that lie on two devices."""
    mesh = jax.make_mesh((2,), ("batch",), devices=jax.devices()[:2])
    x = jnp.asarray(arr((4, 4, 4, 32), 1, 1), jnp.float32)
    kernels = jnp.asarray(arr((2, 3, 3, 16, 32), 0.5, 2), jnp.float32)

    def slopes(x, kernel):
        return jax.grad(lambda kernel: jnp.sum(jnp.tanh(grouped_conv(x, kernel, 2))))(kernel)

    spread = jax.jit(jax.vmap(slopes, in_axes=(None, 0)), in_shardings=(NamedSharding(mesh, P("batch")), None))
    expected = jax.jit(lambda: [slopes(x, kernel) for kernel in kernels])()
    np.testing.assert_allclose(spread(x, kernels), expected, rtol=1e-4, atol=1e-4)


def _by_definition(x, kernel, groups):
    """Every pixel of a window times its weight, of each group alone."""
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    channels, features = kernel.shape[2], kernel.shape[3] // groups
    out = []
    for g in range(groups):
        share = padded[..., g * channels : (g + 1) * channels]
        windows = [
            share[:, i : i + x.shape[1], j : j + x.shape[2]] @ kernel[i, j, :, g * features : (g + 1) * features]
            for i in range(3)
            for j in range(3)
        ]
        out.append(sum(windows))
    return jnp.concatenate(out, axis=-1)


def test_groups_that_do_not_divide_are_refused():
    with pytest.raises(UserError, match="6 channels and 9 features cannot be shared equally among 2 groups of 3"):
        grouped_conv(jnp.zeros((1, 4, 4, 6)), jnp.zeros((3, 3, 3, 9)), 2)
