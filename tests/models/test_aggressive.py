"""Algorithm 1 of He et al. 2019: its steps by hand, what stays to the last bit, and what q(z|x) tells of x."""

from dataclasses import replace
from functools import cache

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from programs import dataset

from gvlab import build, metrics, models, networks, rng, tree
from gvlab import config as c
from gvlab.models import aggressive
from gvlab.types import Batch, UserError

MOST, WINDOW, UNTIL, SIZE = 5, 2, 200, 8
ADAM = optax.adam(0.01)
PIXELS = models.observation.gaussian(0.3)


def make(optimizer, axis_name=None):
    """A VAE of 4 numbers with a linear decoder, so that there is little to compile."""
    return models.variational_autoencoder(
        networks.MLPEncoder(2, (8,)), networks.MLPDecoder((4,), ()), PIXELS, optimizer, latent_dim=2,
        data_range=build.UNBOUNDED, axis_name=axis_name,
    )  # fmt: skip


def quick(step):
    return jax.jit(step, compiler_options={"xla_backend_optimization_level": 0})


@cache
def step():
    model = aggressive.in_turns(make, ADAM, most=MOST, window=WINDOW, until=UNTIL)
    return quick(model.train_step)


@cache
def part(moves_inference: bool, moves_model: bool):
    return quick(make(aggressive.in_parts(ADAM, moves_inference, moves_model)).train_step)


@cache
def start():
    model = make(aggressive.in_parts(ADAM, True, True))
    state = quick(lambda key: model.init(key, Batch(jnp.zeros((2, 4)))))(rng.root(0))
    # Zeros of either sign stay what they are.
    bias = state.params["decoder"]["Dense_0"]["bias"] * -1.0
    return state.replace(
        params=state.params | {"decoder": {"Dense_0": state.params["decoder"]["Dense_0"] | {"bias": bias}}}
    )


def examples(number: int, size: int = SIZE * (MOST + 1)):
    """Points near a plane, in another order than their shares are taken in."""
    generator = np.random.default_rng(number)
    return jnp.asarray(generator.normal(size=(size, 2)) @ np.array([[1, 2, 0, 1], [0, 1, 1, -1.0]]), jnp.float32)


def bits(named) -> bytes:
    return b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(named))


def test_updates_of_the_encoder_leave_the_decoder_to_the_last_bit():
    before = start()
    assert np.signbit(before.params["decoder"]["Dense_0"]["bias"]).all()
    batch = Batch(examples(0, SIZE))
    after, _ = part(True, False)(before, batch, rng.root(1))
    assert bits(before.params["decoder"]) == bits(after.params["decoder"])
    assert bits(before.optimizer["model"]) == bits(after.optimizer["model"])
    assert all((a != b).any() for a, b in zip(*map(kernels, (before, after)), strict=True))
    other, _ = part(False, True)(before, batch, rng.root(1))
    assert bits(before.params["encoder"]) == bits(other.params["encoder"])
    assert bits(before.optimizer["inference"]) == bits(other.optimizer["inference"])
    assert tree.digest(before.params["decoder"]) != tree.digest(other.params["decoder"])


def kernels(state):
    return [of["kernel"] for of in state.params["encoder"].values()]


def by_hand(state, x, key):
    """Algorithm 1 step by step: (the state after it, the updates of the encoder)."""
    losses = []
    for number in range(1, MOST + 1):
        share, noise = Batch(x[number :: MOST + 1]), rng.stream(key, rng.INFERENCE, number - 1)
        new, info = part(True, False)(state, share, noise)
        state = replace(new, step=state.step)
        losses.append(float(info["loss"]))
        means = np.reshape(losses[: number // WINDOW * WINDOW], (-1, WINDOW)).mean(1)
        if number % WINDOW == 0 and len(means) > 1 and means[-1] >= means[-2]:
            break
    return part(False, True)(state, Batch(x[:: MOST + 1]), key)[0], len(losses)


def test_a_step_is_that_of_the_algorithm():
    found = expected = start()
    updates = []
    for number in range(6):
        x, key = examples(number), jax.random.key(number)
        found, info = step()(found, Batch(x), key)
        expected, done = by_hand(expected, x, key)
        assert info["encoder_updates"] == done
        updates.append(done)
        for leaf, other in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
            np.testing.assert_allclose(leaf, other, rtol=1e-4, atol=1e-5)
    assert found.step == 6
    assert set(updates) == {4, MOST}  # also ended sooner, by the second look


class Counted(nn.Module):
    """Counts the training batches that it sees, as BatchNorm would average them."""

    made: nn.Module

    @nn.compact
    def __call__(self, x, y=None, *, train):
        seen = self.variable("batch_stats", "seen", jnp.zeros, ())
        if self.is_mutable_collection("batch_stats") and not self.is_initializing():
            seen.value += 1
        return self.made(x, y, train=train)


def test_statistics_of_the_decoder_are_of_its_own_batches():
    def counted(optimizer):
        return models.variational_autoencoder(
            Counted(networks.MLPEncoder(2, ())), Counted(networks.MLPDecoder((4,), ())), PIXELS, optimizer,
            latent_dim=2, data_range=build.UNBOUNDED,
        )  # fmt: skip

    model = aggressive.in_turns(counted, optax.sgd(0.0), most=2, window=2, until=1)

    @quick
    def stats(key):
        state = model.init(key, Batch(jnp.zeros((2, 4))))
        return model.train_step(state, Batch(examples(0, 6)), key)[0].stats

    found = stats(rng.root(0))
    assert (found["encoder"]["seen"], found["decoder"]["seen"]) == (3, 1)


def test_later_steps_are_plain():
    state = start().replace(step=jnp.asarray(UNTIL, jnp.int32))
    x = examples(0)
    found, info = step()(state, Batch(x), rng.root(2))
    expected, _ = part(True, True)(state, Batch(x[:: MOST + 1]), rng.root(2))
    assert info["encoder_updates"] == 1
    for leaf, other in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        np.testing.assert_allclose(leaf, other, rtol=1e-5, atol=1e-6)


def test_latents_tell_more_of_the_examples_than_after_as_many_plain_steps():
    """The plain VAE's steps have the same examples, and noise, for the decoder."""
    aggressively = plainly = start()
    for number in range(UNTIL):
        x, key = examples(number % 10), jax.random.key(number)
        aggressively, _ = step()(aggressively, Batch(x), key)
        plainly, _ = part(True, True)(plainly, Batch(x[:: MOST + 1]), key)
    assert aggressively.step == plainly.step == UNTIL

    def information(state):
        encoded = make(ADAM).encode(state, Batch(examples(99, 200)))
        return metrics.elbo_surgery(rng.root(3), *map(np.asarray, encoded)).mutual_information_nats

    assert information(aggressively) > 1.2 * information(plainly)


def test_the_configuration_makes_it():
    vae = c.VAE(c.MLP((4,)), 2, likelihood=c.Gaussian(0.3), inference=c.Aggressive(3, 3, 7))
    experiment = c.Experiment("e", vae, steps=2, batch_size=4)
    assert experiment.examples_per_step == 16
    program = build.program(experiment, dataset((3,)))
    batch = Batch(jnp.zeros((16, 3)))
    state = jax.eval_shape(program.model.init, rng.root(0), batch)
    assert set(state.optimizer) == {"inference", "model"}
    after, info = jax.eval_shape(program.model.train_step, state, batch, rng.root(0))
    assert jax.tree.map(lambda leaf: leaf.shape, after) == jax.tree.map(lambda leaf: leaf.shape, state)
    assert "encoder_updates" in info
    with pytest.raises(UserError, match=r"The batch has 6 examples .* use a multiple of 4\."):
        jax.eval_shape(program.model.train_step, state, Batch(jnp.zeros((6, 3))), rng.root(0))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: c.Aggressive(0), r"Aggressive\.most is 0"),
        (lambda: c.VAE(inference=c.Aggressive(), objective=c.Factor()), "Factor trains a critic besides: use Joint"),
        (lambda: c.VAE(inference=c.Aggressive(), prior=c.VaDE()), "the prior VaDE says itself how the first steps are"),
        (
            lambda: c.VAE(c.TwoLayerMLP(first=2), 4, inference=c.Aggressive()),
            "is of one layer of latents, but TwoLayerMLP has two",
        ),
    ],
)
def test_what_it_cannot_be_with_is_refused(make, words):
    with pytest.raises(UserError, match=words):
        make()
