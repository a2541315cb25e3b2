"""Contracts that every network must pass, and the sizes that they refuse."""

import functools
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import config as c
from gvlab.networks import (
    ArticleDecoder,
    ArticleDiscriminator,
    ArticleEncoder,
    ArticleGenerator,
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    DCGANDiscriminator,
    DCGANGenerator,
    MLPDecoder,
    MLPDiscriminator,
    MLPEncoder,
    MLPGenerator,
    SpectralDCGANDiscriminator,
)
from gvlab.networks.maxout import MaxoutDiscriminator, NormalizedMLPGenerator
from gvlab.types import UserError

BATCH, LATENT, CLASSES = 4, 20, 3
SQUARE = [(16, 16, 1), (16, 16, 3), (28, 28, 1), (32, 32, 3)]
IMAGES = [*SQUARE, (48, 64, 3), (20, 28, 1), (16, 28, 4)]
ANY = [*IMAGES, (2,)]


def narrow(config, shape):
    """Rows for both networks of a family, which are made for that shape."""

    def row(kind, module):
        def made(*_):
            return module

        made.__name__ = f"{type(config).__name__} {kind}"
        return made, [shape]

    generator, discriminator = config.networks(shape, 0, None)
    return row("generator", generator), row("discriminator", discriminator)


FAMILIES = [
    narrow(c.R3GAN((8, 8)), (16, 16, 3)),
    narrow(c.SNGAN(4), (28, 28, 1)),
    narrow(c.SAGAN(4), (32, 32, 3)),
    narrow(c.BigGAN(4), (32, 32, 3)),
    narrow(c.BigGANDeep(16), (32, 32, 3)),
    narrow(c.StyleGAN2(8, full_until=16, mapping_layers=1), (16, 16, 3)),
]
# network, made for a shape; the shapes that it must make or take
GENERATORS = [
    (ArticleGenerator, IMAGES),
    (DCGANGenerator, IMAGES),
    (MLPGenerator, ANY),
    (NormalizedMLPGenerator, ANY),
    *(generator for generator, _ in FAMILIES),
]
DISCRIMINATORS = [
    (ArticleDiscriminator, IMAGES),
    (DCGANDiscriminator, IMAGES),
    (MLPDiscriminator, ANY),
    (MaxoutDiscriminator, ANY),
    (SpectralDCGANDiscriminator, [(16, 16, 1), (20, 28, 1)]),
    *(discriminator for _, discriminator in FAMILIES),
]
HALVED = [(16, 16, 1), (32, 48, 3)]
ENCODERS = [(ArticleEncoder, IMAGES), (MLPEncoder, ANY), (ConvolutionalEncoder, HALVED)]
DECODERS = [(ArticleDecoder, IMAGES), (MLPDecoder, ANY), (ConvolutionalDecoder, HALVED)]


def table(rows):
    """Every network with every shape; every other one is conditional, and every other pair of decoders has two
    parameters a channel, so that each network meets both."""
    cases = [(network, shape) for network, shapes in rows for shape in shapes]
    return pytest.mark.parametrize(
        ("network", "shape", "classes", "parameters"),
        [(*case, CLASSES if i % 2 else None, 1 + i // 2 % 2) for i, case in enumerate(cases)],
        ids=[f"{network.__name__}-{'x'.join(map(str, shape))}" for network, shape in cases],
    )


def output(module, x_shape, classes):
    """Shapes of what the module gives, in training and out of it, without computing anything."""
    x = jax.ShapeDtypeStruct((BATCH, *x_shape), np.float32)
    y = None if classes is None else jax.ShapeDtypeStruct((BATCH, classes), np.float32)
    variables = jax.eval_shape(partial(module.init, train=True), jax.random.key(0), x, y)
    train = partial(module.apply, train=True, mutable=["batch_stats"], rngs={"noise": jax.random.key(1)})
    trained, _ = jax.eval_shape(train, variables, x, y)
    tested = jax.eval_shape(partial(module.apply, train=False), variables, x, y)
    assert trained == tested
    assert {leaf.dtype for leaf in jax.tree.leaves((variables, tested))} == {jnp.dtype("float32")}
    return jax.tree.map(lambda leaf: leaf.shape, tested)


@table(GENERATORS)
def test_generator_makes_its_shape(network, shape, classes, parameters):
    assert output(network(shape), (LATENT,), classes) == (BATCH, *shape)


@table(DISCRIMINATORS)
def test_discriminator_gives_a_logit_per_example(network, shape, classes, parameters):
    assert output(network(), shape, classes) == (BATCH,)


@table(ENCODERS)
def test_encoder_gives_a_mean_and_a_logvar(network, shape, classes, parameters):
    assert output(network(latent_dim=LATENT), shape, classes) == ((BATCH, LATENT), (BATCH, LATENT))


@table(DECODERS)
def test_decoder_gives_the_parameters_of_every_channel(network, shape, classes, parameters):
    made = output(network(shape, parameters=parameters), (LATENT,), classes)
    assert made == (BATCH, *shape[:-1], shape[-1] * parameters)


# Small ones of each family, computed for real.
SMALL = {
    "article generator": (ArticleGenerator((4, 8, 2)), (LATENT,)),
    "article discriminator": (ArticleDiscriminator(), (8, 8, 2)),
    "article encoder": (ArticleEncoder(5), (8, 8, 2)),
    "article decoder": (ArticleDecoder((4, 8, 2)), (LATENT,)),
    "dcgan generator": (DCGANGenerator((16, 16, 1), width=4), (LATENT,)),
    "dcgan discriminator": (DCGANDiscriminator(width=4), (16, 16, 1)),
    "spectral dcgan discriminator": (SpectralDCGANDiscriminator(width=4), (16, 16, 1)),
    "mlp generator": (MLPGenerator((4, 4, 1), hidden=(8,)), (LATENT,)),
    "mlp vector generator": (MLPGenerator((2,), hidden=(8, 8)), (LATENT,)),
    "mlp discriminator": (MLPDiscriminator(hidden=(8,)), (2,)),
    "normalized mlp generator": (NormalizedMLPGenerator((4, 4, 1), hidden=(8, 8)), (LATENT,)),
    "maxout discriminator": (MaxoutDiscriminator(hidden=(8, 8), pieces=3), (2,)),
    "mlp encoder": (MLPEncoder(5, hidden=(8,)), (4, 4, 1)),
    "mlp decoder": (MLPDecoder((4, 4, 1), hidden=(8,)), (LATENT,)),
    "relu decoder": (MLPDecoder((4, 4, 1), hidden=(8,), activation=jax.nn.relu), (LATENT,)),
}


def arrays(x_shape):
    x = np.random.default_rng(1).normal(size=(BATCH, *x_shape))
    return x.astype(np.float32), np.eye(CLASSES, dtype=np.float32)[np.arange(BATCH) % CLASSES]


class Computed(NamedTuple):
    """All of it in NumPy: eagerly, JAX would compile every comparison of another shape."""

    variables: dict
    trained: Any  # the output in training
    updates: dict
    tested: Any  # out of training
    untouched: dict  # what was writable then
    relabelled: Any  # the output when every example has another label


@functools.cache
def computed(name) -> Computed:
    module, x_shape = SMALL[name]

    @jax.jit
    def everything(key, x, y):
        variables = module.init(key, x, y, train=True)
        trained, updates = module.apply(variables, x, y, train=True, mutable=["batch_stats"])
        tested, untouched = module.apply(variables, x, y, train=False, mutable=["batch_stats"])
        relabelled = module.apply(variables, x, jnp.roll(y, 1, axis=1), train=False)
        return Computed(variables, trained, updates, tested, untouched, relabelled)

    return jax.device_get(everything(jax.random.key(0), *arrays(x_shape)))


@pytest.mark.parametrize("name", SMALL)
def test_forward_is_finite_and_depends_on_the_label(name):
    of = computed(name)
    for leaf in jax.tree.leaves(of):
        assert np.isfinite(leaf).all()
    for before, after in zip(jax.tree.leaves(of.tested), jax.tree.leaves(of.relabelled), strict=True):
        assert (np.abs(before - after).reshape(BATCH, -1).max(axis=1) > 0).all()


@pytest.mark.parametrize("name", [name for name in SMALL if name.endswith("generator") and "vector" not in name])
def test_generated_images_lie_within_their_range(name):
    """Even for latents that are much too large."""
    module, x_shape = SMALL[name]
    z, y = arrays(x_shape)
    x = np.asarray(jax.jit(partial(module.apply, train=False))(computed(name).variables, z * 1e4, y))
    assert np.abs(x).max() <= 1
    assert np.abs(x).max() > 0.5


WITH_BATCH_NORM = [name for name, (module, _) in SMALL.items() if hasattr(module, "axis_name")]


def test_which_networks_have_batch_statistics():
    assert WITH_BATCH_NORM == [
        "article generator",
        "article discriminator",
        "dcgan generator",
        "dcgan discriminator",
        "normalized mlp generator",
    ]
    for name, (module, x_shape) in SMALL.items():
        variables = jax.eval_shape(partial(module.init, train=True), jax.random.key(0), *arrays(x_shape))
        assert ("batch_stats" in variables) == (name in WITH_BATCH_NORM), name


@pytest.mark.parametrize("name", WITH_BATCH_NORM)
def test_batch_statistics_move_in_training_only(name):
    of = computed(name)
    initial, updated = of.variables["batch_stats"], of.updates["batch_stats"]
    for before, after in zip(jax.tree.leaves(initial), jax.tree.leaves(updated), strict=True):
        assert np.abs(before - after).max() > 0
    jax.tree.map(np.testing.assert_array_equal, of.untouched["batch_stats"], initial)


@pytest.mark.parametrize("name", WITH_BATCH_NORM)
def test_batch_norm_over_a_mapped_axis_is_that_of_the_global_batch(name):
    module, x_shape = SMALL[name]
    x, y = arrays(x_shape)
    of = computed(name)
    mapped = partial(module.clone(axis_name="devices").apply, train=True, mutable=["batch_stats"])
    over_devices = jax.jit(jax.vmap(mapped, in_axes=(None, 0, 0), axis_name="devices"))
    shares = x.reshape(2, 2, *x_shape), y.reshape(2, 2, CLASSES)
    out, updates = jax.device_get(over_devices(of.variables, *shares))
    np.testing.assert_allclose(out.reshape(of.trained.shape), of.trained, rtol=1e-3, atol=1e-4)
    for device in range(2):
        for each, whole in zip(jax.tree.leaves(updates), jax.tree.leaves(of.updates), strict=True):
            np.testing.assert_allclose(each[device], whole, rtol=1e-4, atol=1e-5)


def test_mlp_generator_is_linear_for_vectors():
    """The modes of a mixture lie outside [-1, 1]: nothing may squash them."""
    module = MLPGenerator((2,))
    z, _ = arrays((LATENT,))
    params = jax.jit(partial(module.init, train=True))(jax.random.key(0), z)["params"]
    params["Dense_2"]["bias"] = np.array([100.0, -100.0], np.float32)
    out = np.asarray(jax.jit(partial(module.apply, train=False))({"params": params}, z))
    assert (out[:, 0] > 50).all()
    assert (out[:, 1] < -50).all()


def parameters(module, x_shape):
    x = jax.ShapeDtypeStruct((1, *x_shape), np.float32)
    shapes = jax.eval_shape(partial(module.init, train=True), jax.random.key(0), x)
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


def test_pacgan_networks_have_the_published_sizes():
    """Four layers of 400 without biases but with BatchNorm's scale and shift; three of 200 units with 5 pieces each."""
    generator = 2 * 400 + 3 * 400**2 + 4 * 2 * 400 + (400 + 1) * 2
    assert parameters(NormalizedMLPGenerator((2,)), (2,)) == generator
    assert parameters(MaxoutDiscriminator(), (2,)) == (2 + 1) * 1000 + 2 * (200 + 1) * 1000 + (200 + 1)


def test_a_maxout_unit_is_the_largest_of_its_pieces():
    module, (x, _) = MaxoutDiscriminator(hidden=(3,), pieces=2), arrays((2,))
    variables = jax.device_get(jax.jit(partial(module.init, train=True))(jax.random.key(0), x))
    first, last = (variables["params"][name] for name in ("Dense_0", "Dense_1"))
    pieces = (x @ first["kernel"]).reshape(BATCH, 3, 2)
    expected = np.max(pieces, axis=2) @ last["kernel"][:, 0]  # the biases begin at 0
    out = jax.jit(partial(module.apply, train=False))(variables, x)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("activation", [jnp.tanh, jax.nn.relu])
def test_mlps_take_their_activation_and_weights(activation):
    x, _ = arrays((3,))
    encoder = MLPEncoder(2, hidden=(5,), activation=activation, kernel_init=jax.nn.initializers.ones)
    encoded = jax.jit(lambda key, x: encoder.apply(encoder.init(key, x, train=True), x, train=False))
    mean, logvar = encoded(jax.random.key(0), x)
    expected = 5 * activation(x.sum(axis=1))
    for made in (mean, logvar):
        np.testing.assert_allclose(made, np.stack([expected, expected], axis=1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(17, 17, 1), (28, 30, 1), (18, 18, 1), (7, 7, 1), (2, 2, 1), (16, 16), (2,)])
def test_dcgan_refuses_what_it_cannot_make(shape):
    with pytest.raises(UserError, match=r"DCGAN cannot make images of shape \(" + ", ".join(map(str, shape))):
        DCGANGenerator(shape)


def test_dcgan_discriminator_refuses_what_the_generator_cannot_make():
    x = jax.ShapeDtypeStruct((1, 17, 17, 1), np.float32)
    with pytest.raises(UserError, match=r"\(17, 17, 1\).* work are 16x16 and 20x20"):
        jax.eval_shape(partial(DCGANDiscriminator().init, train=True), jax.random.key(0), x)


@pytest.mark.parametrize(
    ("shape", "nearest"),
    [
        ((9, 9, 1), "8x8 and 10x10"),
        ((3, 3, 1), "8x8"),
        ((30, 40, 3), "28x40 and 32x40"),
        ((100, 100, 3), "96x96 and 112x112"),
        ((1000, 37, 1), "1000x32 and 1000x40"),
    ],
)
def test_dcgan_names_the_nearest_sizes(shape, nearest):
    with pytest.raises(UserError, match=rf" work are {nearest}\.$"):
        DCGANGenerator(shape)
    for size in nearest.split(" and "):
        DCGANGenerator((*map(int, size.split("x")), shape[2]))


def test_both_sides_of_a_dcgan_are_doubled_equally_often():
    """48x64 begins with 6x8 and is doubled three times."""
    z = jax.ShapeDtypeStruct((1, LATENT), np.float32)
    module = DCGANGenerator((48, 64, 3), width=5)
    params = jax.eval_shape(partial(module.init, train=True), jax.random.key(0), z)["params"]
    assert params["Dense_0"]["kernel"].shape == (LATENT, 6 * 8 * 5 * 4)
    assert len([name for name in params if name.startswith("ConvTranspose")]) == 3


@pytest.mark.parametrize("network", [ArticleGenerator, ArticleDecoder])
@pytest.mark.parametrize("shape", [(18, 18, 1), (16, 30, 1), (0, 0, 1), (16, 16), (2,)])
def test_article_refuses_what_it_cannot_make(network, shape):
    with pytest.raises(UserError, match=r"cannot make images of shape \(.*divisible by 4"):
        network(shape)


def test_convolutions_have_the_parameters_of_disentanglement_lib():
    encoder, decoder = c.Convolutions().coders((64, 64, 1), 10, 1, 0, None)
    for network, given, expected in ((encoder, (1, 64, 64, 1), 309_204), (decoder, (1, 10), 381_313)):
        variables = jax.eval_shape(partial(network.init, train=True), jax.random.key(0), jnp.zeros(given))
        assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == expected


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: c.Convolutions((8, 8)), r"kernels is \(4, 4, 2, 2\), but there are 2 layers"),
        (
            lambda: c.Convolutions((8,), (4,)).coders((5, 4, 1), 2, 1, 0, None),
            "images of 5x4 pixels are no multiple of 2",
        ),
        (lambda: c.Convolutions().coders((7,), 2, 1, 0, None), r"is of images, but the data are \(7,\): use MLP"),
    ],
)
def test_convolutions_that_cannot_be_are_refused(make, sentence):
    with pytest.raises(UserError, match=sentence):
        make()
