"""The updates against the same mathematics written out by hand: plain gradients of the losses, in the paper's order.

The networks have BatchNorm, so its statistics are compared too; the optimizer is SGD, so a step is a gradient.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from zoo import NormDiscriminator, NormGenerator, quick_jit

from gvlab import losses, tree
from gvlab.losses import minimax_generator_loss, non_saturating_generator_loss
from gvlab.models import alternating_gan, observation, simultaneous_gan, variational_autoencoder
from gvlab.types import Batch, UserError

LATENT, SIZE, RATE = 3, 8, 0.5


class Half(NamedTuple):
    """Parameters and statistics of one network, in NumPy: eagerly, JAX would compile every operation and shape."""

    params: dict
    stats: dict


def apply(module, params, stats, *inputs):
    out, new = module.apply({"params": params, "batch_stats": stats}, *inputs, train=True, mutable=["batch_stats"])
    return out, new["batch_stats"]


def descend(half: Half, grads, stats) -> Half:
    return Half(jax.tree.map(lambda p, g: p - RATE * np.asarray(g), half.params, grads), stats)


def norm(grads):
    return np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(grads)))


def log_sigmoid(logits):
    return -jnp.logaddexp(0.0, -logits)


class Book(NamedTuple):
    """The losses as papers write them."""

    discriminator: Callable
    generator: Callable


def log_loss(real, fake):
    return -log_sigmoid(real) - log_sigmoid(-fake)


CONTESTS = {  # by the book: -log D(G(z)), log(1 - D(G(z))), margins
    losses.non_saturating: Book(log_loss, lambda real, fake: -log_sigmoid(fake)),
    losses.minimax: Book(log_loss, lambda real, fake: log_sigmoid(-fake)),
    losses.hinge: Book(
        lambda real, fake: jnp.maximum(0.0, 1 - real) + jnp.maximum(0.0, 1 + fake), lambda real, fake: -fake
    ),
}
# A generator that looks at real logits, too: of the batch that the step has anyway.
RELATIVISTIC = losses.Contest(
    lambda real, fake: jax.nn.softplus(fake - real), lambda real, fake: jax.nn.softplus(real - fake)
)
CONTESTS[RELATIVISTIC] = Book(
    lambda real, fake: -log_sigmoid(real - fake), lambda real, fake: -log_sigmoid(fake - real)
)


@partial(quick_jit, static_argnums=4)
def discriminator_gradient(g: Half, d: Half, x, z, contest):
    fake, _ = apply(NormGenerator(), *g, z)

    def loss(params):
        real_logits, stats = apply(NormDiscriminator(), params, d.stats, x)
        fake_logits, stats = apply(NormDiscriminator(), params, stats, fake)
        return jnp.mean(CONTESTS[contest].discriminator(real_logits, fake_logits)), stats

    return jax.value_and_grad(loss, has_aux=True)(d.params)


@partial(quick_jit, static_argnums=4)
def generator_gradient(g: Half, d: Half, x, z, contest):
    real_logits, _ = apply(NormDiscriminator(), *d, x)

    def loss(params):
        fake, stats = apply(NormGenerator(), params, g.stats, z)
        logits, _ = apply(NormDiscriminator(), d.params, d.stats, fake)
        return jnp.mean(CONTESTS[contest].generator(real_logits, logits)), stats

    return jax.value_and_grad(loss, has_aux=True)(g.params)


def halves(state) -> tuple[Half, Half]:
    return jax.device_get(tuple(Half(player.params, player.stats) for player in (state.generator, state.discriminator)))


def made(factory, size=SIZE, **options):
    model = factory(
        NormGenerator(),
        NormDiscriminator(),
        optax.sgd(RATE),
        optax.sgd(RATE),
        latent_dim=LATENT,
        data_range=(-float("inf"), float("inf")),
        **options,
    )
    batch = Batch(jax.random.normal(jax.random.key(5), (size, 2)) + 1.0)
    return model, quick_jit(model.init)(jax.random.key(0), batch), batch


def latents(key, n=SIZE):
    return jax.random.normal(key, (n, LATENT))


def assert_close(actual, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), actual, expected)


every_contest = pytest.mark.parametrize("contest", CONTESTS, ids=["non-saturating", "minimax", "hinge", "relativistic"])


@every_contest
def test_a_simultaneous_step_takes_both_gradients_at_the_old_parameters(contest):
    model, state, batch = made(simultaneous_gan, contest=contest)
    key = jax.random.key(1)
    new, info = quick_jit(model.train_step)(state, batch, key)

    g, d = halves(state)
    z = latents(key)
    (d_loss, d_stats), d_grads = discriminator_gradient(g, d, batch.x, z, contest)
    (g_loss, g_stats), g_grads = generator_gradient(g, d, batch.x, z, contest)
    assert_close(halves(new), (descend(g, g_grads, g_stats), descend(d, d_grads, d_stats)))
    assert_close((info["d_loss"], info["g_loss"]), (d_loss, g_loss))
    norms = info["grad_norm/discriminator"], info["grad_norm/generator"]
    assert_close(norms, (norm(d_grads), norm(g_grads)))


@every_contest
@pytest.mark.parametrize("steps", [1, 2])
def test_an_alternating_step_updates_the_generator_against_the_new_discriminator(contest, steps):
    """`steps` updates of the discriminator by hand, each on its own share and latents, then one of the other."""
    model, state, batch = made(alternating_gan, size=steps * SIZE, contest=contest, discriminator_steps=steps)
    key = jax.random.key(1)
    new, info = quick_jit(model.train_step)(state, batch, key)

    g, d = halves(state)
    for i in range(steps):
        share = np.asarray(batch.x)[i::steps]
        z = latents(jax.random.fold_in(key, i))
        (d_loss, d_stats), d_grads = discriminator_gradient(g, d, share, z, contest)
        d = descend(d, d_grads, d_stats)
    z = latents(jax.random.fold_in(key, steps))
    (g_loss, g_stats), g_grads = generator_gradient(g, d, share, z, contest)
    assert_close(halves(new), (descend(g, g_grads, g_stats), d))
    assert_close((info["d_loss"], info["g_loss"]), (d_loss, g_loss))

    # Against the old discriminator it would have been another update.
    _, old_grads = generator_gradient(g, halves(state)[1], share, z, contest)
    leaves = map(jax.tree.leaves, jax.device_get((g_grads, old_grads)))
    assert max(np.abs(a - b).max() for a, b in zip(*leaves, strict=True)) > 1e-3


def test_minimax_and_non_saturating_gradients_agree_on_the_sign_and_differ_in_size():
    """At a logit l: -sigmoid(l) and -(1 - sigmoid(l)), so the ratio is the discriminator's odds."""
    logits = np.array([-4.0, -1.0, 0.0, 2.0], np.float32)
    minimax, non_saturating = (
        np.asarray(quick_jit(jax.grad(lambda x, loss=loss: loss(x).sum()))(logits))
        for loss in (minimax_generator_loss, non_saturating_generator_loss)
    )
    np.testing.assert_allclose(minimax / non_saturating, np.exp(logits), rtol=1e-5)


def test_shares_must_divide_the_batch():
    """Nobody is dropped in silence: 7 examples cannot be split over 2 updates."""
    model, state, batch = made(alternating_gan, size=7, discriminator_steps=2)
    with pytest.raises(UserError, match=r"batch has 7 examples .* 2 updates of the discriminator"):
        model.train_step(state, batch, jax.random.key(0))


# The average of the generator ----------------------------------------------------------------------------------------


def test_the_average_follows_its_rule_statistics_included():
    model, state, batch = made(alternating_gan, ema_decay=0.3)
    step = quick_jit(model.train_step)
    average = halves(state)[0]
    for t in range(12):
        state, _ = step(state, batch, jax.random.key(t))
        decay = min(0.3, (1 + t) / (10 + t))
        new = halves(state)[0]
        average = jax.tree.map(lambda a, n, decay=decay: decay * a + (1 - decay) * n, average, new)
    assert_close(Half(state.ema_params, state.ema_stats), average)


@pytest.mark.parametrize("factory", [alternating_gan, simultaneous_gan])
def test_samples_come_from_the_average_alone(factory):
    model, state, batch = made(factory, ema_decay=0.9)
    step = quick_jit(model.train_step)
    for t in range(3):
        state, _ = step(state, batch, jax.random.key(t))
    state = jax.device_get(state)
    sample = quick_jit(lambda state: model.sample(state, jax.random.key(0), 5))
    x = np.asarray(sample(state))
    g = state.generator
    g = g.replace(params=jax.tree.map(lambda p: p + 1.0, g.params), stats=jax.tree.map(np.zeros_like, g.stats))
    spoilt = state.replace(generator=g)
    np.testing.assert_array_equal(sample(spoilt), x)
    for part in ("ema_params", "ema_stats"):
        moved = state.replace(**{part: jax.tree.map(lambda p: p + 1.0, getattr(state, part))})
        assert (np.asarray(sample(moved)) != x).any()
    direct = quick_jit(partial(NormGenerator().apply, train=False))(
        {"params": state.ema_params, "batch_stats": state.ema_stats}, model.prior(jax.random.key(0), 5)
    )
    np.testing.assert_allclose(x, direct, rtol=1e-6)


@pytest.mark.parametrize("factory", [alternating_gan, simultaneous_gan])
def test_without_decay_the_average_is_the_generator(factory):
    model, state, batch = made(factory, ema_decay=0.0)
    step = quick_jit(model.train_step)
    for t in range(3):
        state, _ = step(state, batch, jax.random.key(t))
        assert tree.digest((state.ema_params, state.ema_stats)) == tree.digest(tuple(halves(state)[0]))


# The VAE -------------------------------------------------------------------------------------------------------------


class LinearEncoder(nn.Module):
    @nn.compact
    def __call__(self, x, y=None, *, train):
        return nn.Dense(1, name="mean")(x), nn.Dense(1, name="logvar")(x)


class LinearDecoder(nn.Module):
    @nn.compact
    def __call__(self, z, y=None, *, train):
        return nn.Dense(3)(z)


VARIANCE = 0.5


@cache
def linear_vae(**options):
    model = variational_autoencoder(
        LinearEncoder(),
        LinearDecoder(),
        observation.gaussian(VARIANCE),
        optax.sgd(0.01),
        latent_dim=1,
        data_range=(-float("inf"), float("inf")),
        **options,
    )
    batch = Batch(jax.random.normal(jax.random.key(5), (SIZE, 3)))
    return model, quick_jit(model.init)(jax.random.key(0), batch), batch


def test_with_the_exact_posterior_every_bound_is_the_log_likelihood():
    """Probabilistic PCA with one latent (Tipping & Bishop 1999): p(x) = N(b, w w' + s I), and q can be p(z|x)."""
    model, state, batch = linear_vae()
    w, b = np.array([0.7, -1.1, 0.4]), np.array([0.2, 0.0, -0.5])
    variance = 1 / (1 + w @ w / VARIANCE)
    encoder = {
        "mean": {"kernel": variance / VARIANCE * w[:, None], "bias": -variance / VARIANCE * np.array([w @ b])},
        "logvar": {"kernel": np.zeros((3, 1)), "bias": np.log([variance])},
    }
    decoder = {"Dense_0": {"kernel": w[None], "bias": b}}
    params = jax.tree.map(lambda p: p.astype(np.float32), {"encoder": encoder, "decoder": decoder})
    state = state.replace(params=params)

    covariance = np.outer(w, w) + VARIANCE * np.eye(3)
    difference = np.asarray(batch.x, np.float64) - b
    quadratic = np.einsum("bi,ij,bj->b", difference, np.linalg.inv(covariance), difference)
    exact = -0.5 * (quadratic + np.linalg.slogdet(covariance)[1] + 3 * np.log(2 * np.pi))

    weights = quick_jit(model.log_weights, static_argnums=3)(state, batch, jax.random.key(1), 6)
    np.testing.assert_allclose(weights, np.broadcast_to(exact, (6, SIZE)), rtol=1e-5, atol=1e-5)
    elbo = quick_jit(jax.vmap(lambda key: model.evaluate(state, batch, key)["elbo_nats"]))
    drawn = np.asarray(elbo(jax.random.split(jax.random.key(2), 4000)))
    error = np.std(drawn, axis=0) / np.sqrt(4000)
    assert (np.abs(np.mean(drawn, axis=0) - exact) < 5 * error).all()
    mean, logvar = jax.device_get(quick_jit(model.encode)(state, batch))
    np.testing.assert_allclose(mean[:, 0], variance / VARIANCE * difference @ w, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(logvar, np.log(variance), rtol=1e-5)


@pytest.mark.parametrize("beta", [1.0, 4.0, 0.0])
def test_beta_weighs_the_kl_in_the_loss_and_not_in_the_elbo(beta):
    model, state, batch = linear_vae(beta=beta)
    _, info = jax.device_get(quick_jit(model.train_step)(state, batch, jax.random.key(1)))
    assert info["kl_nats"] > 0.01
    np.testing.assert_allclose(info["loss"], -(info["reconstruction_nats"] - beta * info["kl_nats"]), rtol=1e-5)
    np.testing.assert_allclose(info["elbo_nats"], info["reconstruction_nats"] - info["kl_nats"], rtol=1e-5)


def test_the_weight_of_the_kl_warms_up_linearly_and_stays():
    model, state, batch = linear_vae(beta=0.5, kl_warmup_steps=4)
    step, weights = quick_jit(model.train_step), []
    for t in range(7):
        state, info = jax.device_get(step(state, batch, jax.random.key(t)))
        weights.append((info["loss"] + info["reconstruction_nats"]) / info["kl_nats"])
    np.testing.assert_allclose(weights, 0.5 * np.array([0.25, 0.5, 0.75, 1, 1, 1, 1]), rtol=1e-3)


@pytest.mark.parametrize("samples", [1, 3])
def test_a_vae_step_is_the_gradient_of_the_elbo_written_out(samples):
    """Reconstruction averaged over the latents of equation 7, and the KL of appendix B (Kingma & Welling 2014)."""
    model, state, batch = linear_vae(num_samples=samples, beta=2.0)
    key = jax.random.key(1)
    new, info = quick_jit(model.train_step)(state, batch, key)
    noise = jax.random.normal(key, (samples, SIZE, 1))

    def loss(params):
        e, (kernel, bias) = params["encoder"], (params["decoder"]["Dense_0"][name] for name in ("kernel", "bias"))
        mean = batch.x @ e["mean"]["kernel"] + e["mean"]["bias"][None]
        logvar = batch.x @ e["logvar"]["kernel"] + e["logvar"]["bias"][None]
        kl = 0.5 * jnp.sum(jnp.exp(logvar) + mean**2 - 1 - logvar, axis=1)
        reconstruction = 0.0
        for draw in noise:
            made = (mean + jnp.exp(logvar / 2) * draw) @ kernel + bias[None]
            density = -((batch.x - made) ** 2) / (2 * VARIANCE) - 0.5 * np.log(2 * np.pi * VARIANCE)
            reconstruction += density.sum(axis=1) / samples
        return jnp.mean(2.0 * kl - reconstruction)

    value, grads = jax.device_get(quick_jit(jax.value_and_grad(loss))(state.params))
    np.testing.assert_allclose(info["loss"], value, rtol=1e-5)
    np.testing.assert_allclose(info["grad_norm"], norm(grads), rtol=1e-5)
    assert_close(new.params, jax.tree.map(lambda p, g: np.asarray(p) - 0.01 * g, state.params, grads))


def test_latents_are_compared_with_their_own_example():
    """With two samples per example, the order of [samples, batch] must be that of data and labels alike."""
    model, state, batch = linear_vae(num_samples=2)
    weights = np.asarray(quick_jit(model.log_weights, static_argnums=3)(state, batch, jax.random.key(0), 3))
    mean, logvar = jax.device_get(quick_jit(model.encode)(state, batch))
    state, batch = jax.device_get((state, batch))
    for i in range(SIZE):
        noise = np.asarray(jax.random.normal(jax.random.key(0), (3, SIZE, 1)))[:, i, 0]
        z = mean[i, 0] + np.exp(logvar[i, 0] / 2) * noise
        dense = state.params["decoder"]["Dense_0"]
        made = z[:, None] * dense["kernel"] + dense["bias"][None]
        joint = -np.sum((batch.x[i][None] - made) ** 2, 1) / (2 * VARIANCE) - 1.5 * np.log(2 * np.pi * VARIANCE)
        joint += -(z**2) / 2 - 0.5 * np.log(2 * np.pi)
        posterior = -(noise**2) / 2 - logvar[i, 0] / 2 - 0.5 * np.log(2 * np.pi)
        np.testing.assert_allclose(weights[:, i], joint - posterior, rtol=1e-4, atol=1e-4)


class LabelDecoder(nn.Module):
    """Makes of a latent what its label says, and nothing else."""

    @nn.compact
    def __call__(self, z, y=None, *, train):
        return nn.Dense(3, use_bias=False)(y)


def test_every_sample_of_an_example_gets_the_label_of_the_example():
    """In the train step, in `evaluate` and in `log_weights`, with more samples than one."""
    model = variational_autoencoder(
        LinearEncoder(),
        LabelDecoder(),
        observation.gaussian(VARIANCE),
        optax.sgd(0.01),
        latent_dim=1,
        num_classes=3,
        num_samples=2,
        data_range=(-float("inf"), float("inf")),
    )
    x = np.asarray(jax.random.normal(jax.random.key(5), (SIZE, 3)))
    y = np.array([0, 0, 1, 2, 2, 2, 1, 0], np.int32)
    batch, key = Batch(x, y), jax.random.key(1)
    state = jax.device_get(quick_jit(model.init)(jax.random.key(0), batch))
    made = state.params["decoder"]["Dense_0"]["kernel"][y]
    expected = np.sum(-((x - made) ** 2) / (2 * VARIANCE) - 0.5 * np.log(2 * np.pi * VARIANCE), axis=1)

    terms = quick_jit(model.evaluate)(state, batch, key)
    np.testing.assert_allclose(terms["reconstruction_nats"], expected, rtol=1e-5)
    _, info = quick_jit(model.train_step)(state, batch, key)
    np.testing.assert_allclose(info["reconstruction_nats"], expected.mean(), rtol=1e-5)
    # log p(x|z) is the same for every z: what is left of the weight is log p(z) - log q(z|x).
    mean, logvar = jax.device_get(quick_jit(model.encode)(state, batch))
    noise = np.asarray(jax.random.normal(key, (4, SIZE, 1)))
    z = mean[None] + np.exp(0.5 * logvar)[None] * noise
    rest = 0.5 * (noise**2 + logvar[None] - z**2)[..., 0]
    weights = np.asarray(quick_jit(model.log_weights, static_argnums=3)(state, batch, key, 4))
    np.testing.assert_allclose(weights - rest, np.stack([expected] * 4), rtol=1e-4)
    np.testing.assert_allclose(quick_jit(model.decode)(state, z[0], y), made, rtol=1e-6)


# What init refuses, where the networks don't fit the data ------------------------------------------------------------


def test_init_refuses_networks_that_make_another_shape():
    gan = alternating_gan(NormGenerator((5,)), NormDiscriminator(), optax.sgd(0.1), optax.sgd(0.1), latent_dim=LATENT)
    with pytest.raises(UserError, match=r"data have the shape \(2,\), but the generator makes \(5,\)\.$"):
        gan.init(jax.random.key(0), Batch(jnp.zeros((4, 2))))
    vae, _, _ = linear_vae()
    with pytest.raises(UserError, match=r"data have the shape \(4,\), but the decoder makes \(3,\)\.$"):
        vae.init(jax.random.key(0), Batch(jnp.zeros((4, 4))))
