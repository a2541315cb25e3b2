"""SNGAN, SAGAN, BigGAN and BigGAN-deep against the published ones: outputs, counts, sizes, and what is normalised."""

import json
import math
import re
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import networks
from gvlab.networks.biggan import ORTHOGONAL
from gvlab.networks.residual import GLOROT_BEFORE_RELU, plain
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "residual.json").read_text())


def arr(shape, scale, k):
    return (scale * np.sin(0.37 * np.arange(math.prod(shape)) + 0.1 + 0.7 * k)).reshape(shape)


def stored(entry):
    return np.reshape(entry["values"], entry["shape"])


# The published parameters by our names -------------------------------------------------------------------------------

LEAVES = {
    "gain.weight": ("gain", "kernel"),
    "weight": ("kernel",),
    "bias": ("bias",),
    "bias.weight": ("shift", "kernel"),
}
IN_RESIDUAL = {"bn1": "n1", "bn2": "n2", "conv2d0": "S", "conv2d1": "C1", "conv2d2": "C2"}
IN_BOTTLENECK = {f"bn{n}": f"n{n}" for n in range(1, 5)} | {
    "conv2d0": "S", "conv2d1": "D1", "conv2d2": "C2", "conv2d3": "C3", "conv2d4": "D4",
}  # fmt: skip
ATTENTION = {"conv1x1_theta": "theta", "conv1x1_phi": "phi", "conv1x1_g": "g", "conv1x1_attn": "o"}
OUTSIDE = {
    "linear0.weight": ("first", "kernel"),
    "linear0.bias": ("first", "bias"),
    "shared.weight": ("shared", "kernel"),
    "bn4.weight": ("norm", "scale"),
    "bn4.bias": ("norm", "bias"),
    "conv2d5.weight": ("image", "kernel"),
    "conv2d5.bias": ("image", "bias"),
    "input_conv.weight": ("first", "kernel"),
    "input_conv.bias": ("first", "bias"),
    "linear1.weight": ("head", "logit", "kernel"),
    "linear1.bias": ("head", "logit", "bias"),
    "embedding.weight": ("head", "embedding", "kernel"),
}


def our_blocks(listed, depth):
    """Which block of ours each number in the published list of them is; attention has a number, too."""
    numbers = sorted({int(name.split(".")[1]) for name, *_ in listed if name.startswith("blocks")})
    attention = {int(name.split(".")[1]) for name, *_ in listed if name.endswith("sigma")}
    blocks = [n for n in numbers if n not in attention]
    if depth == 1:
        return dict.fromkeys(attention, "attention") | {n: f"block{i}" for i, n in enumerate(blocks, 1)}
    return dict.fromkeys(attention, "attention") | {
        n: f"stage{i // depth + 1}_block{i % depth + 1}" for i, n in enumerate(blocks)
    }


def published(listed, depth):
    blocks, params = our_blocks(listed, depth), {}
    for k, (name, shape, scale, offset) in enumerate(listed):
        array = offset + arr(shape, scale, k)
        if found := re.fullmatch(r"blocks\.(\d+)\.0\.(\w+)(?:\.(.*))?", name):
            block, layer, leaf = blocks[int(found[1])], found[2], found[3]
            within = ATTENTION if block == "attention" else IN_RESIDUAL if depth == 1 else IN_BOTTLENECK
            path = (block, "gamma") if layer == "sigma" else (block, within[layer], *LEAVES[leaf])
        else:
            path = OUTSIDE[name]
        inner = params
        for key in path[:-1]:
            inner = inner.setdefault(key, {})
        inner[path[-1]] = jnp.asarray(our_layout(array, name))
    return params


def our_layout(array, name):
    if name.endswith("sigma"):
        return array[0]
    if name.startswith("linear0"):  # onto [channel, 4, 4] there, onto [4, 4, channel] here
        array = np.moveaxis(array.reshape(-1, 4, 4, *array.shape[1:]), 0, 2).reshape(array.shape)
    if array.ndim == 4:
        array = array[:, :, 0, 0].T if array.shape[2:] == (1, 1) else array.transpose(2, 3, 1, 0)
        return array
    table = name in ("shared.weight", "embedding.weight")
    return array.T if array.ndim == 2 and not table else array


# StudioGAN's own widths, and what its small networks have per stage.
SMALL = {
    "sngan32_small": (networks.studiogan_sngan_networks((32, 32, 3), 4), 1),
    "biggan32_small": (networks.biggan_networks((32, 32, 3), 8), 1),
    "bigganDeep32_small": (networks.biggan_deep_networks((32, 32, 3), 8), 2),
}


@pytest.mark.parametrize("name", SMALL)
def test_both_networks_give_the_published_outputs(name):
    """Without spectral norm, on the batch's statistics."""
    golden, ((generator, discriminator), depth) = GOLDEN[name], SMALL[name]
    with jax.enable_x64(True):
        if length := golden["G_config"]["g_shared_dim"]:
            generator = generator.clone(embedding=length)
        generator, discriminator = generator.clone(layers=plain), discriminator.clone(layers=plain)
        z, y = jnp.asarray(arr((2, 8), 1, 1)), jnp.eye(3)[jnp.array([1, 0])]
        x = jnp.asarray(np.moveaxis(arr((2, 3, 32, 32), 0.8, 5), 1, -1))

        @jax.jit
        def both(g, d):
            images, _ = generator.apply({"params": g}, z, y, train=True, mutable=["batch_stats"])
            return images, discriminator.apply({"params": d}, x, y, train=True)

        images, logits = map(np.asarray, both(*(published(golden[f"{player}_parameters"], depth) for player in "GD")))
    first = stored(golden["G_output_channel0_image0"])
    np.testing.assert_allclose(images[0, :, :, 0], first, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(images.sum((1, 2, 3)), stored(golden["G_sums"]), rtol=1e-6)
    np.testing.assert_allclose(np.abs(images).sum((1, 2, 3)), stored(golden["G_abs_sums"]), rtol=1e-7)
    np.testing.assert_allclose(logits, stored(golden["D_logits"]), rtol=1e-8)


# Sizes ---------------------------------------------------------------------------------------------------------------


def shapes_of(network, x, classes):
    """Everything that the network begins with, and what it gives for two examples, without computing anything."""
    y = jnp.zeros((2, classes)) if classes else None
    init = partial(network.init_with_output, train=True)
    out, variables = jax.eval_shape(init, jax.random.key(0), jnp.zeros((2, *x)), y)
    return out.shape, variables


def count(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


STUDIOGAN, MIMICRY = "studiogan_parameter_counts", "mimicry_parameter_counts"
PUBLISHED = [
    (networks.sngan_networks, 32, 128, 10, MIMICRY, "cGAN-PD 32"),
    (networks.sngan_networks, 32, 128, 0, STUDIOGAN, "SNGAN 32 uncond"),
    (networks.sngan_networks, 48, 128, 0, MIMICRY, "SNGAN48"),
    (networks.sngan_networks, 64, 128, 0, MIMICRY, "SNGAN64"),
    (networks.studiogan_sngan_networks, 64, 128, 0, STUDIOGAN, "SNGAN 64 uncond"),
    (networks.sagan_networks, 32, 128, 10, MIMICRY, "SAGAN 32"),
    (networks.biggan_networks, 32, 80, 10, STUDIOGAN, "BigGAN 32 cond (z 80, shared 128, ch 96, attention)"),
    (networks.biggan_deep_networks, 32, 128, 10, STUDIOGAN, "BigGAN-deep 32 cond legacy (z 128, ch 128, depth 2)"),
    (networks.studiogan_biggan_deep_networks, 32, 128, 10, STUDIOGAN, "BigGAN-deep 32 cond StudioGAN variant"),
]


@pytest.mark.parametrize(("make", "side", "latent", "classes", "library", "name"), PUBLISHED)
def test_the_published_sizes_have_the_published_counts(make, side, latent, classes, library, name):
    """And every weight of a discriminator, and of SAGAN's and BigGAN's generators, its two vectors."""
    shape = (side, side, 3)
    generator, discriminator = make(shape)
    made, of_generator = shapes_of(generator, (latent,), classes)
    judged, of_discriminator = shapes_of(discriminator, shape, classes)
    assert (made, judged) == ((2, *shape), (2,))
    assert (count(of_generator["params"]), count(of_discriminator["params"])) == tuple(GOLDEN[library][name].values())
    assert normalised(of_discriminator) == with_weights(of_discriminator)
    aside = {"['shared']"} | {name for name in with_weights(of_generator) if re.search("gain|shift", name)}
    if "SNGAN" in name or "cGAN" in name:
        assert "spectral" not in of_generator
    else:
        assert normalised(of_generator) - aside == with_weights(of_generator) - aside
        assert "['shared']" not in normalised(of_generator)


def with_weights(variables):
    """The layers that have a kernel."""
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(variables["params"])]
    return {path.removesuffix("['kernel']") for path in paths if path.endswith("['kernel']")}


def normalised(variables):
    """The layers that have u and v."""
    paths = {jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(variables["spectral"])}
    layers = {path.removesuffix("['u']") for path in paths if path.endswith("['u']")}
    assert paths == {f"{layer}['{vector}']" for layer in layers for vector in "uv"}
    return layers


@pytest.mark.parametrize(
    ("make", "shape", "classes"),
    [
        (networks.sngan_networks, (28, 28, 1), 0),
        (networks.sngan_networks, (41, 48, 2), 3),
        (networks.sagan_networks, (25, 32, 3), 0),
        (networks.biggan_networks, (60, 64, 1), 0),
        (networks.biggan_deep_networks, (57, 57, 4), 0),
    ],
)
def test_other_sizes_are_made_and_judged_at_any_width(make, shape, classes):
    generator, discriminator = make(shape, 2)
    assert shapes_of(generator, (20,), classes)[0] == (2, *shape)
    assert shapes_of(discriminator, shape, classes)[0] == (2,)


@pytest.mark.parametrize(
    ("make", "shape", "sentence"),
    [
        (networks.sngan_networks, (24, 32, 1), r"SNGAN makes images of 25 to 32 or 41 to 48 or 57 to 64 pixels a side"),
        (networks.studiogan_sngan_networks, (48, 48, 1), r"25 to 32 or 57 to 64 pixels a side, not of shape \(48, 48"),
        (networks.sagan_networks, (33, 32, 1), r"SAGAN makes images of 25 to 32 pixels a side, not of shape \(33, 32"),
        (networks.biggan_networks, (2,), r"BigGAN makes images of .*, not of shape \(2,\): use DCGAN or R3GAN, or"),
        (networks.biggan_deep_networks, (128, 128, 3), r"BigGANDeep makes images of .*, not of shape \(128"),
    ],
)
def test_other_sizes_are_refused(make, shape, sentence):
    with pytest.raises(UserError, match=sentence):
        make(shape)


def test_latents_that_do_not_come_in_parts_are_refused():
    generator, _ = networks.biggan_networks((32, 32, 3), 2)
    with pytest.raises(UserError, match="shares the latents equally among 4 places, but latent_dim is 10: use a mul"):
        shapes_of(generator, (10,), 0)


# Training ------------------------------------------------------------------------------------------------------------


def test_only_a_training_pass_advances_a_networks_vectors():
    """Not one of evaluation, nor one for which they are no state: a penalty's, or the generator's step."""
    discriminator = networks.ResidualDiscriminator(8, widths=(2, 4), hidden=(2, 2), halvings=1)
    x = jnp.asarray(arr((2, 6, 8, 3), 0.9, 1), jnp.float32)

    @jax.jit
    def passes(key):
        variables = discriminator.init(key, x, train=True)
        apply = partial(discriminator.apply, variables, x)
        trained, advanced = apply(train=True, mutable=["spectral"])
        evaluated, same = apply(train=False, mutable=["spectral"])
        return variables["spectral"], advanced["spectral"], same["spectral"], trained, evaluated, apply(train=True)

    before, advanced, same, trained, evaluated, read = passes(jax.random.key(0))
    for (path, a), b, c in zip(
        jax.tree.leaves_with_path(before), jax.tree.leaves(advanced), jax.tree.leaves(same), strict=True
    ):
        np.testing.assert_array_equal(a, c)
        # What one output or one input has is found at once.
        assert path[-1].key == "v" or a.size == 1 or not np.allclose(a, b)
    np.testing.assert_allclose(read, evaluated, rtol=1e-6)
    assert not np.allclose(read, trained)


def test_weights_begin_as_published():
    """Orthogonal in BigGAN; in SNGAN uniform, with a variance of 4 / (fan in + fan out) in the blocks' kernels."""

    @jax.jit
    def draw(key):
        return ORTHOGONAL(key, (3, 3, 2, 6)), GLOROT_BEFORE_RELU(key, (3, 3, 20, 40))

    orthogonal, uniform = draw(jax.random.key(0))
    matrix = orthogonal.reshape(-1, 6)
    np.testing.assert_allclose(matrix.T @ matrix, jnp.eye(6), atol=1e-5)
    np.testing.assert_allclose(jnp.abs(uniform).max(), math.sqrt(12 / (9 * (20 + 40))), rtol=1e-3)
