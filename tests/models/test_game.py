"""What else the updates of a GAN take part in: terms of the generator, augmentation, other collections, averages."""

from functools import cache

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from zoo import quick_jit

from gvlab import augment, losses, tree
from gvlab.losses.terms import Term
from gvlab.models import alternating_gan, separate_gan, simultaneous_gan
from gvlab.networks import SpectralDense
from gvlab.types import Batch, UserError

LATENT, SIZE, RATE = 3, 8, 0.1
SHAPE = (2, 2, 1)
KEY = jax.random.key(7)
factories = pytest.mark.parametrize("factory", [alternating_gan, simultaneous_gan, separate_gan])


class Generator(nn.Module):
    @nn.compact
    def __call__(self, z, y=None, *, train):
        return nn.Dense(4)(z).reshape(-1, *SHAPE)


class Discriminator(nn.Module):
    @nn.compact
    def __call__(self, x, y=None, *, train):
        return nn.Dense(1)(jnp.tanh(nn.Dense(4)(x.reshape(len(x), -1))))[:, 0]


class Normalised(nn.Module):
    @nn.compact
    def __call__(self, x, y=None, *, train):
        return SpectralDense(1, train=train)(jnp.tanh(SpectralDense(4, train=train)(x.reshape(len(x), -1))))[:, 0]


def made(factory, discriminator=Discriminator, **options):
    model = factory(
        Generator(),
        discriminator(),
        optax.sgd(RATE),
        optax.sgd(RATE),
        latent_dim=LATENT,
        data_range=(-float("inf"), float("inf")),
        **options,
    )
    size = 2 * SIZE if factory is separate_gan else SIZE
    batch = Batch(jax.random.normal(jax.random.key(5), (size, *SHAPE)) + 1.0)
    return model, quick_jit(model.init)(jax.random.key(0), batch), batch


@cache
def plain_step(factory):
    """(state before, state after, info) of a step without anything else."""
    plain, state, batch = made(factory)
    return state, *quick_jit(plain.train_step)(state, batch, KEY)


def same(found, expected, **tolerance):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


SQUARE = Term("square", lambda this, memory: (jnp.square(this.fake).sum((1, 2, 3)), {"steps": memory["steps"] + 1}))
SQUARE = SQUARE._replace(init=lambda: {"steps": jnp.zeros(())})


@factories
def test_terms_of_the_generator_are_added_to_its_loss(factory):
    """With SGD: the step without, less the rate times the gradient of the term; the discriminator's is the same."""
    state, without, plain_info = plain_step(factory)
    model, start, batch = made(factory, generator_terms=[SQUARE])
    after, info = quick_jit(model.train_step)(start, batch, KEY)

    z = jax.random.normal(KEY if factory is simultaneous_gan else jax.random.fold_in(KEY, 1), (SIZE, LATENT))

    def squares(p):
        return jnp.square(Generator().apply({"params": p}, z, train=True)).sum((1, 2, 3)).mean()

    gradient = quick_jit(jax.grad(squares))(state.generator.params)
    expected = jax.tree.map(lambda p, g: p - RATE * g, without.generator.params, gradient)
    same(after.generator.params, expected, rtol=1e-5, atol=1e-6)
    same(after.discriminator.params, without.discriminator.params, rtol=1e-6)
    np.testing.assert_allclose(info["g_loss"], plain_info["g_loss"], rtol=1e-6)  # of the contest alone
    assert info["g_term/square"] > 0
    assert after.generator_memory == {"square": {"steps": 1.0}}


def test_the_generators_own_batch_is_what_it_is_compared_with():
    """Separate batches are those of alternating updates, but for the real examples of a relativistic generator."""
    contest = losses.relativistic(losses.logistic_margin_loss)
    model, state, batch = made(separate_gan, contest=contest)
    after, info = quick_jit(model.train_step)(state, batch, KEY)
    first, second = batch.x[0::2], batch.x[1::2]
    shared, _, _ = made(alternating_gan, contest=contest)
    of_first, first_info = quick_jit(shared.train_step)(state, Batch(first), KEY)
    same(after.discriminator.params, of_first.discriminator.params, rtol=1e-6)
    np.testing.assert_allclose(info["d_loss"], first_info["d_loss"], rtol=1e-6)

    z = jax.random.normal(jax.random.fold_in(KEY, 1), (SIZE, LATENT))

    def loss(params):
        fake = Generator().apply({"params": params}, z, train=True)
        real, made = (
            Discriminator().apply({"params": after.discriminator.params}, x, train=True) for x in (second, fake)
        )
        return contest.generator(real, made).mean()

    value, gradient = quick_jit(jax.value_and_grad(loss))(state.generator.params)
    np.testing.assert_allclose(info["g_loss"], value, rtol=1e-6)
    expected = jax.tree.map(lambda p, g: p - RATE * g, state.generator.params, gradient)
    same(after.generator.params, expected, rtol=1e-5, atol=1e-6)


@factories
def test_singular_vectors_advance_in_the_discriminators_passes_alone(factory):
    """Twice an update, with real and with generated examples; neither for a penalty nor for the generator."""
    model, state, batch = made(factory, Normalised, discriminator_terms=[losses.r1(0.1)])
    after, _ = quick_jit(model.train_step)(state, batch, KEY)
    kernel = np.asarray(state.discriminator.params["SpectralDense_0"]["kernel"])
    u = np.asarray(state.discriminator.collections["spectral"]["SpectralDense_0"]["u"])
    for _ in range(2):
        v = kernel @ u / np.linalg.norm(kernel @ u)
        u = kernel.T @ v / np.linalg.norm(kernel.T @ v)
    np.testing.assert_allclose(
        after.discriminator.collections["spectral"]["SpectralDense_0"]["u"], u, rtol=1e-5, atol=1e-6
    )
    held_out = quick_jit(model.evaluate)(after, Batch(batch.x[:SIZE]), jax.random.key(1))
    assert np.isfinite(held_out["d_loss"]).all()


SAME = augment.Transform("same", lambda *_: (), lambda draws, x, p: x)


@factories
def test_what_a_term_compares_is_judged_by_one_function(factory):
    """Nothing changes, so nothing is to pay, though singular vectors advance between real and generated examples."""
    compared = [losses.real_consistency(1.0, SAME), losses.fake_consistency(1.0, SAME)]
    compared += [losses.latent_consistency(1.0, 0.0), losses.r1(1e4)]
    of_generator = [losses.fake_consistency(1.0, SAME)]
    model, state, batch = made(factory, Normalised, discriminator_terms=compared, generator_terms=of_generator)
    _, info = quick_jit(model.train_step)(state, batch, jax.random.key(7))
    for name in ("d_term/real_consistency", "d_term/fake_consistency", "d_term/latent_consistency"):
        assert info[name] < 1e-12, name  # the square of a rounding
    assert info["g_term/fake_consistency"] < 1e-12
    assert info["grad_norm/discriminator"] > 100  # the slope of R1 reaches the weights


SHIFT = augment.Transform(
    "shift",
    lambda key, n, shape, axis_name: jax.random.normal(key, (n, 1, 1, 1)),
    lambda draws, x, p: x + p * draws,
)


@factories
def test_an_augmentation_of_probability_0_changes_nothing(factory):
    _, without, _ = plain_step(factory)
    model, start, batch = made(factory, augmentation=augment.constant(SHIFT, 0.0))
    after, info = quick_jit(model.train_step)(start, batch, KEY)
    same((after.generator.params, after.discriminator.params), (without.generator.params, without.discriminator.params))
    assert info["augmentation_p"] == 0


@factories
def test_slopes_go_through_the_augmentation(factory):
    """Negated images have a slope of the same size at the same place: penalties see the discriminator of -x."""
    negative = augment.Transform("negative", lambda key, n, shape, axis_name: (), lambda draws, x, p: -x)
    model, state, batch = made(factory, augmentation=augment.constant(negative), discriminator_terms=[losses.r1(1.0)])
    _, info = quick_jit(model.train_step)(state, batch, KEY)
    real = batch.x[0::2] if factory is separate_gan else batch.x

    def logit(x):
        return Discriminator().apply({"params": state.discriminator.params}, x[None], train=True)[0]

    slopes = np.asarray(quick_jit(jax.vmap(jax.grad(logit)))(-real))
    np.testing.assert_allclose(info["d_term/r1"], 0.5 * np.square(slopes).sum((1, 2, 3)).mean(), rtol=1e-5)


def test_a_ramp_counts_the_images_of_all_updates():
    model, state, batch = made(alternating_gan, augmentation=augment.ramp(SHIFT, 1.0, 32), discriminator_steps=2)
    step, seen = quick_jit(model.train_step), []
    for i in range(6):
        state, info = step(state, batch, jax.random.key(i))
        seen.append(float(info["augmentation_p"]))
    images = [4 + 8 * i for i in range(6)]  # before the second of a step's two updates
    np.testing.assert_allclose(seen, [(1 - np.cos(np.pi * min(n / 32, 1))) / 2 for n in images], rtol=1e-5)


@factories
def test_an_average_by_half_life(factory):
    model, state, batch = made(factory, ema_decay=lambda step, images: tree.half_life_decay(16.0 * (step + 1), images))
    before = state.ema_params
    after, _ = quick_jit(model.train_step)(state, batch, KEY)
    decay = 0.5 ** (SIZE / 16)
    same(
        after.ema_params,
        jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, before, after.generator.params),
        rtol=1e-5,
        atol=1e-7,
    )


def test_a_probability_by_signs_wants_a_contest_of_signs():
    controlled = augment.adaptive(SHIFT)
    pairs = losses.relativistic(losses.logistic_margin_loss)
    for contest in (
        pairs,
        losses.wasserstein,
        losses.least_squares,
        losses.top_k(pairs, 0.5),
        losses.relativistic_average(jnp.abs),
    ):
        with pytest.raises(UserError, match="The probability of shift follows the sign of the logits, but in this"):
            made(alternating_gan, contest=contest, augmentation=controlled)
    made(alternating_gan, contest=losses.top_k(losses.hinge, 0.5), augmentation=controlled)
    made(alternating_gan, contest=pairs, augmentation=augment.ramp(SHIFT, 0.5, 100))
