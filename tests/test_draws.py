"""Batches are pure functions of key and step."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from programs import IMAGE, MLP_GAN, MLP_VAE, drawer, program

from gvlab import build, data, rng
from gvlab import config as c


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
