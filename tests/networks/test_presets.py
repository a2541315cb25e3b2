"""Networks that were published: their layers, one by one, and the constants that the publication gives."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab.networks import (
    ArticleDecoder,
    ArticleDiscriminator,
    ArticleEncoder,
    ArticleGenerator,
    DCGANDiscriminator,
    DCGANGenerator,
    MLPDecoder,
    MLPEncoder,
)

LATENT = 100


def parameter_shapes(module, x_shape) -> dict[str, dict[str, tuple[int, ...]]]:
    """{layer: {parameter: shape}} in the order in which the network calls its layers."""
    layers = {}

    def init(key, x):
        # Noted while tracing, for `eval_shape` returns dictionaries sorted by name.
        for name, leaves in module.init(key, x, train=True)["params"].items():
            layers[name] = {parameter: leaf.shape for parameter, leaf in leaves.items()}

    jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, *x_shape)))
    return layers


def count(layers) -> int:
    return sum(math.prod(shape) for leaves in layers.values() for shape in leaves.values())


def dense(inputs, outputs):
    return {"kernel": (inputs, outputs), "bias": (outputs,)}


def norm(features):
    return {"scale": (features,), "bias": (features,)}


# The article's networks at 16 pixels and one channel. The numbers of parameters are counted by hand from the design's
# table, and not from the dictionaries beside them.
GENERATOR = {
    "Dense_0": dense(LATENT, 128),
    "BatchNorm_0": norm(128),
    "Dense_1": dense(128, 128),
    "BatchNorm_1": norm(128),
    "Dense_2": dense(128, 256),
    "BatchNorm_2": norm(256),
    "Dense_3": dense(256, 512),
    "BatchNorm_3": norm(512),
    "Dense_4": dense(512, 1024),
    "BatchNorm_4": norm(1024),
    "Dense_5": dense(1024, 4 * 4 * 256),
    "BatchNorm_5": norm(4 * 4 * 256),
    "ConvTranspose_0": {"kernel": (5, 5, 128, 256)},
    "BatchNorm_6": norm(128),
    "ConvTranspose_1": {"kernel": (5, 5, 64, 128)},
    "BatchNorm_7": norm(64),
    "ConvTranspose_2": {"kernel": (5, 5, 1, 64), "bias": (1,)},
}
GENERATOR_COUNT = (
    (12_800 + 128 + 256)  # Dense 100 -> 128, its bias, BatchNorm's scale and shift
    + (16_384 + 128 + 256)  # 128 -> 128
    + (32_768 + 256 + 512)  # 128 -> 256
    + (131_072 + 512 + 1_024)  # 256 -> 512
    + (524_288 + 1_024 + 2_048)  # 512 -> 1024
    + (4_194_304 + 4_096 + 8_192)  # 1024 -> 4096
    + (819_200 + 256)  # 5x5, 256 -> 128, BatchNorm
    + (204_800 + 128)  # 5x5, 128 -> 64, BatchNorm
    + (1_600 + 1)  # 5x5, 64 -> 1
)
DISCRIMINATOR = {
    "Conv_0": {"kernel": (5, 5, 1, 64)},
    "BatchNorm_0": norm(64),
    "Conv_1": {"kernel": (5, 5, 64, 128)},
    "BatchNorm_1": norm(128),
    "Conv_2": {"kernel": (5, 5, 128, 256)},
    "BatchNorm_2": norm(256),
    "Dense_0": dense(2 * 2 * 256, 1),
}
DISCRIMINATOR_COUNT = (1_600 + 128) + (204_800 + 256) + (819_200 + 512) + (1_024 + 1)
ENCODER = {
    "Conv_0": {"kernel": (3, 3, 1, 32)},
    "Conv_1": {"kernel": (3, 3, 32, 64)},
    "Dense_0": dense(4 * 4 * 64, 128),
    "mean": dense(128, LATENT),
    "logvar": dense(128, LATENT),
}
ENCODER_COUNT = 288 + 18_432 + (131_072 + 128) + 2 * (12_800 + 100)
DECODER = {
    "Dense_0": dense(LATENT, 128 * 4 * 4),
    "ConvTranspose_0": {"kernel": (5, 5, 64, 128)},
    "ConvTranspose_1": {"kernel": (5, 5, 32, 64)},
    "Conv_0": {"kernel": (3, 3, 32, 1), "bias": (1,)},
}
DECODER_COUNT = (204_800 + 2_048) + 204_800 + 51_200 + (288 + 1)


@pytest.mark.parametrize(
    ("module", "x_shape", "layers", "parameters"),
    [
        pytest.param(ArticleGenerator((16, 16, 1)), (LATENT,), GENERATOR, GENERATOR_COUNT, id="generator"),
        pytest.param(ArticleDiscriminator(), (16, 16, 1), DISCRIMINATOR, DISCRIMINATOR_COUNT, id="discriminator"),
        pytest.param(ArticleEncoder(LATENT), (16, 16, 1), ENCODER, ENCODER_COUNT, id="encoder"),
        pytest.param(ArticleDecoder((16, 16, 1)), (LATENT,), DECODER, DECODER_COUNT, id="decoder"),
    ],
)
def test_article_at_16_pixels(module, x_shape, layers, parameters):
    made = parameter_shapes(module, x_shape)
    assert list(made.items()) == list(layers.items())
    assert count(made) == parameters


@pytest.mark.parametrize(("side", "base"), [(16, 4), (28, 7), (32, 8)])
def test_article_at_other_sizes_differs_in_its_spatial_base_only(side, base):
    assert parameter_shapes(ArticleGenerator((side, side, 1)), (LATENT,)) == GENERATOR | {
        "Dense_5": dense(1024, base * base * 256),
        "BatchNorm_5": norm(base * base * 256),
    }
    assert parameter_shapes(ArticleDecoder((side, side, 1)), (LATENT,)) == DECODER | {
        "Dense_0": dense(LATENT, 128 * base * base)
    }


def test_article_batch_norm_follows_relu_with_keras_momenta():
    """After one step from (0, 1) the average is momentum * old + (1 - momentum) * the batch's."""
    module = ArticleGenerator((4, 4, 1))

    @jax.jit
    def one_step(key, z):
        variables = module.init(key, z, train=True)
        collections = ["batch_stats", "intermediates"]
        return module.apply(variables, z, train=True, mutable=collections, capture_intermediates=True)[1]

    updates = one_step(jax.random.key(0), jax.random.normal(jax.random.key(1), (8, LATENT)))
    for layer, norm_name, momentum in (("Dense_0", "BatchNorm_0", 0.8), ("ConvTranspose_0", "BatchNorm_6", 0.99)):
        before = np.maximum(updates["intermediates"][layer]["__call__"][0], 0)
        axes = tuple(range(before.ndim - 1))
        averages = updates["batch_stats"][norm_name]
        np.testing.assert_allclose(averages["mean"], (1 - momentum) * before.mean(axes), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(averages["var"], momentum + (1 - momentum) * before.var(axes), rtol=1e-4)


def test_dcgan_at_28_pixels():
    assert list(parameter_shapes(DCGANGenerator((28, 28, 1)), (LATENT,)).items()) == [
        ("Dense_0", {"kernel": (LATENT, 7 * 7 * 128)}),
        ("BatchNorm_0", norm(128)),
        ("ConvTranspose_0", {"kernel": (5, 5, 64, 128)}),
        ("BatchNorm_1", norm(64)),
        ("ConvTranspose_1", {"kernel": (5, 5, 1, 64), "bias": (1,)}),
    ]
    assert list(parameter_shapes(DCGANDiscriminator(), (28, 28, 1)).items()) == [
        ("Conv_0", {"kernel": (5, 5, 1, 64), "bias": (64,)}),
        ("Conv_1", {"kernel": (5, 5, 64, 128)}),
        ("BatchNorm_0", norm(128)),
        ("Dense_0", dense(7 * 7 * 128, 1)),
    ]


def test_dcgan_at_64_pixels_and_width_128_is_the_papers():
    """Figure 1 of Radford et al.: 4x4x1024, 8x8x512, 16x16x256, 32x32x128, 64x64x3."""
    layers = parameter_shapes(DCGANGenerator((64, 64, 3), width=128), (LATENT,))
    assert [leaves["kernel"] for leaves in layers.values() if "kernel" in leaves] == [
        (LATENT, 4 * 4 * 1024),
        (5, 5, 512, 1024),
        (5, 5, 256, 512),
        (5, 5, 128, 256),
        (5, 5, 3, 128),
    ]


def test_dcgan_initial_weights():
    init = jax.jit(partial(DCGANGenerator((28, 28, 1)).init, train=True))
    params = init(jax.random.key(0), jnp.zeros((1, 10)))["params"]
    # 5 standard errors of a standard deviation: 5 sd / sqrt(2 n).
    for kernel in (params["Dense_0"]["kernel"], params["ConvTranspose_0"]["kernel"]):
        np.testing.assert_allclose(np.std(kernel), 0.02, rtol=5 / math.sqrt(2 * kernel.size))
    scale = params["BatchNorm_0"]["scale"]
    np.testing.assert_allclose(np.mean(scale), 1, atol=5 * 0.02 / math.sqrt(scale.size))
    np.testing.assert_allclose(np.std(scale), 0.02, rtol=5 / math.sqrt(2 * scale.size))


def test_burdas_networks():
    """784-200-200-50 and back."""
    assert list(parameter_shapes(MLPEncoder(), (28, 28, 1)).items()) == [
        ("Dense_0", dense(784, 200)),
        ("Dense_1", dense(200, 200)),
        ("mean", dense(200, 50)),
        ("logvar", dense(200, 50)),
    ]
    assert list(parameter_shapes(MLPDecoder((28, 28, 1)), (50,)).items()) == [
        ("Dense_0", dense(50, 200)),
        ("Dense_1", dense(200, 200)),
        ("Dense_2", dense(200, 784)),
    ]
