"""Generators with styles and noise inside all updates, against the same mathematics written out by hand."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from zoo import quick_jit

from gvlab import losses, networks, rng
from gvlab.losses.styles import path_lengths
from gvlab.losses.terms import Term
from gvlab.models import alternating_gan, simultaneous_gan
from gvlab.types import Batch, UserError

LATENT, SIZE, RATE, WEIGHT = 3, 8, 0.1, 0.7
both_updates = pytest.mark.parametrize("factory", [alternating_gan, simultaneous_gan])


class Styled(nn.Module):
    """The smallest generator with styles of two layers, and noise; its images have one pixel of two channels."""

    axis_name: str | None = None

    draws = True
    styled = True

    def setup(self):
        self.first, self.second = nn.Dense(4), nn.Dense(2)

    def styles(self, z, y=None, *, train):
        w = jnp.tanh(self.first(z))
        return jnp.stack([w, w], axis=1)

    def images(self, ws, *, train):
        x = self.second(jnp.sin(ws[:, 0]) * ws[:, 1])[:, None, None, :]
        return x + 0.1 * rng.normal(self.make_rng("noise"), x.shape, self.axis_name) if self.has_rng("noise") else x

    def __call__(self, z, y=None, *, train):
        return self.images(self.styles(z, y, train=train), train=train)


class Judge(nn.Module):
    """Sees how the images of a batch differ."""

    axis_name: str | None = None

    @nn.compact
    def __call__(self, x, y=None, *, train):
        x = networks.minibatch_stddev(jnp.tanh(nn.Dense(4)(x)), axis_name=self.axis_name)
        return nn.Dense(1)(x)[:, 0, 0, 0]


def made(factory, *generator_terms, axis=None, generator=Styled):
    return factory(
        generator(axis),
        Judge(axis),
        optax.sgd(RATE),
        optax.sgd(RATE),
        latent_dim=LATENT,
        data_range=(-float("inf"), float("inf")),
        generator_terms=generator_terms,
        axis_name=axis,
    )


BATCH = Batch(jax.random.normal(jax.random.key(5), (SIZE, 1, 1, 2)) + 1.0)
KEY = jax.random.key(7)


def seen(this, memory):
    """What a term is given: its passes draw the noise of the examples, so that only what it changes differs."""
    ws, images = this.styled(this.z)
    apart = [jnp.abs(x - this.fake).sum() for x in (this.generate(this.z), images(ws))]
    return jnp.full(len(this.z), sum(apart)), {"drawn": this.fake}


@both_updates
def test_path_lengths_are_added_to_the_generators_loss(factory):
    """With SGD, the step is that without, less the rate times the gradient; the average goes on in the state."""
    plain, model = made(factory), made(factory, losses.path_length(WEIGHT, decay=0.5, shrink=4))
    state = quick_jit(model.init)(jax.random.key(0), BATCH)

    @quick_jit
    def both(state):
        return model.train_step(state, BATCH, KEY), plain.train_step(state.replace(generator_memory={}), BATCH, KEY)

    (after, info), (without, _) = both(state)

    key = jax.random.fold_in(KEY, 1) if factory is alternating_gan else KEY
    z = jax.random.normal(key, (SIZE, LATENT))[:2]
    noise = jax.random.normal(jax.random.fold_in(rng.stream(key, rng.TERMS), 0), (2, 1, 1, 2))

    def penalty(params):
        variables = {"params": params}
        ws = Styled().apply(variables, z, train=True, method="styles")
        lengths = path_lengths(lambda ws: Styled().apply(variables, ws, train=True, method="images"), ws, noise)
        average = lengths.mean() / 2
        return WEIGHT * jnp.square(lengths - average).mean(), average

    (value, average), grads = quick_jit(jax.value_and_grad(penalty, has_aux=True))(state.generator.params)
    np.testing.assert_allclose(info["g_term/path_length"], value, rtol=1e-5)
    np.testing.assert_allclose(after.generator_memory["path_length"]["length"], average, rtol=1e-5)
    for found, start, grad in zip(
        *map(jax.tree.leaves, (after.generator.params, without.generator.params, grads)), strict=True
    ):
        np.testing.assert_allclose(found, start - RATE * grad, rtol=1e-4, atol=1e-6)


def test_noise_is_new_in_each_step_and_one_for_all_passes_of_an_update():
    model = made(alternating_gan, Term("seen", seen, lambda: {"drawn": BATCH.x}))
    state = quick_jit(model.init)(jax.random.key(0), BATCH)
    step = quick_jit(model.train_step)
    (one, info), (again, _), (other, _) = (step(state, BATCH, key) for key in (KEY, KEY, jax.random.key(8)))
    assert info["g_term/seen"] == 0
    drawn, repeated, new = (found.generator_memory["seen"]["drawn"] for found in (one, again, other))
    np.testing.assert_array_equal(drawn, repeated)
    assert (drawn != new).all()
    z = jax.random.normal(jax.random.fold_in(KEY, 1), (SIZE, LATENT))
    still = Styled().apply({"params": state.generator.params}, z, train=True)
    spread = np.asarray((drawn - still) / 0.1)
    assert abs(spread.std() - 1) < 5 / np.sqrt(2 * spread.size)
    np.testing.assert_array_equal(model.decode(state, z), model.decode(state, z))


def test_devices_make_the_step_of_one():
    """The noise, the lengths' average and the deviation in the discriminator are of the whole batch."""
    term = losses.path_length(WEIGHT, decay=0.5, shrink=1)
    alone, shared = made(alternating_gan, term), made(alternating_gan, term, axis="data")
    state = quick_jit(alone.init)(jax.random.key(0), BATCH)
    shares = jax.tree.map(lambda leaf: leaf.reshape(2, SIZE // 2, *leaf.shape[1:]), BATCH)

    @quick_jit
    def both(state):
        step = jax.vmap(shared.train_step, in_axes=(None, 0, None), out_axes=0, axis_name="data")
        return alone.train_step(state, BATCH, KEY), step(state, shares, KEY)

    for one, of_devices in zip(*map(jax.tree.leaves, both(state)), strict=True):
        for device in of_devices:
            np.testing.assert_allclose(device, one, rtol=1e-4, atol=1e-6)


def test_a_generator_without_styles_is_refused():
    model = made(
        alternating_gan, losses.path_length(1.0), generator=lambda axis: networks.MLPGenerator((1, 1, 2), (4,))
    )
    state = quick_jit(model.init)(jax.random.key(0), BATCH)
    with pytest.raises(UserError, match="path_length is of a generator with styles, which this one has not: use Style"):
        jax.eval_shape(model.train_step, state, BATCH, KEY)
