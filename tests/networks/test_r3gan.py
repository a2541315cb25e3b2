"""R3GAN's networks against the published ones: outputs, both steps' gradients, counts and initial deviations."""

import json
import math
import re
from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import config as c
from gvlab import models
from gvlab.losses import logistic_margin_loss, penalties, relativistic
from gvlab.losses.terms import Round, memories
from gvlab.models import game as played
from gvlab.networks import resampling
from gvlab.networks.r3gan import R3GANDiscriminator, R3GANGenerator, ResidualBlock, stages
from gvlab.types import Batch, UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "r3gan.json").read_text())


def arr(shape, scale, k):
    return (scale * np.sin(0.37 * np.arange(math.prod(shape)) + 0.1 + 0.7 * k)).reshape(shape)


def stored(entry):
    return np.reshape(entry["values"], entry["shape"])


def nhwc(x):
    return np.moveaxis(np.asarray(x), 1, -1)


# The published parameters by our names -------------------------------------------------------------------------------

IN_BLOCK = {
    "LinearLayer1.Layer.weight": ("C1", "kernel"),
    "LinearLayer2.Layer.weight": ("C2", "kernel"),
    "LinearLayer3.Layer.weight": ("C3", "kernel"),
    "NonLinearity1.Bias": ("a1", "bias"),
    "NonLinearity2.Bias": ("a2", "bias"),
}


def ours(name: str, of_generator: bool) -> tuple[str, ...]:
    if found := re.fullmatch(r"MainLayers\.(\d+)\.Layers\.(\d+)\.(.*)", name):
        stage, layer, rest = int(found[1]), int(found[2]), found[3]
        if rest in IN_BLOCK:
            return (f"stage{stage}_block{layer - of_generator}", *IN_BLOCK[rest])
        return {
            "Basis": ("basis",),
            "Basis.weight": ("basis",),
            "LinearLayer.weight": ("weights" if of_generator else "logit", "kernel"),
            "LinearLayer.Layer.weight": (f"{'up' if of_generator else 'down'}{stage}", "kernel"),
        }[rest]
    part = {"ExtractionLayer.Layer.weight": "extraction", "AggregationLayer.Layer.weight": "image"}
    return part.get(name, "label" if of_generator else "embedding"), "kernel"


def our_layout(array, name: str):
    if name.endswith("Basis"):
        return np.moveaxis(array, 0, -1)  # [channel, height, width]
    if name.endswith("Basis.weight"):
        return np.moveaxis(array[:, 0], 0, -1)
    if array.ndim == 4 and array.shape[2:] == (1, 1):
        return array[:, :, 0, 0].T
    return {4: lambda: array.transpose(2, 3, 1, 0), 2: lambda: array.T, 1: lambda: array}[array.ndim]()


def published(listed, of_generator: bool, gain: float = 1.0):
    params: dict = {}
    for k, (name, shape, scale) in enumerate(listed):
        scale = scale if name.endswith(("Bias", "Layers.0.Basis")) else gain * scale
        *path, last = ours(name, of_generator)
        inner = params
        for key in path:
            inner = inner.setdefault(key, {})
        inner[last] = jnp.asarray(our_layout(arr(shape, scale, k), name))
    return params


def stages_of(config):
    return (tuple(config[f"{what}PerStage"]) for what in ("Width", "Cardinality", "Blocks"))


def networks(entry, shape=(8, 8, 3)):
    g, d = entry["G_config"], entry["D_config"]
    return (
        R3GANGenerator(shape, *stages_of(g), embedding=g.get("ConditionEmbeddingDimension", 0)),
        R3GANDiscriminator(*stages_of(d)),
    )


@cache
def ready(name):
    entry = GOLDEN[name]
    y = jnp.asarray(np.eye(3)[[0, 2, 1]]) if name.rpartition("_")[2] == "conditional" else None
    generator, discriminator = networks(entry)
    return (
        entry,
        jax.jit(lambda params, z: generator.apply({"params": params}, z, y, train=True)),
        jax.jit(lambda params, x: discriminator.apply({"params": params}, x, y, train=True)),
        published(entry["G_parameters"], of_generator=True),
        published(entry["D_parameters"], of_generator=False),
        jnp.asarray(arr((3, 4), 1, 1)),
        jnp.asarray(nhwc(arr((3, 3, 8, 8), 0.8, 5))),
    )


@pytest.fixture(params=["r3gan_small_unconditional", "r3gan_small_conditional"])
def small(request):
    """(golden entry, generator and discriminator as functions of parameters and inputs, their parameters, z, x)."""
    with jax.enable_x64(True):
        yield ready(request.param)


def agree_on(gradient, golden, of_generator):
    for name, expected in golden.items():
        found = gradient
        for key in ours(name, of_generator):
            found = found[key]
        np.testing.assert_allclose(found, our_layout(stored(expected), name), rtol=1e-6, atol=1e-9, err_msg=name)


def test_both_networks_give_the_published_outputs(small):
    entry, generate, criticise, g, d, z, x = small
    np.testing.assert_allclose(generate(g, z), nhwc(stored(entry["G_output"])), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(criticise(d, x), stored(entry["D_output"]), rtol=1e-7)


def test_the_discriminators_step_has_the_published_gradients(small):
    """The logistic game of pairs with R1 and R2, by our losses and terms."""
    entry, generate, criticise, g, d, z, x = small
    golden, contest = entry["D_step"], relativistic(logistic_margin_loss)
    fake = generate(g, z)

    def loss(params):
        critic = partial(criticise, params)
        this = Round(jnp.int32(0), jax.random.key(0), x, fake, z, critic, lambda z: fake, critic(x), critic(fake))
        slopes = [term(golden["gamma"]).value(this, {})[0] for term in (penalties.r1, penalties.r2)]
        adversarial = contest.discriminator(this.on_real, this.on_fake)
        return (adversarial + sum(slopes)).mean(), (adversarial, slopes)

    (total, (adversarial, slopes)), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(d)
    np.testing.assert_allclose(total, golden["total"], rtol=1e-8)
    np.testing.assert_allclose(adversarial, stored(golden["adversarial_loss_per_example"]), rtol=1e-7)
    for slope, name in zip(slopes, ("r1_per_example", "r2_per_example"), strict=True):
        np.testing.assert_allclose(2 / golden["gamma"] * slope, stored(golden[name]), rtol=1e-7)
    agree_on(gradient, golden["grad"], of_generator=False)


def test_the_generators_step_has_the_published_gradients(small):
    entry, generate, criticise, g, d, z, x = small

    def loss(params):
        per_example = relativistic(logistic_margin_loss).generator(criticise(d, x), criticise(d, generate(params, z)))
        return per_example.mean(), per_example

    (_, per_example), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(g)
    np.testing.assert_allclose(per_example, stored(entry["G_step"]["adversarial_loss_per_example"]), rtol=1e-7)
    agree_on(gradient, entry["G_step"]["grad"], of_generator=True)


def test_four_iterations_of_the_published_training(monkeypatch):
    """Separate batches, moving rate, second decay and weights, and the average by its half-life: all from the parts."""
    golden = GOLDEN["r3gan_training_trajectory"]
    entry = GOLDEN["r3gan_small_unconditional"]
    monkeypatch.setattr(played, "latents", lambda game, n, key: next(noise))
    falling = c.Scheduled(c.R1(0.05), c.Cosine(steps=4, end=0.1)), c.Scheduled(c.R2(0.05), c.Cosine(steps=4, end=0.1))
    adam = c.AnnealedAdam(0.02, 0.005, steps=4).transformation()
    with jax.enable_x64(True):
        generator, discriminator = networks(entry)
        model = models.separate_gan(
            generator,
            discriminator,
            adam,
            adam,
            latent_dim=4,
            contest=c.Relativistic().contest(),
            discriminator_terms=[term.term() for term in falling],
            ema_decay=c.HalfLife(30.0, c.Cosine(steps=4, begin=0.0, end=1.0)).decay(),
        )
        players = []
        for of_generator, parameters in ((True, entry["G_parameters"]), (False, entry["D_parameters"])):
            params = published(parameters, of_generator, gain=0.8)
            players.append(played.Player(params, {}, adam.init(params)))
        state = played.GANState(jnp.int32(0), *players, players[0].params, {}, model_memory(falling))

        @jax.jit
        def step(state, x, z):
            nonlocal noise
            noise = iter(z)
            return model.train_step(state, Batch(x), jax.random.key(0))

        noise = iter(())
        for t, row in enumerate(golden["log"]):
            images = [nhwc(arr((3, 3, 8, 8), 0.8, k + 4 * t)) for k in (10, 12)]
            z = jnp.stack([arr((3, 4), 1, k + 4 * t) for k in (11, 13)])
            state, info = step(state, jnp.stack(images, axis=1).reshape(6, 8, 8, 3), z)
            ours = [info["d_loss"], info["d_term/r1"], info["d_term/r2"], info["g_loss"]]
            theirs = [row["d_loss"], *(row["gamma"] / 2 * row[name] for name in ("r1", "r2")), row["g_loss"]]
            np.testing.assert_allclose(ours, theirs, rtol=3e-6)
            for params, name in (
                (state.generator.params, "G_abs_sum"),
                (state.discriminator.params, "D_abs_sum"),
                (state.ema_params, "G_ema_abs_sum"),
            ):
                total = sum(np.abs(leaf).sum() for leaf in jax.tree.leaves(jax.device_get(params)))
                np.testing.assert_allclose(total, row[name], rtol=1e-7, err_msg=f"{name} {t}")
        z = jnp.asarray(arr((2, 4), 1, 1))
        generate = jax.jit(partial(generator.apply, train=False))
        for params, name in ((state.generator.params, "G_output_on_z"), (state.ema_params, "G_ema_output_on_z")):
            made = generate({"params": params}, z)
            np.testing.assert_allclose(made, nhwc(stored(golden[name])), rtol=1e-5, atol=1e-6)


def model_memory(members):
    return memories([member.term() for member in members])


def test_the_schedules_of_the_presets():
    """Rate, second decay, weights and half-life of each published preset, with its images as steps of its batch."""
    for preset in GOLDEN["r3gan_schedules"].values():
        batch, total = preset["preset"]["batch"], preset["preset"]["total"]
        for row in preset["rows"]:
            if row["nimg"] % batch or total % batch:
                continue
            step = row["nimg"] // batch
            falling = c.Cosine(steps=int(total / batch), end=0.1).schedule()
            rising = c.Cosine(steps=int(total / batch), begin=0.0, end=1.0)
            np.testing.assert_allclose(preset["preset"]["gamma"][0] * falling(step), row["gamma"], rtol=1e-5)
            half_life = c.HalfLife(preset["preset"]["ema"][1], rising).decay()
            np.testing.assert_allclose(half_life(step, batch), row["ema_beta"], rtol=1e-5)


def test_a_block_agrees():
    golden = GOLDEN["r3gan_residual_block"]
    with jax.enable_x64(True):
        params: dict = {}
        for k, (name, shape, scale) in enumerate(golden["parameters"]):
            path = IN_BLOCK[name]
            params.setdefault(path[0], {})[path[1]] = jnp.asarray(our_layout(arr(shape, scale, k), name))
        x, cotangent = (jnp.asarray(nhwc(arr((2, 12, 5, 5), 1, k))) for k in (3, 4))
        block = ResidualBlock(golden["config"]["cardinality"], blocks=1, expansion=golden["config"]["expansion"])
        out, pull = jax.vjp(jax.jit(lambda params, x: block.apply({"params": params}, x)), params, x)
        to_params, to_x = pull(cotangent)
    np.testing.assert_allclose(out, nhwc(stored(golden["output"])), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(to_x, nhwc(stored(golden["grad_x"])), rtol=1e-7, atol=1e-9)
    for name, expected in golden["grad_parameters"].items():
        found = to_params[IN_BLOCK[name][0]][IN_BLOCK[name][1]]
        np.testing.assert_allclose(found, our_layout(stored(expected), name), rtol=1e-7, atol=1e-8, err_msg=name)


@pytest.mark.parametrize("direction", ["up", "down"])
def test_resampling_agrees_and_down_is_a_quarter_of_the_adjoint(direction):
    golden = GOLDEN["r3gan_resamplers"]
    with jax.enable_x64(True):
        x = jnp.asarray(nhwc(arr((2, 3, 6, 6), 1, 1)))
        found = {"up": resampling.upsample, "down": resampling.downsample}[direction](x)
        expected = nhwc(stored(golden[f"interpolative_{direction}sample"]))
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)
        (adjoint,) = jax.linear_transpose(resampling.upsample, jnp.zeros((2, 3, 3, 3)))(x)
        np.testing.assert_allclose(resampling.downsample(x), adjoint / 4, rtol=1e-12)


def test_an_odd_side_cannot_be_halved():
    with pytest.raises(UserError, match="Images of 5x6 pixels cannot be halved: both sides must be even"):
        resampling.downsample(jnp.zeros((1, 5, 6, 1)))


# Sizes ---------------------------------------------------------------------------------------------------------------

PUBLISHED = {
    "CIFAR10": ((32, 32, 3), c.R3GAN()),
    "FFHQ-64": ((64, 64, 3), c.R3GAN((768, 768, 768, 768, 384))),
    "FFHQ-256": ((256, 256, 3), c.R3GAN((768, 768, 768, 768, 384, 192, 96))),
    "ImageNet-32": ((32, 32, 3), c.R3GAN((1536,), group=32)),
    "ImageNet-64": ((64, 64, 3), c.R3GAN((1536,), group=32)),
}


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("classes", [0, 10])
def test_the_published_sizes_have_the_published_counts(name, classes):
    shape, config = PUBLISHED[name]
    y = jnp.zeros((1, classes)) if classes else None
    golden = GOLDEN["r3gan_parameter_counts"][f"{name}_cond10" if classes else name]
    inputs = jnp.zeros((1, 64)), jnp.zeros((1, *shape))
    for network, x, player in zip(config.networks(shape, classes, None), inputs, "GD", strict=True):
        variables = jax.eval_shape(lambda n=network, x=x: n.init(jax.random.key(0), x, y, train=True))
        assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables)) == golden[player]


def test_weights_begin_with_the_published_deviations():
    """CIFAR-10's layout at an eighth of the width, conditional: within five standard errors of the formula."""
    widths, groups, blocks = (96,) * 4, (12,) * 4, (2,) * 4
    y = jnp.zeros((1, 10))
    for network, x, player in (
        (R3GANGenerator((32, 32, 3), widths, groups, blocks), jnp.zeros((1, 64)), "G"),
        (R3GANDiscriminator(widths, groups, blocks), jnp.zeros((1, 32, 32, 3)), "D"),
    ):
        params = jax.jit(lambda key, n=network, x=x: n.init(key, x, y, train=True))(jax.random.key(0))["params"]
        for name, shape, deviation, _ in GOLDEN["r3gan_initial_std"][player]:
            found = params
            for key in ours(name, player == "G"):
                found = found[key]
            assert found.size == math.prod(shape), name
            error = deviation / math.sqrt(2 * found.size)
            np.testing.assert_allclose(np.std(found), deviation, atol=5 * error + 1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("shape", "count"),
    [((5, 5, 1), 2), ((8, 8, 1), 2), ((16, 16, 1), 3), ((28, 28, 1), 4), ((48, 64, 3), 5), ((20, 28, 4), 4)],
)
def test_any_size_is_made_and_judged(shape, count):
    assert stages(shape) == count
    widths, groups, blocks = (4,) * count, (2,) * count, (1,) * count
    generator, discriminator = R3GANGenerator(shape, widths, groups, blocks), R3GANDiscriminator(widths, groups, blocks)

    def both(key):
        z = jnp.zeros((2, 3))
        x = generator.init_with_output(key, z, train=True)[0]
        return x, discriminator.init_with_output(key, x, train=True)[0]

    x, logits = jax.eval_shape(both, jax.random.key(0))
    assert (x.shape, logits.shape) == ((2, *shape), (2,))


def test_the_middle_of_a_larger_image_is_where_the_border_was_put():
    """What the generator cuts off is what the discriminator adds: the pixels between keep their places."""
    discriminator = R3GANDiscriminator((4,) * 4, (2,) * 4, (1,) * 4)
    params = jax.jit(partial(discriminator.init, train=True))(jax.random.key(0), jnp.zeros((1, 28, 28, 1)))
    x = jax.random.uniform(jax.random.key(1), (2, 28, 28, 1))
    bordered = jnp.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=-1.0)
    apply = jax.jit(partial(discriminator.apply, train=True))
    np.testing.assert_array_equal(apply(params, x), apply(params, bordered))


@pytest.mark.parametrize("shape", [(2,), (4, 9, 1)])
def test_what_is_too_small_is_refused(shape):
    with pytest.raises(UserError, match=r"R3GAN makes images of at least 5x5 pixels, not of shape \("):
        stages(shape)
