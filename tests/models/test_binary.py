"""VAEs of bits: gradients against enumeration, bounds of hard draws, refusals."""

import itertools
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from programs import dataset, program

from gvlab import build, models, networks, rng
from gvlab import config as c
from gvlab.models import binary
from gvlab.types import Batch, UserError

BITS, ROWS = 3, 40_000
UNBIASED = {
    "reinforce": lambda: binary.reinforce(0.9),
    "nvil": lambda: binary.nvil(networks.MLPDiscriminator((4,)), 0.8),
    "arm": binary.arm,
    "disarm": binary.disarm,
}
X = jnp.asarray([[0.0, 1.0, 1.0, 0.0, 1.0]])
observed = models.observation.bernoulli()
ENCODER, DECODER = networks.MLPEncoder(2, (4,)), networks.MLPDecoder((5,), (4,), observed.parameters)


def model_of(estimator, **options):
    return models.binary_autoencoder(
        ENCODER, DECODER, observed, optax.sgd(1.0), estimator=estimator, latent_dim=BITS, **options
    )


def bits():
    return jnp.asarray(list(itertools.product((0.0, 1.0), repeat=BITS)))


def exact(params):
    """The ELBO of X by all eight z."""
    logits = jnp.concatenate(ENCODER.apply({"params": params["encoder"]}, X, None, train=False), -1)[:, :BITS]
    raw = DECODER.apply({"params": params["decoder"]}, bits(), None, train=False)
    log_q = binary.bernoulli_log_prob(jnp.broadcast_to(logits, (8, BITS)), bits())
    joint = observed.log_prob(raw[:, None], X)[:, 0] - BITS * jnp.log(2.0)
    return (jnp.exp(log_q) * (joint - log_q)).sum(), jax.nn.logsumexp(joint)


def moved_apart(leaf):
    return leaf + 0.5 * jnp.cos(jnp.arange(1.0 * leaf.size)).reshape(leaf.shape)


@cache
def stepped(name):
    """(model, state before, gradients of a step, its terms, the exact ELBO and its gradients)."""
    model = model_of(UNBIASED[name]())

    @jax.jit
    def step(key, x):
        state = model.init(key, Batch(x))
        params = jax.tree.map(moved_apart, state.params)
        state = state.replace(params=params)
        after, info = model.train_step(state, Batch(jnp.broadcast_to(X, (ROWS, 5))), rng.root(1))
        moved = jax.tree.map(lambda a, b: b - a, params, after.params)
        return state, after, moved, info, jax.value_and_grad(lambda of: exact(of)[0])(params)

    return model, *step(rng.root(0), X)


@pytest.mark.parametrize("name", UNBIASED)
def test_a_step_follows_the_gradient_of_the_bound(name):
    _, _, after, moved, info, (elbo, gradient) = stepped(name)
    np.testing.assert_allclose(info["elbo_nats"], elbo, atol=0.02)
    for network in ("encoder", "decoder"):
        found, expected = (jax.flatten_util.ravel_pytree(of[network])[0] for of in (moved, gradient))
        scale = np.abs(expected).max()
        assert scale > 0.05
        np.testing.assert_allclose(found, expected, atol=0.08 * scale)
    memory = jax.tree.leaves(after.memory)
    assert all(np.isfinite(leaf) for leaf in memory)
    if name in ("reinforce", "nvil"):
        assert any(leaf != 0 for leaf in memory)


def test_the_second_step_of_reinforce_has_the_mean_bound_as_its_baseline():
    _, _, after, _, info, _ = stepped("reinforce")
    count, mean = after.memory
    assert count == 1
    np.testing.assert_allclose(mean / (1 - 0.9), info["elbo_nats"], rtol=1e-5)


def test_bounds_are_of_hard_draws_and_meet_the_likelihood():
    model, state, *_ = stepped("disarm")
    batch = Batch(jnp.broadcast_to(X, (2_000, 5)))

    @jax.jit
    def found(state):
        return (
            model.evaluate(state, batch, rng.root(2)),
            model.log_weights(state, batch, rng.root(3), 20),
            exact(state.params),
        )

    terms, weights, (elbo, log_likelihood) = found(state)
    np.testing.assert_allclose(terms["elbo_nats"].mean(), elbo, atol=0.1)
    np.testing.assert_allclose(weights.mean(), elbo, atol=0.05)
    np.testing.assert_allclose(jax.nn.logsumexp(weights) - np.log(weights.size), log_likelihood, atol=0.05)


def test_latents_are_bits():
    model, state, *_ = stepped("arm")
    z = model.prior(rng.root(0), 500)
    assert z.dtype == jnp.int32
    assert set(np.unique(z)) == {0, 1}
    assert abs(z.mean() - 0.5) < 0.05
    assert model.decode(state, z[:4]).shape == (4, 5)
    assert model.codes(state, Batch(X)).shape == (1, BITS)
    assert model.code_sizes == (2,) * BITS
    np.testing.assert_array_equal(model.sample(state, rng.root(0), 4), model.decode(state, model.prior(rng.root(0), 4)))


TRAINED = [c.VIMCO(2), c.NVIL((8,)), c.GumbelSoftmax(), c.StraightThrough()]
"""Those of which no gradient is held to enumeration above, and one that is."""


@pytest.mark.parametrize("estimator", TRAINED, ids=lambda estimator: type(estimator).__name__)
def test_an_estimator_lowers_its_loss(estimator):
    made = program(c.BinaryVAE(c.MLP((32,)), 15, estimator), steps=1)
    batch = Batch(jnp.asarray(made.dataset.train.x[:16]) / 255.0)

    @jax.jit
    def run(key, batch):
        def step(state, i):
            state, info = made.model.train_step(state, batch, rng.stream(key, rng.TRAIN, i))
            return state, info["loss"]

        state = made.model.init(key, batch)
        return state, *jax.lax.scan(step, state, jnp.arange(60))

    start, state, losses = run(rng.root(0), batch)
    assert np.isfinite(losses).all()
    assert losses[-10:].mean() < losses[:5].mean() - 2  # of noise, whose mean is learned
    changed = jax.tree.map(lambda a, b: (a != b).any(), start.params, state.params)
    assert all(jax.tree.leaves(changed["encoder"]))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: c.GumbelSoftmax(0.0), "GumbelSoftmax.temperature is 0.0"),
        (lambda: c.StraightThrough(float("nan")), "StraightThrough.temperature is nan"),
        (lambda: c.VIMCO(1), "VIMCO.draws is 1"),
        (lambda: c.NVIL(decay=1.0), "NVIL.decay is 1.0"),
        (lambda: c.Reinforce(-0.1), "Reinforce.decay is -0.1"),
        (lambda: c.BinaryVAE(latent_dim=0), "BinaryVAE.latent_dim is 0"),
        (lambda: build.program(c.Experiment("e", c.BinaryVAE(), steps=1), dataset((3,))), "use Gaussian or"),
    ],
)
def test_what_cannot_be_is_refused(make, words):
    with pytest.raises(UserError, match=words):
        make()
