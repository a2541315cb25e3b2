"""GANs of sentences: rows of probabilities within, integers without."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import gumbel_r, kstest
from zoo import quick_jit

from gvlab import build, data, models, networks, rng
from gvlab import config as c
from gvlab.models.one_hot import written
from gvlab.networks.sentence_convolutions import gumbel
from gvlab.train import watch
from gvlab.types import Batch, UserError

KEY = rng.root(0)
LENGTH, LEVELS = 5, 6


@pytest.fixture(scope="module")
def letters():
    alphabet = data.Alphabet(tuple("abcd"), "characters")
    x = alphabet.encode(["ab", "abc", "dcba", "a", "bb", "cd", "dab", "ca"], LENGTH)
    return data.from_arrays("letters", x, x[:4], alphabet=alphabet)


def program(network, dataset, **fields):
    terms = (c.GradientPenalty(10.0),)
    gan = c.GAN(network, 3, c.Wasserstein(), discriminator_terms=terms, discriminator_steps=2, **fields)
    return build.program(c.Experiment("e", gan, steps=3, batch_size=4), dataset)


def test_what_is_written_ends_once():
    rows = jax.nn.one_hot(jnp.array([[3, 0, 4, 2, 5], [2, 3, 4, 5, 2], [0, 1, 1, 1, 1]]), LEVELS)
    np.testing.assert_array_equal(written(rows), [[3, 0, 0, 0, 0], [2, 3, 4, 5, 0], [0, 0, 0, 0, 0]])


def test_a_step_is_that_of_the_gan_of_rows(letters):
    network = c.SentenceConvolutions(4, 1)
    made = program(network, letters)
    gan, x = made.experiment.model, jnp.asarray(letters.train.x)
    state = quick_jit(made.model.init)(KEY, Batch(x))
    new, info = quick_jit(made.model.train_step)(state, Batch(x), KEY)
    assert np.isfinite(float(info["d_term/gradient_penalty"]))
    # The same by the parts it is made of.
    optimizers = gan.generator_optimizer.transformation(1), gan.discriminator_optimizer.transformation(2)
    within = models.alternating_gan(
        *network.networks((LENGTH, LEVELS), 0, None),
        *optimizers,
        latent_dim=3,
        contest=gan.contest.contest(),
        discriminator_terms=[gan.discriminator_terms[0].term()],
        discriminator_steps=2,
        data_range=(0.0, 1.0),
    )
    expected, _ = quick_jit(within.train_step)(state, Batch(jax.nn.one_hot(x, LEVELS)), KEY)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), new, expected)


@pytest.mark.parametrize(("outputs", "numbers"), [(c.Softmax(), 3), (c.GumbelDraw(0.5), 3 + LENGTH * LEVELS)])
def test_sentences_are_functions_of_the_latents(outputs, numbers, letters):
    made = program(c.SentenceConvolutions(4, 1, outputs), letters)
    state = jax.eval_shape(made.model.init, KEY, made.first_batch())
    assert made.latent_dim == numbers
    found = jax.eval_shape(made.model.decode, state, jax.ShapeDtypeStruct((7, numbers), jnp.float32))
    assert (found.shape, found.dtype) == ((7, LENGTH), jnp.int32)
    assert jax.eval_shape(lambda state: made.model.sample(state, KEY, 7), state) == found


def test_a_draw_is_one_hot_forwards_and_soft_backwards():
    """Symbols are drawn as often as the softmax says, and the slope is that of the relaxation."""
    generator = networks.SentenceGenerator((2, 3), width=2, blocks=1, temperature=0.7)
    z = np.array(jax.random.normal(jax.random.key(1), (4000, 1 + 6)))
    z[:, 0] = 0.3
    variables = quick_jit(lambda key, z: generator.init(key, z, train=True))(jax.random.key(0), z[:2])
    bias = np.array([0.0, 1.0, -1.0], np.float32)
    variables["params"]["Conv1D_0"] = {"kernel": np.zeros((1, 2, 3), np.float32), "bias": bias}
    rows = quick_jit(lambda variables, z: generator.apply(variables, z, train=False))(variables, z)
    assert set(np.unique(np.asarray(rows).round(6))) == {0.0, 1.0}
    found = np.asarray(rows).mean((0, 1))
    np.testing.assert_allclose(found, jax.nn.softmax(bias), atol=4 * 0.5 / np.sqrt(8000))

    few = jnp.asarray(z[:5])

    def first(bias):
        changed = {"params": variables["params"] | {"Conv1D_0": {"kernel": jnp.zeros((1, 2, 3)), "bias": bias}}}
        return generator.apply(changed, few, train=False)[..., 0].sum()

    def relaxed(bias):
        noise = gumbel(few[:, 1:].reshape(5, 2, 3))
        return jax.nn.softmax((bias[None, None] + noise) / 0.7)[..., 0].sum()

    hard, soft = quick_jit(lambda bias: (jax.grad(first)(bias), jax.grad(relaxed)(bias)))(bias)
    np.testing.assert_allclose(hard, soft, rtol=1e-5)


def test_gumbel_numbers_of_normal_ones():
    numbers = quick_jit(gumbel)
    x = np.asarray(numbers(jax.random.normal(jax.random.key(0), (5000,))))
    assert np.isfinite(x).all()
    assert kstest(x, gumbel_r.cdf).pvalue > 0.01
    assert np.isfinite(np.asarray(numbers(jnp.array([-12.0, 6.0])))).all()


def test_what_makes_no_sentences_is_refused(letters):
    with pytest.raises(UserError, match="GAN with MLP makes no sentences, but the data are"):
        program(c.MLP((4,)), letters)
    with pytest.raises(UserError, match="SentenceConvolutions makes sentences, but the data are images"):
        program(c.SentenceConvolutions(4, 1), data.load("digits"))
    with pytest.raises(UserError, match="DiffAugment is of images"):
        program(c.SentenceConvolutions(4, 1), letters, augmentation=c.DiffAugment())
    for term in (c.ClippedDragan(), c.RealConsistency()):
        with pytest.raises(UserError, match=f"{type(term).__name__} is of images, but the data are sentences"):
            build.program(
                c.Experiment("e", c.GAN(c.SentenceConvolutions(4, 1), discriminator_terms=(term,)), 3), letters
            )
    with pytest.raises(UserError, match="networks of sentences compute in float32"):
        c.Experiment("e", c.GAN(c.SentenceConvolutions(4, 1)), 3, precision="bfloat16")
    with pytest.raises(UserError, match=r"SentenceConvolutions\.blocks is 10000"):
        c.SentenceConvolutions(blocks=10_000)
    with pytest.raises(UserError, match=r"GumbelDraw\.temperature is 0\.0"):
        c.GumbelDraw(0.0)


def test_the_spread_of_sentences_is_one_of_symbols_not_of_their_numbers(letters):
    made = program(c.SentenceConvolutions(4, 1), letters)
    one, other = jnp.array([[2, 0], [3, 0]]), jnp.array([[2, 0], [5, 0]])
    assert watch.spread(watch.numbers(made, one)) == watch.spread(watch.numbers(made, other))
