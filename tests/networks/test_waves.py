"""Convolutions along time, the phase shuffle and WaveGAN against `tests/golden/audio.json`."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gvlab import networks
from gvlab.networks import waves
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "audio.json").read_text())
COUNTS = {name: of for name, of in GOLDEN["wavegan"]["models"].items() if "dim=64" in name or "samples=4096" in name}


def test_a_convolution_of_stride_4_and_its_adjoint_are_the_golden_ones():
    of = GOLDEN["conv1d_stride4"]
    t, c = np.arange(16)[:, None], np.arange(2)[None]
    x = np.cos(0.3 * (2 * t + c))
    k, c, o = np.ix_(np.arange(25), np.arange(2), np.arange(3))
    w = np.sin(0.17 * ((2 * k + c) * 3 + o) + 0.2) / 5
    u = np.sin(0.5 * (3 * np.arange(4)[:, None] + np.arange(3)[None]))
    x, w, u = (jnp.asarray(value, jnp.float32) for value in (x, w, u))
    y, xt = jax.jit(lambda: (waves.conv1d(x[None], w, 4)[0], waves.conv1d_transpose(u[None], w, 4)[0]))()
    np.testing.assert_allclose(y, of["y"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(xt[:4], of["xt_first4"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose([(y * u).sum(), (x * xt).sum()], of["inner_products"], rtol=1e-5)


@pytest.mark.parametrize(("samples", "taps", "stride"), [(16, 25, 4), (12, 5, 2), (8, 25, 4), (10, 7, 1), (16, 4, 4)])
def test_convolutions_along_time_are_xlas(samples, taps, stride):
    """And the adjoint is, and the gradients of a gradient penalty."""
    keys = jax.random.split(jax.random.key(0), 3)
    x, w = jax.random.normal(keys[0], (2, samples, 3)), jax.random.normal(keys[1], (taps, 3, 5))
    u = jax.random.normal(keys[2], (2, samples // stride, 5))

    def xlas(x, w):
        return lax.conv_general_dilated(x, w, (stride,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"))

    def everything(convolve, adjoint):
        def penalty(x, w):
            y, pull = jax.vjp(lambda x: jnp.tanh(0.1 * convolve(x, w)), x)
            return jnp.sum(pull(jnp.ones_like(y))[0] ** 2)

        return convolve(x, w), adjoint(u), *jax.grad(penalty, argnums=(0, 1))(x, w)

    @jax.jit
    def both():
        found = everything(lambda x, w: waves.conv1d(x, w, stride), lambda u: waves.conv1d_transpose(u, w, stride))
        expected = everything(xlas, lambda u: jax.vjp(lambda x: xlas(x, w), x)[1](u)[0])
        return list(zip(found, expected, strict=True))

    for found, expected in both():
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_shifts_reflect_at_the_ends():
    of = GOLDEN["phase_shuffle"]
    b, t, c = np.ix_(np.arange(3), np.arange(10), np.arange(2))
    x = jnp.asarray(1000 * b + t + 100 * c, jnp.float32)
    for shift, expected in of["shifts"].items():
        np.testing.assert_array_equal(waves.shifted(x, int(shift))[0, :, 0], expected)
    np.testing.assert_array_equal(waves.shifted(x, 2)[..., 1], of["batch_shift_plus2_channel1"])


def test_a_shuffle_draws_one_shift_for_a_batch_at_each_pass():
    shuffle, x = networks.PhaseShuffle(2), jnp.tile(jnp.arange(9.0)[None, :, None], (4, 1, 1))
    variables = shuffle.init(jax.random.key(0), x, train=True)
    step = jax.jit(lambda variables: shuffle.apply(variables, x, train=True, mutable=["phases"]))
    seen = set()
    for _ in range(40):
        again, _ = step(variables)
        moved, variables = step(variables)
        np.testing.assert_array_equal(again, moved)  # of the same state
        assert (np.ptp(moved, axis=0) == 0).all()
        (shift,) = [s for s in range(-2, 3) if np.array_equal(moved, waves.shifted(x, s))]
        seen.add(shift)
    assert seen == {-2, -1, 0, 1, 2}
    np.testing.assert_array_equal(shuffle.apply(variables, x, train=False), x)


@pytest.mark.parametrize("name", COUNTS)
def test_wavegan_has_the_published_parameters(name):
    samples, width = (int(part.split("=")[1]) for part in name.split(","))
    generator, discriminator = networks.WaveGANGenerator((samples, 1), width), networks.WaveGANDiscriminator(width)
    z, x = jax.ShapeDtypeStruct((2, 100), np.float32), jax.ShapeDtypeStruct((2, samples, 1), np.float32)

    def made(key, z, x):
        g, d = generator.init(key, z, train=True), discriminator.init(key, x, train=True)
        return g["params"], d["params"], generator.apply(g, z, train=False), discriminator.apply(d, x, train=False)

    g, d, fake, logits = jax.eval_shape(made, jax.random.key(0), z, x)
    assert sum(leaf.size for leaf in jax.tree.leaves(g)) == COUNTS[name]["generator_parameters"]
    assert sum(leaf.size for leaf in jax.tree.leaves(d)) == COUNTS[name]["discriminator_parameters"]
    assert (fake.shape, logits.shape) == ((2, samples, 1), (2,))


def test_a_filter_has_512_taps_and_no_bias():
    generator = networks.WaveGANGenerator((64, 1), 4, filter=512)
    made = jax.eval_shape(lambda z: generator.init(jax.random.key(0), z, train=True), jnp.zeros((2, 3)))
    assert made["params"]["filter"].size == GOLDEN["wavegan"]["post_filter"]["parameters"]


@pytest.mark.parametrize("samples", [1000, 3, 131_072, 16_000])
def test_other_lengths_are_refused(samples):
    with pytest.raises(UserError, match=f"cannot make waves of {samples} samples: give 4 to 15 times a power of 4"):
        waves.wavegan_strides(samples)
