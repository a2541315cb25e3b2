"""The proof of a comparison's numbers: trained again, and every kind of tampering is noticed, to the last bit where the
environment is the same."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import harness
import jax
import pytest
from harness import COMPARED, assert_refused, call, copy_of_compared, edit_json, experiment_file

from gvlab import compare, data
from gvlab.compare import identity, report, tables, units, verify
from gvlab.compare.proof import differences
from gvlab.compare.proof.files import derived
from gvlab.compare.proof.outcome import TOLERANCE, Verified
from gvlab.files import read_json
from gvlab.runs import directory as rundir
from gvlab.train import loop
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
    train = loop.train_together

    def counted(*args, **options):
        made.append(1)
        return train(*args, **options)

    monkeypatch.setattr(loop, "train_together", counted)
    return made


def found(root: Path, unit: str | None = "vae/seed-0", fraction: float | None = None) -> list[Verified]:
    """What is found of the unit, or of all of them; not of the tables, which follow from them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify, "derived", lambda plan, root: [])
        return verify.verify(root, None if unit is None else [unit], fraction, lambda title: None)


def files(root: Path) -> list[Verified]:
    """What is found of the tables."""
    return derived(compare.read_plan(root), root)


def code(*args: object) -> int | str | None:
    """The exit code of `gvlab ARGS`."""
    try:
        return call(*args)
    except SystemExit as stop:
        return stop.code


def different(root: Path, *words: str, fraction: float | None = None) -> None:
    """The unit vae/seed-0 is found to be different, in a sentence that holds the words."""
    (one,) = found(root, fraction=fraction)
    assert (one.unit, one.outcome) == ("vae/seed-0", "different"), one
    for word in words:
        assert word in one.sentence, one


def unit_of(root: Path, unit: str = "vae/seed-0") -> Path:
    return root / "units" / unit


def sign(run: Path) -> None:
    """Makes unit.json agree with what was tampered with, as a thorough forger would."""
    measures = read_json(run / "evaluation.json")["measures"]
    edit_json(run / "unit.json", lambda record: record.update(identity.contents(run, measures)))


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
    assert [line.split(":")[0] for line in lines] == [
        "vae/seed-0",
        "vae/seed-1",
        "gan/seed-0",
        "gan/seed-1",
        "Not checked",
    ]
    proof = "identical bits up to step 20 (3 logged steps and the states of the checkpoints and {} measures and {})."
    assert lines[0] == f"vae/seed-0: {proof.format(11, '3 pictures')}"
    assert lines[3] == f"gan/seed-1: {proof.format(5, '2 pictures')}"
    assert lines[4].startswith("Not checked: the wall clock (seconds, images and points per second); what environment")
    assert lines[4].endswith(
        "; the memory of a step; checkpoints/ but for the newest of 4 units; tensorboard/ of 4 units."
    )
    assert not harness.changed(root, before)


@pytest.mark.parametrize(("fraction", "step", "lines"), [(0.1, 10, 2), (0.5, 10, 2), (0.51, 20, 3), (1.0, 20, 3)])
def test_a_fraction_goes_up_to_a_checkpoint(fraction, step, lines):
    (one,) = found(harness.compared(), fraction=fraction)
    assert one.outcome == "identical"
    assert f"identical bits up to step {step} ({lines} logged steps and the states of the checkpoints" in one.sentence
    assert one.sentence.endswith("measures and 3 pictures)." if step == 20 else "its measures were not checked.")


def test_a_moved_comparison_is_still_true(root, monkeypatch):
    monkeypatch.chdir(root)
    assert {one.outcome for one in found(Path("."), "gan/seed-0")} == {"identical"}
    assert files(Path(".")) == []


def test_a_group_is_trained_again_as_a_group_and_once_for_all(tmp_path, trainings, capsys):
    file, root = experiment_file(tmp_path, COMPARED["vae"]), tmp_path / "group"
    sweep = ("--sweep", "optimizer.learning-rate=1e-3,2e-3")
    assert call("compare", file, *sweep, "--seeds", 2, "--together", 4, "--out", root) == 0
    kept, left = (f"vae,optimizer.learning_rate={rate}" for rate in (0.001, 0.002))
    assert read_json(unit_of(root, f"{kept}/seed-0") / "unit.json")["group"] == [
        f"{name}/seed-{seed}" for name in (kept, left) for seed in range(2)
    ]
    trainings.clear()
    edit_lines(unit_of(root, f"{left}/seed-1"), lambda line: line.update(loss=line["loss"] * (1 + 1e-6)))
    sign(unit_of(root, f"{left}/seed-1"))
    proven = found(root, None, fraction=0.1)
    assert [one.outcome for one in proven] == ["identical"] * 3 + ["different"], proven
    assert len(trainings) == 1

    # Those of the group that have left the plan are remembered by their directories.
    edit_json(root / "plan.json", lambda made: made["experiments"].pop())
    proven = found(root, None, fraction=0.1)
    assert [(one.unit, one.outcome) for one in proven] == [(f"{kept}/seed-{i}", "identical") for i in (0, 1)]
    assert len(trainings) == 2
    shutil.rmtree(root / "units" / left)
    assert call("report", root) == 0
    capsys.readouterr()
    assert call("verify", root) == 0
    said = f"cannot be verified: {left}/seed-0, which was trained in the same program, is neither in the plan nor in"
    assert [said in line for line in capsys.readouterr().out.splitlines()] == [True, True, False]
    assert len(trainings) == 2


def test_a_diverged_unit_diverges_again(tmp_path):
    file, root = experiment_file(tmp_path, COMPARED["vae"]), tmp_path / "bad"
    assert call("compare", file, RATE, "--seeds", 1, "--out", root) == 1
    (one,) = found(root)
    assert (one.outcome, "diverged again, with identical bits until then" in one.sentence) == ("identical", True)
    (one,) = found(root, fraction=0.5)
    assert one.outcome == "identical"

    # Nor can a failure be invented, or hidden.
    edit_json(unit_of(root) / "unit.json", lambda record: record.update(failure="At step 9 the term loss is inf."))
    different(root, "status.json says diverged at step 10, which is not how the unit ended")
    edit_json(unit_of(root) / "status.json", lambda made: made.update(reason="At step 9 the term loss is inf."))
    different(root, "ended otherwise", "step 9", "At step 2 the term")


def test_a_failure_cannot_be_invented(root):
    run = unit_of(root)
    failure = {"status": "diverged", "failure": "At step 9 the term loss is inf."}
    edit_json(run / "unit.json", lambda record: record.update(failure))
    edit_json(run / "unit.json", lambda record: record.update(identity.contents(run, None)))
    different(root, "ended otherwise", "step 9", "now success")


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
        (lambda record: record.pop("curves_sha256"), "unit.json is no record of schema 2"),
        (lambda record: record.update(curves_sha256=None), "metrics.jsonl is not"),
        (lambda record: record.update(state_sha256="a" * 64), "states.jsonl lacks the state_sha256"),
        (lambda record: record.update(config_sha256="a" * 64), "config.json is not what was trained"),
        (lambda record: record["dataset"].update(sha256="a" * 64), "The data set digits is not the one"),
        (lambda record: record["cost"].update(parameters=7), "parameters, but 7 were recorded"),
        (lambda record: record.update(group=["vae/seed-1"]), "names the group ['vae/seed-1'], which are not"),
        (lambda record: record.update(group=["vae/seed-0"] * 2), "names the group"),
        (lambda record: record.update(group=["vae/seed-0", "vae/seed-x"]), "names the group"),
        (lambda record: record.update(group=None), "names the group None"),
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
    tables.write(made, root)
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
    tables.write(made, root)
    report.write(root, made)
    assert files(root) == []


def test_files_of_another_gvlab_cannot_be_verified_but_are_not_called_false(root, capsys):
    made = made_by(root, "0.0.1")
    tables.write(made | {"mood": "sunny"}, root)
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
    tables.write(made, root)
    (one, *_) = files(root)
    assert (one.unit, one.outcome) == ("comparison.json", "different")
    assert one.sentence.startswith("comparison.json is not what the units give (verdict): ")
    tables.write(made_by(root, "0.0.2") | {"gvlab": "0.0.1"}, root)
    (one, *_) = files(root)
    assert one.sentence.startswith("comparison.json is of gvlab 0.0.1, its units of gvlab 0.0.2: gvlab report")


# --- tampering that only training shows -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measure", "forge", "words"),
    [
        ("iw_bound_nats", lambda value: math.nextafter(value, 0), "the value of iw_bound_nats is -17"),
        ("fid", lambda value: 1.0, "fid is a measure of only one of the two"),
    ],
    ids=["the last bit", "a measure"],
)
def test_forged_measures(measure, forge, words, root, trainings):
    run = unit_of(root)

    def edit(made: dict[str, Any]) -> None:
        one = made["measures"].setdefault(measure, {"value": None, "stamp": {}})
        one["value"] = forge(one["value"])
        made["made"] = list(made["measures"])

    edit_json(run / "evaluation.json", edit)
    sign(run)
    units.read(root, replace(COMPARED["vae"], seed=0))  # nothing is wrong with it by itself
    different(root, "trained alike, but", words, "it must be the same in every bit")
    assert trainings


MEASURED = {
    "elbo_nats": {"value": -174.25, "standard_error": 1.5, "points_per_second": 7.0, "stamp": {"k": 5}},
    "kernel": {"value": 0.0, "spread": 0.01, "stamp": {"generated": 64, "warning": "few", "gvlab": "0.1.0"}},
}
FORGED = {  # and whether it is noticed where a tolerance is allowed, too
    "a value": ("elbo_nats", {"value": -90.0}, "the value of elbo_nats is -174.25 and was recorded as -90.0", True),
    "a thousandth": ("elbo_nats", {"value": -174.1}, "the value of elbo_nats", False),
    "no value": ("elbo_nats", {"value": math.nan}, "was recorded as nan", True),
    "a text": ("elbo_nats", {"value": "-174.25"}, "the value of elbo_nats", True),
    "near 0": ("kernel", {"value": 1e-7}, "the value of kernel", False),
    "a false error": ("elbo_nats", {"standard_error": 1e-9}, "the standard error of elbo_nats is 1.5", True),
    "a small error": ("elbo_nats", {"standard_error": 1.45}, "the standard error of elbo_nats is 1.5", False),
    "a spread": ("kernel", {"spread": 0.02}, "the spread of kernel is 0.01 and was recorded as 0.02", True),
    "another error": ("kernel", {"standard_error": 1.0}, "the standard error of kernel is None", True),
    "a protocol": (
        "kernel",
        {"stamp": {"generated": 50_000}},
        "kernel was recorded with generated = 50000, not 64",
        True,
    ),
    "a warning": ("kernel", {"stamp": {"generated": 64}}, "kernel was recorded with warning = None, not few", False),
}


@pytest.mark.parametrize(("measure", "forged", "words", "always"), FORGED.values(), ids=FORGED)
def test_what_of_the_measures_must_be_the_same(measure, forged, words, always):
    old = MEASURED | {measure: MEASURED[measure] | forged}
    assert words in differences.of_measures(old, MEASURED, 0.0)
    found = differences.of_measures(old, MEASURED, TOLERANCE)
    assert words in found if always else found is None


def test_the_wall_clock_and_the_version_of_a_measure_may_be_others():
    old = MEASURED | {"elbo_nats": MEASURED["elbo_nats"] | {"points_per_second": 1.0}}
    old |= {"kernel": MEASURED["kernel"] | {"stamp": MEASURED["kernel"]["stamp"] | {"gvlab": "0.0.1"}}}
    assert differences.of_measures(old, MEASURED, 0.0) is None


def test_forged_curves_are_different_from_that_step_on(root, capsys):
    run = unit_of(root)
    edit_lines(run, lambda line: line.update(loss=line["loss"] * 0.99) if line["step"] >= 10 else None)
    sign(run)
    assert code("verify", root, "--unit", "gan/seed-1", "vae/seed-0", "--fraction", "0.1") == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[1].startswith("gan/seed-1: identical bits")
    assert out.splitlines()[2].startswith("vae/seed-0: different from step 10 on, where loss is off by 0.0")
    assert (
        err.splitlines()[-1] == "gvlab: 2 of 3 are not what was recorded: report.html, vae/seed-0."
    )  # it shows curves


@pytest.mark.parametrize(
    "edit",
    [
        lambda line: line.pop("loss"),
        lambda line: line.update(bonus=1.0),
    ],
    ids=["a term less", "a term more"],
)
def test_forged_logs(edit, root):
    run = unit_of(root)
    edit_lines(run, lambda line: edit(line) if line["step"] == 10 else None)
    sign(run)
    different(root, "different from step 10 on, where other terms were logged", fraction=0.1)


def test_a_forged_state_is_different_from_that_step_on(root):
    states = rundir.read_states(unit_of(root))
    rundir.write_states(unit_of(root), states | {10: "a" * 64})
    words = "different from step 10 on, where the state has other bits (states.jsonl); made on CPU, in this environment"
    different(root, words, fraction=0.1)


def test_a_curve_that_is_no_number_is_different(root):
    run = unit_of(root)
    edit_lines(run, lambda line: line.update(loss=math.nan) if line["step"] == 10 else None)
    sign(run)
    different(root, "different from step 10 on, where loss is off by inf", fraction=0.1)


# --- where bits may differ --------------------------------------------------------------------------------------------

ELSEWHERE = {
    "environment": ("environment.json", {"numpy": "1.0"}, "it was made in another environment (numpy was 1.0 and is "),
    "devices": ("environment.json", {"devices": 8}, "it was made in another environment (devices was 8 and is 4)"),
    "groups": ("unit.json", {"regrouped": [10]}, "it was trained in several groups, one after another"),
    "accelerator": ("environment.json", {"backend": "gpu"}, "the bits of a training are not known to repeat on gpu"),
}


@pytest.mark.parametrize(("file", "changed", "words"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_why_bits_may_differ(file, changed, words, root, monkeypatch):
    program = harness.build.program(COMPARED["vae"], data.load("digits"))

    def reasons() -> list[str]:
        return verify._reasons(units.read(root, program.experiment), [])

    assert reasons() == []
    edit_json(unit_of(root) / file, lambda made: made.update(changed))
    if file == "environment.json" and "backend" in changed:
        monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    (one,) = reasons()
    assert words in one


def test_where_bits_may_differ_a_tolerance_is_allowed(root):
    run = unit_of(root)
    edit_json(run / "environment.json", lambda made: made.update(numpy="1.0"))
    (one,) = found(root)
    assert one.outcome == "identical", one  # and then nothing is said of it

    edit_lines(run, lambda line: line.update(loss=line["loss"] * (1 + 1e-6)))
    sign(run)
    (one,) = found(root, fraction=0.1)
    assert one.outcome == "equal", one
    assert "but not in every bit, which is allowed since it was made in another environment (numpy was" in one.sentence

    edit_lines(run, lambda line: line.update(loss=line["loss"] * 1.1))
    sign(run)
    words = ("different from step 1 on, where loss is off by 0.", "numpy was 1.0", "0.001 is allowed", "magnify")
    different(root, *words, fraction=0.1)


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
