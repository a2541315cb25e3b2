"""Second stages as runs: on what they stand, what they keep of it, and what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import harness
import jax
import numpy as np
import pytest
from harness import EXPERIMENTS

import gvlab
from gvlab import build, data, families, tree
from gvlab import config as c
from gvlab.runs import directory as rundir
from gvlab.train import engines, loop, origin
from gvlab.types import UserError

MIXTURE = c.Density(c.Mixture(3), c.Adam(1e-2))


def on(run: Path | str, second=MIXTURE, **fields) -> c.Experiment:
    """A second stage on a run, on that one's data, with this suite's pace."""
    return replace(EXPERIMENTS["vae"], **({"name": "second", "model": c.SecondStage(second, str(run))} | fields))


@cache
def engine(run: Path):
    experiment = on(run)
    return engines.alone(build.program(experiment, build.dataset(experiment.data)), jax.devices()[:1])


@cache
def second() -> Path:
    def make(root: Path) -> None:
        loop.train(engine(harness.trained("vae")), root, seed=0, steps=20)

    return harness.shared("second-stage", make) / "second" / "seed-0"


def test_a_run_writes_down_what_it_stands_on():
    run, first = second(), harness.trained("vae")
    written = rundir.read_config(run).model.first
    assert written.step == 100
    assert written.state_sha256 == harness.digest(first, 100)
    assert c.from_json(written.config) == rundir.read_config(first)
    frozen = loop.restore(origin.program_of(run), run).frozen
    wanted = loop.restore(origin.program_of(first), first)
    assert tree.digest(frozen.params) == tree.digest(wanted.params)


def test_it_goes_on_as_if_it_had_never_stopped(tmp_path):
    made = engine(harness.trained("vae"))
    shutil.copytree(second(), tmp_path / "a" / "second" / "seed-0")
    resumed = loop.train(made, tmp_path / "a", 0, steps=30)
    whole = loop.train(made, tmp_path / "b", 0, steps=30)
    assert harness.digest(resumed, 30) == harness.digest(whole, 30)
    curves = [harness.curves(run)[-1] for run in (resumed, whole)]
    assert set(curves[0]) >= {"loss", "latents/log_prob_nats"}


def test_what_was_trained_is_looked_at_without_its_first(tmp_path):
    """The first's run is moved away: the second's checkpoint has what is needed; but none begins without."""
    first = tmp_path / "first" / "seed-0"
    shutil.copytree(harness.trained("vae"), first)
    program = build.program(on(first), build.dataset(EXPERIMENTS["vae"].data))
    run = loop.train(engines.alone(program, jax.devices()[:1]), tmp_path, 0, steps=10)
    before = np.asarray(gvlab.load(run).sample(4))
    shutil.rmtree(first)
    np.testing.assert_array_equal(gvlab.load(run).sample(4), before)
    again = engines.alone(origin.program_of(run), jax.devices()[:1])
    assert int(loop.restore(again.program, loop.train(again, tmp_path, 0, steps=20)).step) == 20
    with pytest.raises(UserError, match=r"stands on .* at step 100, which is not there any more as it was"):
        loop.train(again, tmp_path / "elsewhere", 0, steps=10)


def test_a_first_that_was_trained_further_is_another(tmp_path):
    first = tmp_path / "vae" / "seed-0"
    shutil.copytree(harness.trained("vae"), first)
    digits = build.dataset(EXPERIMENTS["vae"].data)
    run = loop.train(engines.alone(build.program(on(first), digits), jax.devices()[:1]), tmp_path, 0, steps=10)
    loop.train(harness.engine("vae"), tmp_path, 0, steps=110)
    with pytest.raises(
        UserError,
        match=r"stands on another first stage than .* is now",
    ):
        loop.train(engines.alone(build.program(on(first), digits), jax.devices()[:1]), tmp_path, 0, steps=20)
    assert int(loop.restore(origin.program_of(run), run).step) == 10


def test_a_first_is_known_by_its_hashes_wherever_it_lies_and_whatever_its_json_gains():
    known = c.First("ab", 1, "cd", "{}")
    assert c.SecondStage(on="a", first=known) == c.SecondStage(on="b", first=replace(known, config='{"new": 1}'))
    assert c.SecondStage(first=known) != c.SecondStage(first=replace(known, state_sha256="ef"))
    one, other = (on(at, name="one") for at in ("a", "b"))
    assert c.difference(one, other) is None


def refused(experiment: c.Experiment, dataset=None) -> str:
    with pytest.raises(UserError) as caught:
        build.program(experiment, dataset or build.dataset(experiment.data))
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_no_first_is_refused(tmp_path):
    vae, gan = harness.trained("vae"), harness.trained("gan")
    assert "SecondStage.on of second is empty" in refused(on(""))
    assert f"There is no {tmp_path}/seed-0" in refused(on(tmp_path / "seed-0"))
    assert "is a run of a GAN, which encodes nothing" in refused(on(gan))
    assert "is a run of a SecondStage, which encodes nothing" in refused(on(second()))
    translating = c.Experiment("t", c.Pix2Pix(), steps=1)
    (tmp_path / "t" / "seed-0").mkdir(parents=True)
    (tmp_path / "t" / "seed-0" / "config.json").write_text(c.to_json(translating))
    assert "is a run of a Pix2Pix, whose z are pictures" in refused(on(tmp_path / "t" / "seed-0"))
    assert "Data.quantization is 'none', but the first stage was trained with 'binarize'" in refused(
        on(vae, data=c.Data())
    )
    pixels = np.zeros((20, 16, 16, 1), np.uint8)
    other = data.from_arrays("other", pixels, pixels)
    sentence = refused(on(vae), other)
    assert "second is a second stage on other" in sentence
    assert "was trained on digits" in sentence
    assert "CausalTransformer is a model of codes" in refused(on(vae, c.Density(c.CausalTransformer())))
    untrained = tmp_path / "vae" / "seed-0"
    untrained.mkdir(parents=True)
    (untrained / "config.json").write_text((vae / "config.json").read_text())
    assert "has no checkpoint yet: train the first stage first" in refused(on(untrained))
    two = replace(rundir.read_config(vae), model=c.VAE(c.TwoLayerMLP(first=2), latent_dim=3))
    (untrained / "config.json").write_text(c.to_json(two))
    assert "a VAE with two layers of latents" in refused(on(untrained))
    bits = replace(rundir.read_config(vae), model=c.BinaryVAE(c.MLP((4,)), 2))
    (untrained / "config.json").write_text(c.to_json(bits))
    assert "a BinaryVAE, whose q(z|x) has more than one code" in refused(on(untrained))
    full = replace(rundir.read_config(vae), model=c.VAE(c.MLP((4,)), 2, posterior=c.FullCovariance()))
    (untrained / "config.json").write_text(c.to_json(full))
    assert "a VAE whose posterior is FullCovariance" in refused(on(untrained))


def test_what_is_no_second_is_refused():
    whole = c.VAE(c.MLP((4,)), 2, likelihood=c.SharedGaussian())
    for model, sentence in (
        (replace(whole, likelihood=c.Bernoulli()), "SecondStage.second.likelihood is Bernoulli"),
        (replace(whole, network=c.Article()), "SecondStage.second.network is Article"),
        (replace(whole, conditional=True), "SecondStage.second.conditional is True"),
    ):
        with pytest.raises(UserError, match=sentence):
            c.SecondStage(model)
    with pytest.raises(UserError, match=r"Experiment.precision is 'bfloat16', but SecondStage has exact densities"):
        on("runs/a/seed-0", precision="bfloat16")
    images = replace(EXPERIMENTS["vae"], model=MIXTURE, data=c.Data())
    assert "Density is a model of vectors and sentences, but the data are images (16, 16, 1)" in refused(images)


def test_the_nats_are_of_the_firsts_likelihood():
    program = origin.program_of(second())
    assert program.experiment.model.likelihood == c.Bernoulli()
    state = loop.restore(program, second())
    measures = gvlab.evaluate.evaluate(program, state, extractors=[])
    assert measures["iw_bound_nats"]["value"] > measures["elbo_nats"]["value"]
    assert measures["elbo_nats"]["stamp"]["likelihood"] == {"type": "Bernoulli"}
    assert "bits_per_dim" in measures


def test_families_leave_other_experiments_as_they_are():
    assert families.resolved(EXPERIMENTS["gan"]) is EXPERIMENTS["gan"]
