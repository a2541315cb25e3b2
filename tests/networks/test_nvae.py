"""NVAE's cells by their definitions, and a descent through them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import config as c
from gvlab import networks, rng
from gvlab.models.base import eval_apply, train_apply
from gvlab.types import UserError

quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
FEATURES, EXPANSION = 3, 2


def swish(x):
    return x / (1 + np.exp(-x))


def normed(x, gain):
    return (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-5) * gain["scale"] + gain["bias"]


def squeezed(h, params):
    means = np.maximum(h.mean((1, 2)) @ params["squeeze"]["kernel"] + params["squeeze"]["bias"], 0)
    return h / (1 + np.exp(-(means @ params["excite"]["kernel"] + params["excite"]["bias"])))[:, None, None]


def convolved(x, kernel):
    """SAME, of all channels or (last axis but one of length 1) of each by itself."""
    reach = len(kernel) // 2
    padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    made = 0.0
    for i, j in np.ndindex(*kernel.shape[:2]):
        window = padded[:, i : i + x.shape[1], j : j + x.shape[2]]
        made = made + (window * kernel[i, j, 0] if kernel.shape[2] == 1 else window @ kernel[i, j])
    return made


def test_cells_are_those_of_the_paper():
    x = jnp.sin(jnp.arange(2 * 3 * 3 * FEATURES) ** 1.3).reshape(2, 3, 3, FEATURES)
    cells = networks.EncoderCell(FEATURES), networks.DecoderCell(FEATURES, EXPANSION)

    @quick_jit
    def found(x):
        params, made = [], []
        for cell in cells:
            variables = cell.init(rng.root(0), x)
            moved = jax.tree.map(lambda leaf: leaf + 0.3 * jnp.cos(1.0 + leaf), variables["params"])
            made.append(cell.apply({**variables, "params": moved}, x, mutable=["batch_stats"])[0])
            params.append(moved)
        return params, made

    (of_encoder, of_decoder), (encoded, decoded) = jax.device_get(found(x))
    x = np.asarray(x, np.float64)
    h = x
    for number in (1, 2):
        h = convolved(swish(normed(h, of_encoder[f"bn{number}"]["norm"])), of_encoder[f"conv{number}"]["kernel"])
        h = h + of_encoder[f"conv{number}"]["bias"]
    np.testing.assert_allclose(encoded, x + 0.1 * squeezed(h, of_encoder["se"]), rtol=1e-3, atol=1e-4)
    h = normed(x, of_decoder["bn0"]["norm"]) @ of_decoder["expand"]["kernel"]
    h = convolved(swish(normed(h, of_decoder["bn1"]["norm"])), of_decoder["depthwise"]["kernel"])
    h = normed(swish(normed(h, of_decoder["bn2"]["norm"])) @ of_decoder["project"]["kernel"], of_decoder["bn3"]["norm"])
    np.testing.assert_allclose(decoded, x + 0.1 * squeezed(h, of_decoder["se"]), rtol=1e-3, atol=1e-4)


def test_statistics_are_of_training_alone():
    """Elsewhere each example is by itself, and they stay as they are."""
    cell, x = networks.EncoderCell(2), jnp.sin(jnp.arange(2 * 2 * 2 * 2.0)).reshape(2, 2, 2, 2)

    @quick_jit
    def found(x):
        variables = cell.init(rng.root(0), x)
        _, after = cell.apply(variables, x, mutable=["batch_stats"])
        later = {"params": variables["params"], **after}
        return variables["batch_stats"], after["batch_stats"], cell.apply(later, x), cell.apply(later, x[:1])

    before, after, both, one = jax.device_get(found(x))
    assert all((a != b).any() for a, b in zip(*map(jax.tree.leaves, (before, after)), strict=True))
    np.testing.assert_allclose(both[:1], one, rtol=1e-5, atol=1e-6)


def test_a_descent_draws_every_layer():
    network = c.NVAE("2d2,1x1", "1x1,2m1", width=2, latents=1, expansion=1).hierarchy((2, 2, 1), 1, None)
    x, noise = jnp.zeros((3, 2, 2, 1)), jnp.ones((2, 3, 5))
    assert network.layers == ((1, 1, 1), (2, 2, 1))

    def found():
        variables = network.init(rng.root(0), x, noise, None, train=True)
        params, stats = variables["params"], variables["batch_stats"]
        made = eval_apply(network, params, stats, noise[0], None, method="generate")
        return *train_apply(network, params, stats, x, noise, None), stats, made

    descent, after, stats, made = jax.eval_shape(found)
    assert (descent.kl.shape, descent.raw.shape, descent.z.shape) == ((2, 3, 2), (2, 3, 2, 2, 1), (2, 3, 5))
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, stats)
    assert made.shape == (3, 2, 2, 1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: c.NVAE(expansion=0), "NVAE.expansion is 0"),
        (lambda: c.NVAE("8d8,2x1"), "NVAE.encoder is '8d8,2x1', whose maps have 1x1 pixels where it says 2"),
        (lambda: c.NVAE("8d4", "1x1,8m1"), "NVAE.encoder is '8d4', which ends at 2x2 pixels, but the top"),
        (lambda: c.NVAE().hierarchy((32, 32, 1), 1, None), "NVAE.decoder is .* makes square images of 28 pixels"),
    ],
)
def test_what_cannot_be_built_is_refused(make, words):
    with pytest.raises(UserError, match=words):
        make()
