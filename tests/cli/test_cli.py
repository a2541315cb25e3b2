"""The command line: what it draws and prints, and the one sentence that every mistake gets."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import math
import os
import pty
import re
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import harness
import numpy as np
import pytest
from harness import EXPERIMENTS, assert_refused, call, experiment_file, run
from PIL import Image

from gvlab import build, data, evaluate, rng
from gvlab import config as c
from gvlab.cli import evaluate as evaluate_command
from gvlab.cli import main, overrides, terminal
from gvlab.evaluate import annealing, distances
from gvlab.extractors import catalogue
from gvlab.extractors import extractor as features
from gvlab.runs import directory as rundir
from gvlab.train import loop, record

SIDE = 16  # of digits


@pytest.fixture
def file(tmp_path):
    return experiment_file(tmp_path, EXPERIMENTS["vae"])


# --- help -------------------------------------------------------------------------------------------------------------


def test_help_answers_at_once():
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = run("--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # The processor's time: what the machine does for others meanwhile is no fault of the command.
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert done.returncode == 0
    commands = (
        "train",
        "compare",
        "unit",
        "report",
        "verify",
        "sample",
        "reconstruct",
        "interpolate",
        "traverse",
        "neighbours",
        "evaluate",
        "data",
    )
    for word in commands:
        assert re.search(rf"^\s+{word}\s", done.stdout, re.MULTILINE), word
    assert min(seconds) < 1.5


@pytest.mark.parametrize("args", [["--help"], ["train", "--help"], ["compare", "--help"], ["nonsense"]])
def test_help_imports_nothing_slow(args):
    program = f"""
import sys
from gvlab.cli.main import main
try:
    main({args})
except SystemExit:
    pass
slow = {{"tensorflow_datasets", "tensorflow", "matplotlib", "sklearn", "scipy", "orbax", "flax"}} & set(sys.modules)
from jax._src import xla_bridge
print("slow:", sorted(slow), "back-ends:", xla_bridge.backends_are_initialized())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=harness.environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "slow: [] back-ends: False"


def test_importing_gvlab_touches_no_data_library():
    program = "import sys, gvlab; print({'tensorflow_datasets', 'sklearn', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_help_of_train_lists_the_fields_of_the_experiment(file, capsys):
    assert call("train", file, "--help") == 0
    out = capsys.readouterr().out
    for option in (
        "--out",
        "--steps",
        "--seed",
        "--batch-size",
        "--model.latent-dim",
        "--model.optimizer.learning-rate",
    ):
        assert option in out
    assert "Steps between two checkpoints" in out  # the fields' own documentation


def test_help_of_evaluate_names_what_exists(capsys):
    assert evaluate_command._MEASURES_HELP.split(", ") == [*distances.MEASURES, *evaluate.OF_LIKELIHOODS]
    assert evaluate_command._FEATURES_HELP.split(", ") == [
        *("pixels", "coordinates"),
        *features.SMALL,
        catalogue.STACKED,
        *features.INCEPTION,
    ]
    with pytest.raises(SystemExit) as stop:
        call("evaluate", "--help")
    assert stop.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name in (*distances.MEASURES, *features.SMALL, *features.INCEPTION):
        assert re.search(rf"\b{name}\b", shown), name
    # What annealing costs: examples x chains of the pilot, ahead and back x transitions x leapfrog steps.
    each = math.prod(annealing.AIS[name] for name in ("examples", "temperatures", "leapfrog_steps"))
    assert each * (4 + annealing.AIS["chains"]) == 10_000_000
    assert each * (4 + 2 * annealing.AIS["chains"]) == 18_000_000
    assert "ais and ais_gap: 10 and 18 million passes through the decoder and back" in shown


# --- train ------------------------------------------------------------------------------------------------------------


def test_any_field_can_be_set(file, tmp_path, capsys):
    args = (
        "--out",
        tmp_path / "runs",
        "--steps",
        4,
        "--seed",
        3,
        "--model.latent-dim",
        5,
        "--model.network.hidden",
        8,
        6,
    )
    more = ("--evaluation.features", "pixels", "digits", "--evaluation.split", "train", "--evaluation.measures", "prd")
    assert call("train", file, *args, *more, "--log-every=2", "--data.flip", "True") == 0
    made = tmp_path / "runs" / "vae" / "seed-3"
    assert capsys.readouterr().out == f"Trained 4 steps: {made}\n"
    experiment = rundir.read_config(made)
    assert (experiment.steps, experiment.seed, experiment.log_every, experiment.data.flip) == (4, 3, 2, True)
    evaluation = {"features": ("pixels", "digits"), "split": "train", "measures": ("prd",)}
    assert experiment.evaluation == replace(EXPERIMENTS["vae"].evaluation, **evaluation)
    assert experiment.model == replace(EXPERIMENTS["vae"].model, latent_dim=5, network=c.MLP(hidden=(8, 6)))

    assert call("train", file, "--out", tmp_path / "runs", *args[2:], "--log-every=2", "--data.flip", "True") == 0
    assert capsys.readouterr().out == f"{made} is complete: 4 steps.\n"


def test_lines_without_a_terminal_and_a_bar_on_one(monkeypatch, capsys):
    now = record.Progress(30, 60, 1234.5, {"d_loss": 1.25, "grad_norm/generator": 9.0})
    with terminal.progress("digits seed 0") as listen:
        listen(now)
        listen(replace(now, step=40))  # less than five seconds later
    assert capsys.readouterr().err == "digits seed 0: step 30/60  1,234 images/s  d_loss 1.25\n"

    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as screen:
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setenv("COLUMNS", "120")
        monkeypatch.setenv("TERM", "xterm-256color")
        with terminal.progress("digits seed 0") as listen:
            listen(now)
            time.sleep(0.2)
            listen(replace(now, step=40))
        monkeypatch.undo()
    written = b""
    with contextlib.suppress(OSError):  # how Linux says that the other end is closed
        while more := os.read(ours, 1 << 16):
            written += more
    os.close(ours)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())
    for part in ("digits seed 0", "30/60", "40/60", "1,234 images/s", "d_loss 1.25"):
        assert part in shown
    assert re.search(r"\d:\d\d:\d\d", shown)  # the time left


# --- pictures ---------------------------------------------------------------------------------------------------------


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
    expected = program.model.sample(loop.restore(program, made), rng.stream(rng.root(0), rng.PICTURE), 11)
    assert np.abs(shown[:11].astype(int) - eight_bit(program.to_unit(expected))).max() <= 1
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
    ends = program.model.prior(rng.stream(rng.root(5), rng.PICTURE), 6)
    state = loop.restore(program, made)
    expected = eight_bit(program.to_unit(program.model.decode(state, ends))).astype(int)
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


# --- data -------------------------------------------------------------------------------------------------------------


def test_data_list_says_what_exists(capsys):
    assert call("data", "list") == 0
    out = capsys.readouterr().out
    for name, card in data.CATALOGUE.items():
        row = next(line for line in out.splitlines() if line.startswith(name + " "))
        assert str(card.shape) in row
        assert f"{card.train} + {card.test}" in row
    assert "CC BY 4.0" in out


def test_data_prepare(capsys):
    assert call("data", "prepare", "digits") == 0
    assert "digits is ready" in capsys.readouterr().out


# --- mistakes ---------------------------------------------------------------------------------------------------------

MISTAKES = {
    "no such file": (["train", "nowhere.py"], ["nowhere.py"]),
    "no such file to compare": (["compare", "nowhere.py"], ["nowhere.py"]),
    "misspelt field": (["train", "FILE", "--model.latent-dmi", "3"], ["--model.latent-dmi", "--model.latent-dim?"]),
    "misspelt field with =": (["train", "FILE", "--batchsize=3"], ["--batchsize", "--batch-size?"]),
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
    "unknown option": (["compare", "FILE", "--steppes", "3"], ["--steppes"]),
    "no run": (["sample", "nowhere", "--out", "grid.png"], ["nowhere", "not a run directory"]),
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
        (["--log-every", "5"], ["log_every = 10", "not 5"]),
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
