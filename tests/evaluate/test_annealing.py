"""Annealed importance sampling: it agrees with bounds and with known truth."""

from __future__ import annotations

import functools
import json
import math
import os
import shutil
from dataclasses import replace

import harness
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from measured import PIXELS, measures, state, with_evaluation
from scipy.special import logsumexp

from gvlab import build, data, evaluate, losses, metrics
from gvlab import config as c
from gvlab.build import Program
from gvlab.cli import evaluate as cli
from gvlab.evaluate import annealing, held_out
from gvlab.extractors import extractor as features
from gvlab.types import Batch, UserError


@pytest.fixture(autouse=True, scope="module")
def cache():
    """Reference features go where those of the command line go in tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", os.environ["GVLAB_TESTS_CACHE"])
        yield


AIS = {"examples": 12, "chains": 8, "temperatures": 60, "leapfrog_steps": 2}


@pytest.fixture
def few_chains(monkeypatch):
    """A quick protocol, in the loop that compiles in half the time (test_ais.py shows that both agree)."""
    monkeypatch.setattr(annealing, "AIS", AIS)
    monkeypatch.setattr(annealing, "AIS_BATCH", 5)
    monkeypatch.setattr(metrics, "loop_temperatures", metrics.scan_temperatures)


def test_annealing_agrees_with_the_bound_of_many_samples(few_chains):
    """Both are lower bounds on the mean of log p(x); on four latents both are tight."""
    program = harness.program("vae")
    runs = [annealing.annealed(program, state("vae"), jax.random.key(seed))["ais_bound_nats"] for seed in range(5)]
    for run in runs:
        assert AIS.items() <= run["stamp"].items()
        assert 1 <= run["stamp"]["median_effective_chains"] <= 8
    found = np.array([run["value"] for run in runs])

    _, _, batch = next(held_out.test_batches(program))
    few = jax.tree.map(lambda leaf: leaf[:12], batch)
    log_weights = jax.jit(program.model.log_weights, static_argnums=3)(state("vae"), few, jax.random.key(1), 5_000)
    log_weights = np.asarray(log_weights, np.float64)
    bounds = logsumexp(log_weights, axis=0) - math.log(len(log_weights))
    # The error of the log of a mean is the relative error of the mean; the examples' errors are independent.
    weights = np.exp(log_weights - log_weights.max(0)[None])
    errors = weights.std(0) / weights.mean(0) / math.sqrt(len(weights))
    error = math.hypot(found.std(ddof=1) / math.sqrt(len(found)), np.linalg.norm(errors) / len(errors))
    assert abs(found.mean() - bounds.mean()) < 5 * error
    assert runs[0]["standard_error"] == pytest.approx(bounds.std(ddof=1) / math.sqrt(12), rel=0.2)  # over examples


def test_annealing_is_asked_for_by_name_and_carries_its_protocol(few_chains, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cli, "trained", lambda run, file: (harness.program("vae"), state("vae")))
    made = tmp_path / "vae" / "seed-0"
    shutil.copytree(harness.trained("vae"), made)
    assert harness.call("evaluate", made, "--metrics", "ais") == 0
    written = json.loads((made / "evaluation.json").read_text())["measures"]
    assert "ais_bound_nats" not in measures("vae")
    assert written.keys() == {name for name in measures("vae") if name.endswith(("_nats", "_dim", "_units"))} | {
        "ais_bound_nats"
    }
    assert annealing.PILOT.items() <= written["ais_bound_nats"]["stamp"].items()
    stamp = written["ais_bound_nats"]["stamp"]
    # Its examples are the first of the test split, so few of them that the stamp must say it.
    assert AIS.items() <= stamp.items()
    assert (stamp["dataset"], stamp["split"], stamp["seed"], stamp["step"]) == ("digits", "test", 0, 100)
    assert stamp["likelihood"] == {"type": "Bernoulli"}
    assert "chains 8" in capsys.readouterr().out


LATENT, WIDTH, VARIANCE = 3, 6, 0.4
LINEAR_STATE = {
    "w": np.random.RandomState(0).standard_normal((LATENT, WIDTH)).astype(np.float32),
    "c": np.random.RandomState(1).standard_normal(WIDTH).astype(np.float32),
}


@functools.cache
def linear_gan() -> Program:
    """x = W z + c + noise, of which log p(x) is known; the test split is of this model."""
    random = np.random.RandomState(2)
    x = random.standard_normal((100, LATENT)) @ LINEAR_STATE["w"] + LINEAR_STATE["c"][None]
    x = (x + math.sqrt(VARIANCE) * random.standard_normal(x.shape)).astype(np.float32)
    experiment = c.Experiment(
        "linear",
        c.GAN(c.MLP(hidden=(4,)), latent_dim=LATENT),
        steps=1,
        data=c.Data("ring"),
        evaluation=c.Evaluation(ais_variance=VARIANCE),
    )
    program = build.program(replace(experiment, batch_size=8), data.from_arrays("linear", x[:50], x[50:]))

    def decode(state, z, y=None):
        return z @ state["w"] + state["c"][None]

    return replace(program, model=program.model._replace(decode=decode))


def test_a_gan_with_noise_is_annealed_to_the_truth(few_chains, monkeypatch):
    """12 examples in batches of 5: the mean of log p(x) is exact, and the bound below it by no more than the gap."""
    heard = []

    def listen(*batch):
        heard.append(batch)

    runs = [
        annealing.annealed(linear_gan(), LINEAR_STATE, jax.random.key(seed), listen)["ais_bound_nats"]
        for seed in range(5)
    ]
    gap = annealing.annealing_gap(linear_gan(), LINEAR_STATE, jax.random.key(9), listen)["ais_gap_nats"]
    assert heard == [("ais", i, 3) for i in (1, 2, 3)] * 5 + [("ais_gap", i, 3) for i in (1, 2, 3)]

    covariance = LINEAR_STATE["w"].T @ LINEAR_STATE["w"] + VARIANCE * np.eye(WIDTH)
    exact = scipy.stats.multivariate_normal(LINEAR_STATE["c"], covariance).logpdf(linear_gan().dataset.test.x[:12])
    found = np.array([run["value"] for run in runs])
    error = found.std(ddof=1) / math.sqrt(len(found))
    deficit = exact.mean() - found.mean()
    assert -4 * error < deficit < gap["value"] + 4 * math.hypot(error, gap["standard_error"])
    assert gap["value"] > -3 * gap["standard_error"]
    assert runs[0]["standard_error"] == pytest.approx(exact.std(ddof=1) / math.sqrt(12), rel=0.2)  # over examples
    for one in (runs[0], gap):
        assert AIS.items() <= one["stamp"].items()
        assert one["stamp"]["likelihood"] == {"type": "Gaussian", "variance": VARIANCE}
        assert "noise of variance 0.4 about the generator's points" in one["stamp"]["note"]
    assert gap["stamp"]["split"] == "drawn from the model"


def test_fewer_temperatures_widen_the_gap(few_chains, monkeypatch):
    many = annealing.annealing_gap(linear_gan(), LINEAR_STATE, jax.random.key(0))["ais_gap_nats"]
    monkeypatch.setattr(annealing, "AIS", AIS | {"temperatures": 3})
    few = annealing.annealing_gap(linear_gan(), LINEAR_STATE, jax.random.key(0))["ais_gap_nats"]
    assert few["value"] - many["value"] > 3 * math.hypot(few["standard_error"], many["standard_error"])


def test_a_vae_has_its_gap_too(few_chains):
    """Under the likelihood of its own."""
    found = annealing.annealing_gap(harness.program("vae"), state("vae"), jax.random.key(0))["ais_gap_nats"]
    assert found["value"] > -3 * found["standard_error"]
    assert AIS.items() <= found["stamp"].items()
    assert "likelihood" not in found["stamp"]  # which `evaluate` adds for a VAE


def test_the_noise_is_about_images_from_0_to_1():
    program = harness.program("gan")
    (_, counted, batch), *others = annealing._annealing_batches(program, "ais", held_out.silent)
    assert (counted, len(others)) == (annealing.AIS_BATCH, 4)
    np.testing.assert_allclose(batch.x * 255, program.dataset.test.x[:20], atol=1e-4)
    z = np.random.RandomState(0).standard_normal((3, 20, 8)).astype(np.float32)
    made = jax.jit(program.model.decode)(state("gan"), z.reshape(-1, 8))
    unit = (np.asarray(made, np.float64).reshape(3, 20, -1) + 1) / 2
    found = jax.jit(annealing._observed(with_evaluation(program, ais_variance=0.3)))(z, (state("gan"), batch))
    squares = ((unit - np.asarray(batch.x).reshape(1, 20, -1)) ** 2).sum(-1)
    expected = -squares / 0.6 - PIXELS / 2 * math.log(2 * math.pi * 0.3)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_every_chain_has_the_labels_of_its_example():

    def told(state, z, y):
        return 2.0 * y[:, None, None, None] * jnp.ones((1, 2, 2, 1)) - 1

    model = harness.program("gan").model._replace(decode=told)
    x = np.arange(3, dtype=np.float32)[:, None, None, None] * np.ones((1, 2, 2, 1), np.float32)
    batch = Batch(jnp.asarray(x), jnp.asarray(np.arange(3)))
    found = jax.jit(annealing._with_noise(model, (-1.0, 1.0), 1.0))(np.zeros((4, 3, 8), np.float32), (None, batch))
    assert found.shape == (4, 3)
    np.testing.assert_allclose(found, -2 * math.log(2 * math.pi), rtol=1e-6)  # of 2 x 2 pixels without a deviation


def test_data_are_drawn_from_the_likelihood():
    n, mean, variance = 4000, np.array([-0.5, 0.3, 2.0], np.float32), np.array([1e-4, 0.1, 9.0], np.float32)

    def log_likelihood(z, given):
        batch = given[1]
        means = mean[None, None] + 0.0 * z[..., :1]
        return losses.gaussian_log_prob(means, jnp.log(variance)[None, None] + 0.0 * means, batch.x)

    batch = Batch(jnp.zeros((n, 3)))
    x = np.asarray(annealing._normal_draw(log_likelihood)(jax.random.key(0), (None, batch), jnp.zeros((n, 2))))
    assert (np.abs(x.mean(0) - mean) < 4 * np.sqrt(variance / n)).all()
    assert (np.abs(x.var(0) / variance - 1) < 4 * math.sqrt(2 / n)).all()
    assert np.abs(np.corrcoef(x.T) - np.eye(3)).max() < 4 / math.sqrt(n)

    coins = harness.program("vae").model._replace(decode=lambda state, z, y: 0.2 + 0.0 * z)
    x = np.asarray(annealing._binary_draw(coins)(jax.random.key(0), (None, batch), jnp.zeros((n, 3))))
    assert set(np.unique(x)) == {0, 1}
    assert abs(x.mean() - 0.2) < 4 * math.sqrt(0.2 * 0.8 / x.size)


@pytest.mark.parametrize("observed", [c.DiscretizedLogistic(), c.Categorical()], ids=str)
def test_a_likelihood_that_cannot_be_drawn_from_is_refused(observed):
    """Also before anything is computed."""
    experiment = c.Experiment("levels", c.VAE(c.MLP(hidden=(4,)), likelihood=observed), steps=1)
    program = build.program(experiment, harness.program("vae").dataset)
    with pytest.raises(
        UserError, match=r"^Data cannot be drawn from the likelihood .* of levels: leave ais_gap out\.$"
    ):
        annealing.annealing_gap(program, None, jax.random.key(0))
    with pytest.raises(UserError, match="cannot be drawn"):
        evaluate.evaluate(with_evaluation(program, measures=("ais_gap",)), None)
    evaluate.check_ahead(with_evaluation(program, measures=("ais",)), [features.pixels()])


def test_a_model_without_a_likelihood_cannot_be_annealed():
    program = harness.program("vae")
    program = replace(program, model=program.model._replace(log_likelihood=None))
    for measure in evaluate.OF_LIKELIHOODS.values():
        with pytest.raises(UserError, match=r"^vae has no p\(x\|z\) with a standard normal prior of z, .* out\.$"):
            measure(program, None, jax.random.key(0))


def test_the_command_anneals_a_gan_and_shows_how_far_it_is(few_chains, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(annealing, "AIS", {"examples": 4, "chains": 2, "temperatures": 3, "leapfrog_steps": 1})
    monkeypatch.setattr(annealing, "AIS_BATCH", 2)
    monkeypatch.setattr(cli, "trained", lambda run, file: (harness.program("gan"), state("gan")))
    made = tmp_path / "gan" / "seed-0"
    shutil.copytree(harness.trained("gan"), made)
    assert harness.call("evaluate", made, "--metrics", "ais_gap", "ais", "--ais-variance", "0.05") == 0
    out, err = capsys.readouterr()
    lines = [f"{name}: batch {i} of 2" for name in ("ais", "ais_gap") for i in (1, 2)]
    assert [line for line in err.splitlines() if "batch" in line] == lines
    assert (
        "ais_bound_nats, ais_gap_nats: the likelihood is Gaussian noise of variance 0.05 about the generator's" in out
    )
    written = json.loads((made / "evaluation.json").read_text())
    assert written["protocol"]["evaluation"]["ais_variance"] == 0.05
    bound, gap = (written["measures"][name] for name in ("ais_bound_nats", "ais_gap_nats"))
    assert bound["stamp"]["likelihood"] == gap["stamp"]["likelihood"] == {"type": "Gaussian", "variance": 0.05}
    assert (bound["stamp"]["split"], gap["stamp"]["split"]) == ("test", "drawn from the model")
    assert bound["standard_error"] > 0
    assert gap["standard_error"] > 0
    found = evaluate.difference(bound["stamp"], bound["stamp"] | {"likelihood": {"type": "Gaussian", "variance": 0.01}})
    assert found.field == "likelihood"


def test_a_vae_takes_no_variance(capsys):
    code = harness.call("evaluate", harness.trained("vae"), "--metrics", "ais", "--ais-variance", "0.1")
    harness.assert_refused(code, *capsys.readouterr(), "--ais-variance", "vae has a likelihood of its own")
