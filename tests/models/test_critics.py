"""Critics of latents: numbers of the published code, a step by hand, and what a critic learns."""

import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from programs import dataset
from waves import wave

from gvlab import build, networks, rng
from gvlab import config as c
from gvlab.models import critics
from gvlab.models.objectives import Context, Draw
from gvlab.types import Batch, UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "vae_divergences.json").read_text())["factor_vae"]


def test_factor_vae_is_that_of_the_published_code():
    given = {name: wave(of) for name, of in GOLDEN["inputs"].items() if isinstance(of, dict) and "shape" in of}
    first, first_bias, second, second_bias = (
        0.8 * np.sin(0.37 * np.arange(np.prod(shape)) + 0.1 + 0.5 * k).reshape(shape)
        for k, shape in enumerate(GOLDEN["inputs"]["parameters"].values())
    )
    # Of its two logits the difference counts.
    params = {
        "Dense_0": {"kernel": first.T, "bias": first_bias},
        "Dense_1": {"kernel": (second[0] - second[1])[:, None], "bias": (second_bias[0] - second_bias[1])[None]},
    }
    network = networks.MLPDiscriminator((5,), activation=partial(jax.nn.leaky_relu, negative_slope=0.2))
    critic = critics.LatentCritic(network, optax.sgd(0.0), critics.permuted)
    other = np.stack([np.roll(column, j + 1) for j, column in enumerate(given["z_other_half"].T)], axis=1)
    zero = jnp.zeros((1, 6))
    kl = jnp.full(6, GOLDEN["outputs"]["kl_mean"])

    @jax.jit
    def found(z):
        def total_correlation(z):
            return critics.logits(critic, params, {}, z).mean()

        context = Context(jnp.int32(0), critic=lambda z: critics.logits(critic, params, {}, z))
        bound = critics.factor(GOLDEN["inputs"]["gamma"])(Draw(z[None], zero, zero, zero, zero, kl), context)
        state = critics.CriticState(params, {}, critic.optimizer.init(params))
        _, info = critics.update(critic, state, z, jnp.asarray(other), jnp.int32(0), None)
        return jax.value_and_grad(total_correlation)(z), bound, info["critic_loss"]

    with jax.enable_x64(True):
        (correlation, gradient), bound, loss = found(given["z"])
    expected = GOLDEN["outputs"]
    np.testing.assert_allclose(correlation, expected["tc"], rtol=1e-6)  # the KL of float32 is beside it
    np.testing.assert_allclose(gradient, expected["grad_tc_wrt_z"], rtol=1e-9)
    np.testing.assert_allclose(-bound, expected["vae_loss_without_reconstruction"], rtol=1e-6)
    np.testing.assert_allclose(loss, expected["discriminator_loss"], rtol=1e-9)


@pytest.mark.parametrize("devices", [1, 2])
def test_permuted_draws_are_those_of_the_whole_batch_latent_by_latent(devices):
    z = jnp.arange(24.0).reshape(devices, -1, 3)
    mixed = (
        critics.permuted(rng.root(0), z[0], None)[None]
        if devices == 1
        else jax.vmap(lambda z: critics.permuted(rng.root(0), z, "data"), axis_name="data")(z)
    )
    assert mixed.shape == z.shape
    rows, mixed = np.asarray(z).reshape(-1, 3), np.asarray(mixed).reshape(-1, 3)
    np.testing.assert_array_equal(np.sort(mixed, axis=0), rows)
    assert (mixed != rows).any()
    assert not {tuple(row) for row in mixed} <= {tuple(row) for row in rows}  # each latent for itself


OBJECTIVES = {"factor": c.Factor(2.0, (4,), c.SGD(0.1)), "adversarial": c.Adversarial(2.0, (4,), c.SGD(0.1))}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_step_descends_both_losses(name):
    """Of half of the batch each: by hand, with plain gradient descent."""
    vae = c.VAE(c.MLP((8,)), 2, OBJECTIVES[name], c.Gaussian(variance=30.0), optimizer=c.SGD(0.1))
    program = build.program(c.Experiment("e", vae, steps=1, batch_size=4), dataset((3,)))
    assert program.experiment.examples_per_step == 8
    model, split = program.model, program.dataset.train
    batch = Batch(jnp.asarray(split.x[:8]), jnp.asarray(split.y[:8]))
    key = rng.root(1)

    @jax.jit
    def found():
        state = model.init(rng.root(0), program.first_batch())
        after, info = model.train_step(state, batch, key)
        encoder, network = (
            networks.MLPEncoder(2, (8,)),
            networks.MLPDiscriminator((4,), partial(jax.nn.leaky_relu, negative_slope=0.2)),
        )
        decoder = networks.MLPDecoder((3,), (8,), parameters=1)
        noise = rng.normal(key, (1, 4, 2))[0]
        draw_key, other_key = jax.random.split(rng.stream(key, rng.CRITIC))

        def encoded(params, x, noise):
            mean, logvar = encoder.apply({"params": params["encoder"]}, x, train=True)
            return mean + jnp.exp(logvar / 2) * noise, 0.5 * (mean**2 + jnp.exp(logvar) - logvar - 1).sum(-1)

        def judged(params, z):
            return network.apply({"params": params}, z, train=True)

        def loss(params):
            z, kl = encoded(params, batch.x[::2], noise)
            apart = batch.x[::2] - decoder.apply({"params": params["decoder"]}, z, train=True)
            fits = (-0.5 * apart**2 / 30 - 0.5 * jnp.log(2 * jnp.pi * 30)).sum(-1).mean()
            logits = judged(state.critic.params, z)
            if name == "factor":
                return -(fits - kl.mean() - 2 * logits.mean()), z
            return -(fits - 2 * -jnp.log(jax.nn.sigmoid(-logits)).mean()), z

        grads, z = jax.grad(loss, has_aux=True)(state.params)
        params = jax.tree.map(lambda p, g: p - 0.1 * g, state.params, grads)
        drawn, _ = encoded(params, batch.x[1::2], rng.normal(draw_key, (4, 2)))
        other = critics.permuted(other_key, drawn, None) if name == "factor" else rng.normal(other_key, (4, 2))

        def critic_loss(params):
            return (
                -(jnp.log(jax.nn.sigmoid(judged(params, z))) + jnp.log(jax.nn.sigmoid(-judged(params, other)))).mean()
                / 2
            )

        value, grads = jax.value_and_grad(critic_loss)(state.critic.params)
        critic = jax.tree.map(lambda p, g: p - 0.1 * g, state.critic.params, grads)
        return (after.params, after.critic.params, info["critic_loss"]), (params, critic, value), state

    ours, by_hand, state = found()
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), ours, by_hand)
    assert any((a != b).any() for a, b in zip(*map(jax.tree.leaves, (state.critic.params, ours[1])), strict=True))
    with pytest.raises(
        UserError, match=r"The batch has 7 examples \(per device\), which the autoencoder and its critic"
    ):
        jax.eval_shape(model.train_step, state, Batch(batch.x[:7], batch.y[:7]), key)


def test_a_critic_learns_the_total_correlation():
    """Of two normal latents with the correlation 0.9: -log(1 - 0.81) / 2 = 0.83 nats."""
    critic = critics.LatentCritic(networks.MLPDiscriminator((32, 32)), optax.adam(3e-3), critics.permuted)

    def drawn(key):
        a, b = jax.random.normal(key, (2, 512))
        return jnp.stack([a, 0.9 * a + jnp.sqrt(1 - 0.81) * b], axis=1)

    def step(state, key):
        first, second, mixing = jax.random.split(key, 3)
        other = critics.permuted(mixing, drawn(second), None)
        return critics.update(critic, state, drawn(first), other, jnp.int32(0), None)

    @jax.jit
    def found():
        state, _ = jax.lax.scan(step, critics.init(critic, rng.root(0), 2), jax.random.split(rng.root(1), 400))
        return critics.logits(
            critic, state.params, state.stats, jnp.concatenate(jax.vmap(drawn)(jax.random.split(rng.root(2), 20)))
        )

    np.testing.assert_allclose(found().mean(), -np.log(1 - 0.81) / 2, atol=0.1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"objective": c.Factor(), "network": c.TwoLayerMLP(first=2), "latent_dim": 4}, "which is of one layer"),
        ({"objective": c.Adversarial(), "prior": c.Mixture()}, "Adversarial compares the latents with a standard"),
        ({"objective": c.Factor(), "beta": 2.0}, "but Factor has no KL term"),
    ],
)
def test_what_a_critic_cannot_be_with_is_refused(options, words):
    with pytest.raises(UserError, match=words):
        c.VAE(**options)
