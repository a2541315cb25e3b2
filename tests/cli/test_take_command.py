"""Samples and latents by the command line, as files for other programs."""

from __future__ import annotations

import json
import shutil
import signal
from dataclasses import replace

import harness
import numpy as np
import pytest
from harness import EXPERIMENTS, assert_refused, call, experiment_file
from PIL import Image

import gvlab
from gvlab import rng
from gvlab.data import image_sets


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    """A run of a VAE of ten classes."""
    root, vae = tmp_path_factory.mktemp("conditional"), EXPERIMENTS["vae"]
    experiment = replace(vae, name="classes", steps=10, model=replace(vae.model, conditional=True))
    assert call("train", experiment_file(root, experiment), "--out", root) == 0
    return root / "classes" / "seed-0"


def test_a_folder_measures_as_the_run_itself(tmp_path, capsys):
    run, folder = harness.compared() / "units" / "gan" / "seed-0", tmp_path / "samples"
    assert call("sample", run, "--n", 64, "--out", folder) == 0
    assert capsys.readouterr().out == f"{folder}\n"
    measures = ("--metrics", "frechet", "sliced_wasserstein", "--features", "pixels")
    assert call("evaluate", "--images", folder, "--against", "digits", *measures, "--out", tmp_path / "m.json") == 0
    found = json.loads((tmp_path / "m.json").read_text())["measures"]
    known = json.loads((run / "evaluation.json").read_text())["measures"]
    assert found["frechet_pixels"]["value"] == pytest.approx(known["frechet_pixels"]["value"], rel=1e-4)


def test_archives_of_samples_and_of_the_latents_of_images(tmp_path, capsys):
    run = harness.trained("vae")
    assert call("sample", run, "--n", 30, "--seed", 4, "--out", tmp_path / "samples.npz") == 0
    samples = np.load(tmp_path / "samples.npz")["arr_0"]
    np.testing.assert_array_equal(samples, next(gvlab.load(run).stored(30, seed=4)).x)

    assert call("encode", run, "--images", tmp_path / "samples.npz", "--out", tmp_path / "z.npz") == 0
    latents = np.load(tmp_path / "z.npz")
    np.testing.assert_allclose(latents["mean"], gvlab.load(run).encode(samples)[0], atol=1e-5)
    assert latents["names"].tolist() == [str(i) for i in range(30)]

    assert call("decode", run, "--latents", tmp_path / "z.npz", "--out", tmp_path / "again") == 0
    again = np.concatenate(list(image_sets.read(tmp_path / "again").in_order(100)))
    np.testing.assert_array_equal(again, next(gvlab.load(run).decoded(latents["mean"])).x)
    assert call("decode", run, "--latents", tmp_path / "z.npz", "--out", tmp_path / "again.png") == 0
    assert np.asarray(Image.open(tmp_path / "again.png")).shape == (4 * (4 * 17 + 1), 4 * (8 * 17 + 1))


def test_classes(conditional, tmp_path, capsys):
    assert call("sample", conditional, "--classes", "all", "--n", 3, "--out", tmp_path / "all.png") == 0
    sheet = np.asarray(Image.open(tmp_path / "all.png"))
    assert sheet.shape[0] / sheet.shape[1] == (10 * 17 + 1) / (3 * 17 + 1)  # a row for each class
    assert call("sample", conditional, "--class", 7, "--n", 5, "--out", tmp_path / "sevens") == 0
    assert (tmp_path / "sevens" / "labels.csv").read_text().splitlines()[1:] == [f"{i}.png,7" for i in range(5)]
    assert call("sample", conditional, "--class", 7, "--n", 5, "--out", tmp_path / "sevens.png") == 0
    code = call("encode", conditional, "--images", tmp_path / "sevens", "--class", 7, "--out", tmp_path / "z.npz")
    assert code == 0
    z = np.load(tmp_path / "z.npz")["mean"]
    weights = np.full((5, 10), 0.1, np.float32)
    np.savez(tmp_path / "between.npz", z=z, y=weights)
    assert call("decode", conditional, "--latents", tmp_path / "between.npz", "--out", tmp_path / "between.npy") == 0
    between = np.load(tmp_path / "between.npy")
    np.testing.assert_array_equal(between, next(gvlab.load(conditional).decoded(z, weights)).x)
    capsys.readouterr()
    assert call("decode", conditional, "--latents", tmp_path / "z.npz", "--out", tmp_path / "turn") == 0
    assert capsys.readouterr().err == f"gvlab: {tmp_path / 'z.npz'} has no y, so the classes come in turn.\n"
    assert (tmp_path / "turn" / "labels.csv").read_text().splitlines()[1:] == [f"{i}.png,{i}" for i in range(5)]


@pytest.mark.parametrize("name", ["samples", "samples.npz"])
def test_what_is_stopped_or_killed_leaves_nothing_for_long(name, tmp_path):
    def of(signum):
        process = harness.start("sample", harness.trained("vae"), "--n", 10_000_000, "--out", tmp_path / name)
        harness.wait_until(lambda: any(tmp_path.iterdir()), process)
        process.send_signal(signum)
        return process.wait(60), process.communicate()[1]

    assert of(signal.SIGTERM) == (143, "gvlab: Interrupted.\n")
    assert list(tmp_path.iterdir()) == []
    assert of(signal.SIGKILL) == (-9, "")
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    assert call("sample", harness.trained("vae"), "--n", 2, "--out", tmp_path / name) == 0
    assert [path.name for path in tmp_path.iterdir()] == [name]


def cells(picture, rows):
    """Of a sheet of images 16x16, however enlarged: [rows, columns, 16, 16]."""
    sheet = np.asarray(Image.open(picture).convert("L"))
    factor = sheet.shape[0] // (rows * 17 + 1)
    sheet = sheet[::factor, ::factor][1:, 1:]
    return sheet.reshape(rows, 17, -1, 17)[:, :16, :, :16].swapaxes(1, 2)


def test_ones_own_images_are_reconstructed(tmp_path):
    run = harness.trained("vae")
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 1), np.uint8)
    np.savez(tmp_path / "images.npz", images)
    assert call("reconstruct", run, "--images", tmp_path / "images.npz", "--n", 3, "--out", tmp_path / "r.png") == 0
    shown = cells(tmp_path / "r.png", 2)
    assert shown.shape[:2] == (2, 3)
    model = gvlab.load(run)
    expected = model.decode(model.encode(images[:3])[0])[..., 0] * 255
    np.testing.assert_allclose(shown[1], expected, atol=1.01)


def test_walks_from_class_to_class(conditional, tmp_path):
    walk = ("interpolate", conditional, "--classes", "3, 8,1", "--rows", 2, "--columns", 5, "--out", tmp_path / "w.png")
    assert call(*walk) == 0
    shown = cells(tmp_path / "w.png", 2)
    assert shown.shape[:2] == (2, 5)
    model = gvlab.load(conditional)
    z = model.latents(rng.stream(rng.root(0), rng.PICTURE), 2)
    between = np.zeros((2, 10), np.float32)
    between[:, [3, 8]] = 0.5
    for column, y in enumerate((3, between, 8)):
        np.testing.assert_allclose(shown[:, column], model.decode(z, y)[..., 0] * 255, atol=1.01)
    np.testing.assert_allclose(shown[:, 4], model.decode(z, 1)[..., 0] * 255, atol=1.01)


def test_a_class_may_be_named(conditional, tmp_path, capsys):
    """Where the data have names; here they are given to the run as it would have recorded them."""
    run = shutil.copytree(conditional, tmp_path / "run" / "seed-0")
    origin = json.loads((run / "origin.json").read_text())
    origin["data"]["class_names"] = [*"abcdefg", "seven", "8", "nine"]
    (run / "origin.json").write_text(json.dumps(origin))
    for name, number in (("seven", 7), ("8", 8), ("5", 5)):  # a name comes before a number
        assert call("sample", run, "--class", name, "--n", 2, "--out", tmp_path / f"of-{name}") == 0
        called = {7: "seven", 8: "8", 5: "f"}[number]
        assert f"0.png,{number},{called}\n" in (tmp_path / f"of-{name}" / "labels.csv").read_text()
    code = call("sample", run, "--class", "sevn", "--out", tmp_path / "no")
    words = ("--class is sevn", "numbered from 0 to 9 or named a, b, c", "did you mean seven?")
    assert_refused(code, *capsys.readouterr(), *words)


MISTAKES = {
    "a class of none": (["sample", "RUN", "--class", "3"], ["--class 3 is for conditional models"]),
    "no such class": (["sample", "CLASSES", "--class", "10"], ["--class is 10", "0 to 9"]),
    "negative class": (["sample", "CLASSES", "--class", "-1"], ["--class is -1", "0 to 9"]),
    "both": (["sample", "CLASSES", "--classes", "all", "--class", "1"], ["exclude each other"]),
    "all as files": (["sample", "CLASSES", "--classes", "all"], ["makes a picture"]),
    "no truncation": (["sample", "RUN", "--truncation", "0"], ["--truncation is 0.0"]),
    "no number": (["sample", "RUN", "--truncation", "nan"], ["--truncation is nan"]),
    "no end": (["sample", "RUN", "--truncation", "inf"], ["--truncation is inf", "a positive, finite number"]),
    "none": (["sample", "RUN", "--n", "0"], ["--n is 0"]),
    "of a GAN": (["encode", "GAN", "--images", "IMAGES"], ["gan is a GAN, which has no encoder"]),
    "no class": (["encode", "CLASSES", "--images", "IMAGES"], ["conditional on 10 classes", "--class K"]),
    "of another size": (["encode", "RUN", "--images", "LARGE"], ["(20, 20, 1)", "(16, 16, 1)"]),
    "no latents": (["decode", "RUN", "--latents", "IMAGES"], ["holds arr_0", "z or mean"]),
    "reconstructions of another size": (["reconstruct", "RUN", "--images", "LARGE"], ["(20, 20, 1)", "(16, 16, 1)"]),
    "reconstructions of no class": (["reconstruct", "CLASSES", "--images", "IMAGES"], ["on 10 classes", "--class K"]),
    "too many": (["reconstruct", "RUN", "--images", "IMAGES", "--n", "4"], ["--n is 4, but", "has only 3 images"]),
    "a class of test images": (["reconstruct", "RUN", "--class", "4"], ["--class 4 is of --images"]),
    "reconstructions by a GAN": (["reconstruct", "GAN", "--images", "IMAGES"], ["gan is a GAN, which has no encoder"]),
    "a walk of one class": (["interpolate", "CLASSES", "--classes", "4"], ["--classes is 4", "two ends"]),
    "a walk to no class": (["interpolate", "CLASSES", "--classes", "4,10"], ["--classes is 10", "0 to 9"]),
    "a walk without classes": (["interpolate", "RUN", "--classes", "4,5"], ["--classes 4 is for conditional models"]),
    "a walk of few steps": (["interpolate", "CLASSES", "--classes", "1,2,3", "--columns", "2"], ["--columns is 2"]),
    "no file": (["decode", "RUN", "--latents", "NOTHING"], ["cannot be read"]),
    "a large picture": (["sample", "RUN", "--n", "1000000"], ["--n is 1000000, which makes a picture"]),
    "a large one of classes": (
        ["sample", "CLASSES", "--classes", "all", "--n", "1000000"],
        ["--n is 1000000 of each of 10 classes, which makes a picture"],
    ),
    "many latents": (["decode", "RUN", "--latents", "MANY"], ["many.npz holds 400000 latents, which makes a picture"]),
    "latents of none": (["decode", "RUN", "--latents", "EMPTY"], ["z as float32[0, 4]", "give at least one"]),
    "latents of NaN": (["decode", "RUN", "--latents", "NAN"], ["nan.npz holds z with values that are NaN or infinite"]),
    "two kinds of latents": (["decode", "RUN", "--latents", "BOTH"], ["both.npz holds both z and mean"]),
    "weights of NaN": (["decode", "CLASSES", "--latents", "WEIGHTS"], ["weights from nan to nan", "have the sum 1"]),
    "wrong latents": (["decode", "RUN", "--latents", "LATENTS"], ["shape (3, 5)", "[n, 4]"]),
}


@pytest.mark.parametrize(("args", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gets_one_sentence_and_leaves_nothing(args, words, conditional, tmp_path, capsys):
    given = tmp_path / "given"
    given.mkdir()
    np.savez(given / "images.npz", np.zeros((3, 16, 16, 1), np.uint8))
    np.savez(given / "large.npz", np.zeros((3, 20, 20, 1), np.uint8))
    np.savez(given / "latents.npz", z=np.zeros((3, 5), np.float32))
    none, z = np.zeros((0, 4), np.float32), np.zeros((3, 4), np.float32)
    odd = {"empty": {"z": none}, "nan": {"z": z * np.nan}, "both": {"z": z, "mean": z}}
    odd["many"] = {"z": np.zeros((400_000, 4), np.float32)}
    for name, arrays in (odd | {"weights": {"z": z, "y": np.full((3, 10), np.nan)}}).items():
        np.savez(given / f"{name}.npz", **arrays)
    names = {
        **{name.upper(): given / f"{name}.npz" for name in (*odd, "weights")},
        "RUN": harness.trained("vae"),
        "GAN": harness.trained("gan"),
        "CLASSES": conditional,
        "IMAGES": given / "images.npz",
        "LARGE": given / "large.npz",
        "LATENTS": given / "latents.npz",
        "NOTHING": given / "nothing.npz",
    }
    kinds = {"encode": "z.npz", "sample": "samples", "decode": "samples"}
    is_picture = any("which makes a picture" in word for word in words)
    out = tmp_path / "made" / ("picture.png" if is_picture else kinds.get(args[0], "picture.png"))
    out.parent.mkdir()
    capsys.readouterr()
    code = call(*(names.get(arg, arg) for arg in args), "--out", out)
    assert_refused(code, *capsys.readouterr(), *words)
    assert list(out.parent.iterdir()) == []
