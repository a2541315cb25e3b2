"""Losses of classes inside the updates, against the same mathematics written out by hand, and what a model refuses."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from zoo import quick_jit

from gvlab import losses, networks
from gvlab.models import alternating_gan, simultaneous_gan
from gvlab.types import Batch, Judged, UserError

LATENT, SIZE, RATE = 3, 6, 0.1
LABELS = np.array([0, 2, 1, 0, 2, 2], np.int32)
Y = np.eye(3, dtype=np.float32)[LABELS]


class Generator(nn.Module):
    @nn.compact
    def __call__(self, z, y=None, *, train):
        return nn.Dense(2)(networks.append_label(z, y))


class Discriminator(nn.Module):
    """Says everything that a discriminator may say."""

    @nn.compact
    def __call__(self, x, y=None, *, train):
        h = jnp.tanh(nn.Dense(4)(x))
        proxy = nn.Dense(5, use_bias=False)(y)
        return Judged(nn.Dense(1)(h)[:, 0], nn.Dense(3)(h), nn.Dense(5)(h), proxy, nn.Dense(4)(h))


class Silent(nn.Module):
    """Gives logits alone."""

    @nn.compact
    def __call__(self, x, y=None, *, train):
        return nn.Dense(1)(networks.append_label(x, y))[:, 0]


def batch():
    return Batch(jnp.cos(jnp.arange(2.0 * SIZE)).reshape(SIZE, 2), jnp.asarray(LABELS))


def made(factory=alternating_gan, discriminator=Discriminator, num_classes=3, **options):
    return factory(
        Generator(), discriminator(), optax.sgd(RATE), optax.sgd(RATE), latent_dim=LATENT, num_classes=num_classes,
        data_range=(-2.0, 2.0), **options,
    )  # fmt: skip


def judge(params, x):
    return Discriminator().apply({"params": params}, x, jnp.asarray(Y), train=True)


def generate(params, z):
    return Generator().apply({"params": params}, z, jnp.asarray(Y), train=True)


def added(said, classes, contrast, data_to_data):
    """The weighted sum of the three losses."""
    y = jnp.asarray(Y)
    return (
        classes * losses.class_cross_entropy(said.classes, y)
        + contrast * losses.conditional_contrastive_loss(said.embedding, said.proxy, y, 0.7)
        + data_to_data * losses.data_to_data_loss(said.embedding, said.proxy, y, 0.4, 0.9)
    )


def with_terms(real, fake):
    """The losses of both players, of what the discriminator says of the examples."""
    d_loss = jax.nn.softplus(-real.logits) + jax.nn.softplus(fake.logits) + added(real, 0.3, 0.4, 0.5)
    return d_loss.mean(), (jax.nn.softplus(-fake.logits) + added(fake, 0.6, 0.7, 0.8)).mean()


def multi_hinge(real, fake):
    classes, generated = jnp.pad(Y, ((0, 0), (0, 1))), jax.nn.one_hot(jnp.full(SIZE, 3), 4)
    loss = losses.multi_hinge_loss
    return (loss(real.scores, classes) + loss(fake.scores, generated)).mean(), loss(fake.scores, classes).mean()


TERMS = {
    "discriminator_terms": [
        losses.real_classes(0.3), losses.real_contrast(0.4, 0.7), losses.real_data_to_data(0.5, 0.4, 0.9),
    ],
    "generator_terms": [
        losses.fake_classes(0.6), losses.fake_contrast(0.7, 0.7), losses.fake_data_to_data(0.8, 0.4, 0.9),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("factory", "options", "both_losses"),
    [
        (alternating_gan, TERMS, with_terms),
        (simultaneous_gan, TERMS, with_terms),
        (simultaneous_gan, {"contest": losses.multi_hinge}, multi_hinge),
    ],
    ids=["terms, alternating", "terms, simultaneous", "multi-hinge, simultaneous"],
)
def test_a_step_is_the_gradient_of_the_losses_by_hand(factory, options, both_losses):
    model = made(factory, **options)
    key = jax.random.key(7)

    @quick_jit
    def stepped(key):
        state = model.init(jax.random.key(0), batch())
        after, info = model.train_step(state, batch(), key)
        return state, after, info

    @quick_jit
    def by_hand(g, d, key):
        alternating = factory is alternating_gan
        keys = [jax.random.fold_in(key, i) for i in (0, 1)] if alternating else [key, key]
        z, again = (jax.random.normal(k, (SIZE, LATENT)) for k in keys)

        def d_loss(params):
            return both_losses(judge(params, batch().x), judge(params, generate(g, z)))[0]

        def g_loss(params, d):
            return both_losses(judge(d, batch().x), judge(d, generate(params, again)))[1]

        descend = partial(jax.tree.map, lambda p, slope: p - RATE * slope)
        d_after = descend(d, jax.grad(d_loss)(d))
        return descend(g, jax.grad(g_loss)(g, d_after if alternating else d)), d_after

    state, after, info = stepped(key)
    expected = by_hand(state.generator.params, state.discriminator.params, key)
    found = after.generator.params, after.discriminator.params
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), found, expected)
    curves = {f"d_term/{t.name}" for t in options.get("discriminator_terms", ())}
    curves |= {f"g_term/{t.name}" for t in options.get("generator_terms", ())}
    assert {name for name in info if "_term/" in name} == curves
    evaluated = jax.eval_shape(model.evaluate, state, batch(), key)
    assert {name: value.shape for name, value in evaluated.items()} == dict.fromkeys(
        ("d_loss", "real_logit", "fake_logit"), (SIZE,)
    )
    watched = jax.eval_shape(model.watch, state, batch(), batch(), key)
    assert all(value.shape == () for value in watched.values())


REFUSED = {
    "a term without its head": (
        {"discriminator": Silent, "generator_terms": [losses.fake_contrast(1.0)]},
        "The term fake_contrast reads Judged.embedding, which Silent does not give: use another head of it, or another "
        "term.",
    ),
    "a lazy term without its head": (
        {"discriminator": Silent, "discriminator_terms": [losses.every(2, losses.real_classes(1.0))]},
        "The term real_classes reads Judged.classes, which Silent does not give",
    ),
    "a term without classes": (
        {"discriminator": Silent, "num_classes": 0, "discriminator_terms": [losses.real_classes(1.0)]},
        "The term real_classes is about classes, but the model has none: make it conditional.",
    ),
    "a contest without its head": (
        {"discriminator": Silent, "contest": losses.multi_hinge},
        "The contest multi_hinge reads Judged.scores, which the discriminator does not give: use ExtraClassHead, or "
        "another contest.",
    ),
    "a contest without classes": (
        {"discriminator": Silent, "num_classes": 0, "contest": losses.multi_hinge},
        "The contest multi_hinge is about classes, but the model has none: make it conditional.",
    ),
}


@pytest.mark.parametrize(("options", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_reads_more_than_is_said_is_refused(options, sentence):
    model = made(**options)
    with pytest.raises(UserError) as caught:
        jax.eval_shape(model.init, jax.random.key(0), batch())
    assert str(caught.value).startswith(sentence)
