"""The one sentence that every mistake at the command line gets."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
from pathlib import Path

import harness
import numpy as np
import pytest
from harness import EXPERIMENTS, assert_refused, call, experiment_file, run

from gvlab import backend, build, data
from gvlab import config as c
from gvlab.cli import main, overrides

MISTAKES = {
    "no such file": (["train", "nowhere.py"], ["nowhere.py"]),
    "no such file to compare": (["compare", "nowhere.py"], ["nowhere.py"]),
    "misspelt field": (["train", "FILE", "--model.latent-dmi", "3"], ["--model.latent-dmi", "--model.latent-dim?"]),
    "misspelt field with =": (["train", "FILE", "--batchsize=3"], ["--batchsize", "--batch-size?"]),
    "misspelt end of a field": (["train", "FILE", "--model.hidn", "3"], ["--model.hidn", "--model.network.hidden?"]),
    "misspelt file": (["train", "vea.py"], ["no experiment file vea.py (did you mean vae.py?)"]),
    "unknown field": (["train", "FILE", "--qqqqqqqq", "3"], ["--qqqqqqqq"]),
    "field of the other family": (["train", "FILE", "--model.discriminator-steps", "2"], ["discriminator-steps"]),
    "wrong type": (["train", "FILE", "--steps", "many"], ["many", "steps"]),
    "half a number": (["train", "FILE", "--batch-size", "2.5"], ["2.5"]),
    "not a choice": (["train", "FILE", "--data.quantization", "binary"], ["binary", "binarize"]),
    "no value": (["train", "FILE", "--steps"], ["steps"]),
    "negative steps": (["train", "FILE", "--steps", "-5"], ["steps", "-5"]),
    "no steps": (["train", "FILE", "--steps", "0"], ["steps", "0"]),
    "steps of a comparison": (["compare", "FILE", "--steps", "-5"], ["steps", "-5"]),
    "batch beyond the data": (["train", "FILE", "--batch-size", "5000"], ["5000", "1497"]),
    "batch of nothing": (["train", "FILE", "--batch-size", "0"], ["batch_size", "0"]),
    "unknown data": (["train", "FILE", "--data.name", "mnsit"], ["mnsit", "'mnist'?"]),
    "unknown data to prepare": (["data", "prepare", "digitz"], ["digitz", "'digits'?"]),
    "no seeds": (["compare", "FILE", "--seeds", "0"], ["--seeds", "0"]),
    "seeds in a list": (
        ["compare", "FILE", "--seeds", "0", "1"],
        ["--seeds is followed by 0 1, but takes one number (how many: 0, 1, ..., N-1): give one"],
    ),
    "seeds in a list of a published result": (
        ["reproduce", "FILE", "--seeds", "3", "4"],
        ["takes one number (how many"],
    ),
    "a reconstruction as a sound": (["reconstruct", "VAE", "--out", "x.wav"], ["points and sounds are shown in a PNG"]),
    "seeds in words": (["compare", "FILE", "--seeds", "three"], ["--seeds", "three"]),
    "negative seed": (["train", "FILE", "--seed", "-1"], ["seed", "-1"]),
    "endless seed": (["train", "FILE", "--seed", str(2**31)], ["seed", str(2**31)]),
    "negative rate": (["train", "FILE", "--model.optimizer.learning-rate", "-0.1"], ["learning_rate", "-0.1"]),
    "rate not a number": (["train", "FILE", "--model.optimizer.learning-rate", "nan"], ["learning_rate", "nan"]),
    "negative beta": (["train", "FILE", "--model.beta", "-1"], ["beta", "-1"]),
    "pixels for points": (["train", "FILE", "--data.name", "ring"], ["Bernoulli", "vectors", "Gaussian"]),
    "no such command": (["trian", "FILE"], ["trian"]),
    "no command": ([], ["COMMAND"]),
    "no file": (["train"], ["EXPERIMENT.py"]),
    "options first": (["train", "--steps", "5", "FILE"], ["first"]),
    "unknown option": (["compare", "FILE", "--steppes", "3"], ["--steppes (did you mean --steps?)"]),
    "misspelt option": (["sample", "VAE", "--out", "a.png", "--trunkation=2"], ["mean --truncation?"]),
    "no run": (["sample", "nowhere", "--out", "grid.png"], ["There is no nowhere"]),
    "no run to evaluate": (["evaluate", "nowhere"], ["nowhere"]),
    "no picture": (["sample", "VAE"], ["--out"]),
    "no samples": (["sample", "VAE", "--n", "0", "--out", "grid.png"], ["--n", "0"]),
    "endless seed of latents": (["sample", "VAE", "--seed", str(2**80), "--out", "grid.png"], ["--seed", str(2**80)]),
    "a walk of one": (["interpolate", "VAE", "--columns", "1", "--out", "grid.png"], ["--columns", "1"]),
    "a GAN cannot reconstruct": (["reconstruct", "GAN", "--out", "grid.png"], ["GAN", "VAE"]),
    "no importance samples": (["evaluate", "VAE", "--k", "0"], ["k is 0"]),
    "one generated example": (["evaluate", "VAE", "--samples", "1"], ["samples is 1"]),
    "unknown measure": (["evaluate", "VAE", "--metrics", "frechett"], ["'frechett'", "frechet"]),
    "no measure": (["evaluate", "VAE", "--metrics"], ["--metrics"]),
    "a traversal of a GAN": (["traverse", "GAN", "--out", "grid.png"], ["GAN", "VAE"]),
    "neighbours in no picture": (["neighbours", "VAE"], ["--out"]),
    "picture in no directory": (["sample", "VAE", "--out", "no/where/grid.png"], ["grid.png"]),
    "latents in no directory": (
        ["encode", "VAE", "--images", "x", "--out", "no/z.npz"],
        ["z.npz", "make the directory"],
    ),
    "samples in no directory": (["sample", "VAE", "--out", "no/where"], ["no/where", "make the directory"]),
    "an export into a file": (["export", "VAE", "--out", "vae.py/where"], ["vae.py/where", "Not a directory"]),
    "measures in no directory": (
        ["evaluate", "--images", "x", "--against", "digits", "--out", "no/m.json"],
        ["m.json", "make the directory"],
    ),
    "images beside others": (
        ["evaluate", "--images", "vea.py", "--against", "digits"],
        ["vea.py is not there", "vae.py?"],
    ),
    "twice the same": (["compare", "FILE", "FILE"], ["'vae'"]),
}


@pytest.mark.parametrize(("args", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gets_one_sentence_and_leaves_nothing(args, words, tmp_path, monkeypatch, capsys):
    file = experiment_file(tmp_path, EXPERIMENTS["vae"])
    monkeypatch.chdir(tmp_path)
    names = {"FILE": file, "VAE": harness.trained("vae"), "GAN": harness.trained("gan")}
    runs = [harness.contents(names["VAE"]), harness.contents(names["GAN"])]
    assert_refused(call(*(names.get(arg, arg) for arg in args)), *capsys.readouterr(), *words)
    assert [path for path in tmp_path.iterdir() if path.name != "__pycache__"] == [file]
    assert [harness.contents(names["VAE"]), harness.contents(names["GAN"])] == runs


FILES = {
    "no config": ("x = 1\n", "does not define a function config()"),
    "config not a function": ("config = 1\n", "does not define a function config()"),
    "config of another kind": ("def config():\n    return {}\n", "returns dict"),
    "not Python": ("def config(:\n", "SyntaxError"),
    "not text": (b"\xff\xfe\x00", "fails with"),
    "raises": ("raise ValueError('my own')\n", "ValueError: my own"),
    "raises in lines": ("raise ValueError('one\\ntwo')\n", "ValueError: one"),
    "exits": ("import sys\nsys.exit(3)\n", "SystemExit"),
    "bad value": (
        "from gvlab.config import *\ndef config():\n    return Experiment('x', GAN(latent_dim=-1), 1)\n",
        "GAN.latent_dim is -1",
    ),
    "bad name": ("from gvlab.config import *\ndef config():\n    return Experiment('a/b', GAN(), 1)\n", "'a/b'"),
    "unknown field": (
        "from gvlab.config import *\ndef config():\n    return Experiment('x', GAN(), 1, stepz=1)\n",
        "stepz",
    ),
    "quantized GAN": (
        "from gvlab.config import *\ndef config(): return Experiment('x', GAN(), 1, Data(quantization='binarize'))\n",
        "no likelihood",
    ),
}


@pytest.mark.parametrize(("text", "word"), FILES.values(), ids=FILES)
@pytest.mark.parametrize("command", ["train", "compare"])
def test_a_bad_experiment_file_gets_one_sentence(command, text, word, tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert_refused(call(command, file, "--out", tmp_path / "runs"), *capsys.readouterr(), "mine.py", word)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("side", [17, 9, 3])
@pytest.mark.parametrize("network", [c.DCGAN(), c.Article()])
def test_an_image_size_that_the_network_cannot_make(side, network, tmp_path, monkeypatch, capsys):
    images = np.zeros((20, side, side, 1), np.uint8)
    monkeypatch.setattr(data, "load", lambda name: data.from_arrays(name, images, images))
    experiment = c.Experiment("odd", c.GAN(network), steps=1, batch_size=4)
    code = call("train", experiment_file(tmp_path, experiment), "--out", tmp_path / "runs")
    assert_refused(code, *capsys.readouterr(), f"({side}, {side}, 1)")
    assert not (tmp_path / "runs").exists()


def test_networks_for_images_refuse_vectors(tmp_path, capsys):
    experiment = c.Experiment("odd", c.GAN(), steps=1, batch_size=4, data=c.Data("ring"))
    code = call("train", experiment_file(tmp_path, experiment), "--out", tmp_path / "runs")
    assert_refused(code, *capsys.readouterr(), "DCGAN", "MLP")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--model.latent-dim", "9"], ["model.latent_dim = 4", "not 9"]),
        (["--batch-size", "8"], ["batch_size = 16", "not 8"]),
        (["--data.quantization", "none"], ["data.quantization", '"binarize"', '"none"']),
        (["--model.network.hidden", "16", "16"], ["model.network.hidden = [16]", "[16, 16]"]),
    ],
    ids=lambda value: value[0],
)
@pytest.mark.parametrize("command", ["train", "compare"])
def test_a_run_of_another_config_is_refused_and_the_field_named(command, change, words, file, tmp_path, capsys):
    made = (tmp_path if command == "train" else tmp_path / "units") / "vae" / "seed-0"
    made.mkdir(parents=True)
    (made / "config.json").write_text(c.to_json(EXPERIMENTS["vae"]))
    if command == "compare":  # where the experiment file says it
        experiment = overrides.override(EXPERIMENTS["vae"], change, "gvlab")
        file.write_text(file.read_text().replace(repr(EXPERIMENTS["vae"]), repr(experiment)))
        change = []
    before = harness.contents(tmp_path)
    assert_refused(call(command, file, "--out", tmp_path, *change), *capsys.readouterr(), str(made), *words)
    assert not harness.changed(tmp_path, before)


def _without(field: str, config: str) -> str:
    values = json.loads(config)
    del values[field]
    return json.dumps(values)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: text.replace('"steps": 100', '"steps": "100"'),
        lambda text: text.replace('"steps": 100', '"steps": -1'),
        lambda text: text.replace('"VAE"', '"GAM"'),
        lambda text: text.replace('"steps"', '"stepz"'),
        lambda text: _without("name", text),
        lambda text: "\0\1",
    ],
    ids=["cut off", "empty", "a list", "type", "value", "tag", "unknown field", "missing field", "binary"],
)
@pytest.mark.parametrize("command", ["train", "evaluate", "sample"])
def test_a_corrupt_config_json(command, damage, file, tmp_path, capsys):
    made = tmp_path / "vae" / "seed-0"
    made.mkdir(parents=True)
    (made / "config.json").write_text(damage(c.to_json(EXPERIMENTS["vae"])))
    before = harness.contents(tmp_path)
    args = {
        "train": ("train", file, "--out", tmp_path),
        "evaluate": ("evaluate", made),
        "sample": ("sample", made, "--out", tmp_path / "grid.png"),
    }
    assert_refused(call(*args[command]), *capsys.readouterr(), "config.json is damaged", "restore it from a copy")
    assert harness.contents(tmp_path) == before


@pytest.mark.parametrize("command", ["train", "compare"])
def test_an_output_path_that_cannot_be_written(command, file, tmp_path, capsys):
    (tmp_path / "occupied").write_text("a file")
    for out in (tmp_path / "occupied", tmp_path / "occupied" / "below", Path("/proc/gvlab")):
        assert_refused(call(command, file, "--out", out, "--steps", 1), *capsys.readouterr(), "The file system refuses")
        assert not out.is_dir()
    code = call("sample", harness.trained("vae"), "--out", tmp_path / "occupied" / "grid.png")
    assert_refused(code, *capsys.readouterr(), "The file system refuses")


@pytest.mark.parametrize(
    "args",
    [["train", "nowhere.py"], ["train", "FILE", "--model.latent-dmi", "3"], ["train", "FILE", "--out", "FILE"]],
    ids=["file", "field", "out"],
)
def test_mistakes_in_a_process_of_their_own(args, file, tmp_path):
    done = run(*(file if arg == "FILE" else arg for arg in args), cwd=tmp_path)
    assert_refused(done.returncode, done.stdout, done.stderr)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("command", ["sample", "evaluate", "traverse", "export"])
def test_a_run_that_lies_beside_the_one_that_was_named_is_proposed(command, tmp_path, monkeypatch, capsys):
    (tmp_path / "runs" / "vae" / "seed-0").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    out = {"evaluate": (), "sample": ("--out", "new"), "traverse": ("--out", "a.png"), "export": ("--out", "new")}
    code = call(command, "runs/vea/seed0", *out[command])
    assert_refused(code, *capsys.readouterr(), "There is no runs/vea/seed0 (did you mean runs/vae/seed-0?)")


def test_a_unit_is_not_measured_over_its_record(capsys):
    run = harness.compared() / "units" / "vae" / "seed-0"
    words = ("is a unit of a comparison", "such as vae.evaluation.samples=5000", "a copy without its unit.json")
    assert_refused(call("evaluate", run), *capsys.readouterr(), *words)


@pytest.mark.parametrize(
    "args",
    [
        ["sample", "x", "--out", "a.jpg"],
        ["decode", "x", "--latents", "z.npz", "--out", "a.jpg"],
        ["encode", "x", "--images", "x", "--out", "no/z.npz"],
        ["interpolate", "x", "--out", "no/a.png"],
        ["export", "x", "--out", "occupied/x"],
        ["table", "x", "--out", "no/t.md"],
        ["figure", "x", "--out", "f.jpg"],
        ["evaluate", "--images", "x", "--against", "digits", "--out", "no/m.json"],
        ["train", "x.py", "--out", "occupied"],
        ["compare", "x.py", "--out", "occupied/x"],
        ["reproduce", "x", "--out", "occupied"],
    ],
    ids=lambda args: args[0],
)
def test_a_place_that_cannot_be_is_refused_without_waiting_for_jax(args, tmp_path, monkeypatch, capsys):
    (tmp_path / "occupied").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(backend, "check_variables", lambda: pytest.fail("JAX was imported"))
    assert_refused(call(*args), *capsys.readouterr(), args[-1])


def test_a_program_error_is_not_hidden(file, monkeypatch):
    """Only the user's mistakes become sentences."""
    monkeypatch.setattr(build, "program", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call("train", file)


def test_ctrl_c_outside_of_training(file, monkeypatch, capsys):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "program", interrupted)
    assert call("train", file) == 130
    assert capsys.readouterr().err == "gvlab: Interrupted.\n"


def test_the_entry_point_exits_with_the_code(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with pytest.raises(SystemExit) as stop:
        main.main(["train", "nowhere.py"])
    assert stop.value.code == 2


def test_every_option_of_the_experiment_is_a_candidate_for_the_nearest_name():
    options = overrides.options(EXPERIMENTS["gan"])
    assert "--model.generator-optimizer.learning-rate" in options
    assert len(options) == len(set(options)) > 20
    assert all(f"--{f.name.replace('_', '-')}" in options for f in dataclasses.fields(c.Experiment) if f.type is int)
