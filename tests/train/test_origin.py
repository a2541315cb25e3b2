"""What a run was trained with besides its configuration: its data, and whose model it is."""

from __future__ import annotations

from dataclasses import replace

import harness
import jax
import numpy as np
import pytest
from harness import EXPERIMENTS

from gvlab import build, data
from gvlab import config as c
from gvlab.train import engines, loop, origin
from gvlab.types import UserError

PIXELS = np.random.RandomState(0).randint(0, 256, (60, 16, 16, 1)).astype(np.uint8)
MINE = c.Experiment(
    name="mine",
    model=c.VAE(network=c.MLP(hidden=(8,)), latent_dim=2, output_bias="data_mean"),
    steps=2,
    batch_size=20,
    data=c.Data(name="mine"),
)


def train(pixels: np.ndarray, root, steps: int = 2, name: str = "mine"):
    dataset = data.from_arrays(name, pixels, pixels)
    return loop.train(engines.alone(build.program(MINE, dataset), jax.devices()[:1]), root, 0, steps)


# --- data -------------------------------------------------------------------------------------------------------------


def test_a_run_goes_on_with_its_own_data_alone(tmp_path):
    made = train(PIXELS, tmp_path)
    assert origin.read(made)["data"]["sha256"] == data.from_arrays("any", PIXELS, PIXELS).checksum
    before = harness.contents(made)
    for steps in (2, 4):
        with pytest.raises(UserError, match=r"was trained on mine with the SHA-256 .* use the same data, or another"):
            train(255 - PIXELS, tmp_path, steps)
    assert harness.changed(made, before) == set()
    assert train(PIXELS, tmp_path, 4) == made


def test_a_run_of_before_data_were_recorded_goes_on_and_records_them(tmp_path):
    made = train(PIXELS, tmp_path)
    (made / "origin.json").unlink()
    train(PIXELS, tmp_path, 4)
    assert origin.read(made)["data"]["name"] == "mine"


def test_what_needs_no_data_is_done_without_them(tmp_path, capsys):
    made, grid = train(PIXELS, tmp_path), tmp_path / "grid.png"
    for command in ("sample", "interpolate"):
        assert harness.call(command, made, "--out", grid) == 0, capsys.readouterr().err
        assert grid.is_file()
        grid.unlink()
    capsys.readouterr()
    for command in (("reconstruct", made, "--out", grid), ("neighbours", made, "--out", grid), ("evaluate", made)):
        code = harness.call(*command)
        harness.assert_refused(code, *capsys.readouterr(), "needs the examples of mine", "Unknown data set 'mine'")
    (made / "origin.json").unlink()  # nothing is known of the data then
    code = harness.call("sample", made, "--out", grid)
    harness.assert_refused(code, *capsys.readouterr(), "Unknown data set 'mine'")


def test_data_of_the_same_name_are_not_taken_for_those_of_the_run(tmp_path, capsys):
    digits = replace(MINE, data=c.Data("digits"), name="e")
    own = data.from_arrays("digits", PIXELS, PIXELS)
    made = loop.train(engines.alone(build.program(digits, own), jax.devices()[:1]), tmp_path, 0)
    assert harness.call("sample", made, "--out", tmp_path / "grid.png") == 0
    capsys.readouterr()
    code = harness.call("reconstruct", made, "--out", tmp_path / "grid.png")
    harness.assert_refused(code, *capsys.readouterr(), "needs the examples of digits", "has other examples")


def test_samples_without_data_are_those_with_them(tmp_path):
    made = train(PIXELS, tmp_path)
    here, absent = build.program(MINE, data.from_arrays("mine", PIXELS, PIXELS)), origin.program_of(made)
    assert absent.dataset.shape == (16, 16, 1)
    drawn = [one.model.sample(loop.restore(one, made), jax.random.key(0), 4) for one in (here, absent)]
    np.testing.assert_array_equal(*drawn)


# --- the model --------------------------------------------------------------------------------------------------------


def test_a_model_given_from_python_is_not_taken_for_the_configurations(tmp_path, capsys):
    configured = harness.program("vae")
    other = build.model(replace(EXPERIMENTS["vae"].model, latent_dim=3), configured.dataset.shape, 10)
    own = build.Program(configured.experiment, configured.dataset, other)
    made = loop.train(engines.alone(own, jax.devices()[:1]), tmp_path, 0, steps=10)
    assert origin.read(made)["model"] == "own"
    assert int(loop.restore(own, made).step) == 10
    code = harness.call("sample", made, "--out", tmp_path / "grid.png")
    harness.assert_refused(code, *capsys.readouterr(), str(made), "a model given from Python", "gvlab.train.restore")
    with pytest.raises(UserError, match="a model given from Python"):
        loop.train(harness.engine("vae"), tmp_path, 0)
    assert loop.train(engines.alone(own, jax.devices()[:1]), tmp_path, 0, steps=20) == made


def test_a_run_of_the_configurations_model_does_not_go_on_with_another(tmp_path):
    loop.train(harness.engine("vae"), tmp_path, 0, steps=10)
    program = harness.program("vae")
    own = replace(program, model=program.model._replace(sample=lambda *args: None))
    with pytest.raises(UserError, match="the program brings its own"):
        loop.restore(own, tmp_path / "vae" / "seed-0")


# --- a batch of one ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", [c.MaxoutMLP(generator=(16,), discriminator=(8,)), c.Article()])
def test_batch_norm_over_one_example_is_refused_before_training(network, tmp_path):
    """By the layer itself: `build.program` says so before, of the networks that it knows."""
    experiment = c.Experiment(name="one", model=c.GAN(network=network, latent_dim=4), steps=6, batch_size=2)
    program = build.program(experiment, data.load("digits"))
    engines.alone(program, jax.devices()[:1])
    with pytest.raises(UserError, match=r"BatchNorm has one value per feature .* a batch_size of at least 2"):
        engines.alone(replace(program, experiment=replace(experiment, batch_size=1)), jax.devices()[:1])


def test_over_the_pixels_of_one_image_it_is_not():
    experiment = c.Experiment(name="one", model=c.GAN(network=c.DCGAN(width=2), latent_dim=4), steps=6, batch_size=1)
    engines.alone(build.program(experiment, data.load("digits")), jax.devices()[:1])
    engines.alone(
        build.program(replace(experiment, model=c.GAN(network=c.MLP(hidden=(4,)), latent_dim=4)), data.load("digits")),
        jax.devices()[:1],
    )


# --- when something is written ----------------------------------------------------------------------------------------


def test_when_something_is_written_may_change_on_continuing(tmp_path):
    made = loop.train(harness.engine("vae"), tmp_path, 0, steps=20)
    engine = harness.engine("vae")
    changed = replace(engine.program.experiment, log_every=5, sample_every=7, checkpoint_every=20, keep_every=0)
    loop.train(replace(engine, program=replace(engine.program, experiment=changed)), tmp_path, 0, steps=40)
    assert [line["step"] for line in harness.curves(made)] == [1, 10, 20, 25, 30, 35, 40]
    undisturbed = {line["step"]: line for line in harness.curves(harness.trained("vae"))}
    assert all(undisturbed.get(line["step"], line) == line for line in harness.curves(made))
