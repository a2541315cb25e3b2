"""The networks of hierarchical VAEs against the published ones: golden values of `tests/golden/vae_ladders.json`."""

import json
import math
from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from waves import wave

from gvlab import config as c
from gvlab import losses, networks
from gvlab.config import experiment_file
from gvlab.models import observation
from gvlab.networks.ladders import residual_normals
from gvlab.networks.vdvae import gelu

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "vae_ladders.json").read_text())
TINY = GOLDEN["vdvae_tiny"]
COUNTS = GOLDEN["vdvae_configurations"]
SMALL = COUNTS["own_small_configurations"]
MIXTURE = observation.mixture_of_logistics(10)
PUBLISHED = Path(__file__).parents[2] / "experiments" / "published" / "cifar10_vdvae.py"
CIFAR10 = experiment_file.load(PUBLISHED).model.network
# Compiling is most of what these tests cost.
quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
ENCODER, DECODER = "8x2,8d2,4x2,4d4,1x2", "1x1,4m1,4x2,8m4,8x2"


def inputs(entry):
    return {name: jnp.asarray(wave(of)) for name, of in GOLDEN[entry]["inputs"].items()}


def test_gelu_is_exact_in_float32_and_keeps_its_tail_in_bfloat16():
    x = jnp.linspace(-6, 6, 97)  # of numbers that bfloat16 has, too
    exact = [0.5 * v * math.erfc(-v / math.sqrt(2)) for v in x.tolist()]
    np.testing.assert_allclose(gelu(x), exact, atol=2e-6)
    rounded = gelu(x.astype(jnp.bfloat16))
    assert rounded.dtype == jnp.bfloat16
    np.testing.assert_allclose(rounded.astype(np.float32), exact, rtol=2**-8, atol=2e-6)


# Distributions -------------------------------------------------------------------------------------------------------


def test_the_kl_of_two_normal_distributions_is_that_of_the_published_code():
    of = inputs("vdvae_gaussian_kl")
    found = losses.normal_kl_by_latent(of["mu1"], 2 * of["logsigma1"], of["mu2"], 2 * of["logsigma2"])
    np.testing.assert_allclose(found, GOLDEN["vdvae_gaussian_kl"]["outputs"]["kl"], rtol=1e-5)


def test_merged_precisions_are_those_of_the_definition():
    of = inputs("ladder_precision_weighted")
    given = of["mean"], of["logvar"], of["mean_top_down"], of["logvar_top_down"]
    expected = GOLDEN["ladder_precision_weighted"]["outputs"]
    mean, logvar = losses.precision_weighted(*given)
    np.testing.assert_allclose(mean, expected["mean"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(logvar, expected["logvar"], rtol=1e-5, atol=1e-6)


def test_the_residual_normal_is_nvaes():
    of, outputs = inputs("nvae_residual_normal"), GOLDEN["nvae_residual_normal"]["outputs"]
    numbers = of["prior_mu"], of["prior_log_sigma"]
    normals = residual_normals()
    prior, posterior = normals.prior(*numbers), normals.posterior(*numbers, of["delta_mu"], of["delta_log_sigma"])
    np.testing.assert_allclose(losses.normal_kl_by_latent(*posterior, *prior), outputs["kl_as_run"], rtol=2e-5)
    log_prob = losses.normal_log_prob(of["z"], *prior)
    np.testing.assert_allclose(log_prob, np.sum(outputs["log_p_of_z_under_prior"], -1), rtol=1e-5)
    # Without its bounds it is the paper's.
    exact = residual_normals(bound=1e4, least=0.0)
    prior, posterior = exact.prior(*numbers), exact.posterior(*numbers, of["delta_mu"], of["delta_log_sigma"])
    found = losses.normal_kl_by_latent(*posterior, *prior)
    np.testing.assert_allclose(found, outputs["kl_residual_definition_eq2"], rtol=2e-5)


# VDVAE ---------------------------------------------------------------------------------------------------------------


def tiny():
    """The published network at 8x8 pixels, and its likelihood."""
    likelihood = observation.mixture_of_logistics(2)
    shape, parameters = likelihood.made_for((8, 8, 3))
    network = c.VDVAE(ENCODER, DECODER, width=8, latents=3, centre=120 / 255, deviation=64 / 255)
    return network.hierarchy(shape, parameters, None), likelihood


def place(name):
    """Of a published parameter: where ours is."""
    parts = name.replace("decoder.out_net.", "").removeprefix("encoder.").removeprefix("decoder.").split(".")
    if parts[0] == "bias_xs":
        return (f"bias_xs_{(1, 4, 8)[int(parts[1])]}",)
    if parts[0] in ("enc_blocks", "dec_blocks"):
        parts = [f"{parts[0]}_{parts[1]}", *parts[2:]]
    return (*parts[:-1], "kernel" if parts[-1] == "weight" else parts[-1])


def ours(value, name):
    """A published array in our layout: OIHW becomes HWIO, a convolution of single pixels a matrix."""
    if name in ("decoder.gain", "decoder.bias"):
        return value.ravel()
    if "bias_xs" in name:
        return value[0].transpose(1, 2, 0)
    if value.ndim != 4:
        return value
    turned = value.transpose(2, 3, 1, 0)
    return turned if value.shape[2] == 3 else turned[0, 0]


@cache
def published():
    """(parameters, norms of gradients by place) of the golden file, in our tree."""
    params, norms = {}, {}
    for k, (name, shape, norm) in enumerate(TINY["parameters"]):
        values = (0.25 * np.sin(0.37 * np.arange(np.prod(shape)) + 0.1 + 0.5 * k)).reshape(shape)
        *path, last = place(name)
        inside = params
        for part in path:
            inside = inside.setdefault(part, {})
        inside[last] = jnp.asarray(ours(values, name), jnp.float32)
        norms[(*path, last)] = norm
    return params, norms


def golden_noise():
    pieces = []
    for block, side in enumerate((1, 4, 4, 4, 8, 8, 8)):
        i = np.arange(2 * 3 * side**2)
        draw = 1.3 * np.sin(0.37 * i + 0.1 + 0.5 * block)
        pieces.append(draw.reshape(2, 3, side, side).transpose(0, 2, 3, 1).reshape(2, -1))
    return jnp.asarray(np.concatenate(pieces, 1), jnp.float32)


def golden_images():
    i = np.arange(2 * 8 * 8 * 3)
    return jnp.asarray(np.round(127.5 + 127.5 * np.sin(0.73 * i + 0.2)).reshape(2, 8, 8, 3) / 255, jnp.float32)


def test_the_tiny_vdvae_is_the_published_one():
    network, likelihood = tiny()
    params, norms = published()

    @quick_jit
    def computed(params):
        def loss(params):
            descent = network.apply({"params": params}, golden_images(), golden_noise()[None], train=True)
            log_likelihood = likelihood.log_prob(descent.raw, golden_images())[0]
            kl = descent.kl[0]
            return (kl.sum(-1) - log_likelihood).mean() / (8 * 8 * 3), (log_likelihood.mean(), kl, descent.raw)

        sample = network.apply({"params": params}, 0.8 * golden_noise(), train=False, method="generate")
        return jax.value_and_grad(loss, has_aux=True)(params), sample

    ((loss, (log_likelihood, kl, raw)), grads), sample = computed(params)
    np.testing.assert_allclose(loss, TINY["elbo_nats_per_dim"], rtol=1e-5)
    np.testing.assert_allclose(-log_likelihood / (8 * 8 * 3), TINY["distortion"], rtol=1e-5)
    np.testing.assert_allclose(kl.T, TINY["kl_per_block_nats"], rtol=2e-5)
    last = params["out_conv"]
    for found, features in ((raw[0], "px_z_at_pixel_0_0"), (sample, "unconditional_t0_8_at_0_0")):
        expected = np.asarray(TINY[features]) @ np.asarray(last["kernel"]) + np.asarray(last["bias"])
        np.testing.assert_allclose(found[:, 0, 0], expected, rtol=1e-4, atol=1e-5)
    found = {
        tuple(key.key for key in path): np.linalg.norm(np.asarray(leaf, np.float64))
        for path, leaf in jax.tree_util.tree_leaves_with_path(grads)
    }
    assert found.keys() == norms.keys()
    for path, norm in norms.items():  # the smallest ones are rounding in float32
        np.testing.assert_allclose(found[path], norm, rtol=2e-3, atol=1e-7, err_msg="/".join(path))


def count(network, shape):
    total = sum(int(np.prod(layer)) for layer in network.layers)
    inputs = jax.ShapeDtypeStruct((2, *shape), np.float32), jax.ShapeDtypeStruct((1, 2, total), np.float32)
    made = jax.eval_shape(lambda x, noise: network.init(jax.random.key(0), x, noise, train=True), *inputs)
    return sum(leaf.size for leaf in jax.tree.leaves(made)), total


@pytest.mark.parametrize(
    ("config", "likelihood", "shape", "parameters"),
    [
        (CIFAR10, MIXTURE, (32, 32, 3), COUNTS["cifar10_parameters"]),
        (c.VDVAE(), observation.bernoulli(), (28, 28, 1), SMALL["mnist_small"]["parameters_without_dmol"] + 33),
    ],
    ids=["cifar10", "small 28"],
)
def test_parameters_are_as_many_as_those_of_the_published_code(config, likelihood, shape, parameters):
    network = config.hierarchy(*likelihood.made_for(shape), None)
    found, latents = count(network, shape)
    assert found == parameters
    if config == CIFAR10:
        assert latents == COUNTS["latents_per_image"]
        assert (len(network.encoder), len(network.decoder)) == (COUNTS["enc_blocks"], COUNTS["dec_blocks"])


def test_first_weights_that_add_to_x_are_as_published():
    """c4 and z_proj times the root of 1 / blocks, the prior's last convolution zero, all biases zero."""
    x, noise = jnp.zeros((1, 1, 1, 64)), jnp.zeros((1, 1, 1, 16))
    block = networks.TopDownBlock(64, 16, 16, spatial=False, share=1 / 43, normals=networks.absolute_normals())
    params = quick_jit(lambda: block.init(jax.random.key(0), x, noise, x)["params"])()

    def most(layer):
        assert not layer["bias"].any()
        return np.abs(layer["kernel"]).max()

    # Uniform from -1 to 1 over the root of the fan-in: the greatest of many is near the end.
    assert 0.9 < most(params["resnet"]["c4"]) * np.sqrt(16 * 43) <= 1
    assert 0.9 < most(params["z_proj"]) * np.sqrt(16 * 43) <= 1
    assert 0.9 < most(params["enc"]["c4"]) * np.sqrt(16) <= 1
    assert 0.9 < most(params["prior"]["c1"]) * np.sqrt(64) <= 1
    assert most(params["prior"]["c4"]) == 0
