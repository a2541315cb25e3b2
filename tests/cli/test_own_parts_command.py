"""Runs of parts of one's own on the command line: the file is named, its copy never executed."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import harness
import jaxtyping
import pytest
from harness import assert_refused, call

import gvlab
from gvlab.files import read_json, sha256
from gvlab.types import UserError

FILE = """
from dataclasses import dataclass

from gvlab import losses, networks
from gvlab.config import GAN, MLP, Evaluation, Experiment


@dataclass(frozen=True)
class Nets:
    width: int = 6

    def networks(self, shape, classes, axis_name):
        return MLP(hidden=(self.width,)).networks(shape, classes, axis_name)


@dataclass(frozen=True)
class Margin:
    margin: float = 1.0

    def contest(self):
        d = losses.hinge.discriminator
        return losses.Contest(lambda real, fake: d(real / self.margin, fake / self.margin), losses.hinge.generator)


def config():
    return Experiment(
        "mine",
        GAN(Nets(), latent_dim=4, contest=Margin()),
        steps=4,
        batch_size=16,
        log_every=2,
        checkpoint_every=2,
        sample_every=100,
        evaluation=Evaluation(samples=64, features=("pixels",), measures=("frechet",)),
    )
"""


@pytest.fixture(autouse=True, scope="module")
def compiled_once():
    with harness.compiled_once():
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, Path]:
    """The file and its run."""
    directory = tmp_path_factory.mktemp("own")
    file = directory / "mine.py"
    file.write_text(FILE)
    assert call("train", file, "--out", directory, "--model.contest.margin", 0.5) == 0
    return file, directory / "mine" / "seed-0"


def test_a_run_keeps_the_file_and_its_hash(trained, capsys):
    file, run = trained
    assert (run / "experiment.py").read_bytes() == file.read_bytes()
    model = read_json(run / "config.json")["model"]
    assert model["network"] == {"type": "own:Nets", "file_sha256": sha256(file), "width": 6}
    assert model["contest"] == {"type": "own:Margin", "file_sha256": sha256(file), "margin": 0.5}
    assert read_json(run / "origin.json")["model"] == "configuration"
    assert call("train", file, "--out", run.parents[1], "--model.contest.margin", 0.5) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith(f"Nets and Margin of mine.py (SHA-256 {sha256(file)[:12]}) took part: a copy is kept as ")
    assert out[1] == f"{run} is complete: 4 steps."


COMMANDS = {
    "sample": ["sample", "RUN", "--n", "2", "--out", "PICTURE"],
    "sample to a file": ["sample", "RUN", "--n", "2", "--out", "FILE"],
    "interpolate": ["interpolate", "RUN", "--rows", "2", "--columns", "3", "--out", "PICTURE"],
    "neighbours": ["neighbours", "RUN", "--n", "2", "--k", "2", "--out", "PICTURE"],
    "evaluate": ["evaluate", "RUN"],
}


def filled(args: list[str], run: Path, picture: Path) -> list[object]:
    return [{"RUN": run, "PICTURE": picture, "FILE": picture.with_suffix(".npz")}.get(arg, arg) for arg in args]


@pytest.mark.parametrize("args", COMMANDS.values(), ids=COMMANDS)
def test_commands_take_the_file(args, trained, forgotten, tmp_path, capsys):
    file, trained_run = trained
    run = shutil.copytree(trained_run, tmp_path / "mine" / "seed-0")
    before = harness.contents(run)
    # 1. without it
    (run / "experiment.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n")
    code = call(*filled(args, run, tmp_path / "a.png"))
    error = capsys.readouterr().err
    assert_refused(code, "", error, "The class Nets is of an experiment file", "--experiment FILE.\n")
    assert not (tmp_path / "executed").exists()
    shutil.copy(file, run / "experiment.py")
    code = call(*filled(args, run, tmp_path / "a.png"))
    named = f"--experiment FILE, or the copy that was kept with --experiment {run / 'experiment.py'}.\n"
    assert_refused(code, *capsys.readouterr(), named)
    # 2. with another version
    other = tmp_path / "other.py"
    other.write_text(FILE.replace("width: int = 6", "width: int = 7"))
    code = call(*filled(args, run, tmp_path / "a.png"), "--experiment", other)
    remedy = f"they differ at line 10; name that copy with --experiment {run / 'experiment.py'}.\n"
    assert_refused(code, *capsys.readouterr(), "other.py is not the version", remedy)
    assert not {name for name in harness.changed(run, before) if name != "experiment.py"}
    # 3. with it
    assert call(*filled(args, run, tmp_path / "a.png"), "--experiment", file) == 0, capsys.readouterr().err
    assert (run / "evaluation.json").is_file() == (args[0] == "evaluate")


def test_from_python_the_file_is_named_too(trained, forgotten):
    file, run = trained
    with pytest.raises(UserError, match="name the file with --experiment FILE"):
        gvlab.load(run)
    assert gvlab.load(run, experiment=file).sample(2).shape == (2, 16, 16, 1)


def test_another_version_of_the_file_does_not_go_on(trained, tmp_path, capsys):
    file, run = trained
    other = tmp_path / "mine.py"
    other.write_text(f"{FILE}# no more than a comment\n")
    code = call("train", other, "--out", run.parents[1], "--model.contest.margin", 0.5, "--steps", 6)
    assert_refused(
        code,
        *capsys.readouterr(),
        "is not the version",
        f"they differ at line {len(FILE.splitlines()) + 1}; give {run / 'experiment.py'} instead, or use another --out",
    )
    options = ("--out", run.parents[1], "--model.contest.margin", 0.5)
    assert call("train", run / "experiment.py", *options) == 0  # as the sentence says
    assert f"{run} is complete: 4 steps." in capsys.readouterr().out
    code = call("train", file, "--out", run.parents[1], "--model.contest.margin", 0.75)
    assert_refused(code, *capsys.readouterr(), "was made with model.contest.margin = 0.5, not 0.75")


def test_a_run_of_gvlabs_parts_takes_no_file(trained, capsys):
    file, _ = trained
    code = call("sample", harness.trained("vae"), "--out", "a.png", "--experiment", file)
    assert_refused(code, *capsys.readouterr(), "has no parts of an experiment file's own: leave --experiment")


def test_a_run_goes_on_to_the_same_state(trained, tmp_path):
    """Stopped after two steps and continued, with its own parts: bit for bit that of the run in one go."""
    file, run = trained
    for steps in (2, 4):
        assert call("train", file, "--out", tmp_path, "--model.contest.margin", 0.5, "--steps", steps) == 0
    states = [json.loads(line) for line in (tmp_path / "mine" / "seed-0" / "states.jsonl").read_text().splitlines()]
    assert states == [json.loads(line) for line in (run / "states.jsonl").read_text().splitlines()]


# --- the example and mistakes -----------------------------------------------------------------------------------------

ROOT = Path(__file__).parents[2]


def test_the_template_runs(tmp_path):
    file = ROOT / "experiments" / "own_parts.py"
    assert call("train", file, "--out", tmp_path, "--steps", 2, "--model.network.width", 4, "--batch-size", 8) == 0
    run = tmp_path / "own_parts" / "seed-0"
    assert (run / "experiment.py").read_bytes() == file.read_bytes()
    assert read_json(run / "status.json") == {"status": "complete", "step": 2}


def test_the_manual_shows_an_experiment_in_less_than_40_lines(tmp_path):
    text = (ROOT / "docs" / "own_parts.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert len(code.splitlines()) < 40
    file = tmp_path / "leaky.py"
    file.write_text(code)
    options = ("--steps", 2, "--model.network.width", 4, "--batch-size", 8)
    assert call("train", file, "--out", tmp_path, *options) == 0


RETURN = "return MLP(hidden=(self.width,)).networks(shape, classes, axis_name)"


def generating(line: str) -> str:
    """Instead of it: a generator that makes its examples by this line."""
    return f"""import flax.linen as nn

        class Generator(nn.Module):
            @nn.compact
            def __call__(self, z, y=None, *, train):
                x = nn.Dense(256)(z).reshape(-1, 16, 16, 1)
                {line}

        return Generator(), MLP(hidden=(3,)).networks(shape, classes, axis_name)[1]"""


MISTAKES = {
    "not frozen": ("@dataclass(frozen=True)\nclass Nets", "@dataclass\nclass Nets", "which is not frozen"),
    "a list": ("width: int = 6", "width: list[int] = None", "Nets.width is of type"),
    "a lambda": ("contest=Margin()", "contest=lambda real, fake: fake", "GAN.contest is the function "),
    "no instance": ("contest=Margin()", "contest=Margin", "GAN.contest is the class Margin, but must be an instance"),
    "another shape": (
        "networks(shape, classes",
        "networks((9, 9, 1), classes",
        "(2, 9, 9, 1), but must give (2, 16, 16, 1)",
    ),
    "chance": ("(self.width,)", "(__import__('random').randint(1, 10**6),)", "draw nothing at random there"),
    "no arguments": (
        "networks(self, shape, classes, axis_name):",
        "networks(self):",
        "mine.py: GAN.network is of the class Nets, whose method is networks(self), but must be networks(self, shape, "
        "classes, axis_name) (docs/own_parts.md shows how).",
    ),
    "dropout": (
        RETURN,
        generating("return nn.Dropout(0.5, deterministic=not train)(x)"),
        'generator of Nets.networks() fails with InvalidRngError (Dropout_0 needs PRNG for "dropout"): modules are ',
    ),
    "no use": (
        RETURN,
        generating("return x if train else x.no_such_thing"),
        "The generator of Nets.networks() with train=False fails with AttributeError: ",
    ),
    "half of an image in use": (
        RETURN,
        generating("return x if train else x[:, :8]"),
        "with train=False gives examples of shape (2, 8, 16, 1), but must give (2, 16, 16, 1).",
    ),
    "whole numbers": (
        RETURN,
        generating("return x.astype(int)"),
        "The generator of Nets.networks() gives examples of type int32, but must give float32.",
    ),
    "no such field": ("contest=Margin()", "contests=Margin()", "fails with TypeError"),
}


@pytest.mark.parametrize(("before", "after", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gets_one_sentence_and_leaves_nothing(before, after, words, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the tests' own check of types comes before ours
    file = tmp_path / "mine.py"
    assert before in FILE
    file.write_text(FILE.replace(before, after))
    assert_refused(call("train", file, "--out", tmp_path / "runs"), *capsys.readouterr(), words)
    assert not (tmp_path / "runs").exists()
