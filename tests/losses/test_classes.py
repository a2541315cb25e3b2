"""Losses of classes against StudioGAN's, at the ends of their ranges, and over devices."""

import inspect
import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import losses
from gvlab.types import Judged, UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "classes.json").read_text())["cases"]
LABELS = np.array([0, 2, 1, 0, 2, 2])


def arr(shape, scale, k):
    return scale * np.sin(0.37 * np.arange(np.prod(shape)) + 0.1 + 0.7 * k).reshape(shape)


EMBEDDING, TABLE = arr((6, 5), 1, 1), arr((3, 5), 1, 2)
CLASSES, SCORES = arr((6, 3), 1.5, 4), arr((6, 4), 1.5, 4)
Y = np.eye(3)[LABELS]

OF_VECTORS = {
    "2C temperature 1": losses.conditional_contrastive_loss,
    "2C temperature 0.5, no normalisation": partial(losses.conditional_contrastive_loss, temperature=0.5),
    "D2D-CE temperature 0.5 margin 0.98": losses.data_to_data_loss,
    "D2D-CE temperature 0.25 margin 0.75": partial(losses.data_to_data_loss, temperature=0.25, margin=0.75),
}


@pytest.mark.parametrize(("name", "loss"), OF_VECTORS.items(), ids=OF_VECTORS)
def test_losses_of_vectors_agree_with_studiogan(name, loss):
    """Whether or not vectors are normalised before, as they are there in all cases but one."""
    with jax.enable_x64(True):
        mean = jax.value_and_grad(lambda e, table: loss(e, Y @ table, jnp.asarray(Y)).mean(), (0, 1))
        value, gradients = jax.jit(mean)(EMBEDDING, TABLE)
    np.testing.assert_allclose(value, GOLDEN[name]["value"], rtol=1e-9)
    for found, expected in zip(gradients, ("grad_embed", "grad_proxy_table"), strict=True):
        np.testing.assert_allclose(found.ravel(), GOLDEN[name][expected], rtol=1e-6, atol=1e-9)


OF_LOGITS = {
    "AC-GAN cross entropy": (losses.class_cross_entropy, CLASSES, Y),
    "multi-hinge (Crammer-Singer), 3 classes + fake": (losses.multi_hinge_loss, SCORES, np.eye(4)[LABELS]),
}


@pytest.mark.parametrize(("name", "case"), OF_LOGITS.items(), ids=OF_LOGITS)
def test_losses_of_logits_agree_with_studiogan(name, case):
    loss, logits, y = case
    with jax.enable_x64(True):
        value, gradient = jax.jit(jax.value_and_grad(lambda logits: loss(logits, jnp.asarray(y)).mean()))(logits)
    np.testing.assert_allclose(value, GOLDEN[name]["value"], rtol=1e-9)
    np.testing.assert_allclose(gradient.ravel(), GOLDEN[name]["grad_logits"], rtol=1e-6, atol=1e-9)


@jax.jit
def sides_and_losses(scores, y):
    """Of the contest, and by the loss itself: of what examples are, and of what generated ones are meant to be."""
    judged = Judged(scores[:, 0], scores=scores), Judged(scores[:, 0], scores=-scores)
    real, fake = (losses.multi_hinge.reads(said, y) for said in judged)
    classes, generated = jnp.pad(y, ((0, 0), (0, 1))), jnp.zeros_like(scores).at[:, 3].set(1)
    loss = losses.multi_hinge_loss
    by_loss = loss(scores, classes) + loss(-scores, generated), loss(-scores, classes)
    return (losses.multi_hinge.discriminator(real, fake), losses.multi_hinge.generator(real, fake)), by_loss


def test_the_contest_of_the_multi_hinge_is_its_loss():
    sides, by_loss = sides_and_losses(jnp.float32(SCORES), jnp.float32(Y))
    np.testing.assert_allclose(sides, by_loss, rtol=1e-5)


@pytest.mark.parametrize("loss", [losses.conditional_contrastive_loss, losses.data_to_data_loss])
def test_vectors_at_the_ends_have_losses_and_gradients(loss):
    """Opposite, of nothing, of one class; cold, so that exponentials leave the range of float32."""
    y = np.eye(2, dtype=np.float32)[[0, 1, 0]]
    vectors = np.array([[1e15, 0.0], [-1e-15, 0.0], [0.0, 0.0]], np.float32)
    value_and_gradient = jax.jit(jax.value_and_grad(lambda e, p, y: loss(e, p, y, 0.005).sum(), (0, 1)))
    for proxy, labels in ((-vectors, y), (vectors[::-1], np.eye(2, dtype=np.float32)[[1, 1, 1]])):
        value, gradients = value_and_gradient(vectors, proxy, labels)
        assert np.isfinite(value)
        assert value >= -1e-5
        assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_an_example_that_is_alone_has_nothing_to_be_told_from():
    one = jnp.ones((1, 4))
    for loss in (losses.conditional_contrastive_loss, losses.data_to_data_loss):
        assert jax.jit(loss)(one, -one, jnp.ones((1, 2)))[0] == 0


MAKES = (losses.real_contrast, losses.fake_data_to_data, losses.fake_classes)


@pytest.mark.parametrize("make", MAKES, ids=lambda make: make.__name__)
def test_a_batch_over_devices_has_the_losses_and_the_gradients_of_the_whole(make):
    term = make(0.7)
    judged = jax.tree.map(jnp.float32, Judged(EMBEDDING[:, 0], CLASSES, EMBEDDING, Y @ TABLE))
    y, nothing = jnp.float32(Y), jnp.zeros((6, 2))

    def value(judged, y, axis_name=None):
        n = len(y)
        this = losses.Round(
            jnp.int32(0), jax.random.key(0), nothing[:n], nothing[:n], nothing[:n], lambda x: x, lambda z: z,
            judged.logits, judged.logits, axis_name, None, y, judged, judged,
        )  # fmt: skip
        return term.value(this, {})[0]

    def of_shares(judged, y):
        shares = jax.tree.map(lambda leaf: leaf.reshape(2, 3, *leaf.shape[1:]), (judged, y))
        return jax.vmap(partial(value, axis_name="data"), axis_name="data")(*shares).ravel()

    @partial(jax.jit, static_argnums=2)
    def values_and_gradient(judged, y, of):
        weights = jnp.arange(6.0)  # examples that count differently, so that none stands in for another
        return of(judged, y), jax.grad(lambda judged: weights @ of(judged, y))(judged)

    whole, shared = (values_and_gradient(judged, y, of) for of in (value, of_shares))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), shared, whole)


def test_shapes_that_would_broadcast_are_refused():
    """Unwrapped: without the tests' own check of types."""
    embedding, table, classes, y = map(jnp.float32, (EMBEDDING, TABLE, SCORES, Y))
    with pytest.raises(UserError, match=r"classes \(6, 4\), y \(6, 3\)"):
        inspect.unwrap(losses.class_cross_entropy)(classes, y)
    with pytest.raises(UserError, match="must have one shape"):
        inspect.unwrap(losses.conditional_contrastive_loss)(embedding, table, y)
    with pytest.raises(UserError, match="must have one shape"):
        inspect.unwrap(losses.data_to_data_loss)(embedding, table, y)


def test_the_most_real_by_one_logit_are_not_of_the_multi_hinge():
    with pytest.raises(UserError, match="top_k ranks examples by one logit each, but this contest reads more"):
        losses.top_k(losses.multi_hinge, 0.5)
