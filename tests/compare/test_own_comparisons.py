"""Comparisons of parts of one's own: continued, in groups, unit by unit, proven, and by Ray."""

from __future__ import annotations

import contextlib
import html
import shutil
from pathlib import Path

import harness
import pytest
from harness import assert_refused, call
from looks import edit_lines, found, sign

from gvlab import backend, compare
from gvlab.compare import launch, report
from gvlab.config import own
from gvlab.files import read_json, sha256

FILE = """
from dataclasses import dataclass

import optax

from gvlab.config import GAN, MLP, Data, Evaluation, Experiment


@dataclass(frozen=True)
class Nets:
    width: int = 6

    def networks(self, shape, classes, axis_name):
        return MLP(hidden=(self.width,)).networks(shape, classes, axis_name)


@dataclass(frozen=True)
class Descent:
    learning_rate: float = 0.01

    def transformation(self, updates_per_step):
        return optax.sgd(self.learning_rate)


def config():
    return Experiment(
        "mine",
        GAN(Nets(), latent_dim=4, generator_optimizer=Descent()),
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


@pytest.fixture
def forgotten(monkeypatch):
    """As another process would have it: no file was executed here."""
    monkeypatch.setattr(own, "_SOURCES", {})
    monkeypatch.setattr(own, "_MODULES", {})


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, Path]:
    """The file and a comparison of two seeds."""
    directory = tmp_path_factory.mktemp("own")
    file = directory / "mine.py"
    file.write_text(FILE)
    assert call("compare", file, "--seeds", 2, "--out", directory / "comparison") == 0
    return file, directory / "comparison"


@pytest.fixture
def copied(made, tmp_path) -> tuple[Path, Path]:
    return made[0], shutil.copytree(made[1], tmp_path / "comparison")


def test_the_plan_and_the_units_say_whose_parts_they_are(made):
    file, root = made
    network = {"type": "own:Nets", "file_sha256": sha256(file), "width": 6}
    assert read_json(root / "plan.json")["experiments"][0]["model"]["network"] == network
    for seed in (0, 1):
        run = root / "units" / "mine" / f"seed-{seed}"
        assert read_json(run / "config.json")["model"]["network"] == network
        assert (run / "experiment.py").read_bytes() == file.read_bytes()


def test_it_goes_on_by_its_file_or_by_its_plan(copied, forgotten, capsys):
    file, root = copied
    before = harness.contents(root)
    assert call("compare", file, "--out", root) == 0
    assert not {name for name in harness.changed(root, before) if name.startswith("units")}
    own._SOURCES.clear()
    capsys.readouterr()
    code = call("compare", root / "plan.json", "--out", root, "--seeds", 3)
    assert_refused(code, *capsys.readouterr(), "The class Nets is of an experiment file", "--experiment FILE")
    assert call("compare", root / "plan.json", "--out", root, "--seeds", 3, "--experiment", file) == 0
    made = {name.split("/")[2] for name in harness.changed(root, before) if name.startswith("units")}
    assert made == {"seed-2"}


def test_another_version_of_the_file_is_another_experiment(copied, forgotten, tmp_path, capsys):
    _, root = copied
    other = tmp_path / "mine.py"
    other.write_text(FILE.replace("optax.sgd(self", "optax.sgd(2 * self"))
    copy = root / "units" / "mine" / "seed-0" / "experiment.py"
    for args, remedy in (
        (("compare", other, "--out", root), f"give {copy} instead, or use another --out."),
        (("compare", root / "plan.json", "--out", root, "--experiment", other), f"with --experiment {copy}."),
        (("unit", root, "mine/seed-0", "--experiment", other), f"with --experiment {copy}."),
        (("verify", root, "--experiment", other), f"with --experiment {copy}."),
    ):
        code = call(*args)
        assert_refused(code, *capsys.readouterr(), "is not the version", "they differ at line 22; ", remedy)
    assert call("compare", copy, "--out", root) == 0


def test_the_report_needs_no_classes(copied, forgotten):
    _, root = copied
    before = read_json(root / "comparison.json")
    assert call("report", root) == 0
    assert read_json(root / "comparison.json") == before | {"commands": read_json(root / "comparison.json")["commands"]}


def test_the_commands_of_the_report_run_as_they_stand(copied, forgotten, tmp_path, monkeypatch, capsys):
    """They name the copy of the file that the first unit keeps; what lacks it is refused, and names it, too."""
    _, root = copied
    monkeypatch.chdir(tmp_path)
    assert call("report", "comparison") == 0
    commands = read_json(root / "comparison.json")["commands"]
    page = html.unescape((root / "report.html").read_text())
    assert "--experiment executes the file that it names" in page
    option = " --experiment {}/units/mine/seed-0/experiment.py"
    made_in = commands["report"].split()[-1]
    for name in ("rerun", "verify"):
        assert commands[name].endswith(option.format(made_in))
        assert commands[name] in page
        command = commands[name].replace(made_in, "comparison").removeprefix("gvlab ").split()
        own._SOURCES.clear()
        capsys.readouterr()
        code = call(*command[:-2])
        named = f"or the copy that was kept with{option.format('comparison')}."
        assert_refused(code, *capsys.readouterr(), "name the file with --experiment FILE", named)
        assert call(*command) == 0, capsys.readouterr().err
    assert (tmp_path / "NEW" / "report.html").is_file()


def test_what_is_missing_is_made_as_the_report_says(copied, forgotten, capsys):
    _, root = copied
    (root / "units" / "mine" / "seed-1" / "unit.json").unlink()
    capsys.readouterr()
    code = call("report", root)
    copy = root / "units" / "mine" / "seed-0" / "experiment.py"
    command = f"gvlab unit {root} mine/seed-1 --experiment {copy}"
    assert_refused(code, *capsys.readouterr(), f"repeat gvlab compare, or run {command}.\n")
    assert call(*command.split()[1:]) == 0
    assert call("report", root) == 0


def test_commands_of_before_they_named_the_file_are_true(copied, forgotten, capsys):
    file, root = copied

    def without_file(comparison):
        comparison["commands"] = {name: line.split(" --exp")[0] for name, line in comparison["commands"].items()}

    def with_another_file(comparison):
        comparison["commands"]["verify"] += " --experiment other.py"

    for edit, expected in ((without_file, 0), (with_another_file, 1)):
        harness.edit_json(root / "comparison.json", edit)
        report.write(root, read_json(root / "comparison.json"))
        with pytest.raises(SystemExit) if expected else contextlib.nullcontext():
            call("verify", root, "--unit", "mine/seed-1", "--fraction", 0.5, "--experiment", file)
        said = "comparison.json is not what the units give (commands."
        assert (said in capsys.readouterr().out) == bool(expected)


def test_units_are_proven_with_the_file(copied, forgotten, capsys):
    file, root = copied
    code = call("verify", root, "--unit", "mine/seed-1")
    assert_refused(code, *capsys.readouterr(), "The class Nets is of an experiment file")
    assert call("verify", root, "--unit", "mine/seed-1", "--experiment", file) == 0
    first, second, _ = capsys.readouterr().out.splitlines()
    which = f"Nets and Descent of mine.py (SHA-256 {sha256(file)[:12]})"
    assert first == f"Executed: {which}, letter for letter the file that was trained with."
    assert second.startswith("mine/seed-1: identical bits up to step 4")
    (root / "units" / "mine" / "seed-1" / "experiment.py").write_text("# nothing\n")
    with pytest.raises(SystemExit):
        call("verify", root, "--unit", "mine/seed-1", "--experiment", file)
    assert "experiment.py is not the file that mine/seed-1 was trained with" in capsys.readouterr().out


def test_another_program_may_be_that_of_a_package_that_the_file_imports(copied, forgotten):
    file, root = copied
    run = root / "units" / "mine" / "seed-1"
    edit_lines(run, lambda line: line.update(d_loss=2 * line["d_loss"]))
    harness.edit_json(run / "unit.json", lambda record: record["program"].update(step="0" * 64))
    (run / "programs.jsonl").unlink()
    sign(run)
    compare.open_parts(root, [file])
    (one,) = found(root, "mine/seed-1", fraction=0.5)
    assert one.outcome == "unverified"
    assert one.sentence.endswith("and with the packages that its experiment file imports as they were then.")


def test_numbers_of_own_parts_are_trained_as_one_program(made, tmp_path, forgotten, capsys):
    file, _ = made
    root = tmp_path / "swept"
    sweep = "generator_optimizer.learning_rate=0.01,0.02"
    assert call("compare", file, "--seeds", 1, "--out", root, "--sweep", sweep, "--together", 2) == 0
    (groups,) = {tuple(read_json(file)["group"]) for file in root.glob("units/*/*/unit.json")}
    assert len(groups) == 2
    assert call("verify", root, "--fraction", 0.5, "--experiment", file) == 0
    assert capsys.readouterr().out.count("bits up to step 2") == 2


def test_units_are_made_by_themselves(made, tmp_path, forgotten, capsys):
    file, _ = made
    root = tmp_path / "planned"
    assert call("compare", file, "--seeds", 1, "--out", root, "--launcher", "commands") == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert line == f"gvlab unit {root} mine/seed-0 --experiment {file}"
    own._SOURCES.clear()
    assert_refused(call("unit", root, "mine/seed-0"), *capsys.readouterr(), "name the file with --experiment FILE")
    assert call("unit", root, "mine/seed-0", "--experiment", file) == 0
    assert (root / "units" / "mine" / "seed-0" / "unit.json").is_file()


def test_a_worker_of_ray_gets_the_text_of_the_file(made, tmp_path, forgotten, monkeypatch):
    """What is sent, and what the worker does with it; Ray itself is not asked."""
    file, _ = made
    root = tmp_path / "planned"
    assert call("compare", file, "--seeds", 1, "--out", root, "--launcher", "commands") == 0
    (experiment,) = compare.read_plan(root).experiments
    texts = launch._texts(experiment)
    assert texts == [file.read_bytes()]
    own._SOURCES.clear()
    monkeypatch.setattr(backend, "start", lambda: None)  # this process's has been started
    launch._unit(str(root), "mine/seed-0", texts, "xla")
    assert (root / "units" / "mine" / "seed-0" / "experiment.py").read_bytes() == file.read_bytes()


def test_the_file_itself_is_no_other_file_for_a_plan(made, capsys):
    file, _ = made
    assert_refused(call("compare", file, "--experiment", file), *capsys.readouterr(), "is for a plan.json")
    code = call("verify", harness.compared(), "--experiment", file)
    assert_refused(code, *capsys.readouterr(), "has no parts of an experiment file's own: leave --experiment")
