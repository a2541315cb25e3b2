"""Packs: a discriminator of several examples at once, in the networks and in a game."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gvlab import losses
from gvlab.losses import penalties, terms
from gvlab.models import alternating_gan
from gvlab.networks import MLPDiscriminator, MLPGenerator, Packed
from gvlab.types import Batch, UserError

# Compiling is most of what these tests cost, and the networks are too small to gain from LLVM's passes.
quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})

INNER, M = MLPDiscriminator(hidden=(4,)), 3
PACKED = Packed(INNER, M)


@pytest.fixture(scope="module")
def params():
    return quick_jit(partial(PACKED.init, train=True))(jax.random.key(0), jnp.zeros((2, 5)))


def test_each_example_has_the_logit_of_its_pack(params):
    """That of its examples one after the other, whose channels stand side by side in each pixel of an image."""
    x = jax.random.normal(jax.random.key(1), (6, 5))
    inner = {"params": params["params"]["discriminator"]}
    of_packs = INNER.apply(inner, x.reshape(2, 15), train=True)
    np.testing.assert_array_equal(PACKED.apply(params, x, train=True), jnp.repeat(of_packs, 3))

    images = jax.random.normal(jax.random.key(2), (6, 1, 5, 1))
    side_by_side = jnp.concatenate([images[i::3] for i in range(3)], axis=-1)
    alone = INNER.apply(inner, side_by_side, train=True)
    np.testing.assert_allclose(PACKED.apply(params, images, train=True), jnp.repeat(alone, 3), rtol=1e-6)


def test_in_evaluation_the_last_pack_is_completed(params):
    x = jax.random.normal(jax.random.key(1), (4, 5))
    completed = PACKED.apply(params, jnp.concatenate([x, x[:2]]), train=True)
    np.testing.assert_array_equal(PACKED.apply(params, x, train=False), completed[:4])
    with pytest.raises(UserError, match=r"batch has 4 examples \(per device\), which packs of 3 cannot share equally"):
        PACKED.apply(params, x, train=True)
    with pytest.raises(UserError, match="one class per pack would be needed: use conditional=False, or packing=1"):
        PACKED.apply(params, x[:3], jnp.zeros((3, 2)), train=True)


def game(*discriminator_terms):
    return alternating_gan(
        MLPGenerator((5,), hidden=(4,)),
        PACKED,
        optax.sgd(0.1),
        optax.sgd(0.1),
        latent_dim=2,
        data_range=(-float("inf"), float("inf")),
        contest=losses.wasserstein,
        discriminator_terms=discriminator_terms,
    )


def test_losses_are_means_over_packs():
    """Of the discriminator's gradient, by hand: with SGD its step is that of a batch of packs."""
    model, batch = game(), Batch(jax.random.normal(jax.random.key(3), (6, 5)))
    state = quick_jit(model.init)(jax.random.key(0), batch)
    after, info = quick_jit(model.train_step)(state, batch, jax.random.key(1))
    z = jax.random.normal(jax.random.fold_in(jax.random.key(1), 0), (6, 2))
    fake = MLPGenerator((5,), hidden=(4,)).apply({"params": state.generator.params}, z, train=True)

    def loss(params):
        real, made = (INNER.apply({"params": params}, x.reshape(2, 15), train=True) for x in (batch.x, fake))
        return (made - real).mean()

    before = state.discriminator.params["discriminator"]
    value, grads = jax.value_and_grad(loss)(before)
    np.testing.assert_allclose(info["d_loss"], value, rtol=1e-5)
    expected = jax.tree.map(lambda p, g: p - 0.1 * g, before, grads)
    for found, leaf in zip(*map(jax.tree.leaves, (after.discriminator.params["discriminator"], expected)), strict=True):
        np.testing.assert_allclose(found, leaf, rtol=1e-5, atol=1e-7)


def test_slopes_of_single_examples_are_refused():
    key, batch = jax.random.key(0), Batch(jnp.zeros((6, 5)))
    for term in (penalties.r1(1.0), terms.every(4, penalties.gradient_penalty(1.0))):
        with pytest.raises(
            UserError, match=r"the gradient of Packed by single examples, but a logit of it .* packing=1"
        ):
            jax.eval_shape(game(term).init, key, batch)
    jax.eval_shape(game(penalties.lecam(1.0), penalties.r1_finite_difference(1.0)).init, key, batch)
