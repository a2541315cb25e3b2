"""Every configuration that makes sense builds, the others are refused."""

import dataclasses
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.linen import relu
from programs import IMAGE, MLP_GAN, MLP_VAE, drawer, program

from gvlab import build, rng
from gvlab import config as c
from gvlab.config.objectives import AnyObjective
from gvlab.evaluate import bounds, held_out
from gvlab.networks import ArticleEncoder, DCGANGenerator, MLPDecoder, MLPEncoder, MLPGenerator
from gvlab.types import Batch, UserError

SHAPES = [(16, 16, 1), (28, 28, 1), (32, 32, 3)]

NETWORKS = [c.DCGAN(width=4), c.Article(), c.MLP(hidden=(8, 6))]
GAN_NETWORKS = [*NETWORKS, c.TwoMLPs((5, 4), (3,)), c.MaxoutMLP((5, 4), (3,), pieces=2), c.R3GAN((4,), 4, 1)]
STYLED = c.StyleGAN2(width=4, mapping_layers=1, group=2)
VAE_NETWORKS = [*NETWORKS[1:], c.ReluMLP(hidden=(8, 6)), c.TwoLayerMLP((8, 6), first=2, top_hidden=(5, 4))]
LIKELIHOODS = [c.Bernoulli(), c.Gaussian(), c.LearnedGaussian(), c.DiscretizedLogistic(), c.Categorical(levels=256)]
LIKELIHOODS += [c.MixtureOfLogistics(components=2), c.SharedGaussian()]


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


BUILT = [(n, s) for i, n in enumerate(GAN_NETWORKS) for j, s in enumerate(SHAPES) if (i + j) % 3]


@pytest.mark.parametrize(("network", "shape"), BUILT, ids=ids)
def test_every_gan_of_images_builds(network, shape):
    """With two shapes of three in turn, and every other one conditional: each network and each shape meets both."""
    conditional = bool(BUILT.index((network, shape)) % 2)
    update, contest = ("alternating", c.Minimax()) if conditional else ("simultaneous", c.LeastSquares())
    shapes_of_a_run(
        program(
            c.GAN(network=network, latent_dim=3, update=update, contest=contest, conditional=conditional),
            shape,
            data=c.Data(flip=True),
        )
    )


def test_a_gan_with_spectral_norm_builds():
    """Also with a term that wants single examples, since no BatchNorm couples them in its discriminator."""
    made = program(c.GAN(c.SAGAN(2), conditional=True, discriminator_terms=(c.R1(),)), (28, 28, 1))
    shapes_of_a_run(made)
    state = jax.eval_shape(made.model.init, rng.root(0), made.first_batch())
    assert set(state.generator.collections) == set(state.discriminator.collections) == {"spectral"}


def test_a_gan_of_styles_builds():
    """With path lengths, whose average it remembers, and noise, which it keeps; traced once, since that takes long."""
    config = c.GAN(STYLED, latent_dim=3, conditional=True, generator_terms=(c.Every(4, c.PathLength()),))
    model = build.model(config, (16, 16, 1), 3)

    def run(key):
        batch = Batch(jnp.zeros((4, 16, 16, 1)), jnp.zeros(4, jnp.int32))
        state = model.init(key, batch)
        return (
            state,
            model.train_step(state, batch, key),
            model.sample(state, key, 5),
            model.evaluate(state, batch, key),
        )

    before, (after, info), samples, terms = jax.eval_shape(run, jax.random.key(0))
    assert jax.tree.structure(before) == jax.tree.structure(after)
    assert after.generator_memory["path_length"]["of"]["length"].shape == info["g_term/path_length"].shape == ()
    assert {leaf.shape for leaf in jax.tree.leaves(after.generator.collections["noise"])} == {(4, 4), (8, 8), (16, 16)}
    assert (samples.shape, terms["fake_logit"].shape) == ((5, 16, 16, 1), (4,))


def test_a_discriminator_of_packs_builds():
    made = program(c.GAN(network=c.TwoMLPs((5, 4), (3,)), latent_dim=3, packing=4), (2,), batch_size=8)
    shapes_of_a_run(made)
    state = jax.eval_shape(made.model.init, rng.root(0), made.first_batch())
    assert (4 * 2, 3) in {leaf.shape for leaf in jax.tree.leaves(state.discriminator.params)}


@pytest.mark.parametrize("network", VAE_NETWORKS, ids=ids)
@pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=ids)
def test_every_vae_of_images_builds(network, likelihood):
    """Every network with every likelihood, and, by a Latin square, each of both with every shape."""
    shape = SHAPES[(VAE_NETWORKS.index(network) + LIKELIHOODS.index(likelihood)) % 3]
    model = c.VAE(network=network, likelihood=likelihood, latent_dim=3, num_samples=2, conditional=shape[-1] == 3)
    if shape[0] == 28:
        model = dataclasses.replace(model, objective="importance_weighted")
    shapes_of_a_run(program(model, shape))


@pytest.mark.parametrize("objective", get_args(AnyObjective), ids=lambda objective: objective.__name__)
def test_every_objective_builds(objective):
    draws = 1 if objective is c.LearnedSimilarity else 16
    model = c.VAE(network=c.MLP(hidden=(4,)), latent_dim=2, objective=objective(), num_samples=draws)
    shapes_of_a_run(program(model, SHAPES[0]))


@pytest.mark.parametrize(
    "model",
    [
        c.GAN(network=c.MLP(hidden=(8,)), latent_dim=3, discriminator_steps=3),
        c.GAN(network=c.MLP(hidden=(8,)), latent_dim=3, conditional=True),
        c.VAE(network=c.MLP(hidden=(8,)), latent_dim=3, likelihood=c.Gaussian()),
        c.VAE(network=c.MLP(hidden=(8,)), latent_dim=3, likelihood=c.LearnedGaussian(), conditional=True),
        c.VAE(network=c.MLP(hidden=(8,)), latent_dim=3, likelihood=c.SharedGaussian()),
        *(c.GAN(network=network, latent_dim=3) for network in GAN_NETWORKS[3:5]),
        *(c.VAE(network=network, latent_dim=3, likelihood=c.Gaussian()) for network in VAE_NETWORKS[2:]),
    ],
)
def test_models_of_vectors_build(model):
    shapes_of_a_run(program(model, (2,)))


def test_data_without_labels_build():
    for model in (c.GAN(network=c.MLP(), latent_dim=3), c.VAE(network=c.MLP(), latent_dim=3)):
        shapes_of_a_run(program(model, classes=0))


def test_the_tables_name_every_member_of_their_unions():
    """A new quantization in the configuration needs its line in the table."""
    assert set(build.QUANTIZATIONS) == {"none", "binarize", "dequantize"}


def test_networks_take_their_sizes_from_the_configuration():
    generator, discriminator = c.DCGAN(width=9).networks((28, 28, 1), 0, "data")
    assert isinstance(generator, DCGANGenerator)
    assert (generator.width, generator.shape, generator.axis_name) == (9, (28, 28, 1), "data")
    assert (discriminator.width, discriminator.axis_name) == (9, "data")
    generator, discriminator = c.MLP(hidden=(8, 6)).networks((2,), 0, None)
    assert isinstance(generator, MLPGenerator)
    assert (generator.hidden, discriminator.hidden) == ((6, 8), (8, 6))  # from the data to the latents, and mirrored
    encoder, decoder = c.MLP(hidden=(8, 6)).coders((2,), 3, 2, 0, None)
    assert isinstance(encoder, MLPEncoder)
    assert isinstance(decoder, MLPDecoder)
    assert (encoder.hidden, encoder.latent_dim, decoder.hidden, decoder.parameters) == ((8, 6), 3, (6, 8), 2)
    assert isinstance(c.Article().coders((16, 16, 1), 3, 1, 0, None)[0], ArticleEncoder)
    generator, discriminator = c.TwoMLPs((8, 6), (5,)).networks((2,), 0, None)
    assert (generator.hidden, discriminator.hidden) == ((8, 6), (5,))
    generator, discriminator = c.MaxoutMLP((8, 6), (5,), pieces=3).networks((2,), 0, "data")
    assert (generator.hidden, generator.axis_name) == ((8, 6), "data")
    assert (discriminator.hidden, discriminator.pieces) == ((5,), 3)
    generator, discriminator = c.SNGAN(8, "studiogan").networks((64, 64, 3), 10, "data")
    assert (generator.widths, generator.axis_name) == ((128, 64, 32, 16, 8), "data")
    assert discriminator.hidden == discriminator.widths == (8, 16, 32, 64, 128)
    assert c.SNGAN(8).networks((64, 64, 3), 10, "data")[1].hidden == (8, 8, 16, 32, 64)
    for network in (c.SAGAN(8), c.BigGAN(8), c.BigGANDeep(8), c.BigGANDeep(8, "studiogan")):
        generator, discriminator = network.networks((28, 28, 1), 0, "data")
        assert (generator.shape, generator.widths, generator.axis_name) == ((28, 28, 1), (32,) * 4, "data")
    assert discriminator.widths == (8, 32, 32, 32)
    generator, discriminator = c.StyleGAN2(8, 16, mixing=0, group=3).networks((28, 28, 1), 0, "data")
    assert (generator.shape, generator.widths, generator.axis_name) == ((28, 28, 1), (8, 8, 8, 4), "data")
    assert (discriminator.widths, discriminator.group, discriminator.axis_name) == ((4, 8, 8, 8), 3, "data")
    assert (generator.units, generator.mapping_layers, generator.mixing) == (8, 8, 0)
    encoder, decoder = c.ReluMLP(hidden=(8, 6)).coders((2,), 3, 2, 0, None)
    assert (encoder.hidden, decoder.hidden, encoder.activation, decoder.activation) == ((8, 6), (6, 8), relu, relu)


def test_two_layers_have_the_sizes_of_burda_et_al():
    """q: 784-200-200-100 and 100-100-100-50; p: 50-100-100-100 and 100-200-200-784 (section 5)."""
    network = c.TwoLayerMLP()
    q1, q2, p1, p0 = network.coders((28, 28, 1), 150, 1, 0, None)
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
    state = jax.jit(made.model.init)(rng.root(0), made.first_batch())
    mean = made.dataset.train.x.mean(axis=0) / 255
    np.testing.assert_allclose(jax.nn.sigmoid(state.params["decoder"]["Dense_1"]["bias"]), mean.ravel(), rtol=1e-5)


def test_the_bound_of_a_two_layer_model_agrees_with_draws_from_its_prior():
    """log p(x) by weights of the posterior, and by the likelihood of latents from the prior, of a fresh model whose
    latents say little: within five standard errors of the mean over the test examples.
    """
    network = c.TwoLayerMLP(hidden=(4,), first=2, top_hidden=(3,))
    model = c.VAE(network=network, latent_dim=3, likelihood=c.Gaussian(variance=4.0))
    made = program(model, (2,), evaluation=c.Evaluation(k=3000))
    state = jax.jit(made.model.init)(rng.root(0), made.first_batch())
    found = bounds.bound(made, state, jax.random.key(1))["iw_bound_nats"]
    assert found["stamp"]["k"] == 3000

    (_, counted, batch), *_ = held_out.test_batches(made)
    z = jax.random.normal(jax.random.key(2), (20_000, len(batch.x), 3))
    drawn = np.exp(np.asarray(jax.jit(made.model.log_likelihood)(state, batch, z), np.float64))[:, :counted]
    expected = np.log(drawn.mean(0))
    errors = drawn.std(0) / drawn.mean(0) / np.sqrt(len(drawn))
    log_weights = jax.jit(made.model.log_weights, static_argnums=3)(state, batch, jax.random.key(3), 3000)
    weights = np.exp(np.asarray(log_weights, np.float64))[:, :counted]
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
        (lambda: program(c.GAN(latent_dim=3), (28, 30, 1)), r"DCGAN cannot make images of shape \(28, 30, 1\)"),
        (lambda: program(c.GAN(network=c.Article()), (18, 18, 1)), r"cannot make images of shape \(18, 18, 1\)"),
        (lambda: program(c.VAE(), (18, 18, 1)), r"cannot make images of shape \(18, 18, 1\)"),
        (lambda: program(c.GAN(), (2,)), r"DCGAN makes images, not vectors \(2,\): use MLP"),
        (lambda: program(c.GAN(network=c.Article()), (2,)), "Article makes images, not vectors"),
        (lambda: program(c.GAN(network=c.R3GAN((8,))), (2,)), "R3GAN makes images, not vectors"),
        (lambda: program(c.GAN(network=c.SNGAN()), (2,)), "SNGAN makes images, not vectors"),
        (lambda: program(c.GAN(network=STYLED), (2,)), "StyleGAN2 makes images, not vectors"),
        (lambda: program(c.GAN(network=STYLED), (48, 48, 1)), "StyleGAN2 makes images of 9 to 16 or 25 to 32 or 57"),
        (lambda: program(c.GAN(network=c.BigGAN()), (16, 16, 1)), "BigGAN makes images of 25 to 32 or 57 to 64 pixels"),
        (lambda: program(c.GAN(network=c.R3GAN((8,))), IMAGE), r"R3GAN makes images of at least 5x5 pixels, not"),
        (
            lambda: program(c.GAN(network=c.R3GAN((8,) * 4)), (16, 16, 1)),
            "of 4 stages, but images of 16x16 .* have 3:",
        ),
        (lambda: program(c.VAE(), (2,)), "Article makes images, not vectors"),
        *(
            (
                lambda likelihood=likelihood: program(c.VAE(network=c.MLP(), likelihood=likelihood), (2,)),
                f"likelihood {type(likelihood).__name__} .* vectors .2,.: use Gaussian or LearnedGaussian",
            )
            for likelihood in (c.Bernoulli(), c.DiscretizedLogistic(), c.MixtureOfLogistics(), c.Categorical())
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
    optimizer = config.transformation()
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


def moves(made, state, leaf):
    """How far each of four steps moves the first layer's `leaf` of the generator and of the discriminator at most."""
    step, moved = jax.jit(made.model.train_step), []
    for t in range(4):
        new, _ = step(state, drawer(made)(rng.root(0), jnp.int32(t)), jax.random.key(t))
        both = [[p.params["Dense_0"][leaf] for p in (s.generator, s.discriminator)] for s in (state, new)]
        moved.append([float(np.abs(a - b).max()) for a, b in zip(*both, strict=True)])
        state = new
    return moved


def test_drops_are_counted_in_train_steps_for_both_players():
    """Also where the discriminator's optimizer makes two updates a step."""
    adam = c.Adam(learning_rate=1.0, drop_steps=(2,), drop_factor=0.0001)
    model = dataclasses.replace(MLP_GAN, discriminator_steps=2, generator_optimizer=adam, discriminator_optimizer=adam)
    made = program(model, IMAGE)
    moved = moves(made, jax.jit(made.model.init)(rng.root(0), made.first_batch()), "bias")
    assert np.min(moved[:2]) > 0.05
    assert np.max(moved[2:]) < 0.005


def test_adam_takes_its_other_numbers():
    """By the book: m / (sqrt(v) + eps) with the moments corrected for their start at zero."""
    config = c.Adam(learning_rate=0.1, b1=0.5, b2=0.75, eps=0.3)
    optimizer, gradients = config.transformation(), [1.0, -2.0, 0.5]
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


# The other optimizers -------------------------------------------------------------------------------------------------

REFERENCES = [
    (c.Adam(0.1, b1=0.5), optax.adam(0.1, b1=0.5)),
    (c.AdamW(0.1, weight_decay=0.3), optax.adamw(0.1, weight_decay=0.3)),
    (c.RMSprop(0.1, decay=0.7, eps=1e-3), optax.rmsprop(0.1, decay=0.7, eps=1e-3)),
    (c.SGD(0.1), optax.sgd(0.1)),
    (c.SGD(0.1, momentum=0.8), optax.sgd(0.1, momentum=0.8)),
    (c.Clipped(0.5, c.SGD(0.1)), optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(0.1))),
]


def descents(optimizer, steps: int = 4) -> list[list[float]]:
    """Updates of two numbers, told the train step."""
    params = {"w": jnp.array([1.0, -2.0])}
    optimizer = optax.with_extra_args_support(optimizer)
    state, found = optimizer.init(params), []
    for t in range(steps):
        grads = {"w": jnp.array([0.3 * (t + 1), -1.0])}
        updates, state = optimizer.update(grads, state, params, step=jnp.int32(t))
        found.append(updates["w"].tolist())
    return found


@pytest.mark.parametrize(("config", "reference"), REFERENCES, ids=ids)
def test_optimizers_are_those_of_optax(config, reference):
    np.testing.assert_array_equal(descents(config.transformation()), descents(reference))


@pytest.mark.parametrize("make", [c.Adam, c.AdamW, c.RMSprop, c.SGD], ids=lambda make: make.__name__)
@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        (c.Linear(steps=4), [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]),
        (c.Linear(steps=2, begin=0.0, end=1.0), [0.0, 0.5, 1.0, 1.0, 1.0, 1.0]),
        (c.Cosine(steps=4, end=0.1), [0.1 + 0.9 * (1 + np.cos(np.pi * min(t, 4) / 4)) / 2 for t in range(6)]),
        (c.Constant(), [1.0] * 6),
    ],
    ids=["decay", "warm-up", "cosine", "constant"],
)
def test_schedules_are_factors_by_the_train_step(make, schedule, factors):
    plain, scheduled = (np.array(descents(config.transformation(), 6)) for config in (make(), make(schedule=schedule)))
    np.testing.assert_allclose(scheduled, plain * np.array(factors)[:, None], rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose([schedule.schedule()(t) for t in range(6)], factors, rtol=1e-6, atol=1e-7)


def test_a_schedule_counts_train_steps_and_keeps_no_count():
    """Also where the discriminator makes three updates a step: after two steps all of them are nothing."""
    falling = c.SGD(learning_rate=1.0, schedule=c.Linear(steps=2))
    model = dataclasses.replace(
        MLP_GAN, discriminator_steps=3, generator_optimizer=falling, discriminator_optimizer=c.Clipped(1.0, falling)
    )
    made = program(model, IMAGE)
    state = jax.jit(made.model.init)(rng.root(0), made.first_batch())
    assert not jax.tree.leaves((state.generator.optimizer, state.discriminator.optimizer))
    moved = moves(made, state, "kernel")
    assert np.min(moved[:2]) > 0
    assert np.max(moved[2:]) == 0


@pytest.mark.parametrize("optimizer", [c.AdamW(schedule=c.Cosine(steps=9)), c.Clipped(optimizer=c.RMSprop())], ids=ids)
def test_vaes_take_every_optimizer(optimizer):
    shapes_of_a_run(program(dataclasses.replace(MLP_VAE, optimizer=optimizer), IMAGE))


def test_an_experiment_knows_the_images_of_its_steps():
    """Of a GAN those that its discriminator sees, in two updates."""

    def step(schedule):
        model = dataclasses.replace(MLP_GAN, discriminator_steps=2, generator_optimizer=c.SGD(schedule=schedule))
        made = program(model, batch_size=8)
        batch = jax.tree.map(lambda x: jnp.zeros((4, *x.shape[1:]), x.dtype), made.first_batch())
        state = jax.eval_shape(made.model.init, jax.random.key(0), batch)
        return str(jax.make_jaxpr(made.model.train_step)(state, batch, jax.random.key(0)))

    assert step(c.PerImage(c.Linear(160))) == step(c.Linear(10)) != step(c.Linear(20))
