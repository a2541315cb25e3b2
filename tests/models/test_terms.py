"""Terms of the discriminator's loss inside both updates, against the same mathematics written out by hand."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from zoo import NormDiscriminator, NormGenerator, quick_jit

from gvlab import losses, tree
from gvlab.losses import penalties, terms
from gvlab.models import alternating_gan, simultaneous_gan
from gvlab.types import Batch, UserError

LATENT, SIZE, RATE, WEIGHT = 3, 8, 0.1, 0.7
both_updates = pytest.mark.parametrize("factory", [alternating_gan, simultaneous_gan])


class SmallGenerator(nn.Module):
    @nn.compact
    def __call__(self, z, y=None, *, train):
        return nn.Dense(2)(z)


class SmallDiscriminator(nn.Module):
    width: int = 4

    @nn.compact
    def __call__(self, x, y=None, *, train):
        return nn.Dense(1)(jnp.tanh(nn.Dense(self.width)(x)))[:, 0]


def made(factory, *discriminator_terms, networks=(SmallGenerator, SmallDiscriminator), **options):
    model = factory(
        *(network() for network in networks),
        optax.sgd(RATE),
        optax.sgd(RATE),
        latent_dim=LATENT,
        data_range=(-float("inf"), float("inf")),
        discriminator_terms=discriminator_terms,
        **options,
    )
    batch = Batch(jax.random.normal(jax.random.key(5), (SIZE, 2)) + 1.0)
    return model, quick_jit(model.init)(jax.random.key(0), batch), batch


@both_updates
def test_their_gradients_are_added_to_the_discriminators(factory):
    """With SGD, the step with R1 and R2 is that without, less the rate times the gradient of both penalties."""
    key = jax.random.key(7)
    plain, state, batch = made(factory)
    model, start, _ = made(factory, penalties.r1(WEIGHT), penalties.r2(WEIGHT))
    without, plain_info = quick_jit(plain.train_step)(state, batch, key)
    after, info = quick_jit(model.train_step)(start, batch, key)

    z = jax.random.normal(jax.random.fold_in(key, 0) if factory is alternating_gan else key, (SIZE, LATENT))
    fake = quick_jit(lambda params: SmallGenerator().apply({"params": params}, z, train=True))(state.generator.params)

    @quick_jit
    @jax.value_and_grad
    def penalty(params, x):
        def logit(one):
            return SmallDiscriminator().apply({"params": params}, one[None], train=True)[0]

        return jnp.mean(jax.vmap(lambda one: jnp.sum(jax.grad(logit)(one) ** 2))(x))

    params = state.discriminator.params
    values, gradients = zip(*(penalty(params, x) for x in (batch.x, fake)), strict=True)
    for found, start, r1, r2 in zip(
        *map(jax.tree.leaves, (after.discriminator.params, without.discriminator.params, *gradients)), strict=True
    ):
        np.testing.assert_allclose(found, start - RATE * WEIGHT / 2 * (r1 + r2), rtol=1e-4, atol=1e-6)
    for name, value in zip(("d_term/r1", "d_term/r2"), values, strict=True):
        np.testing.assert_allclose(info[name], WEIGHT / 2 * value, rtol=1e-5)
    np.testing.assert_allclose(info["d_loss"], plain_info["d_loss"], rtol=1e-6)  # of the contest alone
    if factory is simultaneous_gan:  # whose generator moves against the old discriminator
        for found, expected in zip(
            *map(jax.tree.leaves, (after.generator.params, without.generator.params)), strict=True
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


@both_updates
def test_a_memory_goes_from_step_to_step(factory):
    model, state, batch = made(factory, penalties.lecam(0.1, decay=0.5), penalties.centring(0.1))
    assert tree.count(state.memory) == 2
    step, seen = quick_jit(model.train_step), []
    for t in range(3):
        before, (state, info) = state, step(state, batch, jax.random.key(t))
        seen.append((float(before.memory["lecam"]["real"]), float(info["real_logit"])))
        keep = 0.5 if t else 0.0
        expected = keep * seen[-1][0] + (1 - keep) * seen[-1][1]
        np.testing.assert_allclose(state.memory["lecam"]["real"], expected, rtol=1e-5, atol=1e-6)


def test_of_many_updates_in_a_step_each_has_its_terms():
    model, state, batch = made(alternating_gan, penalties.lecam(0.1, decay=0.5), discriminator_steps=2)
    _, info = quick_jit(model.train_step)(state, batch, jax.random.key(0))
    assert set(info) >= {"d_term/lecam", "d_loss"}


def test_a_lazy_term_counts_the_discriminators_updates():
    """Two in a step and every third of them: the first, the fourth, the seventh, at steps 0, 1 and 3."""
    counting = terms.Term("counting", lambda this, n: (this.on_real * 0, n + 1), lambda: jnp.zeros(()))
    model, state, batch = made(alternating_gan, terms.every(3, counting), discriminator_steps=2)
    step, seen = quick_jit(model.train_step), []
    for t in range(4):
        state, _ = step(state, batch, jax.random.key(t))
        seen.append(int(state.memory["counting"]["of"]))
    assert seen == [1, 2, 2, 3]


@both_updates
def test_without_terms_nothing_is_computed_for_them(factory):
    model, state, batch = made(factory)
    assert state.memory == {}
    text = quick_jit(model.train_step).lower(state, batch, jax.random.key(0)).as_text()
    with_terms, state, _ = made(factory, penalties.r1(1.0))
    assert len(text) < len(quick_jit(with_terms.train_step).lower(state, batch, jax.random.key(0)).as_text())


def test_a_term_of_logits_costs_no_pass():
    """Neither forward nor backward: it goes through the logits of the update itself."""

    width = 256

    def flops(*discriminator_terms):
        networks = SmallGenerator, lambda: SmallDiscriminator(width)
        model, state, batch = made(simultaneous_gan, *discriminator_terms, networks=networks)
        step = jax.jit(model.train_step).lower(state, batch, jax.random.key(0)).compile()
        return step.cost_analysis()["flops"]

    a_pass = 2 * SIZE * (2 * width + width)
    assert flops(penalties.centring(0.1)) - flops() < a_pass / 4


@pytest.mark.parametrize("term", [penalties.r1(1.0), terms.every(4, penalties.gradient_penalty(1.0))])
def test_batchnorm_in_the_discriminator_is_refused(term):
    with pytest.raises(UserError, match=r"\w+ takes the gradient of NormDiscriminator by single examples, but"):
        made(alternating_gan, term, networks=(NormGenerator, NormDiscriminator))
    made(alternating_gan, penalties.lecam(1.0), networks=(NormGenerator, NormDiscriminator))  # which needs no such


def test_two_terms_of_one_name_are_refused():
    with pytest.raises(UserError, match="The term r1 was given 2 times"):
        made(simultaneous_gan, penalties.r1(1.0), penalties.r1(2.0))


def test_relativistic_games_with_both_penalties_hold_still():
    """On one Gaussian and from afar, where the plain Wasserstein game runs away (Mescheder et al. 2018, section 2)."""

    def distance(contest, *discriminator_terms):
        model, state, _ = made(alternating_gan, *discriminator_terms, contest=contest)
        step = quick_jit(model.train_step)
        for t in range(400):
            x = 0.1 * jax.random.normal(jax.random.key(t), (SIZE, 2)) + 1.0
            state, _ = step(state, Batch(x), jax.random.key(t))
        samples = model.sample(state, jax.random.key(0), 200)
        return float(jnp.linalg.norm(samples.mean(0) - 1.0))

    pairs = losses.relativistic(losses.logistic_margin_loss)
    assert distance(pairs, penalties.r1(1.0), penalties.r2(1.0)) < 0.3
