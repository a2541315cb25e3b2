"""StyleGAN2 against the published networks: their pieces, whole small ones, path lengths with gradients, counts."""

import json
import math
import re
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import config as c
from gvlab import losses, networks
from gvlab.losses import styles
from gvlab.networks.stylegan2 import StyleGAN2Generator
from gvlab.networks.stylegan2_discriminator import BLOCKS, StyleGAN2Discriminator
from gvlab.types import UserError

# Compiling is most of what these tests cost, and the networks are too small to gain from LLVM's passes.
quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "stylegan2.json").read_text())


def arr(shape, scale, k):
    return (scale * np.sin(0.37 * np.arange(math.prod(shape)) + 0.1 + 0.7 * k)).reshape(shape)


def stored(entry):
    return np.reshape(entry["values"], entry["shape"])


def nhwc(x):
    return np.moveaxis(np.asarray(x), 1, -1)


# The published parameters by our names -------------------------------------------------------------------------------


def ours(name: str, of_generator: bool) -> tuple[str, ...]:
    """synthesis.b8.conv0.affine.weight lies at synthesis/b8_conv0/affine/kernel."""
    name = name.replace("synthesis.b4.const", "synthesis.constant")
    name = re.sub(r"weight$", "kernel", name)
    if of_generator:
        name = re.sub(r"synthesis\.(b\d+)\.", r"synthesis.\1_", name)
    return tuple(re.sub(r"^b4\.", "b4_", name).split("."))


def our_layout(value: np.ndarray, name: str) -> np.ndarray:
    """Kernels [rows, columns, in, out] and [in, out]; maps with their channels last."""
    if name.endswith("const"):
        return np.moveaxis(value, 0, -1)
    if name == "b4.fc.weight":  # of maps of 4x4, flattened
        return value.reshape(len(value), -1, 16).transpose(2, 1, 0).reshape(-1, len(value))
    if name.endswith("weight") and value.ndim == 4:
        kernel = value.transpose(2, 3, 1, 0)
        return kernel[0, 0] if "torgb" in name else kernel
    return value.T if name.endswith("weight") else value


def published(parameters, of_generator: bool) -> dict:
    params: dict = {}
    for k, (name, shape, scale, offset) in enumerate(parameters):
        *path, last = ours(name, of_generator)
        inner = params
        for key in path:
            inner = inner.setdefault(key, {})
        inner[last] = jnp.asarray(our_layout(offset + arr(shape, scale, k), name))
    return params


def at(params, name, of_generator=True):
    for key in ours(name, of_generator):
        params = params[key]
    return params


LABELS = np.eye(3)[[0, 1, 2, 1]]


# Pieces --------------------------------------------------------------------------------------------------------------


def test_convolutions_agree():
    golden, resampled = GOLDEN["modulated_conv2d"]["outputs"], GOLDEN["conv2d_resample"]["outputs"]
    with jax.enable_x64(True):
        x = jnp.asarray(nhwc(arr((2, 3, 6, 6), 1, 1)))
        kernel, point = (
            jnp.asarray(arr((4, 3, size, size), 0.3, 2).transpose(2, 3, 1, 0)) for size in (3, 1)
        )  # fmt: skip
        styles = jnp.asarray(1 + arr((2, 3), 0.5, 3))

        @quick_jit
        def everything(x, kernel, point, styles):
            twice = networks.modulated_conv(x, kernel, styles, networks.up_conv)
            modulated = {
                "plain": networks.modulated_conv(x, kernel, styles),
                "up2": twice,
                "up2_noise": twice + nhwc(arr((2, 1, 12, 12), 0.1, 4)),
                "down2": networks.modulated_conv(x, kernel, styles, networks.down_conv),
            }
            return modulated, {
                "up2_flip_weight_false": networks.up_conv(x, kernel),
                "up2": networks.up_conv(x, kernel[::-1, ::-1]),
                "down2": networks.down_conv(x, kernel),
                "down2_1x1": networks.down_conv(x, point),
            }

        for found, expected in zip(everything(x, kernel, point, styles), (golden, resampled), strict=True):
            for name, images in found.items():
                np.testing.assert_allclose(images, nhwc(stored(expected[name])), rtol=1e-6, atol=1e-7, err_msg=name)


def test_an_odd_side_cannot_be_halved():
    with pytest.raises(UserError, match="Images of 5x6 pixels cannot be halved: both sides must be even"):
        networks.down_conv(jnp.zeros((1, 5, 6, 1)), jnp.zeros((3, 3, 1, 1)))


def test_the_deviation_of_a_batch_agrees():
    golden = GOLDEN["minibatch_stddev"]["outputs"]
    with jax.enable_x64(True):
        x = jnp.asarray(nhwc(arr((8, 4, 3, 3), 1, 1)))
        groups = {name: re.fullmatch(r"group (\w+) channels (\d)", name).groups() for name in golden}

        @quick_jit
        def appended(x):
            return {
                name: networks.minibatch_stddev(x, 8 if group == "None" else int(group), int(maps))
                for name, (group, maps) in groups.items()
            }

        for name, found in appended(x).items():
            x, found = np.asarray(x), np.asarray(found)
            np.testing.assert_array_equal(found[..., :4], x)
            np.testing.assert_allclose(found[:, 1, 2, 4:], stored(golden[name]), rtol=1e-7)
            np.testing.assert_array_equal(found[:, 0, 0, 4:], found[:, 2, 1, 4:])


def test_a_batch_that_groups_do_not_divide_is_completed():
    x = jnp.asarray(arr((5, 1, 1, 2), 1.0, 0), jnp.float32)
    completed = networks.minibatch_stddev(jnp.concatenate([x, x[:1]]), 3)[:5]
    np.testing.assert_array_equal(networks.minibatch_stddev(x, 3), completed)
    with pytest.raises(UserError, match="2 channels cannot be shared equally among 3 maps"):
        networks.minibatch_stddev(x, maps=3)


def test_devices_have_the_deviation_of_the_whole_batch():
    x = jnp.asarray(arr((8, 1, 1, 2), 1.0, 0), jnp.float32)
    shares = jax.jit(jax.vmap(partial(networks.minibatch_stddev, axis_name="data"), axis_name="data"))(
        x.reshape(4, 2, 1, 1, 2)
    )
    np.testing.assert_allclose(shares.reshape(8, 1, 1, 3), networks.minibatch_stddev(x), rtol=1e-6)


# Whole networks ------------------------------------------------------------------------------------------------------


def generator():
    config = GOLDEN["stylegan2_small_generator"]["config"]
    return StyleGAN2Generator((16, 16, 3), (8, 8, 4), config["w_dim"], config["mapping_layers"])


def published_generator():
    """Parameters, and the constant noise."""
    golden = GOLDEN["stylegan2_small_generator"]
    noise: dict = {}
    for name, shape, k in golden["noise_buffers"]:
        _, stage, layer, _ = name.split(".")
        noise[f"{stage}_{layer}"] = {"constant": jnp.asarray(arr(shape, 1, k))}
    return published(golden["parameters"], True), {"synthesis": noise}


def test_the_generator_and_its_path_lengths_agree(monkeypatch):
    """Images and styles with constant noise; the term and the gradients of all parameters."""
    golden, of_paths = GOLDEN["stylegan2_small_generator"], GOLDEN["path_length"]
    module, term, noise = generator(), losses.path_length(2.0), nhwc(arr((2, 3, 16, 16), 1, 31))
    monkeypatch.setattr(styles.rng, "normal", lambda key, shape, axis_name: jnp.asarray(noise))
    with jax.enable_x64(True):
        params, constant = published_generator()
        z, y = jnp.asarray(arr((4, 6), 1, 1)), jnp.asarray(LABELS)

        def half(params, method, *inputs):
            return module.apply({"params": params, "noise": constant}, *inputs, train=False, method=method)

        def objective(params):
            ws = half(params, "styles", z, y)
            images = half(params, "images", ws)

            def styled(z):
                return half(params, "styles", z, y[: len(z)]), lambda ws: half(params, "images", ws)

            nothing = jnp.zeros(4)
            this = losses.Round(0, None, images, images, z, None, None, nothing, nothing, styled=styled)
            loss, memory = term.value(this, {"length": jnp.asarray(0.5)})
            lengths = styles.path_lengths(styled(z)[1], ws[:2], jnp.asarray(noise / 16))
            return loss.mean(), (ws, images, loss, lengths, memory["length"])

        (_, (ws, images, loss, lengths, mean)), grads = quick_jit(jax.value_and_grad(objective, has_aux=True))(params)
    images, lengths, mean = map(np.asarray, (images, lengths, mean))
    assert ws.shape[1] == golden["num_ws"]
    np.testing.assert_allclose(ws[:, 0], stored(golden["ws_first"]), rtol=1e-6)
    np.testing.assert_allclose(images[0], np.moveaxis(stored(golden["image_first"]), 0, -1), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(images.sum((1, 2, 3)), stored(golden["image_sums"]), rtol=1e-6)
    np.testing.assert_allclose((lengths - mean) ** 2, stored(of_paths["pl_penalty_per_example"]), rtol=1e-6)
    np.testing.assert_allclose(loss, [stored(of_paths["loss_per_example"]).mean()] * 4, rtol=1e-6)
    np.testing.assert_allclose(mean, of_paths["pl_mean_after"], rtol=1e-8)
    for name, expected in of_paths["grad_of_mean_loss"].items():
        np.testing.assert_allclose(
            at(grads, name), our_layout(stored(expected), name), rtol=1e-6, atol=1e-6, err_msg=name
        )
    for name, expected in of_paths["grad_abs_sum_all"].items():
        np.testing.assert_allclose(np.abs(np.asarray(at(grads, name))).sum(), expected, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("architecture", BLOCKS)
def test_the_discriminators_agree(architecture):
    golden = GOLDEN[f"stylegan2_small_discriminator_{architecture}"]
    config = golden["config"]
    module = StyleGAN2Discriminator(
        (4, 8, 8), BLOCKS[architecture], config["mapping_layers"], config["mbstd_group_size"]
    )
    with jax.enable_x64(True):
        x = jnp.asarray(nhwc(arr((4, 3, 16, 16), 0.8, 5)))
        params = published(golden["parameters"], False)
        found = quick_jit(partial(module.apply, train=True))({"params": params}, x, jnp.asarray(LABELS))
    np.testing.assert_allclose(found, stored(golden["output"])[:, 0], rtol=1e-6)


CIFAR = c.StyleGAN2(mapping_layers=2, architecture="orig")
PUBLISHED = {
    "cifar (32, channel_base 32768, map 2, orig) unconditional": (32, 0, CIFAR),
    "cifar conditional 10": (32, 10, CIFAR),
    "64 px auto (channel_base 16384, map 2, resnet) unconditional": (64, 0, c.StyleGAN2(512, 32, mapping_layers=2)),
    "64 px paper-like (32768, map 8, resnet)": (64, 0, c.StyleGAN2()),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_sizes_have_the_published_counts(name):
    side, classes, config = PUBLISHED[name]
    golden, y = GOLDEN["stylegan2_parameter_counts"][name], jnp.zeros((1, classes)) if classes else None
    made = config.networks((side, side, 3), classes, None)
    inputs = jnp.zeros((1, 512)), jnp.zeros((1, side, side, 3))
    for network, x, player in zip(made, inputs, "GD", strict=True):
        variables = jax.eval_shape(lambda n=network, x=x: n.init(jax.random.key(0), x, y, train=True))
        assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"])) == golden[player]


def test_sizes_between_are_made_and_judged():
    """28x27 of 32x32; outside of a train step they don't ask for other devices."""
    generator, discriminator = networks.stylegan2_networks((28, 27, 1), 4, mapping_layers=1, axis_name="data")

    def both(key):
        x, variables = generator.init_with_output(key, jnp.zeros((3, 2)), train=True)
        x = generator.apply(variables, jnp.zeros((3, 2)), train=False)
        return x, variables, discriminator.apply(discriminator.init(key, x, train=True), x, train=False)

    x, variables, logits = jax.eval_shape(both, jax.random.key(0))
    assert (x.shape, logits.shape) == ((3, 28, 27, 1), (3,))
    assert variables["noise"]["synthesis"]["b32_conv0"]["constant"].shape == (32, 32)


@pytest.mark.parametrize("shape", [(2,), (20, 20, 1), (48, 48, 3), (512, 512, 3)])
def test_other_sizes_are_refused(shape):
    with pytest.raises(UserError, match=r"StyleGAN2 makes images of 9 to 16 or .* or 249 to 256 pixels a side, not of"):
        networks.stylegan2_networks(shape)


# What is drawn -------------------------------------------------------------------------------------------------------

SMALL = StyleGAN2Generator((7, 8, 1), (4, 3), units=5, mapping_layers=2, mixing=0.5)
LAYERS = 4


@pytest.fixture(scope="module")
def variables():
    return quick_jit(partial(SMALL.init, train=True))(jax.random.key(0), jnp.zeros((2, 3)))


def loud(variables):
    """With the noise at full strength, which a network begins without."""

    def louder(path, leaf):
        return jnp.ones(()) if path[-1].key == "noise_strength" else leaf

    return {**variables, "params": jax.tree_util.tree_map_with_path(louder, variables["params"])}


def test_weights_begin_as_published(variables):
    """N(0, 1), in the mapping of 100 times the deviation; biases 0, those of modulations 1; no noise."""
    flat = {jax.tree_util.keystr(p): v for p, v in jax.tree_util.tree_leaves_with_path(variables["params"])}
    kernels = {name: v / (100 if "fc" in name else 1) for name, v in flat.items() if "kernel" in name}
    everything = np.concatenate([np.ravel(v) for v in kernels.values()])
    assert abs(everything.std() - 1) < 5 / math.sqrt(2 * everything.size)
    assert abs(np.ravel(flat["['mapping']['fc1']['kernel']"]).std() / 100 - 1) < 5 / math.sqrt(2 * 25)
    for name, value in flat.items():
        if "bias" in name or "strength" in name:
            np.testing.assert_array_equal(value, 1.0 if "affine" in name else 0.0, err_msg=name)


def test_noise_is_drawn_in_training_and_kept_in_evaluation(variables):
    variables, z = loud(variables), jnp.ones((2, 3))

    keys = jax.random.split(jax.random.key(0), 2)[jnp.array([0, 0, 1])]

    @quick_jit
    def images(keys):
        drawn = jax.vmap(lambda key: SMALL.apply(variables, z, train=True, rngs={"noise": key}))(keys)
        return (*drawn, *(SMALL.apply(variables, z, train=train) for train in (True, False)))

    drawn, again, other, still, steady = images(keys)
    np.testing.assert_array_equal(drawn, again)
    assert (np.abs(drawn - other) > 0.01).mean() > 0.8
    assert (np.abs(drawn[0] - drawn[1]) > 0.01).mean() > 0.8  # of one latent: each image has noise of its own
    np.testing.assert_allclose(steady[0], steady[1], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(still, steady)


def test_styles_are_mixed_from_a_random_layer_on(variables):
    """Half of the time; the place is uniform among all but the first, and that of the whole batch."""
    z, keys = jax.random.normal(jax.random.key(2), (2, 3)), jax.random.split(jax.random.key(3), 600)

    def styles(key):
        return SMALL.apply(variables, z, train=True, rngs={"noise": key}, method="styles")

    ws = np.asarray(quick_jit(jax.vmap(styles))(keys))
    alone = np.asarray(SMALL.apply(variables, z, train=False, method="styles"))
    assert ws.shape == (600, 2, LAYERS, 5)
    own = np.isclose(ws, alone, rtol=1e-4, atol=1e-5).all(-1)
    np.testing.assert_array_equal(own[:, 0], own[:, 1])
    assert (np.diff(own[:, 0].astype(int), axis=1) <= 0).all()  # the first layers keep their own
    places = np.bincount(own[:, 0].sum(1), minlength=LAYERS + 1)
    assert places[0] == 0
    assert abs(places[LAYERS] - 300) < 5 * math.sqrt(600 / 4)
    expected = (600 - places[LAYERS]) / (LAYERS - 1)
    assert np.abs(places[1:LAYERS] - expected).max() < 5 * math.sqrt(expected)


def test_devices_draw_what_one_draws(variables):
    variables, z = loud(variables), jax.random.normal(jax.random.key(2), (4, 3))

    def made(module, z):
        return module.apply(variables, z, train=True, rngs={"noise": jax.random.key(4)})

    shared = jax.vmap(partial(made, SMALL.clone(axis_name="data")), axis_name="data")
    shares, whole = quick_jit(lambda z: (shared(z.reshape(2, 2, 3)), made(SMALL, z)))(z)
    np.testing.assert_allclose(shares.reshape(whole.shape), whole, rtol=1e-4, atol=1e-5)


def test_noise_keeps_the_precision(variables):
    """A convolution behind noise is of bfloat16, and what the games ask of a network is told of what is inside."""
    rounded, z = networks.InBfloat16(SMALL), jnp.zeros((2, 3))
    program = jax.make_jaxpr(lambda key: rounded.apply(variables, z, train=True, rngs={"noise": key}))
    text = str(program(jax.random.key(0)))
    assert "bf16[2,8,8,3] = conv_general_dilated" in text
    assert rounded.draws
    assert rounded.styled
    plain = networks.InBfloat16(networks.MLPGenerator((2,), (3,)))
    assert not plain.draws
    assert not plain.styled
    assert not plain.couples
    assert networks.InBfloat16(networks.Packed(networks.MLPDiscriminator((3,)), 2)).couples
