"""Every configuration that makes sense builds, the others are refused; batches are pure functions of key and step."""

import dataclasses
import itertools
from functools import cache
from typing import get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.linen import relu

from gvlab import build, data, rng
from gvlab import config as c
from gvlab.evaluate import bounds, held_out
from gvlab.networks import ArticleEncoder, DCGANGenerator, MLPDecoder, MLPEncoder, MLPGenerator
from gvlab.types import Batch, UserError

SHAPES = [(16, 16, 1), (28, 28, 1), (32, 32, 3)]
MLP_VAE, MLP_GAN = c.VAE(network=c.MLP(hidden=(4,)), latent_dim=2), c.GAN(network=c.MLP(hidden=(4,)), latent_dim=2)
IMAGE = (4, 4, 1)
NETWORKS = [c.DCGAN(width=4), c.Article(), c.MLP(hidden=(8, 6))]
GAN_NETWORKS = [*NETWORKS, c.TwoMLPs((5, 4), (3,)), c.MaxoutMLP((5, 4), (3,), pieces=2)]
VAE_NETWORKS = [*NETWORKS[1:], c.ReluMLP(hidden=(8, 6)), c.TwoLayerMLP((8, 6), first=2, top_hidden=(5, 4))]
LIKELIHOODS = [c.Bernoulli(), c.Gaussian(), c.LearnedGaussian(), c.DiscretizedLogistic(), c.Categorical(levels=256)]


@cache
def dataset(shape, n=20, classes=3):
    generator = np.random.default_rng(0)
    if len(shape) == 3:
        train, test = (generator.integers(0, 256, (size, *shape), dtype=np.uint8) for size in (n, 5))
    else:
        train, test = (generator.normal(size=(size, *shape)).astype(np.float32) for size in (n, 5))
    labels = [np.arange(size) % classes for size in (n, 5)] if classes else [None, None]
    return data.from_arrays("made", train, test, *labels)


@cache
def program(model, shape=(16, 16, 1), classes=3, **fields):
    known = {"name": "e", "steps": 10, "batch_size": 4} | fields
    return build.program(c.Experiment(model=model, **known), dataset(shape, classes=classes))


def shapes_of_a_run(made: build.Program):
    """Every function of the model, from the stored bytes on, without computing anything."""
    split = made.dataset.train
    arrays = Batch(jnp.asarray(split.x), None if split.y is None else jnp.asarray(split.y))

    def run(key):
        state = made.model.init(key, made.first_batch())
        batch = made.draw(arrays, key, state.step)
        state, info = made.model.train_step(state, batch, key)
        return batch, info, made.to_unit(made.model.sample(state, key, 5)), made.model.evaluate(state, batch, key)

    batch, info, samples, terms = jax.eval_shape(run, jax.random.key(0))
    assert batch.x.shape == (made.experiment.examples_per_step, *made.dataset.shape)
    assert samples.shape == (5, *made.dataset.shape)
    assert {leaf.shape for leaf in info.values()} == {()}
    assert {leaf.shape for leaf in terms.values()} == {(made.experiment.examples_per_step,)}
    assert {leaf.dtype for leaf in jax.tree.leaves((batch.x, info, samples, terms))} == {jnp.dtype("float32")}


def ids(value):
    return type(value).__name__ if dataclasses.is_dataclass(value) else None


# What builds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", GAN_NETWORKS, ids=ids)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("conditional", [False, True], ids=["unconditional", "conditional"])
def test_every_gan_of_images_builds(network, shape, conditional):
    update, loss = ("alternating", "minimax") if conditional else ("simultaneous", "non_saturating")
    shapes_of_a_run(
        program(
            c.GAN(network=network, latent_dim=3, update=update, generator_loss=loss, conditional=conditional),
            shape,
            data=c.Data(flip=True),
        )
    )


@pytest.mark.parametrize("network", VAE_NETWORKS, ids=ids)
@pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=ids)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_vae_of_images_builds(network, likelihood, shape):
    model = c.VAE(network=network, likelihood=likelihood, latent_dim=3, num_samples=2, conditional=shape[-1] == 3)
    if shape[0] == 28:
        model = dataclasses.replace(model, objective="importance_weighted")
    shapes_of_a_run(program(model, shape))


@pytest.mark.parametrize(
    "model",
    [
        c.GAN(network=c.MLP(hidden=(8,)), latent_dim=3, discriminator_steps=3),
        c.GAN(network=c.MLP(hidden=(8,)), latent_dim=3, conditional=True),
        c.VAE(network=c.MLP(hidden=(8,)), latent_dim=3, likelihood=c.Gaussian()),
        c.VAE(network=c.MLP(hidden=(8,)), latent_dim=3, likelihood=c.LearnedGaussian(), conditional=True),
        *(c.GAN(network=network, latent_dim=3) for network in GAN_NETWORKS[3:]),
        *(c.VAE(network=network, latent_dim=3, likelihood=c.Gaussian()) for network in VAE_NETWORKS[2:]),
    ],
)
def test_models_of_vectors_build(model):
    shapes_of_a_run(program(model, (2,)))


def test_data_without_labels_build():
    for model in (c.GAN(network=c.MLP(), latent_dim=3), c.VAE(network=c.MLP(), latent_dim=3)):
        shapes_of_a_run(program(model, classes=0))


def test_the_tables_name_every_member_of_their_unions():
    """A new network or likelihood in the configuration needs its line in the tables."""
    hints = {cls: {f.name: cls.__annotations__[f.name] for f in dataclasses.fields(cls)} for cls in (c.GAN, c.VAE)}
    named = {cls: {name: set(hint.split(" | ")) for name, hint in fields.items()} for cls, fields in hints.items()}
    assert {net.__name__ for net in build.GANS} == named[c.GAN]["network"]
    assert {net.__name__ for net in build.VAES} == named[c.VAE]["network"]
    assert {likelihood.__name__ for likelihood in build.OBSERVATIONS} == named[c.VAE]["likelihood"]
    for objectives in (build.ONE_LAYER, build.TWO_LAYERS):
        assert set(objectives) == set(get_args(get_type_hints(c.VAE)["objective"]))
    for loss in build.GENERATOR_LOSSES:
        c.GAN(generator_loss=loss)
        assert loss in c.GAN.__annotations__["generator_loss"]
    assert set(build.QUANTIZATIONS) == {"none", "binarize", "dequantize"}


def test_networks_take_their_sizes_from_the_configuration():
    generator, discriminator = build.GANS[c.DCGAN](c.DCGAN(width=9), (28, 28, 1), "data")
    assert isinstance(generator, DCGANGenerator)
    assert (generator.width, generator.shape, generator.axis_name) == (9, (28, 28, 1), "data")
    assert (discriminator.width, discriminator.axis_name) == (9, "data")
    generator, discriminator = build.GANS[c.MLP](c.MLP(hidden=(8, 6)), (2,), None)
    assert isinstance(generator, MLPGenerator)
    assert (generator.hidden, discriminator.hidden) == ((6, 8), (8, 6))  # from the data to the latents, and mirrored
    encoder, decoder = build.VAES[c.MLP](c.MLP(hidden=(8, 6)), (2,), 3, parameters=2)
    assert isinstance(encoder, MLPEncoder)
    assert isinstance(decoder, MLPDecoder)
    assert (encoder.hidden, encoder.latent_dim, decoder.hidden, decoder.parameters) == ((8, 6), 3, (6, 8), 2)
    assert isinstance(build.VAES[c.Article](c.Article(), (16, 16, 1), 3, parameters=1)[0], ArticleEncoder)
    generator, discriminator = build.GANS[c.TwoMLPs](c.TwoMLPs((8, 6), (5,)), (2,), None)
    assert (generator.hidden, discriminator.hidden) == ((8, 6), (5,))
    generator, discriminator = build.GANS[c.MaxoutMLP](c.MaxoutMLP((8, 6), (5,), pieces=3), (2,), "data")
    assert (generator.hidden, generator.axis_name) == ((8, 6), "data")
    assert (discriminator.hidden, discriminator.pieces) == ((5,), 3)
    encoder, decoder = build.VAES[c.ReluMLP](c.ReluMLP(hidden=(8, 6)), (2,), 3, parameters=2)
    assert (encoder.hidden, decoder.hidden, encoder.activation, decoder.activation) == ((8, 6), (6, 8), relu, relu)


def test_two_layers_have_the_sizes_of_burda_et_al():
    """q: 784-200-200-100 and 100-100-100-50; p: 50-100-100-100 and 100-200-200-784 (section 5)."""
    network = c.TwoLayerMLP()
    q1, q2, p1, p0 = build.VAES[c.TwoLayerMLP](network, (28, 28, 1), 150, parameters=1)
    assert [(net.hidden, net.latent_dim) for net in (q1, q2, p1)] == [
        ((200, 200), 100), ((100, 100), 50), ((100, 100), 100)
    ]  # fmt: skip
    assert (p0.hidden, p0.shape) == ((200, 200), (28, 28, 1))
    made = program(c.VAE(network=network, latent_dim=150), (28, 28, 1))
    state = jax.eval_shape(made.model.init, rng.root(0), made.first_batch())
    kernels = {
        name: [leaf.shape for leaf in jax.tree.leaves(params) if leaf.ndim == 2]
        for name, params in state.params.items()
    }
    assert kernels == {
        "encoder": [(784, 200), (200, 200), (200, 100), (200, 100)],
        "top_encoder": [(100, 100), (100, 100), (100, 50), (100, 50)],
        "top_decoder": [(50, 100), (100, 100), (100, 100), (100, 100)],
        "decoder": [(100, 200), (200, 200), (200, 784)],
    }


def test_two_layers_begin_with_the_mean_of_the_data_where_asked():
    made = program(c.VAE(network=c.TwoLayerMLP((4,), 2, (4,)), latent_dim=3, output_bias="data_mean"), IMAGE)
    state = made.model.init(rng.root(0), made.first_batch())
    mean = made.dataset.train.x.mean(axis=0) / 255
    np.testing.assert_allclose(jax.nn.sigmoid(state.params["decoder"]["Dense_1"]["bias"]), mean.ravel(), rtol=1e-5)


def test_the_bound_of_a_two_layer_model_agrees_with_draws_from_its_prior():
    """log p(x) by weights of the posterior, and by the likelihood of latents from the prior, of a fresh model whose
    latents say little: within five standard errors of the mean over the test examples.
    """
    network = c.TwoLayerMLP(hidden=(4,), first=2, top_hidden=(3,))
    model = c.VAE(network=network, latent_dim=3, likelihood=c.Gaussian(variance=4.0))
    made = program(model, (2,), evaluation=c.Evaluation(k=3000))
    state = made.model.init(rng.root(0), made.first_batch())
    found = bounds.bound(made, state, jax.random.key(1))["iw_bound_nats"]
    assert found["stamp"]["k"] == 3000

    (_, counted, batch), *_ = held_out.test_batches(made)
    z = jax.random.normal(jax.random.key(2), (20_000, len(batch.x), 3))
    drawn = np.exp(np.asarray(made.model.log_likelihood(state, batch, z), np.float64))[:, :counted]
    expected = np.log(drawn.mean(0))
    errors = drawn.std(0) / drawn.mean(0) / np.sqrt(len(drawn))
    weights = np.exp(np.asarray(made.model.log_weights(state, batch, jax.random.key(3), 3000), np.float64))[:, :counted]
    errors = np.hypot(errors, weights.std(0) / weights.mean(0) / np.sqrt(3000))
    tolerance = 5 * np.sqrt(np.sum(errors**2)) / counted
    assert abs(found["value"] - expected.mean()) < tolerance
    assert tolerance < 0.1 * abs(expected.mean())  # it does compare


def test_the_decoder_may_begin_with_the_training_mean():
    """The logits of the mean pixel, kept within [0.001, 0.999]."""
    made = program(c.VAE(network=c.MLP(hidden=(4,)), latent_dim=2, output_bias="data_mean"), IMAGE)
    state = made.model.init(rng.root(0), made.first_batch())
    bias = np.asarray(state.params["decoder"]["Dense_1"]["bias"], np.float64)
    mean = made.dataset.train.x.mean(axis=0).ravel() / 255
    np.testing.assert_allclose(1 / (1 + np.exp(-bias)), np.clip(mean, 0.001, 0.999), rtol=1e-5)
    zeros = program(MLP_VAE, IMAGE)
    state = zeros.model.init(rng.root(0), zeros.first_batch())
    np.testing.assert_array_equal(state.params["decoder"]["Dense_1"]["bias"], 0)
    with pytest.raises(UserError, match="no data_mean was given"):
        build.model(made.experiment.model, IMAGE, 3)


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: program(c.GAN(latent_dim=3), (17, 17, 1)), r"DCGAN cannot make images of shape \(17, 17, 1\)"),
        (lambda: program(c.GAN(latent_dim=3), (16, 28, 1)), r"DCGAN cannot make images of shape \(16, 28, 1\)"),
        (lambda: program(c.GAN(network=c.Article()), (18, 18, 1)), r"cannot make images of shape \(18, 18, 1\)"),
        (lambda: program(c.VAE(), (18, 18, 1)), r"cannot make images of shape \(18, 18, 1\)"),
        (lambda: program(c.GAN(), (2,)), r"DCGAN makes images, not vectors \(2,\): use MLP"),
        (lambda: program(c.GAN(network=c.Article()), (2,)), "Article makes images, not vectors"),
        (lambda: program(c.VAE(), (2,)), "Article makes images, not vectors"),
        *(
            (
                lambda likelihood=likelihood: program(c.VAE(network=c.MLP(), likelihood=likelihood), (2,)),
                f"likelihood {type(likelihood).__name__} .* vectors .2,.: use Gaussian or LearnedGaussian",
            )
            for likelihood in (c.Bernoulli(), c.DiscretizedLogistic(), c.Categorical())
        ),
        (lambda: program(c.GAN(conditional=True), classes=0), "no classes: use conditional=False"),
        (lambda: program(c.VAE(conditional=True), classes=0), "no classes: use conditional=False"),
        (lambda: program(c.VAE(), batch_size=21), "takes 21 examples, but made has only 20: use a smaller batch_size"),
        (lambda: program(c.GAN(discriminator_steps=3), batch_size=7), "takes 21 examples, but made has only 20"),
        (lambda: vectors(flip=True), "Data.flip and Data.quantization are for images, but made has vectors"),
        (lambda: vectors(quantization="binarize"), "are for images, but made has vectors"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(make, sentence):
    with pytest.raises(UserError, match=sentence) as caught:
        make()
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def vectors(**options):
    return program(c.VAE(network=c.MLP(), likelihood=c.Gaussian()), (2,), data=c.Data(**options))


def test_the_whole_data_set_is_a_batch_that_is_allowed():
    assert program(c.VAE(), batch_size=20).experiment.examples_per_step == 20
    assert program(c.GAN(discriminator_steps=4), batch_size=5).experiment.examples_per_step == 20


# Adam ----------------------------------------------------------------------------------------------------------------


def sizes_of_steps(config: c.Adam, steps: int) -> list[float]:
    """With a constant gradient of 1, Adam's step is the learning rate."""
    optimizer = build.adam(config)
    params = jnp.zeros(())
    state, sizes = optimizer.init(params), []
    for _ in range(steps):
        updates, state = optimizer.update(jnp.ones(()), state)
        sizes.append(-float(updates))
    return sizes


def test_the_learning_rate_drops_at_its_steps():
    sizes = sizes_of_steps(c.Adam(learning_rate=0.5, drop_steps=(3, 5), drop_factor=0.1), 7)
    np.testing.assert_allclose(sizes, [0.5, 0.5, 0.5, 0.05, 0.05, 0.005, 0.005], rtol=1e-4)


def test_the_learning_rate_stays_without_drops():
    np.testing.assert_allclose(sizes_of_steps(c.Adam(learning_rate=0.25), 3), 0.25, rtol=1e-4)


def test_drops_are_counted_in_train_steps_for_both_players():
    """Also where the discriminator's optimizer makes two updates a step."""
    adam = c.Adam(learning_rate=1.0, drop_steps=(2,), drop_factor=0.0001)
    model = dataclasses.replace(MLP_GAN, discriminator_steps=2, generator_optimizer=adam, discriminator_optimizer=adam)
    made = program(model, IMAGE)
    state = made.model.init(rng.root(0), made.first_batch())
    step, moved = jax.jit(made.model.train_step), []
    for t in range(4):
        new, _ = step(state, drawer(made)(rng.root(0), jnp.int32(t)), jax.random.key(t))
        biases = [[p.params["Dense_0"]["bias"] for p in (s.generator, s.discriminator)] for s in (state, new)]
        moved.append([float(np.abs(a - b).max()) for a, b in zip(*biases, strict=True)])
        state = new
    assert np.min(moved[:2]) > 0.05
    assert np.max(moved[2:]) < 0.005


def test_adam_takes_its_other_numbers():
    """By the book: m / (sqrt(v) + eps) with the moments corrected for their start at zero."""
    config = c.Adam(learning_rate=0.1, b1=0.5, b2=0.75, eps=0.3)
    optimizer, gradients = build.adam(config), [1.0, -2.0, 0.5]
    state, m, v = optimizer.init(jnp.zeros(())), 0.0, 0.0
    for t, gradient in enumerate(gradients, start=1):
        update, state = optimizer.update(jnp.float32(gradient), state)
        m, v = 0.5 * m + 0.5 * gradient, 0.75 * v + 0.25 * gradient**2
        expected = -0.1 * (m / (1 - 0.5**t)) / (np.sqrt(v / (1 - 0.75**t)) + 0.3)
        np.testing.assert_allclose(update, expected, rtol=1e-5)


def test_the_schedule_of_burda_et_al_can_be_stated():
    """Stages i = 0..7 of 3^i epochs of 3,000 steps at 1e-3 * 10^(-i/7): the rate falls by 10^(-1/7) after each."""
    ends = tuple(3000 * (3**i - 1) // 2 for i in range(1, 9))
    rate = optax.piecewise_constant_schedule(1e-3, dict.fromkeys(ends[:-1], 10 ** (-1 / 7)))
    for i, end in enumerate(ends):
        start = ends[i - 1] if i else 0
        assert end - start == 3000 * 3**i
        np.testing.assert_allclose([rate(start), rate(end - 1)], 1e-3 * 10 ** (-i / 7), rtol=1e-6)
    assert ends[-1] == 3280 * 3000


# Batches -------------------------------------------------------------------------------------------------------------


@cache
def drawer(made: build.Program):
    split = made.dataset.train
    arrays = Batch(jnp.asarray(split.x), jnp.asarray(split.y))
    return jax.jit(lambda key, step: made.draw(arrays, key, step))


def test_a_batch_is_a_pure_function_of_key_and_step():
    made = program(MLP_VAE, IMAGE, data=c.Data(flip=True, quantization="binarize"))
    draw, key = drawer(made), rng.root(3)
    first = [draw(key, jnp.int32(step)) for step in range(12)]
    again = {step: draw(key, jnp.int32(step)) for step in reversed(range(12))}
    for step, batch in enumerate(first):
        jax.tree.map(np.testing.assert_array_equal, batch, again[step])
    jax.tree.map(np.testing.assert_array_equal, first[7], drawer(made)(rng.root(3), jnp.int32(7)))
    for (i, a), (j, b) in itertools.combinations(enumerate(first), 2):
        assert (a.x != b.x).any(), (i, j)
    assert (draw(rng.root(4), jnp.int32(0)).x != first[0].x).any()


def test_a_batch_holds_examples_with_their_own_labels():
    made = program(MLP_VAE, IMAGE)
    split = made.dataset.train
    batches = [drawer(made)(rng.root(0), jnp.int32(step)) for step in range(5)]
    seen = []
    for x, y in ((x, y) for batch in batches for x, y in zip(*batch, strict=True)):
        (found,) = np.flatnonzero((np.abs(split.x / 255 - x[None]).reshape(20, -1) < 1e-6).all(1))
        assert split.y[found] == y
        seen.append(found)
    assert sorted(seen) == list(range(20))  # an epoch


def test_discriminator_steps_take_a_batch_each():
    made = program(dataclasses.replace(MLP_GAN, discriminator_steps=3), IMAGE)
    assert made.experiment.examples_per_step == 12
    assert drawer(made)(rng.root(0), jnp.int32(0)).x.shape == (12, *IMAGE)


def epoch(made: build.Program, key=None):
    """The batches of an epoch in the order of the data set, and the data as they are stored, both [20, 4, 4]."""
    plain = program(MLP_VAE, made.dataset.shape)
    key = rng.root(0) if key is None else key
    draw, stored = drawer(made), drawer(plain)
    pairs = [(draw(key, jnp.int32(step)).x, stored(key, jnp.int32(step)).x) for step in range(5)]
    x, intensity = (np.concatenate(parts)[..., 0] for parts in zip(*pairs, strict=True))
    return x, intensity


def test_images_for_a_gan_lie_in_minus_one_to_one():
    x, intensity = epoch(program(MLP_GAN, IMAGE))
    np.testing.assert_allclose(x, 2 * intensity - 1, atol=1e-6)
    assert x.min() < -0.9
    assert x.max() > 0.9


def test_images_for_a_vae_lie_in_zero_to_one():
    x, _ = epoch(program(MLP_VAE, IMAGE))
    assert 0 <= x.min() < 0.05
    assert 0.95 < x.max() <= 1


def test_flips_mirror_whole_images_half_of_the_time():
    flipped = program(MLP_VAE, IMAGE, data=c.Data(flip=True))
    mirrored = 0
    for seed in range(10):
        x, intensity = epoch(flipped, rng.root(seed))
        same = (x == intensity).all((1, 2))
        other = (x == intensity[:, :, ::-1]).all((1, 2))
        assert (same ^ other).all()
        mirrored += other.sum()
    assert abs(mirrored - 100) < 5 * np.sqrt(200 / 4)  # five standard deviations of 200 coins


def test_binarized_pixels_are_coins_of_their_intensity_thrown_anew_at_every_step():
    made = program(MLP_VAE, IMAGE, data=c.Data(quantization="binarize"))
    drawn, intensity = zip(*(epoch(made, rng.root(seed)) for seed in range(40)), strict=True)
    x, p = np.stack(drawn), np.stack(intensity)
    assert set(np.unique(x)) == {0.0, 1.0}
    assert (x[p == 0] == 0).all()
    assert (x[p == 1] == 1).all()
    # the mean of x - p over all coins, within five of its standard deviations
    assert abs((x - p).mean()) < 5 * np.sqrt((p * (1 - p)).sum()) / x.size
    assert abs(((x - p) * (p - 0.5)).mean()) < 5 * np.sqrt((p * (1 - p) * (p - 0.5) ** 2).sum()) / x.size

    draw, key = drawer(made), rng.root(0)
    batches = [draw(key, jnp.int32(step)).x for step in range(10)]
    first, second = ({image.tobytes() for x in of for image in np.asarray(x)} for of in (batches[:5], batches[5:]))
    assert len(first) == len(second) == 20
    assert not first & second  # the same twenty images, other coins


def test_dequantized_pixels_stay_in_their_own_bin():
    x, intensity = epoch(program(MLP_VAE, IMAGE, data=c.Data(quantization="dequantize")))
    level = np.round(intensity * 255)
    within = x * 256 - level
    assert (within > -1e-3).all()
    assert (within < 1 + 1e-3).all()
    assert np.var(within) > 0.5 / 12
    assert x.min() >= 0
    assert x.max() < 1 + 1e-6


def test_vectors_are_left_alone():
    for model in (dataclasses.replace(MLP_VAE, likelihood=c.Gaussian()), MLP_GAN):
        made = program(model, (2,))
        split = made.dataset.train
        x = np.concatenate([drawer(made)(rng.root(0), jnp.int32(step)).x for step in range(5)])
        np.testing.assert_array_equal(x[np.lexsort(x.T)], split.x[np.lexsort(split.x.T)])
        assert made.data_range == build.UNBOUNDED
        np.testing.assert_array_equal(made.to_unit(jnp.asarray(x)), x)


def test_to_unit_undoes_the_range_of_the_model():
    made = {model: program(model, IMAGE) for model in (MLP_GAN, MLP_VAE)}
    np.testing.assert_allclose(made[MLP_GAN].to_unit(jnp.array([-1.0, 0.0, 1.0])), [0, 0.5, 1])
    np.testing.assert_allclose(made[MLP_VAE].to_unit(jnp.array([0.0, 0.5, 1.0])), [0, 0.5, 1])
    assert made[MLP_GAN].data_range == (-1.0, 1.0)
    assert made[MLP_VAE].data_range == (0.0, 1.0)


def test_what_a_gan_is_fed_passes_its_own_check():
    """Compiled, x / 127.5 - 1 may end at 1.0000001."""
    made = program(MLP_GAN, IMAGE)
    for step in range(5):
        data.check_batch(drawer(made)(rng.root(0), jnp.int32(step)).x, shape=IMAGE, low=-1.0, high=1.0)
