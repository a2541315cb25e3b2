"""pix2pix: the definition, what its pictures are, the network of Isola et al., and what is refused."""

from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from programs import dataset
from zoo import quick_jit

from gvlab import build, models, networks, restore, rng
from gvlab import config as c
from gvlab.config import restoration
from gvlab.evaluate import latents, ranking, stamps
from gvlab.models import translation
from gvlab.models.latents import VAEState
from gvlab.networks.layers import Dropout
from gvlab.networks.unet import halvings
from gvlab.restoration.edges import edges
from gvlab.types import Batch, UserError

SHAPE = (4, 4, 1)


class Scaled(nn.Module):
    """A generator of two numbers, with dropout."""

    axis_name: str | None = None

    @nn.compact
    def __call__(self, x, y=None, *, train):
        return nn.tanh(nn.Dense(1)(Dropout(0.3, deterministic=not train, axis_name=self.axis_name)(x)))


class Patch(nn.Module):
    """A critic of pixels."""

    @nn.compact
    def __call__(self, x, y=None, *, train):
        return nn.Dense(1)(x)[..., 0]


def tiny(axis_name=None):
    return models.translator(
        Scaled(axis_name), Patch(), (optax.sgd(0.1), optax.sgd(0.2)), lambda x: x * x - 0.5, shape=SHAPE, l1_weight=3.0,
        axis_name=axis_name,
    )  # fmt: skip


def test_a_step_descends_the_papers_losses():
    """By hand with plain gradient descent, the critic first; on two devices as on one."""
    model, key = tiny(), rng.root(1)
    x = 0.8 * jnp.sin(jnp.arange(64.0)).reshape(4, *SHAPE)
    a = x * x - 0.5

    @quick_jit
    def found(state):
        after, info = model.train_step(state, Batch(x), key)
        halves = Batch(x.reshape(2, 2, *SHAPE))
        both, _ = jax.vmap(lambda batch: tiny("data").train_step(state, batch, key), axis_name="data")(halves)

        def generated(params):
            rngs = {"dropout": rng.stream(key, rng.NOISE)}
            return Scaled().apply({"params": params["generator"]}, a, train=True, rngs=rngs)

        def said(params, images):
            return Patch().apply({"params": params}, jnp.concatenate([a, images], -1), train=True)

        def of_critic(params):
            real, fake = jax.nn.sigmoid(said(params, x)), jax.nn.sigmoid(said(params, generated(state.params)))
            return -(jnp.log(real).mean() + jnp.log(1 - fake).mean()) / 2

        value, grads = jax.value_and_grad(of_critic)(state.critic.params)
        critic = jax.tree.map(lambda p, g: p - 0.2 * g, state.critic.params, grads)

        def of_generator(params):
            images = generated(params)
            verdict = -jnp.log(jax.nn.sigmoid(said(critic, images))).mean()
            return verdict + 3.0 * jnp.abs(x - images).mean(), verdict

        grads, verdict = jax.grad(of_generator, has_aux=True)(state.params)
        generator = jax.tree.map(lambda p, g: p - 0.1 * g, state.params, grads)
        ours = info["critic_loss"], info["g_loss"], after.critic.params, after.params
        return ours, (value, verdict, critic, generator), (both.critic.params, both.params)

    ours, by_hand, both = found(model.init(rng.root(0), Batch(x)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6), ours, by_hand)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b, rtol=2e-5, atol=1e-6), both, ours[2:])


@pytest.mark.parametrize(
    "network",
    [lambda axis: networks.UNet(1, 2, axis_name=axis), lambda axis: networks.PatchDiscriminator(2, 1, axis)],
    ids=["UNet", "PatchDiscriminator"],
)
def test_over_two_devices_the_networks_are_those_of_one(network):
    """The same units are dropped, and BatchNorm sees the whole batch."""
    x = 0.8 * jnp.sin(jnp.arange(64.0)).reshape(4, *SHAPE)

    def made(variables, x, axis_name=None):
        options = {"train": True, "mutable": ["batch_stats"], "rngs": {"dropout": rng.root(1)}}
        out, stats = network(axis_name).apply(variables, x, **options)
        return out, jax.tree.map(lambda leaf: leaf[None], stats)

    @quick_jit
    def found(x):
        variables = network(None).init(rng.root(0), x, train=True)
        halves = x.reshape(2, 2, *SHAPE)
        out, stats = jax.vmap(lambda x: made(variables, x, "data"), axis_name="data")(halves)
        return made(variables, x), (out.reshape(4, *out.shape[2:]), jax.tree.map(lambda leaf: leaf[0], stats))

    one, both = found(x)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), both, one)


def test_encoding_is_the_picture_and_decoding_its_translation():
    model, x = tiny(), 0.5 * jnp.cos(jnp.arange(32.0)).reshape(2, *SHAPE)
    state = model.init(rng.root(0), Batch(x))
    z, logvar = model.encode(state, Batch(x))
    np.testing.assert_allclose(z, (x * x - 0.5).reshape(2, 16), rtol=1e-6)
    assert (logvar == -jnp.inf).all()
    off = (model.decode(state, z) - x) / 2
    terms = model.evaluate(state, Batch(x), rng.root(0))
    np.testing.assert_allclose(terms["translated_absolute_error"], jnp.abs(off).mean((1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(terms["translated_squared_error"], (off**2).mean((1, 2, 3)), rtol=1e-5)
    for refused in (lambda: model.sample(state, rng.root(0), 2), lambda: model.prior(rng.root(0), 2)):
        with pytest.raises(UserError, match="gvlab reconstruct RUN"):
            refused()
    assert model.unsampled == translation.UNSAMPLED


def test_the_published_network_has_as_many_weights():
    """junyanz/pytorch-CycleGAN-and-pix2pix says 54.414 M and 2.769 M of its U-Net and its critic for 256x256 pixels."""
    x = jnp.zeros((1, 256, 256, 3))
    generator = jax.eval_shape(lambda: networks.UNet(3).init(rng.root(0), x, train=False))["params"]
    pair = jnp.zeros((1, 256, 256, 6))
    critic = jax.eval_shape(lambda: networks.PatchDiscriminator().init(rng.root(0), pair, train=False))["params"]
    counts = [sum(leaf.size for leaf in jax.tree.leaves(params)) / 1e6 for params in (generator, critic)]
    np.testing.assert_allclose(counts, [54.414, 2.769], atol=1.5e-3)


@pytest.mark.parametrize("shape", [(16, 16, 1), (28, 28, 1), (20, 29, 3), (2, 2, 1)])
def test_a_unet_keeps_the_size(shape):
    network, x = networks.UNet(shape[-1], width=2), jnp.zeros((2, *shape))

    def both():
        made, variables = network.init_with_output({"params": rng.root(0), "dropout": rng.root(1)}, x, train=True)
        return made, network.apply(variables, x, train=False)

    assert [leaf.shape for leaf in jax.eval_shape(both)] == [(2, *shape)] * 2
    assert halvings(256, 256) == halvings(1024, 1024) == 8
    assert halvings(20, 29) == 5


@pytest.mark.fast
def test_edges_are_slopes():
    x = np.zeros((1, 5, 6, 1), np.float32)
    x[0, :, :, 0] = 0.1 * np.arange(6)[None] + 0.2 * np.arange(5)[:, None] / 2
    found = np.asarray(edges(jnp.asarray(x)))
    inside = np.sqrt(2 * (0.1**2 + 0.1**2))
    np.testing.assert_allclose(found[0, 1:-1, 1:-1], inside, rtol=1e-4)
    np.testing.assert_allclose(found[0, 2, 0], np.sqrt(2 * (0.05**2 + 0.1**2)), rtol=1e-4)
    assert (np.asarray(edges(jnp.full((1, 4, 4, 3), 0.7))) == 0).all()
    assert edges(10 * jnp.asarray(x)).max() == 1


def experiment(model):
    return c.Experiment("e", model, steps=1, batch_size=4)


@pytest.mark.parametrize(
    ("seen", "picture"),
    [
        (c.Downsample(4), lambda x: x.reshape(2, 4, 4, 4, 4, 1).mean((2, 4))),
        (c.Half(), lambda x: jnp.where(jnp.arange(16)[:, None, None] < 8, x, 0.5)),
    ],
)
def test_what_an_operator_leaves_is_a_picture_of_the_same_size(seen, picture):
    program = build.program(experiment(c.Pix2Pix(seen, c.UNet(2), 2, 1)), dataset((16, 16, 1)))
    x = jnp.linspace(0.0, 1.0, 512).reshape(2, 16, 16, 1)
    z = program.model.encode(VAEState(0, {}, {}, ()), Batch(2 * x - 1))[0].reshape(2, 16, 16, 1) / 2 + 0.5
    left = picture(x)
    if left.shape != x.shape:
        left = jnp.clip(jax.image.resize(left, x.shape, "cubic"), 0, 1)
    np.testing.assert_allclose(z, left, atol=1e-6)
    assert latents.latents(program, None, rng.root(0)) == {}
    assert stamps.of_likelihood(program) == {"seen": c.member_to_dict(seen)}
    assert not ranking.can_be_ranked(program)
    assert program.latent_dim == 256
    assert program.data_range == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: c.UNet(dropout=1.0), "UNet.dropout is 1.0"),
        (lambda: c.Pix2Pix(critic_layers=6), "Pix2Pix.critic_layers is 6"),
        (lambda: c.Pix2Pix(l1_weight=-1.0), "Pix2Pix.l1_weight is -1.0"),
        (lambda: build.program(experiment(c.Pix2Pix()), dataset((3,))), "Pix2Pix is of images"),
        (lambda: build.program(experiment(c.Pix2Pix(c.Grey())), dataset((16, 16, 1))), "the images have 1 channel"),
        (lambda: build.program(experiment(c.Pix2Pix(c.Downsample(3))), dataset((16, 16, 1))), "3 does not divide"),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises(UserError, match=words):
        make()


def test_a_configuration_survives_its_text():
    for model in (c.Pix2Pix(), c.Pix2Pix(c.Mask(0.1 + 0.2), c.UNet(3, 0.1), 2, 1, 0.0, c.SGD(), c.SGD())):
        asked = replace(experiment(model), seed=3)
        assert c.from_json(c.to_json(asked)) == asked


def test_a_translator_restores_nothing_else():
    program = build.program(experiment(c.Pix2Pix(c.Half(), c.UNet(2), 2, 1)), dataset((16, 16, 1)))
    with pytest.raises(UserError, match="translates the pictures that it was trained on, and restores no others"):
        restore.check(program, restoration.Encoder(), 0.1)
