"""Categorical latents: bounds of hard draws against enumeration, a relaxed step by hand, refusals."""

import itertools
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from programs import dataset
from zoo import quick_jit

from gvlab import build, models, networks, rng
from gvlab import config as c
from gvlab.models import observation
from gvlab.types import Batch, UserError

VARIABLES, CLASSES = 2, 3
ENCODER, DECODER = networks.MLPEncoder(3, (4,)), networks.MLPDecoder((5,), (4,))
OBSERVED = observation.bernoulli()
X = jnp.asarray([[0.0, 1.0, 1.0, 0.0, 1.0]])


def model_of(hard):
    return models.categorical_autoencoder(
        *(ENCODER, DECODER, OBSERVED, optax.sgd(0.1)), variables=VARIABLES, classes=CLASSES, hard=hard,
        temperature=lambda step: 0.5 + step,
    )  # fmt: skip


def logits_of(params, x):
    heads = ENCODER.apply({"params": params["encoder"]}, x, train=True)
    return jnp.concatenate(heads, -1).reshape(-1, VARIABLES, CLASSES)


def exact(params):
    """(ELBO, log p(x)) of X, over all 9 values of its latents."""
    z = jnp.asarray(list(itertools.product(range(CLASSES), repeat=VARIABLES)))
    one_hot = jax.nn.one_hot(z, CLASSES)
    log_q = (one_hot * jax.nn.log_softmax(logits_of(params, X))).sum((-2, -1))
    raw = DECODER.apply({"params": params["decoder"]}, one_hot.reshape(len(z), -1), train=True)
    joint = OBSERVED.log_prob(raw[:, None], X)[:, 0] - VARIABLES * jnp.log(3.0)
    return (jnp.exp(log_q) * (joint - log_q)).sum(), jax.nn.logsumexp(joint)


@cache
def stepped(hard):
    """(model, state before, by hand and after a step at temperature 0.5, the terms, what is found of the state)."""
    model, key = model_of(hard), rng.root(1)
    x = jnp.broadcast_to(X, (3000, 5))

    @quick_jit
    def found(first):
        state = model.init(rng.root(0), first)
        state = state.replace(params=jax.tree.map(lambda leaf: leaf + 0.3 * jnp.sin(1.0 + leaf), state.params))
        after, info = model.train_step(state, Batch(X), key)
        uniforms = jax.random.uniform(key, (1, VARIABLES, CLASSES))

        def loss(params):
            logits = logits_of(params, X)
            scores = (logits - jnp.log(-jnp.log(uniforms))) / 0.5
            soft = jnp.exp(scores) / jnp.exp(scores).sum(-1, keepdims=True)
            one_hot = (scores == scores.max(-1, keepdims=True)).astype(jnp.float32)
            z = soft + jax.lax.stop_gradient(one_hot - soft) if hard else soft
            raw = DECODER.apply({"params": params["decoder"]}, z.reshape(1, -1), train=True)
            share = jax.nn.softmax(logits)
            kl = (share * jnp.log(3 * share)).sum()
            return kl - OBSERVED.log_prob(raw, X)[0]

        value, grads = jax.value_and_grad(loss)(state.params)
        by_hand = jax.tree.map(lambda p, g: p - 0.1 * g, state.params, grads)
        if hard:
            return state, (after.params, info["loss"]), (by_hand, value), info
        terms = model.evaluate(state, Batch(x), rng.root(2)), model.log_weights(state, Batch(X), rng.root(3), 3000)
        return state, (after.params, info["loss"]), (by_hand, value), info, terms, exact(state.params)

    return model, *found(Batch(X))


@pytest.mark.parametrize("hard", [False, True])
def test_a_step_is_that_of_the_gumbel_softmax(hard):
    _, before, ours, by_hand, info, *_ = stepped(hard)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), ours, by_hand)
    assert (before.params["encoder"]["mean"]["kernel"] != ours[0]["encoder"]["mean"]["kernel"]).any()
    assert info["temperature"] == 0.5
    assert ("elbo_nats" in info) == hard


def test_bounds_are_of_hard_draws_and_meet_the_likelihood():
    *_, (terms, weights), (elbo, log_likelihood) = stepped(False)
    np.testing.assert_allclose(terms["elbo_nats"].mean(), elbo, atol=0.05)
    np.testing.assert_allclose(weights.mean(), elbo, atol=0.05)
    np.testing.assert_allclose(jax.nn.logsumexp(weights) - np.log(weights.size), log_likelihood, atol=0.05)
    assert elbo < log_likelihood - 0.01


def test_latents_are_classes():
    model, state, *_ = stepped(False)
    z = model.prior(rng.root(0), 600)
    assert z.dtype == jnp.int32
    np.testing.assert_allclose(np.bincount(np.ravel(z)) / z.size, 1 / 3, atol=0.06)
    assert model.code_sizes == (3, 3)
    expected = jnp.argmax(logits_of(state.params, X), -1)
    np.testing.assert_array_equal(model.codes(state, Batch(X)), expected)
    decoded = jax.eval_shape(lambda: model.decode(state, z))
    assert decoded.shape == (600, 5)


def test_an_experiment_anneals_the_temperature(monkeypatch):
    config = c.CategoricalVAE(c.MLP((4,)), 2, 3, c.StraightThrough(0.8), c.Exponential(1, 0.5, end=0.3), c.Gaussian())
    given, make = {}, models.categorical_autoencoder

    def noted(*modules, **options):
        given.update(options)
        return make(*modules, **options)

    monkeypatch.setattr(models, "categorical_autoencoder", noted)
    build.model(config, (3,), 0)
    np.testing.assert_allclose([given["temperature"](step) for step in (0, 1, 9)], [0.8, 0.4, 0.24], rtol=1e-6)
    assert (given["variables"], given["classes"], given["hard"]) == (2, 3, True)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: c.CategoricalVAE(variables=0), "CategoricalVAE.variables is 0"),
        (lambda: c.CategoricalVAE(classes=1), "CategoricalVAE.classes is 1, of which a latent says nothing"),
        (lambda: c.CategoricalVAE(estimator=c.GumbelSoftmax(0.0)), "GumbelSoftmax.temperature is 0.0"),
        (lambda: c.CategoricalVAE(temperature_schedule=c.Cosine()), "by which the temperature becomes 0"),
        (lambda: build.program(c.Experiment("e", c.CategoricalVAE(), steps=1), dataset((3,))), "use Gaussian or"),
    ],
)
def test_what_cannot_be_is_refused(make, words):
    with pytest.raises(UserError, match=words):
        make()
