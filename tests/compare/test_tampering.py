"""Tampering that `gvlab verify` notices at once, without training."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import harness
import pytest
from harness import assert_refused, call, edit_json
from looks import code, different, edit_lines, files, found, unit_of

from gvlab import data
from gvlab.compare import outputs, report
from gvlab.files import read_json


@pytest.fixture(autouse=True, scope="module")
def compiled_once():
    with harness.compiled_once():
        yield


@pytest.mark.parametrize(
    ("file", "edit"),
    [
        ("evaluation.json", lambda made: made["measures"]["elbo_nats"].update(value=-90.0)),
        ("evaluation.json", lambda made: made["measures"]["elbo_nats"].update(standard_error=1e-9)),
        ("evaluation.json", lambda made: made["measures"]["frechet_pixels"]["stamp"].update(generated=50_000)),
        ("evaluation.json", lambda made: made["measures"].pop("frechet_pixels")),
        ("unit.json", lambda made: made.update(measures_sha256="f" * 64)),
    ],
    ids=["value", "error", "protocol", "left out", "digest"],
)
def test_tampering_with_the_measures(file, edit, root, trainings, capsys):
    edit_json(unit_of(root) / file, edit)
    different(root, "evaluation.json is not what training and measuring wrote")
    assert code("verify", root, "--unit", "vae/seed-0") == 1
    assert capsys.readouterr().err.splitlines()[-1] == "gvlab: 1 of 2 are not what was recorded: vae/seed-0."
    assert_refused(call("report", root), *capsys.readouterr(), "evaluation.json")
    assert not trainings


def test_tampering_with_the_curves(root, trainings):
    edit_lines(unit_of(root), lambda line: line.update(loss=line["loss"] - 1) if line["step"] == 20 else None)
    different(root, "metrics.jsonl is not what training and measuring wrote")
    assert not trainings


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda record: record.clear(), "unit.json is no record of schema 2"),
        (lambda record: record.update(schema=3), "unit.json is no record of schema 2"),
        (lambda record: record.pop("curves_sha256"), "unit.json is damaged (curves_sha256 is missing)"),
        (lambda record: record.update(curves_sha256=None), "curves_sha256 is null, but must be a text"),
        (lambda record: record.update(state_sha256="a" * 64), "states.jsonl lacks the state_sha256"),
        (lambda record: record.update(config_sha256="a" * 64), "config.json is not what was trained"),
        (lambda record: record["dataset"].update(sha256="a" * 64), "The data set digits is not the one"),
        (lambda record: record["cost"].update(parameters=7), "parameters, but 7 were recorded"),
        (lambda record: record.update(group=["vae/seed-1"]), "names the group ['vae/seed-1'], which are not"),
        (lambda record: record.update(group=["vae/seed-0"] * 2), "names the group"),
        (lambda record: record.update(group=["vae/seed-0", "vae/seed-x"]), "names the group"),
        (lambda record: record.update(group=None), "group is null, but must be a list"),
    ],
    ids=[
        *("empty", "schema", "no digest", "null", "state", "config", "data"),
        *("parameters", "another group", "twice", "no seed", "no group"),
    ],
)
def test_tampering_with_the_record(edit, words, root, trainings):
    edit_json(unit_of(root) / "unit.json", edit)
    different(root, words)
    assert not trainings


def test_a_changed_config(root, trainings):
    edit_json(unit_of(root) / "config.json", lambda made: made["model"]["optimizer"].update(learning_rate=0.1))
    different(root, "learning_rate = 0.1, not 0.001")
    # Also where the plan was changed alike, and where only the measuring was.
    edit_json(root / "plan.json", lambda made: made["experiments"][0]["model"]["optimizer"].update(learning_rate=0.1))
    different(root, "config.json is not what was trained")
    edit_json(unit_of(root, "gan/seed-0") / "config.json", lambda made: made["evaluation"].update(samples=65))
    (one,) = found(root, "gan/seed-0")
    assert (one.outcome, "config.json is not what was trained" in one.sentence) == ("different", True)
    assert not trainings


def test_changed_data(root, trainings, monkeypatch):
    digits = data.load("digits")
    monkeypatch.setattr(data, "load", lambda name: replace(digits, checksum="f" * 64))
    different(root, "The data set digits is not the one that vae/seed-0 was trained on.")
    assert not trainings


def test_a_unit_that_is_not_there(root, trainings):
    shutil.rmtree(unit_of(root))
    (one,) = found(root)
    assert (one.unit, one.outcome) == ("vae/seed-0", "unverified")
    assert "vae/seed-0 is not complete" in one.sentence
    assert not trainings
    assert code("verify", root, "--unit", "vae/seed-0") == 3


FILES = ["comparison.json", "comparison.csv", "table.md", "table.tex", "report.html"]


@pytest.mark.parametrize("file", FILES)
def test_tampering_with_the_tables(file, root, capsys):
    text = (root / file).read_text()
    (root / file).write_text(text.replace("1", "2", 1))
    (one,) = files(root)
    assert (one.unit, one.outcome) == (file, "different")
    assert one.sentence.startswith(f"{file} is not what the units give")
    assert one.sentence.endswith(f": gvlab report {root} makes it anew.")
    (root / file).unlink()
    assert [one.unit for one in files(root)] == [file]
    assert call("report", root) == 0
    assert (root / file).read_text() == text
    assert files(root) == []


def test_the_tables_are_checked_whichever_unit_is_named(root, capsys):
    (root / "table.md").write_text("gan is better.\n")
    assert code("verify", root, "--unit", "vae/seed-0", "--fraction", "0.1") == 1
    out, err = capsys.readouterr()
    assert [line.split(" ")[0] for line in out.splitlines()] == ["table.md", "vae/seed-0:", "Not"]
    assert err.splitlines()[-1] == "gvlab: 1 of 2 are not what was recorded: table.md."


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"commands": 1}'])
def test_a_damaged_comparison_is_different(text, root):
    (root / "comparison.json").write_text(text)
    assert [(one.unit, one.outcome) for one in files(root)] == [("comparison.json", "different")]


def test_the_last_digits_of_statistics_do_not_count(root):
    made = read_json(root / "comparison.json")
    made["summaries"][0]["mean"] *= 1 + 1e-13
    outputs.write(made, root)
    report.write(root, made)
    assert files(root) == []


def made_by(root: Path, version: str) -> dict[str, Any]:
    """The comparison as another version of gvlab would have made all of it."""
    for file in root.glob("units/*/*/environment.json"):
        edit_json(file, lambda made: made.update(gvlab=version))
    assert call("report", root) == 0
    return read_json(root / "comparison.json") | {"gvlab": version}


def test_what_another_version_wrote_is_true_if_it_is_the_same(root, capsys):
    made = made_by(root, "0.0.1")
    outputs.write(made, root)
    report.write(root, made)
    assert files(root) == []


def test_files_of_another_gvlab_cannot_be_verified_but_are_not_called_false(root, capsys):
    made = made_by(root, "0.0.1")
    outputs.write(made | {"mood": "sunny"}, root)
    (root / "table.tex").unlink()
    (root / "table.md").write_text("In those days it was said otherwise.\n")
    said = {one.unit: (one.outcome, one.sentence) for one in files(root)}
    assert list(said) == ["comparison.json", "table.md", "table.tex", "report.html"]
    assert said["table.tex"] == (
        "different",
        f"table.tex is not what the units give: gvlab report {root} makes it anew.",
    )
    assert said["comparison.json"][0] == "unverified"
    assert "comparison.json is of gvlab 0.0.1, and of gvlab " in said["comparison.json"][1]
    assert "only one has mood" in said["comparison.json"][1]
    assert said["table.md"][0] == "unverified"
    assert "table.md is of gvlab 0.0.1" in said["table.md"][1]


def test_another_version_hides_no_other_value(root, capsys):
    made = made_by(root, "0.0.1") | {"mood": "sunny", "verdict": "gan is better."}
    outputs.write(made, root)
    (one, *_) = files(root)
    assert (one.unit, one.outcome) == ("comparison.json", "different")
    assert one.sentence.startswith("comparison.json is not what the units give (verdict): ")
    outputs.write(made_by(root, "0.0.2") | {"gvlab": "0.0.1"}, root)
    (one, *_) = files(root)
    assert one.sentence.startswith("comparison.json is of gvlab 0.0.1, its units of gvlab 0.0.2: gvlab report")
