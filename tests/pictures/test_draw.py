"""Pictures of what a model does: traversals, and samples beside their nearest training images."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import harness
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from harness import assert_refused, call
from PIL import Image

from gvlab import build, data, rng
from gvlab import config as c
from gvlab.cli import draw as cli
from gvlab.extractors import catalogue
from gvlab.extractors import extractor as features
from gvlab.pictures import draw
from gvlab.train import loop
from gvlab.types import Batch, UserError

SIDE = 16  # of digits


@pytest.fixture(autouse=True, scope="module")
def cache():
    """Features of the training images go where those of the command line go in tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", os.environ["GVLAB_TESTS_CACHE"])
        yield


def tiles(sheet: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The images [rows, columns, 16, 16] of a grid, whose size must be the right one."""
    height, width = rows * (SIDE + 1) + 1, columns * (SIDE + 1) + 1
    times = max(1, -(-512 // max(height, width)))
    assert sheet.shape[:2] == (height * times, width * times)
    small = sheet[::times, ::times].reshape(height, width)
    assert (small[0] == 128).all()  # the gap
    return small[1:, 1:].reshape(rows, SIDE + 1, columns, SIDE + 1).swapaxes(1, 2)[:, :, :SIDE, :SIDE]


def eight_bit(images) -> np.ndarray:
    return np.round(np.clip(np.asarray(images)[..., 0], 0, 1) * 255).astype(int)


# --- traversals -------------------------------------------------------------------------------------------------------


def test_a_traversal_sets_one_latent_at_a_time():
    program = harness.program("vae")
    state = loop.restore(program, harness.trained("vae"))
    sheet = draw.traversals(program, state, example=7, columns=5)
    assert sheet.dtype == np.uint8
    shown = tiles(sheet, 4, 5)  # four latents

    key = rng.stream(rng.root(0), rng.EVALUATE)
    test = program.preprocess(jnp.asarray(program.dataset.test.x), key)
    means, _ = program.model.encode(state, Batch(test))
    most_active_first = np.argsort(-np.asarray(means).var(0))
    for row, latent in enumerate(most_active_first):
        z = np.repeat(np.asarray(means)[7:8], 5, axis=0)
        z[:, latent] = [-3, -1.5, 0, 1.5, 3]
        expected = eight_bit(program.model.decode(state, jnp.asarray(z)))
        assert np.abs(shown[row] - expected).max() <= 1, latent


def test_the_command_draws_a_traversal(tmp_path, capsys):
    out = tmp_path / "grid.png"
    assert call("traverse", harness.trained("vae"), "--example", 7, "--columns", 5, "--out", out) == 0
    assert capsys.readouterr().out == f"{out}\n"
    program = harness.program("vae")
    state = loop.restore(program, harness.trained("vae"))
    expected = draw.traversals(program, state, example=7, columns=5)
    drawn = np.asarray(Image.open(out)).astype(int)
    assert np.abs(drawn - expected[..., 0]).max() <= 1
    assert call("traverse", harness.trained("vae"), "--out", out) == 0
    tiles(np.asarray(Image.open(out)), 4, 11)


def test_labels_of_a_conditional_model_stay_those_of_the_example():
    experiment = c.Experiment("x", c.VAE(c.MLP(hidden=(8,)), latent_dim=2, conditional=True), steps=1)
    program = build.program(experiment, data.load("digits"))
    state = jax.jit(program.model.init)(jax.random.key(0), program.first_batch())
    shown = tiles(draw.traversals(program, state, example=3, columns=3), 2, 3)
    test = program.dataset.test
    x = program.preprocess(jnp.asarray(test.x), rng.stream(rng.root(0), rng.EVALUATE))
    z = program.model.encode(state, Batch(x, jnp.asarray(test.y)))[0][3:4]
    label = jnp.asarray(test.y[3:4])
    # Where the changed latent is near the mean, the picture is near the reconstruction.
    expected = eight_bit(program.model.decode(state, z, label))[0]
    other = eight_bit(program.model.decode(state, z, (label + 1) % 10))[0]
    middle = shown[:, 1].astype(int)
    assert np.abs(middle - expected).mean() < np.abs(middle - other).mean()


# --- neighbours -------------------------------------------------------------------------------------------------------

COPIES = [5, 900, 1496]


def copying(name: str) -> build.Program:
    """A model whose samples are training images."""
    program = harness.program(name)
    low, high = program.data_range
    x = jnp.asarray(program.dataset.train.x[np.array(COPIES)], jnp.float32) / 255 * (high - low) + low
    return replace(program, model=program.model._replace(sample=lambda state, key, n: x[:n]))


@pytest.mark.parametrize(("name", "of"), [("gan", "pixels"), ("vae", "pixels"), ("gan", "digits")])
def test_a_copy_is_its_own_nearest_neighbour(name, of):
    program, extractor = copying(name), catalogue.extractor(of)
    sheet = draw.neighbours(program, None, extractor, seed=0, n=3, k=4)
    shown = tiles(sheet, 3, 5)
    train = program.dataset.train.x[..., 0]
    np.testing.assert_array_equal(shown[:, 0], train[COPIES])
    np.testing.assert_array_equal(shown[:, 1], train[COPIES])
    known = {image.tobytes() for image in train}
    assert all(image.tobytes() in known for image in shown.reshape(-1, SIDE, SIDE))
    # Nearest first, by distances of our own.
    rows = np.asarray(extractor.apply(jnp.asarray(program.dataset.train.x)).features, np.float64)
    place = {image.tobytes(): number for number, image in reversed(list(enumerate(train)))}
    for number, row in zip(COPIES, shown, strict=True):
        to_all = np.linalg.norm(rows - rows[number][None], axis=1)
        found = [to_all[place[image.tobytes()]] for image in row[1:]]
        np.testing.assert_allclose(found, np.sort(to_all)[:4], rtol=1e-4, atol=1e-4)


def test_the_command_draws_neighbours(tmp_path, capsys):
    out = tmp_path / "grid.png"
    made = harness.trained("vae")
    assert call("neighbours", made, "--n", 3, "--k", 4, "--seed", 5, "--features", "digits", "--out", out) == 0
    assert capsys.readouterr().out == f"{out}\n"
    shown = tiles(np.asarray(Image.open(out)), 3, 5)
    program = harness.program("vae")
    state = loop.restore(program, made)
    samples = program.model.sample(state, rng.stream(rng.root(5), rng.PICTURE), 3)
    assert np.abs(shown[:, 0] - eight_bit(samples)).max() <= 1
    known = {image.tobytes() for image in program.dataset.train.x[..., 0]}
    assert all(image.tobytes() in known for image in shown[:, 1:].reshape(-1, SIDE, SIDE))


# --- mistakes ---------------------------------------------------------------------------------------------------------

GAN = Path("GAN")
MISTAKES = {
    "a GAN has no posterior": (["traverse", "GAN"], ["gan is a GAN", "needs a VAE"]),
    "example beyond the test images": (["traverse", "VAE", "--example", "300"], ["--example is 300", "0 to 299"]),
    "negative example": (["traverse", "VAE", "--example", "-1"], ["--example is -1", "0 to 299"]),
    "a walk of one": (["traverse", "VAE", "--columns", "1"], ["--columns is 1"]),
    "no samples": (["neighbours", "VAE", "--n", "0"], ["--n is 0"]),
    "no neighbours": (["neighbours", "VAE", "--k", "0"], ["--k is 0"]),
    "more neighbours than images": (["neighbours", "VAE", "--k", "1498"], ["k is 1498", "1497"]),
    "endless seed": (["neighbours", "VAE", "--seed", "-1"], ["--seed is -1"]),
    "unknown features": (["neighbours", "VAE", "--features", "x"], ["no features named 'x'"]),
    "features of points": (["neighbours", "VAE", "--features", "coordinates"], ["coordinates are of points"]),
}


@pytest.mark.parametrize(("args", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gets_one_sentence_and_no_picture(args, words, tmp_path, monkeypatch, capsys):
    trained = cli.trained  # a GAN need not be, to be refused
    monkeypatch.setattr(
        cli, "trained", lambda run, file: (harness.program("gan"), None) if run == GAN else trained(run)
    )
    code = call(*(harness.trained("vae") if arg == "VAE" else arg for arg in args), "--out", tmp_path / "grid.png")
    assert_refused(code, *capsys.readouterr(), *words)
    assert list(tmp_path.iterdir()) == []


def test_points_are_no_images():
    experiment = c.Experiment("ring", c.VAE(c.MLP(hidden=(8,)), 2, likelihood=c.Gaussian()), 1, c.Data("ring"))
    program = build.program(experiment, data.load("ring"))
    with pytest.raises(UserError, match="ring makes points"):
        draw.traversals(program, None, 0, 5)
    with pytest.raises(UserError, match="ring makes points"):
        draw.neighbours(program, None, features.coordinates(), 0, 3, 4)
