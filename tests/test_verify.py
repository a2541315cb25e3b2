"""The proof of a comparison's numbers: trained again, and every kind of tampering is noticed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import harness
import pytest
from harness import COMPARED, assert_refused, call, copy_of_compared, edit_json, experiment_file

from gvlab import data, loop, rundir, units, verify
from gvlab.types import UserError

RATE = "vae.model.optimizer.learning-rate=1e30"


@pytest.fixture(autouse=True, scope="module")
def compiled_once():
    with harness.compiled_once():
        yield


@pytest.fixture
def root(tmp_path) -> Path:
    return copy_of_compared(tmp_path)[0]


@pytest.fixture
def trainings(monkeypatch) -> list[int]:
    """One item per retraining: what is noticed without it has none."""
    made: list[int] = []
    train = loop.train

    def counted(*args, **options):
        made.append(1)
        return train(*args, **options)

    monkeypatch.setattr(loop, "train", counted)
    return made


def found(root: Path, unit: str | None = "vae/seed-0", fraction: float | None = None) -> list[verify.Verified]:
    return verify.verify(root, None if unit is None else [unit], fraction, lambda title: None)


def code(*args: object) -> int | str | None:
    """The exit code of `gvlab ARGS`."""
    try:
        return call(*args)
    except SystemExit as stop:
        return stop.code


def different(root: Path, *words: str) -> None:
    """The unit vae/seed-0 is found to be different, in a sentence that holds the words."""
    (one,) = found(root)
    assert (one.unit, one.outcome) == ("vae/seed-0", "different"), one
    for word in words:
        assert word in one.sentence, one


def unit_of(root: Path, unit: str = "vae/seed-0") -> Path:
    return root / "units" / unit


def sign(run: Path) -> None:
    """Makes unit.json agree with what was tampered with, as a thorough forger would."""
    measures = rundir.read_json(run / "evaluation.json")["measures"]
    edit_json(run / "unit.json", lambda record: record.update(units._contents(run, measures)))


def edit_lines(run: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        edit(line)
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


# --- what is true -----------------------------------------------------------------------------------------------------


def test_an_honest_comparison_is_identical_and_stays_as_it_is(root, capsys):
    before = harness.contents(root)
    assert call("verify", root) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["vae/seed-0", "vae/seed-1", "gan/seed-0", "gan/seed-1"]
    proof = "identical bits up to step 20 (3 logged steps and the states of the checkpoints and {} measures)."
    assert lines[0] == f"vae/seed-0: {proof.format(11)}"
    assert lines[3] == f"gan/seed-1: {proof.format(5)}"
    assert not harness.changed(root, before)


@pytest.mark.parametrize(("fraction", "step", "lines"), [(0.1, 10, 2), (0.5, 10, 2), (0.51, 20, 3), (1.0, 20, 3)])
def test_a_fraction_goes_up_to_a_checkpoint(fraction, step, lines):
    (one,) = found(harness.compared(), fraction=fraction)
    assert one.outcome == "identical"
    assert f"identical bits up to step {step} ({lines} logged steps and the states of the checkpoints" in one.sentence
    assert one.sentence.endswith("measures)." if step == 20 else "its measures were not checked.")


def test_a_moved_comparison_is_still_true(root, monkeypatch):
    monkeypatch.chdir(root)
    assert {one.outcome for one in found(Path("."), "gan/seed-0")} == {"identical"}
    assert verify._derived(verify.compare.read_plan(Path(".")), Path(".")) == []


def test_a_unit_of_a_group_is_trained_in_its_group_again(tmp_path):
    file, root = experiment_file(tmp_path, COMPARED["vae"]), tmp_path / "group"
    assert call("compare", file, "--seeds", 4, "--together", 4, "--out", root) == 0
    record = json.loads((unit_of(root) / "unit.json").read_text())
    assert len(record["group"]) == 4
    (one,) = found(root)
    assert one.outcome == "identical", one.sentence


def test_a_diverged_unit_diverges_again(tmp_path):
    file, root = experiment_file(tmp_path, COMPARED["vae"]), tmp_path / "bad"
    assert call("compare", file, RATE, "--seeds", 1, "--out", root) == 1
    (one,) = found(root)
    assert (one.outcome, "diverged again, with identical bits until then" in one.sentence) == ("identical", True)
    (one,) = found(root, fraction=0.5)
    assert one.outcome == "identical"

    # Nor can a failure be invented, or hidden.
    edit_json(unit_of(root) / "unit.json", lambda record: record.update(failure="At step 9 the term loss is inf."))
    different(root, "ended otherwise", "step 9", "At step 2 the term")


def test_a_failure_cannot_be_invented(root):
    run = unit_of(root)
    failure = {"status": "diverged", "failure": "At step 9 the term loss is inf."}
    edit_json(run / "unit.json", lambda record: record.update(failure))
    edit_json(run / "unit.json", lambda record: record.update(units._contents(run, None)))
    different(root, "ended otherwise", "step 9", "now success")


def test_another_code_that_makes_the_same_bits_is_confirmed(root, monkeypatch):
    monkeypatch.setattr(units, "code_sha256", lambda: "e" * 64)
    args = ("compare", *root.parent.glob("*.py"), "--seeds", 2, "--out", root)
    assert call(*args) == 2
    assert call("verify", root, "--fraction", 0.5) == 0
    assert call(*args) == 2  # a part of the training proves no more than that part
    assert call("verify", root) == 0
    record = json.loads((unit_of(root) / "unit.json").read_text())
    assert record["code"]["sha256"] == "e" * 64
    assert call("compare", root / "plan.json", "--out", root) == 0


# --- tampering that is noticed at once --------------------------------------------------------------------------------


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
    assert capsys.readouterr().err.splitlines()[-1] == "gvlab: 1 of 1 are not what was recorded: vae/seed-0."
    assert_refused(call("report", root), *capsys.readouterr(), "evaluation.json")
    assert not trainings


def test_tampering_with_the_curves(root, trainings):
    edit_lines(unit_of(root), lambda line: line.update(loss=line["loss"] - 1) if line["step"] == 20 else None)
    different(root, "metrics.jsonl is not what training and measuring wrote")
    assert not trainings


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda record: record.clear(), "unit.json is no record of schema 1"),
        (lambda record: record.update(schema=2), "unit.json is no record of schema 1"),
        (lambda record: record.pop("curves_sha256"), "unit.json is no record of schema 1"),
        (lambda record: record.update(curves_sha256=None), "metrics.jsonl is not"),
        (lambda record: record.update(state_sha256="a" * 64), "states.jsonl lacks the state_sha256"),
        (lambda record: record.update(config_sha256="a" * 64), "config.json is not what was trained"),
        (lambda record: record["dataset"].update(sha256="a" * 64), "The data set digits is not the one"),
    ],
    ids=["empty", "schema", "no digest", "null", "state", "config", "data"],
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
    different(root, "vae/seed-0 is not complete")
    assert not trainings


@pytest.mark.parametrize("file", ["comparison.json", "comparison.csv", "table.md", "table.tex"])
def test_tampering_with_the_tables(file, root, monkeypatch):
    text = (root / file).read_text()
    (root / file).write_text(text.replace("1", "2", 1))
    monkeypatch.setattr(verify, "_unit", lambda root, experiment, *args: verify.Verified(experiment.name, "equal", "."))
    first, *others = found(root, None)
    assert (first.unit, first.outcome) == (file, "different")
    assert first.sentence == f"{file} is not what the units give: gvlab report {root} makes it anew."
    assert {one.outcome for one in others} == {"equal"}
    assert code("verify", root) == 1
    (root / file).unlink()
    assert found(root, None)[0].unit == file
    assert call("report", root) == 0
    assert (root / file).read_text() == text
    assert call("verify", root) == 0


# --- tampering that only training shows -------------------------------------------------------------------------------

FORGED = {
    "a value": ("elbo_nats", {"value": -90.0}, "the value of elbo_nats is -17"),
    "a small step": ("elbo_nats", {"value": -174.0}, "and was recorded as -174"),
    "an error": ("elbo_nats", {"standard_error": 1e-9}, "the standard error of elbo_nats"),
    "a protocol": ("frechet_pixels", {"stamp": {"generated": 50_000}}, "generated = 50000, not 64"),
    "a measure": ("fid", {"value": 1.0, "stamp": {}}, "fid is a measure of only one of the two"),
}


@pytest.mark.parametrize(("measure", "forged", "words"), FORGED.values(), ids=FORGED)
def test_forged_measures(measure, forged, words, root, trainings):
    run = unit_of(root)

    def edit(made: dict[str, Any]) -> None:
        one = made["measures"].setdefault(measure, {})
        stamp = one.get("stamp", {}) | forged.get("stamp", {})
        one.update(forged | {"stamp": stamp})

    edit_json(run / "evaluation.json", edit)
    sign(run)
    units.read(root, replace(COMPARED["vae"], seed=0))  # nothing is wrong with it by itself
    different(root, "trained alike, but", words)
    assert trainings


def test_forged_curves_are_different_from_that_step_on(root, capsys):
    run = unit_of(root)
    edit_lines(run, lambda line: line.update(loss=line["loss"] * 0.99) if line["step"] >= 10 else None)
    sign(run)
    different(root, "vae/seed-0: different from step 10 on, where loss is off by 0.0")
    assert code("verify", root, "--unit", "gan/seed-1", "vae/seed-0") == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[0].startswith("gan/seed-1: identical bits")
    assert err.splitlines()[-1] == "gvlab: 1 of 2 are not what was recorded: vae/seed-0."


@pytest.mark.parametrize(
    "edit",
    [
        lambda line: line.pop("loss"),
        lambda line: line.update(bonus=1.0),
        lambda line: line.update(step=line["step"] + 1),
    ],
    ids=["a term less", "a term more", "other steps"],
)
def test_forged_logs(edit, root):
    run = unit_of(root)
    edit_lines(run, lambda line: edit(line) if line["step"] == 10 else None)
    sign(run)
    different(root, "different from step 10 on, where other terms were logged")


def test_other_bits_within_the_tolerance_are_equal(root):
    run = unit_of(root)
    edit_lines(run, lambda line: line.update(loss=line["loss"] * (1 + 1e-6)))
    sign(run)
    (one,) = found(root)
    assert (one.outcome, "but not in every bit" in one.sentence) == ("equal", True)


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--unit", "vae/sead-1"], ["vae/sead-1", "did you mean vae/seed-1?"]),
        (["--fraction", "0"], ["--fraction is 0"]),
        (["--fraction", "1.5"], ["--fraction is 1.5"]),
        (["--fraction", "much"], ["--fraction", "much"]),
        (["vae/seed-0"], ["vae/seed-0"]),
    ],
    ids=["unit", "zero", "more than all", "a word", "without --unit"],
)
def test_a_mistake_gets_one_sentence(more, words, capsys):
    assert_refused(call("verify", harness.compared(), *more), *capsys.readouterr(), *words)


def test_there_is_no_comparison(tmp_path):
    with pytest.raises(UserError, match=r"no plan\.json"):
        found(tmp_path)
