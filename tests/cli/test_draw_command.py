"""Pictures by the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import harness
import jax
import numpy as np
import pytest
from harness import assert_refused, call, experiment_file
from PIL import Image

from gvlab import config as c
from gvlab import rng
from gvlab.train import loop

SIDE = 16  # of digits


def tiles(picture: Path, rows: int, columns: int) -> np.ndarray:
    """The images [rows, columns, 16, 16] of a grid, whose size must be the right one."""
    sheet = np.asarray(Image.open(picture))
    height, width = rows * (SIDE + 1) + 1, columns * (SIDE + 1) + 1
    times = -(-512 // max(height, width))
    assert sheet.shape == (height * times, width * times)
    small = sheet[::times, ::times]
    assert np.array_equal(sheet, small.repeat(times, 0).repeat(times, 1))
    assert (small[0] == 128).all()  # the gap
    assert (small[:, 0] == 128).all()
    cut = small[1:, 1:].reshape(rows, SIDE + 1, columns, SIDE + 1).swapaxes(1, 2)
    return cut[:, :, :SIDE, :SIDE]


def eight_bit(images: np.ndarray) -> np.ndarray:
    return np.round(np.clip(np.asarray(images)[..., 0], 0, 1) * 255).astype(np.uint8)


@pytest.mark.parametrize("name", ["vae", "gan"])
def test_sample(name, tmp_path, capsys):
    made, program = harness.trained(name), harness.program(name)
    pictures = [tmp_path / f"{i}.png" for i in range(3)]
    for picture, key in zip(pictures, (0, 0, 1), strict=True):
        assert call("sample", made, "--n", 11, "--seed", key, "--out", picture) == 0
    assert capsys.readouterr().out.split() == [str(picture) for picture in pictures]
    assert pictures[0].read_bytes() == pictures[1].read_bytes() != pictures[2].read_bytes()

    shown = tiles(pictures[0], 2, 8).reshape(16, SIDE, SIDE)
    draw = jax.jit(lambda state, key: program.to_unit(program.model.sample(state, key, 11)))
    expected = draw(loop.restore(program, made), rng.stream(rng.root(0), rng.PICTURE))
    assert np.abs(shown[:11].astype(int) - eight_bit(expected)).max() <= 1
    assert (shown[11:] == 128).all()  # no image
    assert shown[:11].std() > 5


def test_sample_draws_64_unless_told(tmp_path):
    assert call("sample", harness.trained("vae"), "--out", tmp_path / "grid.png") == 0
    assert tiles(tmp_path / "grid.png", 8, 8).shape == (8, 8, SIDE, SIDE)


def test_reconstruct_shows_originals_above_reconstructions(tmp_path):
    made, program = harness.trained("vae"), harness.program("vae")
    assert call("reconstruct", made, "--n", 11, "--out", tmp_path / "grid.png") == 0
    shown = tiles(tmp_path / "grid.png", 4, 8)
    originals, reconstructed = np.concatenate([shown[0], shown[2, :3]]), np.concatenate([shown[1], shown[3, :3]])
    assert (shown[2:, 3:] == 128).all()  # no image
    assert set(np.unique(originals)) == {0, 255}  # binarised, as in training
    intensity = program.dataset.test.x[:11, ..., 0] / 255
    assert (originals[intensity == 0] == 0).all()
    assert (originals[intensity == 1] == 255).all()
    assert 0 < reconstructed.min() <= reconstructed.max() < 255
    # Trained for 100 steps, it knows at least where ink is common.
    correlation = np.corrcoef(originals.ravel(), reconstructed.ravel())[0, 1]
    assert correlation > 0.3

    assert call("reconstruct", made, "--n", 3, "--out", tmp_path / "three.png") == 0
    assert np.array_equal(tiles(tmp_path / "three.png", 2, 3)[0], originals[:3])


@pytest.mark.parametrize("name", ["vae", "gan"])
def test_interpolate(name, tmp_path):
    made, pictures = harness.trained(name), [tmp_path / f"{i}.png" for i in range(3)]
    for picture, key in zip(pictures, (5, 5, 6), strict=True):
        assert call("interpolate", made, "--rows", 3, "--columns", 4, "--seed", key, "--out", picture) == 0
    assert pictures[0].read_bytes() == pictures[1].read_bytes() != pictures[2].read_bytes()
    walks = tiles(pictures[0], 3, 4)
    program = harness.program(name)
    draw = jax.jit(lambda state, key: program.to_unit(program.model.decode(state, program.model.prior(key, 6))))
    expected = draw(loop.restore(program, made), rng.stream(rng.root(5), rng.PICTURE))
    expected = eight_bit(expected).astype(int)
    assert np.abs(walks[:, 0] - expected[:3]).max() <= 1
    assert np.abs(walks[:, -1] - expected[3:]).max() <= 1


@pytest.mark.parametrize(
    "experiment",
    [
        c.Experiment("ring", c.GAN(c.MLP(hidden=(16,)), latent_dim=4), steps=10, data=c.Data("ring"), batch_size=16),
        c.Experiment(
            "grid",
            c.VAE(c.MLP(hidden=(16,)), latent_dim=2, likelihood=c.LearnedGaussian(), conditional=True),
            steps=10,
            data=c.Data("grid"),
            batch_size=16,
        ),
    ],
    ids=lambda experiment: experiment.name,
)
def test_points_in_the_plane_and_labels(experiment, tmp_path, capsys):
    experiment = replace(experiment, evaluation=c.Evaluation(samples=100, k=3))
    made = tmp_path / experiment.name / "seed-0"
    assert call("train", experiment_file(tmp_path, experiment), "--out", tmp_path) == 0
    commands = ["sample", "interpolate"] + ["reconstruct"] * (experiment.name == "grid")
    for command in commands:
        assert call(command, made, "--out", tmp_path / f"{command}.png") == 0
    for picture in [*tmp_path.glob("*.png"), *made.glob("samples/*.png")]:
        sheet = np.asarray(Image.open(picture))
        assert sheet.shape == (512, 512, 3)
        assert (sheet == (190, 190, 190)).all(-1).any()  # real points
    assert call("evaluate", made) == 0
    measures = json.loads((made / "evaluation.json").read_text())["measures"]
    modes = {"modes_covered", "high_quality", "reverse_kl_nats"}
    assert {"frechet_coordinates", "kernel_coordinates"} | modes < measures.keys()
    for name in modes:
        assert measures[name]["stamp"]["modes"] == {"ring": 8, "grid": 25}[experiment.name]
        assert measures[name]["stamp"]["features"] == "coordinates"
    assert 0 <= measures["modes_covered"]["value"] <= 25
    assert not [name for name in measures if "pixels" in name]
    assert "bits_per_dim" not in measures
    assert ("iw_bound_nats" in measures) == (experiment.name == "grid")
    if experiment.name == "ring":
        capsys.readouterr()
        code = call("reconstruct", made, "--out", tmp_path / "no.png")
        assert_refused(code, *capsys.readouterr(), "GAN")


def test_latents_are_ranked_in_a_table_and_a_heat_map(tmp_path, capsys):
    made = harness.trained("vae")
    assert call("latents", made, "--out", tmp_path / "map.svg") == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["latent", "KL,", "nats", "class", "follows"]
    kl = [float(row.split()[1]) for row in rows[: harness.program("vae").latent_dim]]
    assert kl == sorted(kl, reverse=True)
    assert (tmp_path / "map.svg").read_bytes().startswith(b"<?xml")
    for args, words in (
        ((harness.trained("gan"),), "has no encoder whose latents could be ranked"),
        ((made, "--out", tmp_path / "map.txt"), "a figure is a PDF, an SVG or a PNG file"),
    ):
        assert_refused(call("latents", *args), *capsys.readouterr(), words)
