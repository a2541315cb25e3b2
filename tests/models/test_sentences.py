"""Models of sentences: what is written symbol by symbol is what the likelihood is of."""

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gvlab import losses, networks, rng
from gvlab.models import densities, observation, sentences
from gvlab.models.vae import variational_autoencoder
from gvlab.types import Batch, UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "text.json").read_text())["sentence_vae"]
LENGTH, LEVELS, LATENT = 5, 4, 2
CHEAP = {"xla_backend_optimization_level": 0}
DECODERS = {
    "gru": networks.GRUDecoder(LEVELS, width=6, embedding=3),
    "transformer": networks.TransformerDecoder(LEVELS, LENGTH, width=8, blocks=2, heads=2),
}
ENCODERS = {
    "gru": networks.GRUEncoder(LATENT, LEVELS, width=6, embedding=3),
    "transformer": networks.TransformerEncoder(LATENT, LEVELS, width=8, blocks=1, heads=2),
}
X = jnp.array([[2, 3, 2, 1, 0], [3, 0, 0, 0, 0], [0, 0, 0, 0, 0], [2, 2, 3, 0, 0]], jnp.int32)


def formula():
    b, t, v, unit = np.arange(3)[:, None, None], np.arange(6)[:, None], np.arange(7), np.arange(4)
    logits = np.sin(1.3 * b + 0.7 * t + 2.1 * v) + 0.5 * np.cos(0.4 * v * t)
    tokens = (2 * np.arange(3)[:, None] + 3 * np.arange(6)) % 7
    counted = np.arange(6) < np.array([6, 3, 1])[:, None]
    mean = np.cos(1.1 * np.arange(3)[:, None] + 0.6 * unit)
    logvar = -0.5 + 0.3 * np.sin(2 * np.arange(3)[:, None] + unit)
    return (jnp.asarray(of, jnp.float32) for of in (logits, mean, logvar)), jnp.asarray(tokens), jnp.asarray(counted)


@functools.cache
def of(name):
    """(decoder, its parameters by formula, latents)."""
    decoder, z = DECODERS[name], jnp.array([[0.3, -1.0], [1.2, 0.4], [-0.7, 0.1], [0.0, 2.0]])
    shapes = jax.eval_shape(lambda: decoder.init(rng.root(0), (z, X), None, train=True))
    leaves, tree = jax.tree.flatten(shapes)
    made = [jnp.asarray(0.6 * np.sin(0.37 * np.arange(leaf.size) + i).reshape(leaf.shape), jnp.float32)
            for i, leaf in enumerate(leaves)]  # fmt: skip
    return decoder, jax.tree.unflatten(tree, made), z


def test_the_golden_sentences():
    (logits, mean, logvar), tokens, counted = formula()
    reconstruction = losses.masked_log_prob(logits, tokens, counted)
    np.testing.assert_allclose(reconstruction, GOLDEN["reconstruction_nats"], rtol=1e-5)
    kl = losses.gaussian_kl(mean, logvar)
    np.testing.assert_allclose(losses.elbo(reconstruction, kl), GOLDEN["elbo_nats"], rtol=1e-5)
    nats = -float(losses.elbo(reconstruction, kl).sum()) / int(counted.sum())
    assert nats == pytest.approx(GOLDEN["nats_per_token"], rel=1e-5)
    assert np.exp(nats) == pytest.approx(GOLDEN["perplexity_of_elbo"], rel=1e-5)


def test_what_counts_is_up_to_the_first_end():
    assert losses.sentences.up_to_end(X).astype(int).tolist() == [
        [1, 1, 1, 1, 1],
        [1, 1, 0, 0, 0],
        [1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0],
    ]


@pytest.mark.parametrize("name", DECODERS)
def test_all_sentences_together_are_certain(name):
    """The sum of the probabilities of all 3^0 + ... + 3^3 rows that end within 4."""
    decoder, params, z = of(name)
    if name == "transformer":
        decoder = networks.TransformerDecoder(LEVELS, 4, width=8, blocks=2, heads=2)
        params = {"params": {**params["params"], "places": params["params"]["places"][:4]}}
    rows = [[]]
    for _ in range(3):
        rows += [row + [symbol] for row in rows for symbol in (1, 2, 3) if row + [symbol] not in rows]
    x = jnp.array([row + [0] * (4 - len(row)) for row in rows], jnp.int32)
    assert len(x) == 40

    @functools.partial(jax.jit, compiler_options=CHEAP)
    def log_prob(x):
        latents = jnp.broadcast_to(z[:1], (len(x), LATENT))
        return losses.sentence_log_prob(decoder.apply(params, (latents, x), None, train=False), x)

    assert float(jax.nn.logsumexp(log_prob(x))) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("name", DECODERS)
def test_steps_give_the_logits_of_the_whole(name):
    """And the most likely sentences of the whole are those that are written."""
    decoder, params, z = of(name)

    def apply(inputs, method):
        return decoder.apply(params, inputs, None, train=False, method=method)

    @functools.partial(jax.jit, compiler_options=CHEAP)
    def both(z):
        carried, logits = apply(z, "begin"), []
        for position in range(LENGTH):
            carried, now = apply((carried, X[:, position - 1]), "step")
            logits.append(now)

        def step(carried, token):
            return apply((carried, token), "step")

        written = sentences.write(step, apply(z, "begin"), len(z), LENGTH, sentences.greedily)
        again = apply((z, written), None)
        return jnp.stack(logits, 1), apply((z, X), None), written, again

    steps, whole, written, again = both(z)
    np.testing.assert_allclose(steps, whole, atol=2e-6)
    assert (written[:, -1] == 0).all()
    counted = np.array(losses.sentences.up_to_end(written))
    counted[:, -1] = False
    np.testing.assert_array_equal(np.asarray(again.argmax(-1))[counted], np.asarray(written)[counted])
    assert not np.asarray(written)[~np.asarray(losses.sentences.up_to_end(written))].any()


@pytest.mark.parametrize("name", DECODERS)
def test_no_symbol_is_told_beforehand(name):
    decoder, params, z = of(name)
    logits = jax.jit(lambda x: decoder.apply(params, (z, x), None, train=False), compiler_options=CHEAP)
    before, after = logits(X), logits(X.at[:, 2].set(1))
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert not np.array_equal(before[:, 3:], after[:, 3:])


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_see_sentences_and_nothing_behind_their_ends(name):
    @functools.partial(jax.jit, compiler_options=CHEAP)
    def means(x):
        return ENCODERS[name].init_with_output(rng.root(0), x, None, train=True)[0][0]

    found = np.asarray(means(X))
    assert len(np.unique(found, axis=0)) == len(X)
    if name == "gru":  # which is the same for rows of any length
        np.testing.assert_allclose(means(jnp.pad(X, ((0, 0), (0, 2)))), found, atol=1e-6)


def test_words_are_dropped_and_ends_are_not():
    x = jnp.full((200, 5), 3, jnp.int32).at[:, 4].set(0)
    dropped = np.asarray(sentences.words_dropped(rng.root(0), x, 0.3))
    assert set(np.unique(dropped)) == {0, 1, 3}
    assert (dropped[:, 4] == 0).all()
    assert abs((dropped[:, :4] == 1).mean() - 0.3) < 4 * np.sqrt(0.21 / 800)


def test_a_language_model_draws_what_its_likelihood_says():
    """The frequencies of 4,000 draws against the probabilities of all rows of length 3 over 3 symbols."""
    model = densities.density(densities.sentences(networks.GRUDecoder(3, 4, 2), 3, 3), optax.adam(0.1))
    rows = jnp.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [1, 1, 0], [1, 2, 0], [2, 1, 0], [2, 2, 0]], jnp.int32)
    state = jax.jit(model.init)(rng.root(0), Batch(rows))
    state, info = jax.jit(model.train_step, compiler_options=CHEAP)(state, Batch(rows), rng.root(1))
    assert int(state.step) == 1
    terms, drawn = jax.jit(
        lambda state: (model.evaluate(state, Batch(rows), rng.root(0)), model.sample(state, rng.root(2), 4000)),
        compiler_options=CHEAP,
    )(state)
    probabilities = np.exp(np.asarray(terms["log_prob_nats"], np.float64))
    assert probabilities.sum() == pytest.approx(1.0, abs=1e-5)
    counts = np.array([(np.asarray(drawn) == row).all(1).sum() for row in np.asarray(rows)])
    assert counts.sum() == 4000
    assert (np.abs(counts - 4000 * probabilities) < 4 * np.sqrt(4000 * probabilities)).all()
    assert float(info["loss"]) == pytest.approx(np.mean(-np.asarray(terms["log_prob_nats"])), abs=0.5)


@pytest.fixture(scope="module")
def vae():
    made = variational_autoencoder(
        ENCODERS["gru"], DECODERS["gru"], observation.sentences(LEVELS, LENGTH, 0.5), optax.sgd(0.1), latent_dim=LATENT
    )
    state = jax.jit(made.init, compiler_options=CHEAP)(rng.root(0), Batch(X))
    return made, state


def test_a_sentence_vae_trains_on_dropped_words_and_is_measured_on_whole_sentences(vae):
    model, state = vae

    @functools.partial(jax.jit, compiler_options=CHEAP)
    def all_of(state):
        z = model.latents(state, rng.root(3), 4)
        after, info = model.train_step(state, Batch(X), rng.root(1))
        terms = model.evaluate(state, Batch(X), rng.root(1))
        return after, info, terms, model.log_likelihood(state, Batch(X), z[None]), model.decode(state, z)

    after, info, terms, log_likelihood, decoded = all_of(state)
    assert int(after.step) == 1
    assert np.isfinite([float(value) for value in info.values()]).all()
    # The same draws of z, but unknown symbols.
    assert float(info["kl_nats"]) == pytest.approx(float(terms["kl_nats"].mean()), rel=1e-5)
    assert float(info["reconstruction_nats"]) != pytest.approx(float(terms["reconstruction_nats"].mean()), rel=1e-5)
    assert log_likelihood.shape == (1, 4)
    assert decoded.dtype == jnp.int32
    assert decoded.shape == (4, LENGTH)
    assert (decoded[:, -1] == 0).all()


def test_what_are_no_sentences_is_refused(vae):
    model, _ = vae
    with pytest.raises(UserError, match="The data are of type float32, but the model is of sentences"):
        model.init(rng.root(0), Batch(jnp.zeros((2, LENGTH))))
    with pytest.raises(UserError, match=r"have the shape \(3,\), but the decoder makes \(5,\)"):
        model.init(rng.root(0), Batch(jnp.zeros((2, 3), jnp.int32)))
    with pytest.raises(UserError, match="The data contain 4, but the symbols of the model are numbered from 0 to 3"):
        model.init(rng.root(0), Batch(jnp.full((2, LENGTH), 4, jnp.int32)))
