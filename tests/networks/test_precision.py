"""bfloat16 inside of networks, float32 around them."""

import re
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import build, data, networks, rng
from gvlab import config as c
from gvlab.networks.convolution import conv, conv_transpose
from gvlab.types import Batch, UserError

GAN = c.Experiment("gan", c.GAN(c.DCGAN(width=4), latent_dim=8), steps=10, batch_size=8)


@pytest.fixture(scope="module")
def small():
    network = networks.DCGANDiscriminator(width=4)
    x = jax.random.uniform(jax.random.key(1), (4, 16, 16, 1), minval=-1)
    return network, _init(network, x), x


def _init(network, x):
    return jax.jit(lambda key, x: network.init(key, x, train=True))(jax.random.key(0), x)


def test_what_goes_in_and_comes_out_is_float32(small):
    network, variables, x = small
    rounded = networks.InBfloat16(network)
    again = _init(rounded, x)
    assert jax.tree.structure(again) == jax.tree.structure(variables)
    for ours, theirs in zip(jax.tree.leaves(again), jax.tree.leaves(variables), strict=True):
        np.testing.assert_array_equal(ours, theirs)

    def judged(network):
        return jax.jit(lambda variables, x: network.apply(variables, x, train=True, mutable=["batch_stats"]))

    (logits, new), (expected, statistics) = judged(rounded)(variables, x), judged(network)(variables, x)
    assert {leaf.dtype for leaf in jax.tree.leaves((logits, new))} == {jnp.dtype("float32")}
    assert np.any(logits != expected)
    np.testing.assert_allclose(logits, expected, atol=0.03 * np.abs(expected).max())
    for ours, theirs in zip(jax.tree.leaves(new), jax.tree.leaves(statistics), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=0.02 * max(np.abs(theirs).max(), 1e-3))


def test_inside_everything_is_of_bfloat16(small):
    network, variables, x = small
    text = str(jax.make_jaxpr(lambda x: networks.InBfloat16(network).apply(variables, x, train=False))(x))
    assert "bf16[4,8,8,4]" in text  # what the first layer gives


def test_gradients_of_parameters_are_float32(small):
    network, variables, x = small

    def loss(params):
        return networks.InBfloat16(network).apply({**variables, "params": params}, x, train=False).mean()

    gradient = jax.jit(jax.grad(loss))(variables["params"])
    assert {leaf.dtype for leaf in jax.tree.leaves(gradient)} == {jnp.dtype("float32")}
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize("function", [conv, conv_transpose])
def test_convolutions_on_cpu_add_up_in_float32_and_round_once(function):
    x, kernel = (
        jax.random.normal(jax.random.key(i), shape, jnp.bfloat16)
        for i, shape in enumerate([(2, 8, 8, 3), (5, 5, 3, 3)])
    )

    # As operation by operation: every rounding is done that is asked for.
    @partial(jax.jit, compiler_options={"xla_allow_excess_precision": False})
    def both(x, kernel):
        """The convolution and its pulled-back ones."""
        out, pull = jax.vjp(lambda x, kernel: function(x, kernel, (2, 2)), x, kernel)
        return out, *pull(jnp.ones_like(out))

    found, wide = both(x, kernel), both(x.astype(jnp.float32), kernel.astype(jnp.float32))
    assert found[0].dtype == jnp.bfloat16
    for ours, theirs in zip(found, wide, strict=True):
        np.testing.assert_array_equal(ours, theirs.astype(jnp.bfloat16))


def test_a_training_in_bfloat16_keeps_float32_and_is_another_program():
    program = build.program(replace(GAN, precision="bfloat16"), data.load("digits"))
    state = jax.eval_shape(lambda: program.model.init(rng.root(0), program.first_batch()))
    after, info = jax.eval_shape(
        program.model.train_step, state, jax.eval_shape(lambda: _batch(program)), jax.eval_shape(lambda: rng.root(0))
    )
    assert jax.tree.map(lambda leaf: leaf.dtype, after) == jax.tree.map(lambda leaf: leaf.dtype, state)
    floats = {leaf.dtype for leaf in jax.tree.leaves((after, info)) if jnp.issubdtype(leaf.dtype, jnp.floating)}
    assert floats == {jnp.dtype("float32")}


def _batch(program):
    return jax.tree.map(lambda leaf: jnp.zeros((8, *leaf.shape[1:]), leaf.dtype), program.first_batch())


FAMILIES = {
    "mlp": (c.MLP((8,)), 16),
    "maxout": (c.MaxoutMLP((8,), (8,)), 16),
    "dcgan, spectral": (c.DCGAN(4, "spectral_norm"), 16),
    "sngan": (c.SNGAN(4), 32),
    "sagan": (c.SAGAN(4), 32),
    "biggan": (c.BigGAN(4), 32),
    "r3gan": (c.R3GAN((8, 8)), 16),
    "stylegan2": (c.StyleGAN2(8, full_until=16, mapping_layers=1), 16),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_in_every_family_all_layers_give_bfloat16_but_those_of_the_logits(name):
    """In training, where spectral norm and BatchNorm bring float32 in; computed by nobody, but traced."""
    network, side = FAMILIES[name]
    for module, shape in zip(network.networks((side, side, 1), 3, None), ((20,), (side, side, 1)), strict=True):

        def layers(key, module=module, shape=shape):
            x, y = jnp.zeros((4, *shape)), jnp.zeros((4, 3))
            variables = module.init(key, x, y, train=True)
            variables["params"], x, y = jax.tree.map(lambda a: a.astype(jnp.bfloat16), (variables["params"], x, y))
            mutable = ["batch_stats", "spectral", "intermediates"]
            rngs = {"noise": key}
            return module.apply(variables, x, y, train=True, mutable=mutable, capture_intermediates=True, rngs=rngs)

        output, new = jax.eval_shape(layers, jax.random.key(0))
        inside = new.pop("intermediates")
        types = [leaf.dtype.name for leaf in jax.tree.leaves(inside)]
        judges = output.shape == (4,)
        assert output.dtype == ("float32" if judges else "bfloat16")
        assert types.count("bfloat16") >= 1
        assert set(types) <= {"bfloat16", "float32"}
        # The network as a whole, its head, and the head's layer.
        assert types.count("float32") <= (3 if judges else 0), jax.tree.map(lambda leaf: leaf.dtype.name, inside)
        assert {leaf.dtype for leaf in jax.tree.leaves(new)} <= {jnp.dtype("float32")}


def test_a_spectrally_normalised_discriminator_trains_in_bfloat16():
    network, side = FAMILIES["dcgan, spectral"]
    model = build.model(c.GAN(network, latent_dim=20), (side, side, 1), 0, precision="bfloat16")

    def steps(key):
        batch = Batch(jnp.zeros((4, side, side, 1)))
        state = model.init(key, batch)
        return state, *model.train_step(state, batch, key), model.sample(state, key, 2)

    state, after, info, samples = jax.eval_shape(steps, jax.random.key(0))
    assert jax.tree.map(lambda leaf: leaf.dtype, after) == jax.tree.map(lambda leaf: leaf.dtype, state)
    assert {leaf.dtype for leaf in jax.tree.leaves((info, samples))} == {jnp.dtype("float32")}


def test_another_precision_is_refused():
    with pytest.raises(UserError, match=r"precision is 'float16', but must be of type 'float32' or 'bfloat16'"):
        c.with_value(GAN, "precision", "float16")


def test_differences_of_rounded_logits_are_refused(small):
    """With the published radius the difference of two logits is far from that of float32."""
    for term in (c.R1FiniteDifference(), c.Scheduled(c.Every(2, c.R2FiniteDifference()))):
        model = c.GAN(c.DCGAN(4, "plain"), discriminator_terms=(term,))
        with pytest.raises(UserError, match=r"precision is 'bfloat16', but R\dFin.* by 0.01, .*'float32', or R\d\.$"):
            replace(GAN, model=model, precision="bfloat16")
    network, variables, x = small
    step = 0.01 * jax.random.normal(jax.random.key(2), x.shape)

    @jax.jit
    def differences(variables):
        logits = [
            critic.apply(variables, jnp.concatenate([x, x + step]), train=False)
            for critic in (network, networks.InBfloat16(network))
        ]
        return [after - before for before, after in map(jnp.split, logits, (2, 2))]

    exact, rounded = differences(variables)
    assert np.abs(rounded - exact).max() > 0.2 * np.abs(exact).max()


@pytest.mark.parametrize(
    "network",
    [
        networks.PatchDiscriminator(1, 1),
        networks.UNet(1, 1),
        networks.InstancePatchDiscriminator(1, 1),
        networks.ResidualTranslator(1, 1, 1),
    ],
    ids=lambda network: type(network).__name__,
)
def test_a_last_convolution_is_given_what_is_unrounded(network):
    x = jnp.zeros((2, 8, 8, 1))
    variables = jax.eval_shape(lambda: network.init(jax.random.key(0), x, train=False))
    program = jax.make_jaxpr(lambda known: networks.InBfloat16(network).apply(known, x, train=False))(variables)
    first, *_, last = re.findall(r"(\w+)\[[\d,]+\] = conv_general_dilated", str(program))
    assert (first, last) == ("bf16", "f32")
    assert program.out_avals[0].dtype == jnp.float32
