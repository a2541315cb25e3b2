"""What every model promises, on one table of models (`zoo.py`)."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from newer import OTHERS
from scipy.special import expit
from scipy.stats import norm
from zoo import (
    ALL,
    CODES,
    GANS,
    HIERARCHIES,
    LATENT,
    TWO_LAYERS,
    VAES,
    examples,
    quick_jit,
    ready,
    step_key,
    train,
    trained,
)  # fmt: skip

from gvlab import tree
from gvlab.losses import importance_weighted_bound
from gvlab.types import Batch, UserError

every_model = pytest.mark.parametrize("name", ALL)
every_gan = pytest.mark.parametrize("name", GANS)
every_vae = pytest.mark.parametrize("name", VAES)
CONDITIONAL = [name for name, case in ALL.items() if case.classes]

GAN_TERMS = {"d_loss", "g_loss", "real_logit", "fake_logit", "grad_norm/generator", "grad_norm/discriminator"}
D_TERMS = {
    "mlp gan, relativistic, R1, R2": {"d_term/r1", "d_term/r2"},
    "mlp gan, separate, packed, noise": {"augmentation_p"},
    "spectral gan, hinge, consistency": {"d_term/latent_consistency"},
    "mlp gan, simultaneous, lazy penalty, LeCam": {"d_term/gradient_penalty", "d_term/lecam"},
}
CODE_TERMS = {"vq vae, conditional, k-means, revival": {"commitment", "perplexity"}}
LADDER = "ladder vae, warm-up"
HELD_OUT = {"elbo_nats", "kl_nats", "reconstruction_nats"}
LAYERS = {name: {"kl_nats/layer_1", "kl_nats/layer_2"} for name in HIERARCHIES}
VAE_TERMS = {"loss", "grad_norm"} | HELD_OUT
SPECTRA = {f"spectra/{term}" for term in HELD_OUT}
UNSAMPLED = {"translator"}
OTHER_TERMS = {
    "spectrogram vae": {"loss", "grad_norm"} | SPECTRA,
    "translator": {"g_loss", "l1", "critic_loss", "critic_real", "critic_fake", "grad_norm"},
}
OTHER_HELD_OUT = {
    "spectrogram vae": SPECTRA,
    "translator": {"translated_absolute_error", "translated_squared_error"},
}


# The protocol --------------------------------------------------------------------------------------------------------

ARGUMENTS = {
    "init": ["key", "batch"],
    "train_step": ["state", "batch", "key"],
    "sample": ["state", "key", "n", "y"],
    "evaluate": ["state", "batch", "key"],
    "prior": ["key", "n"],
    "decode": ["state", "z", "y"],
    "encode": ["state", "batch"],
    "log_likelihood": ["state", "batch", "z"],
    "log_weights": ["state", "batch", "key", "k"],
    "watch": ["state", "train", "held_out", "key"],
    "standing": ["state", "key", "n", "batches"],
    "draw": ["state", "key", "n", "y"],
    "learned_prior": ["state", "key", "n"],
    "codes": ["state", "batch"],
    "code_sizes": None,
    "unsampled": None,
    "truncated": None,
    "clusters": None,
}


@every_model
def test_names_of_functions_and_arguments(name):
    model = ALL[name].make(optax.sgd(0.1))
    assert list(model._fields) == list(ARGUMENTS)
    fields = model._asdict()
    assert (fields.pop("code_sizes") is not None) == (name in CODES)
    assert fields.pop("truncated") is None
    assert fields.pop("clusters") is None
    assert (fields.pop("unsampled") is not None) == (name in UNSAMPLED)
    found = {field: f and list(inspect.signature(f).parameters) for field, f in fields.items()}
    likelihood = {"encode": None, "log_likelihood": None, "log_weights": None, "draw": None}
    missing = likelihood if name in GANS else {"watch": None, "standing": None}
    missing |= {"encode": None} if name in HIERARCHIES or name in CODES else {}
    missing |= {} if name in CODES else {"codes": None}
    missing |= {"log_likelihood": None, "log_weights": None} if name in OTHERS else {}
    missing |= {"draw": None} if name in UNSAMPLED else {}
    expected = ARGUMENTS | {"learned_prior": None} | missing
    expected.pop("code_sizes")
    expected.pop("unsampled")
    expected.pop("truncated")
    expected.pop("clusters")
    assert found == expected
    for function in (model.sample, model.decode):
        assert inspect.signature(function).parameters["y"].default is None


@every_model
def test_train_step_compiles_once(name):
    """The state that comes out has the types, shapes and weak types of the one that `init` gave."""
    trained(name)
    assert len(ready(name).traces) == 1


@every_model
def test_state_counts_steps_and_starts_at_zero(name):
    of = ready(name)
    assert of.state.step == 0
    assert of.state.step.dtype == jnp.int32
    assert trained(name)[0].step == 50


@every_model
def test_info_is_a_flat_dict_of_finite_scalars(name):
    for info in trained(name)[1]:
        of_vae = VAE_TERMS | LAYERS.get(name, set()) | CODE_TERMS.get(name, set())
        of_vae -= {"reconstruction_nats"} if name.startswith("binary") else set()
        of_gan = GAN_TERMS | D_TERMS.get(name, set())
        assert set(info) == OTHER_TERMS.get(name, of_gan if name in GANS else of_vae)
        for term, value in info.items():
            assert isinstance(value, jax.Array)
            assert value.shape == (), term
            assert value.dtype == jnp.float32
            assert np.isfinite(value), term


@every_model
def test_every_part_of_the_state_moves_and_stays_finite(name):
    start, state = jax.device_get((ready(name).state, trained(name)[0]))
    for (path, before), after in zip(jax.tree_util.tree_leaves_with_path(start), jax.tree.leaves(state), strict=True):
        where = jax.tree_util.keystr(path)
        assert np.isfinite(after).all(), where
        # Relativistic games know no common offset of the logits: the discriminator's last bias has no gradient.
        if where.startswith(".frequencies"):  # of the data, which nothing learns
            continue
        if not ("relativistic" in name and where.startswith(".discriminator") and "['Dense_1']['bias']" in where):
            assert (before != after).any(), where


@every_model
def test_fifty_steps_twice_are_the_same_bits(name):
    again, infos = train(name, 50)
    assert tree.digest(again) == tree.digest(trained(name)[0])
    assert tree.digest(infos) == tree.digest(trained(name)[1])


@every_model
def test_init_depends_on_the_key_alone(name):
    of = ready(name)
    other = examples(of.case, seed=5)
    assert tree.digest(of.init(jax.random.key(0), other)) == tree.digest(of.state)
    assert tree.digest(of.init(jax.random.key(1), of.batch)) != tree.digest(of.state)


@pytest.mark.parametrize("name", ["mlp gan", "mlp gan, simultaneous", "mlp vae"])
def test_a_step_may_donate_its_state(name):
    """As the README does it: no buffer is in the state twice."""
    of = ready(name)
    key = jax.random.key(3)
    expected, _ = of.step(of.state, of.batch, key)
    donated = of.init(jax.random.key(0), of.batch)
    state, _ = quick_jit(of.model.train_step, donate_argnums=0)(donated, of.batch, key)
    assert tree.digest(state) == tree.digest(expected)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(donated))


@pytest.mark.parametrize("name", ["mlp gan", "vector vae, gaussian"])
def test_eager_init_gives_a_state_that_may_be_donated(name):
    """Every leaf has a buffer of its own."""
    state = ready(name).model.init(jax.random.key(0), ready(name).batch)
    pointers = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(state) if leaf.size]
    assert len(set(pointers)) == len(pointers)


# Learning ------------------------------------------------------------------------------------------------------------


def mean_terms(of, state, draws: int = 64):
    """The terms of `evaluate` on the batch, averaged over latents and examples."""
    drawn = [of.evaluate(state, of.batch, key) for key in jax.random.split(jax.random.key(9), draws)]
    return {term: float(np.mean([terms[term] for terms in drawn])) for term in drawn[0]}


def best_without_latents(name: str, x: np.ndarray) -> float:
    """The mean log p(x), in nats, of the best model of independent pixels: all that one without latents can reach."""
    pixels = x.reshape(len(x), -1)
    if name == "vector vae, gaussian":
        return float(np.mean(np.sum(-0.5 * np.log(2 * np.pi * 0.04) - (pixels - pixels.mean(0)) ** 2 / 0.08, axis=1)))
    if name == "vector vae, learned gaussian":
        return float(np.sum(-0.5 * np.log(2 * np.pi * pixels.var(0)) - 0.5))
    if name == "mlp vae, discretized logistic":
        mean, scale = np.meshgrid(np.linspace(0, 1, 256), np.exp(np.linspace(-7 - np.log(2), 2, 200)), indexing="ij")
        mass = {
            level: expit((level + 1 / 510 - mean) / scale) - expit((level - 1 / 510 - mean) / scale)
            for level in np.unique(pixels)
        }
        low, high = (np.log(mass[level] + 1e-300) for level in mass)
        return float(sum(np.max((1 - on) * low + on * high) for on in (pixels > 0.5).mean(0)))
    on = pixels.mean(0)  # zeros and ones: minus the entropy of their frequencies, whatever the discrete likelihood
    return float(np.sum(np.where((on > 0) & (on < 1), on * np.log(on + 1e-9) + (1 - on) * np.log1p(-on + 1e-9), 0)))


@pytest.mark.parametrize("name", [*VAES, LADDER])
def test_vae_overfits_eight_examples(name):
    """The ELBO passes what any model reaches that does not use its latents, so the latents tell the examples apart.

    And it stays below log(1/8), the likelihood of a perfect memory of discrete examples, but for the noise of drawing.
    """
    of = ready(name)
    before = mean_terms(of, of.state)["elbo_nats"]
    terms = mean_terms(of, train(name, 100 if name == "article vae" else 500)[0])
    assert terms["elbo_nats"] > best_without_latents(name, np.asarray(of.batch.x)) > before
    assert terms["kl_nats"] > 0.5 * np.log(8 / max(of.case.classes, 1))
    if of.case.levels is not None:
        assert terms["elbo_nats"] < np.log(max(of.case.classes, 1) / 8) + 0.5


def freeze(player):
    """Trains the other player only."""
    return lambda old, new: new.replace(**{player: getattr(old, player)})


# The networks with BatchNorm, or spectral norm, alone are too small to win in so few steps.
@pytest.mark.parametrize("name", [name for name in GANS if not name.startswith(("norm", "spectral"))])
def test_each_player_of_a_gan_learns_to_beat_the_other(name):
    """Against a frozen generator, the discriminator's loss falls below half of 2 log 2, that of a coin; then, against
    the discriminator so trained and frozen, the generator's loss falls and its logits rise.
    """
    of = ready(name)
    state, infos = of.state, []
    for step in range(160):
        new, info = of.step(state, of.batch, step_key(step))
        state = freeze("generator" if step < 80 else "discriminator")(state, new)
        infos.append({term: float(value) for term, value in info.items()})

    def mean(term, steps):
        return np.mean([info[term] for info in infos[steps]])

    assert mean("d_loss", slice(70, 80)) < np.log(2)
    assert mean("real_logit", slice(70, 80)) > mean("fake_logit", slice(70, 80)) + 1
    assert mean("g_loss", slice(150, 160)) < mean("g_loss", slice(80, 90)) - 0.1
    assert mean("fake_logit", slice(150, 160)) > mean("fake_logit", slice(80, 90)) + 0.1


# Samples -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in ALL if name not in UNSAMPLED])
def test_samples_have_their_shape_range_and_randomness(name):
    of, state = ready(name), trained(name)[0]
    x = np.asarray(of.sample(state, jax.random.key(0), 7))
    assert x.shape == (7, *of.case.shape)
    assert x.dtype == np.float32
    assert np.isfinite(x).all()
    if of.case.levels is not None:
        assert (x >= of.case.low).all()
        assert (x <= 1).all()
    np.testing.assert_array_equal(of.sample(state, jax.random.key(0), 7), x)
    assert (np.asarray(of.sample(state, jax.random.key(1), 7)) != x).any()
    assert (x[0] != x[1]).any()


@pytest.mark.parametrize("name", [n for n in ALL if n.startswith(("mlp", "vector", "two", "dcgan, s", "ladder"))])
def test_a_sample_is_a_decoded_draw_from_the_prior(name):
    of, state = ready(name), trained(name)[0]
    z = of.model.prior(jax.random.key(0), 7)
    assert z.shape == (7, LATENT)
    decoded = quick_jit(of.model.decode)(state, z)
    np.testing.assert_allclose(decoded, of.sample(state, jax.random.key(0), 7), rtol=1e-5, atol=1e-6)


def test_the_prior_is_standard_normal():
    for name in ("mlp gan", "mlp vae"):
        z = np.asarray(ready(name).model.prior(jax.random.key(0), 10_000))
        np.testing.assert_allclose(z.mean(0), 0, atol=5 / 100)  # five standard errors
        np.testing.assert_allclose(z.T @ z / 10_000, np.eye(LATENT), atol=5 * np.sqrt(2) / 100)


@pytest.mark.parametrize("name", CONDITIONAL)
def test_default_labels_go_round_the_classes_and_given_ones_count(name):
    of, state = ready(name), trained(name)[0]
    labels = np.arange(7, dtype=np.int32)
    default = np.asarray(of.sample(state, jax.random.key(0), 7))
    given = of.sample(state, jax.random.key(0), 7, labels % 3)
    np.testing.assert_allclose(given, default, rtol=1e-6, atol=1e-7)
    other = np.asarray(of.sample(state, jax.random.key(0), 7, (labels + 1) % 3))
    assert (np.abs(other - default).reshape(7, -1).max(1) > 0).all()


# Evaluation ----------------------------------------------------------------------------------------------------------


@every_model
def test_evaluate_gives_a_number_per_example(name):
    of, state = ready(name), trained(name)[0]
    terms = of.evaluate(state, of.batch, jax.random.key(0))
    expected = {"d_loss", "real_logit", "fake_logit"} if name in GANS else HELD_OUT | LAYERS.get(name, set())
    assert set(terms) == OTHER_HELD_OUT.get(name, expected) | ({"commitment"} if name in CODE_TERMS else set())
    for value in terms.values():
        assert value.shape == (of.case.size,)
        assert np.isfinite(value).all()


@every_vae
def test_encode_log_likelihood_and_log_weights_have_their_shapes(name):
    of, state = ready(name), trained(name)[0]
    mean, logvar = quick_jit(of.model.encode)(state, of.batch)
    assert mean.shape == logvar.shape == (of.case.size, LATENT)
    weights = jax.eval_shape(lambda: of.model.log_weights(state, of.batch, jax.random.key(0), 5))
    assert weights.shape == (5, of.case.size)
    z = jnp.zeros((5, of.case.size, LATENT))
    assert jax.eval_shape(lambda: of.model.log_likelihood(state, of.batch, z)).shape == (5, of.case.size)


@pytest.mark.parametrize("name", [name for name in VAES if name != "article vae" and name not in TWO_LAYERS])
def test_a_log_weight_is_likelihood_and_prior_less_posterior(name):
    """log w = log p(x|z) + log p(z) - log q(z|x) at the same latents (Burda et al. 2016, equation 6)."""
    of, state = ready(name), trained(name)[0]

    @quick_jit
    def terms(state, batch, key):
        mean, logvar = of.model.encode(state, batch)
        z = mean[None] + jnp.exp(0.5 * logvar)[None] * jax.random.normal(key, (5, *mean.shape))
        parts = mean, logvar, z, of.model.log_likelihood(state, batch, z)
        return of.model.log_weights(state, batch, key, 5), parts

    weights, parts = terms(state, of.batch, jax.random.key(2))
    mean, logvar, z, likelihood = (np.asarray(part, np.float64) for part in parts)
    prior = norm.logpdf(z).sum(-1)
    posterior = norm.logpdf(z, mean[None], np.exp(0.5 * logvar)[None]).sum(-1)
    scale = np.abs(likelihood) + np.abs(prior) + np.abs(posterior)  # what was rounded to float32
    assert (np.abs(weights - (likelihood + prior - posterior)) < 1e-6 * scale + 1e-5).all()


@pytest.mark.parametrize("name", ["mlp vae", "mlp vae, conditional, 2 samples, warm-up", *TWO_LAYERS, LADDER])
def test_each_latent_is_weighed_with_its_own_example(name):
    """log p(x_j|z_kj): other latents or other examples beside them, or another k, change nothing."""
    of, state = ready(name), trained(name)[0]
    z = np.asarray(jax.random.normal(jax.random.key(4), (3, of.case.size, LATENT)))
    log_likelihood = quick_jit(of.model.log_likelihood)
    whole = np.asarray(log_likelihood(state, of.batch, z))
    np.testing.assert_allclose(log_likelihood(state, of.batch, z[1:2]), whole[1:2], rtol=1e-5)
    some = jax.tree.map(lambda leaf: np.asarray(leaf)[2:5], of.batch)
    np.testing.assert_allclose(log_likelihood(state, some, z[:, 2:5]), whole[:, 2:5], rtol=1e-5)
    assert (np.abs(whole[0] - whole[1]) > 1e-3).any()


bounds = quick_jit(jax.vmap(importance_weighted_bound))


@pytest.mark.parametrize("name", [*(name for name in VAES if name != "article vae"), LADDER])
def test_the_bounds_are_in_order(name):
    """E log w = ELBO, and the importance-weighted bound grows with k: ELBO <= L_5 <= L_50 (Burda et al. 2016).

    Each is compared per example, within five standard errors of the difference of two independent means.
    """
    of, state = ready(name), trained(name)[0]
    log_weights = quick_jit(of.model.log_weights, static_argnums=3)
    weights = np.asarray(log_weights(state, of.batch, jax.random.key(0), 10_000))
    keys = jax.random.split(jax.random.key(1), 200)
    drawn = [of.evaluate(state, of.batch, key)["elbo_nats"] for key in keys]

    def estimate(values):
        values = np.asarray(values, np.float64)
        return values.mean(0), values.std(0) / np.sqrt(len(values))

    def bound(k):
        return estimate(bounds(weights.reshape(-1, k, of.case.size)))

    (elbo, elbo_error), (one, one_error), (five, five_error), (fifty, fifty_error) = (
        estimate(drawn), bound(1), bound(5), bound(50)
    )  # fmt: skip
    assert (np.abs(elbo - one) <= 5 * np.hypot(elbo_error, one_error)).all()
    assert (five >= elbo - 5 * np.hypot(elbo_error, five_error)).all()
    assert (fifty >= five - 5 * np.hypot(five_error, fifty_error)).all()
    assert fifty.mean() > elbo.mean()


# What init refuses ---------------------------------------------------------------------------------------------------


def data(name):
    """A copy of the examples, in NumPy, for a test to spoil."""
    return np.array(ready(name).batch.x)


def refused(name, x, y="as it is"):
    of = ready(name)
    with pytest.raises(UserError) as caught:
        of.model.init(jax.random.key(0), Batch(jnp.asarray(x), of.batch.y if isinstance(y, str) else y))
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


IMAGE_MODELS = [name for name, case in ALL.items() if len(case.shape) == 3]


@every_model
def test_init_refuses_another_size(name):
    x = data(name)
    wrong = np.concatenate([x, x], axis=1)
    sentence = refused(name, wrong)
    assert str(wrong.shape if name in OTHERS else wrong.shape[1:]) in sentence


@every_model
def test_init_refuses_another_rank(name):
    x = data(name)
    assert str((1, *x.shape) if name in OTHERS else x.shape) in refused(name, x[None])


@every_model
def test_init_refuses_nan_and_infinity_and_counts_them(name):
    for bad in (np.nan, np.inf):
        x = data(name)
        x[(0,) * x.ndim] = bad
        assert "1 of the " in refused(name, x)


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_init_refuses_bytes_given_as_floats(name):
    """0..255 where [0, 1] or [-1, 1] is declared would train silently to nonsense."""
    x = np.zeros_like(data(name))
    x[0, 0, 0] = 255.0
    sentence = refused(name, x)
    assert "255.0" in sentence
    assert "divide by 255" in sentence


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_init_refuses_values_below_the_range(name):
    low, x = ready(name).case.low, data(name)
    x[0, 0, 0] = low - 0.25
    assert str(low - 0.25) in refused(name, x)


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_init_refuses_integers(name):
    assert "uint8" in refused(name, np.zeros(data(name).shape, np.uint8))


@pytest.mark.parametrize("name", CONDITIONAL)
def test_init_refuses_missing_labels(name):
    sentence = refused(name, data(name), None)
    assert "3 classes" in sentence
    assert "no labels" in sentence
