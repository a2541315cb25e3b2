"""The proof of a comparison's numbers: trained again, they are the same, to the last bit where the environment is."""

from __future__ import annotations

import shutil
from pathlib import Path

import harness
import jax
import pytest
from harness import COMPARED, assert_refused, call, edit_json, experiment_file
from looks import code, different, edit_lines, files, found, sign, unit_of

from gvlab import data
from gvlab.compare import identity, units, verify
from gvlab.files import read_json
from gvlab.types import UserError

RATE = "vae.model.optimizer.learning-rate=1e30"


@pytest.fixture(autouse=True, scope="module")
def compiled_once():
    with harness.compiled_once():
        yield


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
        "; the memory of a step; checkpoints/ but for the newest of 4 units; latents.json of 2 units; "
        "tensorboard/ of 4 units."
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
    assert code("verify", root) == 3
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
    assert "but not in every bit (different from step 1 on, where loss is off by 1e-06 of its size" in one.sentence
    assert "), which is allowed since it was made in another environment (numpy was" in one.sentence

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
