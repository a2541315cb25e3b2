"""VaDE's three kinds of steps: of a plain autoencoder, of nothing, and of a VAE whose prior has been fitted."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import MLP_VAE, dataset, program

from gvlab import build, families, metrics, rng
from gvlab import config as c
from gvlab.evaluate import held_out, kinds, latents
from gvlab.export import programs
from gvlab.models import pretraining
from gvlab.trained import Trained
from gvlab.types import Batch, UserError

PRIOR = c.VaDE(components=2, pretraining=2, examples=6)
VADE = c.VAE(c.MLP((5,)), latent_dim=2, likelihood=c.Gaussian(30.0), prior=PRIOR, optimizer=c.Adam(0.01))
FIRST, LAST = 2, 4
"""The steps from and before which encodings are kept: two batches of 4 have the 6 rows."""


def batch_of(step: int) -> Batch:
    return Batch(jnp.asarray(dataset((3,)).train.x[4 * step : 4 * step + 4]))


def fit(key, rows, components):
    """In place of the mixture's own fit, which `tests/networks/test_mixture_fits.py` is of, and slow to compile."""
    return jax.random.uniform(key, (components,)), rows[:components], rows[-components:]


@cache
def model(axis_name: str | None = None):
    return build.model(VADE, (3,), 0, axis_name)


def quick(step):
    """Compiled, with that fit in it."""

    def traced(*args):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(pretraining, "fitted_mixture", fit)
            return step(*args)

    return jax.jit(traced, compiler_options={"xla_backend_optimization_level": 0})


@cache
def states():
    """(the states before each of five steps and after the last, their terms)."""
    made = model()
    step = quick(made.train_step)
    found, terms = [quick(lambda key: made.init(key, Batch(jnp.zeros((2, 3)))))(rng.root(0))], []
    for number in range(5):
        state, info = step(found[-1], batch_of(number), jax.random.key(number))
        found.append(state)
        terms.append(jax.device_get(info))
    return jax.device_get(found), terms


def same(a, b) -> list[bool]:
    return jax.tree.leaves(jax.tree.map(np.array_equal, a, b))


def test_the_first_steps_are_of_a_plain_autoencoder():
    found, terms = states()
    for before, after, info in zip(found[:FIRST], found[1:], terms[:FIRST], strict=False):
        np.testing.assert_allclose(info["loss"], -info["reconstruction_nats"], rtol=1e-6)
        encoders = before.params["encoder"], after.params["encoder"]
        for name in encoders[0]:
            kernels = [of[name]["kernel"] for of in encoders]
            assert np.array_equal(*kernels) == (name == "logvar")
        assert all(same(before.params["prior"], after.params["prior"]))

    def loss(params):
        """Of means alone, by hand."""
        x = np.asarray(batch_of(0).x)

        def dense(name, layer, h):
            return h @ params[name][layer]["kernel"] + params[name][layer]["bias"]

        z = dense("encoder", "mean", np.tanh(dense("encoder", "Dense_0", x)))
        raw = dense("decoder", "Dense_1", np.tanh(dense("decoder", "Dense_0", z)))
        return (((x - raw) ** 2).sum(-1) / 60 + 1.5 * np.log(2 * np.pi * 30)).mean()

    np.testing.assert_allclose(loss(found[0].params), terms[0]["loss"], rtol=1e-6)


def test_then_encodings_are_kept_and_nothing_is_trained():
    found, _ = states()
    for step in range(FIRST, LAST):
        for part in ("encoder", "decoder"):
            assert all(same(found[FIRST].params[part], found[step + 1].params[part]))
        assert found[step + 1].step == step + 1
    rows = np.concatenate([model().encode(found[FIRST], batch_of(step))[0] for step in range(FIRST, LAST)])
    kept = found[LAST].stats["prior"]["encodings"]
    np.testing.assert_allclose(kept, rows[:6], rtol=1e-5)
    np.testing.assert_array_equal(found[FIRST].stats["prior"]["encodings"], 0)
    np.testing.assert_array_equal(found[FIRST + 1].stats["prior"]["encodings"][4:], 0)


def test_then_the_prior_is_fitted_and_the_optimizer_begins_anew():
    found, terms = states()
    kept = found[LAST].stats["prior"]["encodings"]
    expected = fit(rng.stream(jax.random.key(LAST - 1), rng.MIXTURE), kept, 2)
    for name, value in zip(("logits", "mean", "logvar"), expected, strict=True):
        np.testing.assert_array_equal(found[LAST].params["prior"][name], value)
    moments = jax.tree.leaves(found[LAST].optimizer)
    assert any(np.any(leaf) for leaf in jax.tree.leaves(found[FIRST].optimizer))
    assert not any(np.any(leaf) for leaf in moments)
    np.testing.assert_allclose(terms[LAST]["loss"], -terms[LAST]["elbo_nats"], rtol=1e-6)
    for part in ("encoder", "decoder", "prior"):
        assert not any(same(found[LAST].params[part], found[LAST + 1].params[part]))
    np.testing.assert_array_equal(found[LAST + 1].stats["prior"]["encodings"], kept)


def test_shares_of_a_batch_are_kept_as_the_whole():
    """On two devices, for which a mapped axis stands; also the batch whose last rows are beyond the end."""
    found, _ = states()

    def share(batch: Batch) -> Batch:
        return Batch(batch.x.reshape(2, 2, -1))

    step = quick(jax.vmap(model("devices").train_step, in_axes=(None, 0, None), axis_name="devices"))
    for number in range(FIRST, LAST):
        state, _ = step(found[number], share(batch_of(number)), jax.random.key(number))
        for leaf, expected in zip(jax.tree.leaves(state), jax.tree.leaves(found[number + 1]), strict=True):
            np.testing.assert_allclose(leaf[0], expected, rtol=1e-4, atol=1e-5)


def test_the_clusters_of_a_mixture_are_the_likeliest_components_and_measured_by_the_classes():
    found, _ = states()
    made, of = program(VADE, (3,)), found[LAST].params["prior"]
    state, test = jax.tree.map(jnp.asarray, found[LAST]), made.dataset.test
    mean = np.asarray(made.model.encode(state, Batch(jnp.asarray(test.x)))[0])
    spread = -0.5 * ((mean[:, None] - of["mean"]) ** 2 / np.exp(of["logvar"]) + of["logvar"]).sum(-1)
    likeliest = (of["logits"] + spread).argmax(-1)
    measured = latents.clusters(made, state, held_out.silent)
    accuracy = measured["cluster_accuracy"]
    assert accuracy["value"] == metrics.cluster_accuracy(likeliest, test.y) > 0
    # What seeds find is no part of the stamp, by which their numbers are compared.
    assert accuracy["stamp"] == {"of": "means of q(z|x)", "classes": 3}
    assert measured["used_clusters"] == {"value": len(set(likeliest)), "stamp": {"of": "means of q(z|x)"}}
    early = latents.clusters(made, jax.tree.map(jnp.asarray, found[LAST - 1]), held_out.silent)["cluster_accuracy"]
    assert early["stamp"]["warning"] == "the prior was not fitted yet: train beyond its pretraining"
    assert kinds.title_of("cluster_accuracy") == "Cluster accuracy"
    assert program(MLP_VAE).model.clusters is None


def test_clusters_are_measured_of_mixture_priors_on_data_with_classes_only():
    asked = c.Evaluation(measures=("cluster_accuracy",))
    with pytest.raises(
        UserError, match=r"^The measure cluster_accuracy is of a mixture prior, but .* has none: use Mi"
    ):
        replace(program(MLP_VAE).experiment, evaluation=asked)
    made = program(VADE, (3,))
    made = replace(made, experiment=replace(made.experiment, evaluation=asked))
    unlabelled = replace(made.dataset, test=replace(made.dataset.test, y=None))
    with pytest.raises(
        UserError, match=r"^The measure cluster_accuracy is of classes, but .* has none: leave it out\.$"
    ):
        families.check_clusters(made.experiment, unlabelled)
    families.check_clusters(made.experiment, made.dataset)


def test_an_export_has_no_encodings_of_training_examples():
    found, _ = states()
    exported = programs.weights_of(Trained(program(MLP_VAE), jax.tree.map(jnp.asarray, found[LAST]))).arrays
    assert {name for name in exported if name.startswith("prior")} == {
        f"prior.params.{name}" for name in ("logits", "mean", "logvar")
    }


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: c.VaDE(10, examples=9), r"VaDE\.examples is 9, to which 10 components cannot be fitted: use more\."),
        (lambda: c.VaDE(pretraining=0), r"VaDE\.pretraining is 0"),
        (lambda: c.VAE(prior=c.VaDE(), objective=c.ImportanceWeighted()), "leaves out the KL term, but Importance"),
        (lambda: c.VAE(prior=c.VaDE(), kl_warmup_steps=3), r"VAE\.kl_warmup_steps is 3 .* says itself when"),
        (lambda: c.VAE(prior=c.VaDE(), posterior=c.Planar()), r"VAE\.posterior is Planar, but the prior VaDE is fit"),
    ],
)
def test_what_pretraining_cannot_be_with_is_refused(make, words):
    with pytest.raises(UserError, match=words):
        make()
