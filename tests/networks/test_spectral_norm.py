"""Spectral norm, conditional BatchNorm, self-attention and the projection against the published ones."""

import json
import math
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab.networks import (
    ConditionalBatchNorm,
    ProjectionHead,
    SelfAttention,
    SpectralConv,
    SpectralConvTranspose,
    SpectralDense,
    SpectralEmbed,
)
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "residual.json").read_text())


def arr(shape, scale, k):
    return (scale * np.sin(0.37 * np.arange(math.prod(shape)) + 0.1 + 0.7 * k)).reshape(shape)


def stored(entry):
    return np.reshape(entry["values"], entry["shape"])


def nhwc(x):
    return np.moveaxis(np.asarray(x), 1, -1)


# Spectral norm -------------------------------------------------------------------------------------------------------


def single_pixels(height, width, channels):
    """An image for each entry, of zeros elsewhere, [height * width * channels, height, width, channels]."""
    return jnp.eye(height * width * channels).reshape(-1, height, width, channels)


# The case, a layer, weights as published -> ours, and an input by which its output holds all of its weights: those as
# published of the output.
LAYERS = {
    "dense [out 5, in 7]": (
        partial(SpectralDense, 5),
        lambda w: w.T,
        lambda: jnp.eye(7),
        lambda out: out.T,
    ),
    "embedding [5,7]": (
        partial(SpectralEmbed, 7),
        lambda w: w,
        lambda: jnp.eye(5),
        lambda out: out,
    ),
    "conv OIHW [6,4,3,3] as 6 x 36": (
        partial(SpectralConv, 6, (3, 3)),
        lambda w: w.transpose(2, 3, 1, 0),
        lambda: single_pixels(3, 3, 4),
        lambda out: out[:, 1, 1].reshape(3, 3, 4, 6).transpose(3, 2, 0, 1),
    ),
    "transposed conv [in 4, out 6, 3, 3], dim 1, as 6 x 36": (
        partial(SpectralConvTranspose, 6, (3, 3)),
        lambda w: w.transpose(2, 3, 1, 0),
        lambda: single_pixels(3, 3, 4)[16:20],  # of the pixel in the middle
        lambda out: out.transpose(0, 3, 1, 2),
    ),
}


def our_v(v):
    """A matrix' columns are of kernels [channel, height, width] there and [height, width, channel] here."""
    return v if len(v) != 36 else np.reshape(v, (4, 3, 3)).transpose(1, 2, 0).ravel()


@pytest.mark.parametrize("case", LAYERS)
def test_the_power_iteration_agrees(case):
    """sigma, u, v and the gradient through sigma after 1, 2 and 5 passes; no other pass advances it."""
    golden, (layer, ours, probe, published) = GOLDEN["spectral_norm"]["cases"][case], LAYERS[case]
    shape = {"dense": (5, 7), "embed": (5, 7), "conv ": (6, 4, 3, 3), "trans": (4, 6, 3, 3)}[case[:5]]
    with jax.enable_x64(True):
        kernel, u = jnp.asarray(ours(arr(shape, 1, 2))), arr((len(golden["steps"][0]["u"]),), 1, 1)
        u, v = jnp.asarray(u / np.linalg.norm(u)), jnp.zeros(len(golden["steps"][0]["v"]))
        bias = {} if "embedding" in case else {"bias": jnp.zeros(layer().features)}

        @partial(jax.jit, static_argnums=(0, 1))
        def step(train, mutable, kernel, state):
            def loss(kernel):
                variables = {"params": {"kernel": kernel, **bias}, "spectral": state}
                out, new = layer(train=train, epsilon=1e-6).apply(variables, probe(), mutable=list(mutable))
                return jnp.sum(published(out) * arr(shape, 1, 8)), (published(out), new)

            return jax.grad(loss, has_aux=True)(kernel)

        state, done = {"u": u, "v": v}, 0
        for wanted in golden["steps"]:
            while done < wanted["iterations"]:
                gradient, (out, new) = step(True, ("spectral",), kernel, state)
                state, done = new["spectral"], done + 1
            np.testing.assert_allclose(state["u"], wanted["u"], rtol=1e-9, atol=1e-11)
            np.testing.assert_allclose(state["v"], our_v(wanted["v"]), rtol=1e-9, atol=1e-11)
            np.testing.assert_allclose(arr(shape, 1, 2), wanted["sigma"] * out, rtol=1e-9, atol=1e-10)
            expected = ours(np.reshape(wanted["grad_of_sum(W_sn*C)"], shape))
            np.testing.assert_allclose(gradient, expected, rtol=1e-8, atol=1e-10)
        for train, mutable in ((True, ()), (False, ("spectral",))):
            other, (same, new) = step(train, mutable, kernel, state)
            np.testing.assert_allclose(same, out, rtol=1e-12)
            np.testing.assert_allclose(other, gradient, rtol=1e-9, atol=1e-12)
            for name in new.get("spectral", {}):
                np.testing.assert_array_equal(new["spectral"][name], state[name])


def test_fresh_vectors_have_length_1_and_are_one_iteration_from_another():
    """And the first pass does not depend on whether it trains: `init` leaves them as they are drawn."""
    layer = SpectralDense(5, train=True)
    variables = jax.jit(layer.init)(jax.random.key(0), jnp.ones((1, 7)))
    u, v = variables["spectral"]["u"], variables["spectral"]["v"]
    towards = variables["params"]["kernel"] @ u
    np.testing.assert_allclose(jnp.linalg.norm(u), 1, rtol=1e-6)
    np.testing.assert_allclose(v, towards / jnp.linalg.norm(towards), rtol=1e-5)


# The other layers ----------------------------------------------------------------------------------------------------


def test_conditional_batch_norm_agrees():
    golden = GOLDEN["conditional_batch_norm"]
    with jax.enable_x64(True):
        x = jnp.asarray(nhwc(0.3 + arr((4, 4, 3, 3), 1.2, 1)))
        weights = [jnp.asarray(arr((4, 3), golden["parameters"][k][2], k).T) for k in (0, 1)]
        params = {name: {"kernel": weight} for name, weight in zip(("gain", "shift"), weights, strict=True)}
        y = jnp.eye(3)[jnp.array([0, 2, 1, 2])]
        fresh = {"mean": jnp.zeros(4), "var": jnp.ones(4)}

        @partial(jax.jit, static_argnums=(0, 1))
        def apply(train, axis_name, x, y, stats):
            norm = ConditionalBatchNorm(train, axis_name=axis_name)
            return norm.apply({"params": params, "batch_stats": stats}, x, y, mutable=["batch_stats"])

        out, new = apply(True, None, x, y, fresh)
        after = new["batch_stats"]
        np.testing.assert_allclose(out, nhwc(stored(golden["train_output"])), rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(after["mean"], stored(golden["running_mean_after"]), rtol=1e-8)
        unbiased = stored(golden["running_var_after (unbiased batch variance)"])
        np.testing.assert_allclose(after["var"], unbiased, rtol=1e-8)
        evaluated, _ = apply(False, None, x, y, after)
        np.testing.assert_allclose(evaluated, nhwc(stored(golden["eval_output_after"])), rtol=1e-8, atol=1e-9)
        # Two devices with half of the batch each.
        halves = [half.reshape(2, 2, *half.shape[1:]) for half in (x, y)]
        in_turn, shared = jax.vmap(partial(apply, True, "data", stats=fresh), axis_name="data")(*halves)
        np.testing.assert_allclose(in_turn.reshape(out.shape), out, rtol=1e-9, atol=1e-10)
        for name in ("mean", "var"):
            np.testing.assert_allclose(shared["batch_stats"][name], np.stack([after[name]] * 2), rtol=1e-9)


def test_without_a_condition_there_are_a_gain_and_a_shift_and_with_one_none_at_first():
    x = jnp.asarray(arr((4, 3, 3, 2), 1, 1), jnp.float32)
    norm = ConditionalBatchNorm(True)
    plain, alone = norm.init_with_output(jax.random.key(0), x)
    conditional, beside = norm.init_with_output(jax.random.key(0), x, jnp.eye(4))
    assert alone["params"].keys() == {"scale", "bias"}
    assert beside["params"].keys() == {"gain", "shift"}
    np.testing.assert_array_equal(plain, conditional)


def test_one_value_per_feature_is_refused():
    norm = ConditionalBatchNorm(True)
    x = jnp.zeros((1, 1, 1, 2))
    variables = norm.init(jax.random.key(0), x)
    with pytest.raises(UserError, match="BatchNorm has one value per feature to normalise"):
        norm.apply(variables, x, mutable=["batch_stats"])


def test_self_attention_agrees():
    golden = GOLDEN["self_attention"]
    names = {"theta": "theta", "phi": "phi", "g": "g", "attn": "o"}
    with jax.enable_x64(True):
        params = {"gamma": jnp.float64(golden["parameters"][0][3]) + arr((1,), 0.0, 0)[0]}
        for k, (name, shape, scale, _) in enumerate(golden["parameters"][1:], 1):
            ours = names[name.removeprefix("conv1x1_").removesuffix(".weight")]
            params[ours] = {"kernel": jnp.asarray(arr(shape, scale, k)[:, :, 0, 0].T)}
        x, cotangent = (jnp.asarray(nhwc(arr((2, 16, 4, 4), 1, k))) for k in (1, 5))
        out, pull = jax.vjp(jax.jit(lambda x: SelfAttention(nn.Dense).apply({"params": params}, x)), x)
        np.testing.assert_allclose(out, nhwc(stored(golden["output"])), rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(pull(cotangent)[0], nhwc(stored(golden["grad_x"])), rtol=1e-8, atol=1e-9)


def test_the_projection_agrees_and_mixes_classes():
    golden = GOLDEN["projection_head"]
    with jax.enable_x64(True):
        x = jnp.asarray(nhwc(arr((4, 6, 3, 3), 1, 1)))
        params = {
            "logit": {"kernel": jnp.asarray(arr((6, 1), 0.4, 3)), "bias": jnp.full(1, 0.1)},
            "embedding": {"kernel": jnp.asarray(arr((3, 6), 0.5, 2))},
        }
        head = partial(ProjectionHead().apply, {"params": params}, x)
        np.testing.assert_allclose(head(jnp.eye(3)[jnp.array([0, 2, 1, 2])]), golden["output"], rtol=1e-9)
        soft = sum(weight * head(jnp.tile(jnp.eye(3)[n], (4, 1))) for n, weight in ((0, 0.25), (2, 0.75)))
        np.testing.assert_allclose(head(jnp.tile(jnp.array([0.25, 0, 0.75]), (4, 1))), soft, rtol=1e-9)
