"""Data that an experiment file makes itself, by a function `data()`: recorded, hashed and refused like any others."""

from __future__ import annotations

from pathlib import Path

import harness
import numpy as np
import pytest
from harness import assert_refused, call

from gvlab.files import read_json, sha256
from gvlab.train import origin

FILE = """
import numpy as np

from gvlab import data as sets
from gvlab.config import GAN, MLP, Data, Evaluation, Experiment


def data():
    x = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 1), dtype=np.uint8)
    return sets.from_arrays("mine", x[:20], x[20:], np.arange(20) % 2, np.arange(10) % 2, ("cat", "dog"))


def config():
    model = GAN(MLP(hidden=(4,)), latent_dim=2)
    asked = Evaluation(samples=10, measures=("frechet",))
    return Experiment("mine", model, 4, Data("mine"), batch_size=8, log_every=2, evaluation=asked)
"""


@pytest.fixture(scope="module", autouse=True)
def once():
    with harness.compiled_once():
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, Path]:
    """The file and its run."""
    file = tmp_path_factory.mktemp("own") / "mine.py"
    file.write_text(FILE)
    assert call("train", file, "--out", file.parent) == 0
    return file, file.parent / "mine" / "seed-0"


def test_a_run_says_which_file_its_data_are_of(trained, capsys):
    file, run = trained
    assert (run / "experiment.py").read_bytes() == file.read_bytes()
    source = read_json(run / "config.json")["data"]["source"]
    assert source == {"type": "own:FromFile", "file_sha256": sha256(file)}
    recorded = origin.read(run)["data"]
    assert (recorded["name"], recorded["classes"], recorded["class_names"]) == ("mine", 2, ["cat", "dog"])
    assert call("train", file, "--out", run.parents[1]) == 0
    said = capsys.readouterr().out
    assert said.startswith("data() of mine.py (SHA-256 ")
    assert f"{run} is complete: 4 steps." in said


def test_what_needs_the_examples_needs_the_file(trained, forgotten, tmp_path, capsys):
    file, run = trained
    args = ("evaluate", run)
    named = f"or the copy that was kept with --experiment {run / 'experiment.py'}."
    assert_refused(call(*args), *capsys.readouterr(), "data() is of an experiment file", named)
    assert call("sample", run, "--n", 4, "--out", tmp_path / "s.png") == 0  # which needs none
    assert call(*args, "--experiment", file) == 0
    measure = read_json(run / "evaluation.json")["measures"]["frechet_pixels"]
    assert measure["stamp"]["dataset"] == "mine"
    assert measure["stamp"]["dataset_sha256"] == origin.read(run)["data"]["sha256"]


def test_other_bytes_of_the_same_name_are_refused(trained, capsys):
    """Here by a clock, as it were: the file is the same, and what it makes is not."""
    file, run = trained
    state = np.random.default_rng
    with pytest.MonkeyPatch.context() as patch:
        from gvlab import build

        build._own_dataset.cache_clear()
        patch.setattr(np.random, "default_rng", lambda seed: state(seed + 1))
        code = call("train", file, "--out", run.parents[1])
        build._own_dataset.cache_clear()
    assert_refused(code, *capsys.readouterr(), "was trained on mine with the SHA-256", "use the same data")


WRONG = {
    "another name": ('Data("mine")', 'Data("yours")', "data() gives the data set 'mine', but Data.name is 'yours'"),
    "no data set": (
        "return sets.from_arrays(",
        "return (",
        "data() returns tuple, but must return a gvlab.data.Dataset",
    ),
    "it fails": ("x = np", "x = 1 / 0; np", "data() fails with ZeroDivisionError: division by zero."),
    "too small": ("batch_size=8", "batch_size=21", "A step takes 21 examples, but mine has only 20"),
    "a helper": ("def data():", "def data(root):", "Unknown data set 'mine'"),
}


@pytest.mark.parametrize(("before", "after", "words"), WRONG.values(), ids=WRONG)
def test_a_mistake_gets_one_sentence_and_leaves_nothing(before, after, words, tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(FILE.replace(before, after))
    assert_refused(call("train", file, "--out", tmp_path / "runs"), *capsys.readouterr(), words)
    assert not (tmp_path / "runs").exists()


def test_a_source_that_the_experiment_names_comes_before_the_function(tmp_path):
    from gvlab.config import Arrays, experiment_file

    file = tmp_path / "mine.py"
    file.write_text(
        FILE.replace('Data("mine")', 'Data("mine", source=Arrays("x.npz"))').replace("import GAN", "import Arrays, GAN")
    )
    assert experiment_file.load(file).data.source == Arrays("x.npz")
