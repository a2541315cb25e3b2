"""Consistency terms against StudioGAN's, and what they look at."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import augment, losses, rng
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "augment.json").read_text())["consistency"]
TERMS = (losses.real_consistency, losses.fake_consistency, losses.latent_consistency, losses.latent_diversity)


def arr(shape, scale, k):
    return (scale * np.sin(0.37 * np.arange(np.prod(shape)) + 0.1 + 0.7 * k)).reshape(shape).astype(np.float32)


def round_of(real, fake, z, critic, generate):
    real, fake, z = map(jnp.asarray, (real, fake, z))
    key = jax.random.key(0)
    return losses.Round(jnp.int32(0), key, real, fake, z, critic, generate, critic(real), critic(fake))


def logits_of(*answers):
    """A discriminator that gives one answer after another, whatever it sees."""
    left = iter(answers)
    return lambda x: jnp.asarray(next(left))


REAL, FAKE = arr((7,), 1.9, 1), arr((7,), 1.6, 3)
ONES = np.ones((7, 8, 8, 1), np.float32)


def value(term, this):
    loss, memory = term.value(this, term.init())
    assert memory == {}
    return loss


def test_consistency_agrees_with_studiogan():
    changed = arr((7,), 1.9, 6), arr((7,), 1.6, 5)
    found = []
    for make, answer in zip((losses.real_consistency, losses.fake_consistency), changed, strict=True):
        this = round_of(ONES, ONES, ONES[:, 0, 0], logits_of(REAL, FAKE, answer), None)
        found.append(value(make(10.0), this).mean() / 10)
    np.testing.assert_allclose(found, [GOLDEN["CR real"], GOLDEN["bCR fake"]], rtol=1e-6)
    np.testing.assert_allclose(10 * sum(found), GOLDEN["bCR total lambda 10/10"], rtol=1e-6)


def test_latent_consistency_agrees_with_studiogan():
    this = round_of(ONES, ONES, ONES[:, 0, 0], logits_of(REAL, FAKE, arr((7,), 1.6, 7)), lambda z: z)
    np.testing.assert_allclose(
        value(losses.latent_consistency(20.0), this).mean(), GOLDEN["zCR D, lambda_dis 20"], rtol=1e-6
    )
    fake, near = (np.moveaxis(arr((2, 3, 4, 4), 1, k), 1, -1) for k in (1, 2))
    this = round_of(fake, fake, np.zeros((2, 1)), lambda x: x[:, 0, 0, 0], lambda z: jnp.asarray(near))
    loss = value(losses.latent_diversity(0.5), this)
    np.testing.assert_allclose(loss.mean(), GOLDEN["zCR G, lambda_gen 0.5 (added to G's loss)"], rtol=1e-6)
    assert loss.shape == (2,)


def test_the_latent_moves_by_the_deviation(monkeypatch):
    e = arr((3, 5), 1.0, 2)
    monkeypatch.setattr(rng, "normal", lambda key, shape, axis_name: jnp.asarray(e))
    z, weights = arr((3, 5), 1.0, 4), jnp.array([3.0, -1.0, 0.5, 2.0, 1.0])
    this = round_of(z, z, z, lambda x: x @ weights, lambda z: z)
    np.testing.assert_allclose(
        value(losses.latent_consistency(2.0, 0.1), this), 2 * (0.1 * e @ weights) ** 2, rtol=1e-3
    )
    np.testing.assert_allclose(
        value(losses.latent_diversity(2.0, 0.1), this), -2 * np.square(0.1 * e).mean(1), rtol=1e-3
    )


def test_each_looks_at_its_own_examples():
    """A change of a brightness that nobody asks for costs nothing; T is the transform that is given."""

    def adding(number):
        return augment.Transform("adding", lambda *_: (), lambda draws, x, p: x + number * p)

    this = round_of(2 * ONES, 3 * ONES, ONES[:, 0, 0], lambda x: jnp.square(x[:, 0, 0, 0]), None)
    assert value(losses.real_consistency(1.0, adding(1.0)), this).tolist() == [25.0] * 7
    assert value(losses.fake_consistency(2.0, adding(1.0)), this).tolist() == [98.0] * 7
    assert value(losses.real_consistency(1.0, adding(0.0)), this).tolist() == [0.0] * 7


def test_both_sides_of_a_difference_are_learned_from():
    def loss(scale):
        this = round_of(ONES, ONES, ONES[:, 0, 0], lambda x: scale * x[:, 0, 0, 0], None)
        transform = augment.Transform("half", lambda *_: (), lambda draws, x, p: x / 2)
        return value(losses.real_consistency(1.0, transform), this).mean()

    assert jax.grad(loss)(2.0) == 1.0  # of (s / 2 - s)^2


@pytest.mark.parametrize("make", TERMS, ids=lambda make: make.__name__)
def test_no_term_takes_single_gradients(make):
    """So that a discriminator with BatchNorm may have them."""
    assert not make(1.0).by_example


def test_vectors_have_no_mirror_image():
    this = round_of(ONES[:, 0, :, 0], ONES[:, 0, :, 0], ONES[:, 0, 0], lambda x: x[:, 0], None)
    with pytest.raises(UserError, match="Images can be augmented, but not examples of shape"):
        losses.real_consistency(1.0).value(this, {})


def test_generated_examples_are_compared_as_the_discriminator_saw_them():
    """Where an augmentation shows them by other draws than the real ones: nothing changed, so nothing to pay."""
    x, z = jnp.linspace(-1, 1, 24).reshape(2, 2, 2, 3), jnp.linspace(-1, 1, 6).reshape(2, 3)

    def shown(offset):
        return lambda images: (images + offset).sum((1, 2, 3))

    def generate(z):
        return x * z.sum()

    of_fake = shown(5.0)
    this = losses.Round(
        jnp.int32(0), rng.root(0), x, generate(z), z, shown(0.0), generate, shown(0.0)(x), of_fake(generate(z))
    )._replace(critic_of_fake=of_fake)
    same = augment.Transform("same", lambda *_: None, lambda draws, images, p: images)
    for term in (losses.fake_consistency(1.0, same), losses.latent_consistency(1.0, 0.0)):
        np.testing.assert_allclose(term.value(this, {})[0], 0, atol=1e-6)
