"""Units of other code are read, shown and continued, marked by what differs; only mixing two programs is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import harness
import pytest
from harness import COMPARED, assert_refused, call, edit_json

from gvlab import build, compare, data
from gvlab.compare import identity, marks, units, verify
from gvlab.files import read_json
from gvlab.runs import directory as rundir

SHA = "e" * 64
VAE = COMPARED["vae"]


@pytest.fixture(autouse=True, scope="module")
def compiled_once():
    with harness.compiled_once():
        yield


@pytest.fixture
def root(tmp_path) -> Path:
    return harness.copy_of_compared(tmp_path)[0]


def edit(root: Path, unit: str, **changes: Any) -> None:
    """Changes the record of a unit: a dict is merged into what is there."""

    def merge(record: dict[str, Any]) -> None:
        for name, value in changes.items():
            record[name] = record[name] | value if isinstance(value, dict) else value

    edit_json(root / "units" / unit / "unit.json", merge)
    record = read_json(root / "units" / unit / "unit.json")
    rundir.write_programs(root / "units" / unit, {0: {field: record[field] for field in units.TRAINING}})


def of_schema_1(record: dict[str, Any]) -> None:
    for name in ("program", "reprogrammed", "versions", "settings", "measuring"):
        record.pop(name)
    record |= {"schema": 1, "code": {"gvlab": "0.1.0", "sha256": SHA}}


def older(root: Path, *names: str) -> None:
    for name in names:
        edit_json(root / "units" / name / "unit.json", of_schema_1)
        (root / "units" / name / "programs.jsonl").unlink()


def verified(root: Path, unit: str = "vae/seed-0", fraction: float | None = None) -> verify.Verified:
    return verify.verify(root, [unit], fraction, lambda title: None)[-1]


def program(seed: int = 0, **changes: Any) -> build.Program:
    return build.program(replace(VAE, seed=seed, **changes), data.load("digits"))


# --- what is said -----------------------------------------------------------------------------------------------------

RECORD = {
    "experiment": "vae",
    "program": {"platform": "cpu", "init": "1", "batch": "2", "step": "3", "sample": "4"},
    "versions": {"jax": "0.10.2", "jaxlib": "0.10.2"},
    "settings": {"jax_enable_x64": "False"},
    "measuring": {
        "asked": ["frechet", "mnist"],
        "protocol": 2,
        "extractors": {"mnist": "5"},
        "code": "6",
        "model": "7",
        "lowered": ["cpu", "8"],
    },
}


def other(**changes: Any) -> dict[str, Any]:
    return RECORD | {
        name: RECORD[name] | value if isinstance(value, dict) else value for name, value in changes.items()
    }


@pytest.mark.parametrize(
    ("record", "training", "measuring"),
    [
        (other(), None, None),
        (other(program={"step": "x"}), "trained by another program (step)", None),
        (other(program={"init": "x", "sample": "x"}), "trained by another program (init, sample)", None),
        (other(program={"platform": "cuda", "step": "x"}), "trained on another platform (cuda)", None),
        (other(versions={"jax": "0.9"}, program={"step": "x"}), "trained with other versions (jax 0.9)", None),
        (
            other(settings={"jax_enable_x64": "True"}),
            "trained with other settings of JAX (jax_enable_x64 True)",
            None,
        ),
        (other(program=None), marks.BEFORE, None),
        (other(measuring={"protocol": 1}), None, "measured by other code (protocol)"),
        (other(measuring={"extractors": {"mnist": "x"}, "code": "x"}), None, "measured by other code (mnist, code)"),
        (other(measuring={"extractors": {"digits": "x"}}), None, None),  # it was asked for others
        (other(measuring={"asked": ["kernel"], "code": "x"}), None, None),  # which other code makes
        (other(measuring={"model": "x"}), None, "measured by other code (the model's functions)"),
        (other(measuring={"model": "x", "lowered": ["cuda", "8"]}), None, None),
        (other(experiment="gan", measuring={"model": "x"}), None, None),
    ],
)
def test_what_differs_is_named(record, training, measuring):
    assert (marks.of_training(record, RECORD), marks.of_measuring(record, RECORD)) == (training, measuring)
    assert marks.is_another_program(record, RECORD) == (training or "").startswith("trained by another program")


def test_one_sentence_for_each_kind():
    held = [
        (RECORD | {"program": None, "seed": seed, "experiment": name}, RECORD) for name in "ab" for seed in (0, 1, 2, 5)
    ]
    held.append((other(program={"step": "x"}) | {"seed": 3}, RECORD))
    assert marks.against(held) == [
        "a seeds 0-2, 5 and b seeds 0-2, 5: recorded before programs were, by an earlier gvlab.",
        "vae seed 3: trained by another program (step) than this gvlab's.",
    ]


# --- units of one comparison ------------------------------------------------------------------------------------------


def test_units_of_the_same_code_are_not_marked(root):
    made = read_json(root / "comparison.json")
    assert [unit["marks"] for unit in made["units"]] == [[]] * 4
    assert not [remark for remark in made["remarks"] if "program" in remark or "code" in remark]


def test_units_of_other_code_are_shown_and_marked_wherever_the_numbers_are(root, capsys):
    edit(root, "vae/seed-1", program={"step": SHA, "batch": SHA})
    edit(root, "gan/seed-0", measuring={"code": SHA})
    before = read_json(root / "comparison.json")
    assert call("report", root) == 0
    out = capsys.readouterr().out
    remarks = [
        "vae seed 1: trained by another program (batch, step) than vae/seed-0.",
        "gan seed 0: measured by other code (code) than vae/seed-0.",
    ]
    loaded = compare.load(root)
    for text in (out, (root / "table.md").read_text(), (root / "table.tex").read_text(), loaded._repr_html_()):
        for remark in remarks:
            assert text.count(remark.replace("<", "&lt;")) == 1, text
    report = (root / "report.html").read_text()
    for remark in remarks:
        assert remark in report
    after = read_json(root / "comparison.json")
    assert [unit["marks"] for unit in after["units"]] == [
        *([], ["trained by another program (batch, step) than vae/seed-0"]),
        *(["measured by other code (code) than vae/seed-0"], []),
    ]
    assert (after["summaries"], after["pairs"]) == (before["summaries"], before["pairs"])


def test_complete_units_of_another_program_are_kept_and_compare_says_so(root, capsys):
    for seed in (0, 1):
        edit(root, f"vae/seed-{seed}", program={"step": SHA}, measuring={"protocol": 1})
    before = harness.contents(root)
    assert call("compare", root / "plan.json", "--out", root, "--seeds", 2) == 0
    err = capsys.readouterr().err.splitlines()
    assert "vae seeds 0-1: trained by another program (step) than this gvlab's." in err
    assert "vae seeds 0-1: measured by other code (protocol) than this gvlab's." in err
    assert not {name for name in harness.changed(root, before) if name.startswith("units")}


def test_more_steps_by_another_program_are_refused_but_not_with_other_versions(root, capsys):
    edit(root, "vae/seed-0", program={"step": SHA})
    longer = program(steps=30)
    with pytest.raises(
        units.UserError, match=r"was trained by another program \(step\) than this gvlab's, so more steps"
    ):
        units.is_complete(root, longer)
    before = harness.contents(root / "units")
    code = call("compare", root / "plan.json", "--out", root, "--steps", 30)
    assert_refused(code, *capsys.readouterr(), "vae/seed-0", "keep its number of steps", "use another --out")
    assert not harness.changed(root / "units", before)
    edit(root, "vae/seed-0", versions={"jax": "0.1"})
    assert not units.is_complete(root, longer)


def test_a_unit_is_of_the_programs_that_trained_it(root, capsys):
    """Whatever kills come in between: what trained it is written down before it is trained."""
    run = root / "units" / "vae" / "seed-0"
    trained = rundir.read_programs(run)
    assert list(trained) == [0]
    assert trained[0].items() <= read_json(run / "unit.json").items()
    rundir.write_programs(run, {0: trained[0] | {"program": trained[0]["program"] | {"step": SHA}}})
    (run / "unit.json").unlink()
    units._note_program(run, program())  # nothing is left to train
    assert rundir.read_programs(run)[0]["program"]["step"] == SHA
    units._note_program(run, program(steps=30))
    assert f"{run} goes on by this gvlab's program from step 20 on; until there it was trained by another" in (
        capsys.readouterr().err
    )
    assert list(rundir.read_programs(run)) == [0, 20]
    made = units.trained(run)
    assert (made["reprogrammed"], made["program"]) == ([20], trained[0]["program"])
    assert marks.of_unit(made) == "trained by another program from step 20 on than before"


def test_a_unit_that_was_confirmed_is_known_by_its_record(root):
    run = root / "units" / "vae" / "seed-0"
    before = rundir.read_programs(run)
    (run / "programs.jsonl").unlink()
    units._note_program(run, program())  # nothing is left to train, but its record goes before it is measured anew
    assert rundir.read_programs(run) == before


def test_the_record_and_what_trained_it_must_agree(root):
    run = root / "units" / "vae" / "seed-0"
    edit_json(run / "unit.json", lambda record: record["program"].update(step=SHA))
    one = verified(root)
    assert (one.outcome, one.sentence) == (
        "different",
        f"{run / 'programs.jsonl'} tells of another program than unit.json.",
    )


def test_a_run_from_before_programs_were_recorded_stays_unknown(root):
    run = root / "units" / "vae" / "seed-0"
    (run / "programs.jsonl").unlink()
    assert units.trained(run)["program"] is None
    (run / "unit.json").unlink()
    units._note_program(run, program(steps=30))
    assert list(rundir.read_programs(run)) == [0, 20]
    assert rundir.read_programs(run)[0] is None


# --- units of schema 1 ------------------------------------------------------------------------------------------------


def test_units_of_schema_1_are_read_shown_and_continued(root, capsys):
    older(root, *(f"{name}/seed-{seed}" for name in COMPARED for seed in (0, 1)))
    before = harness.contents(root)
    assert call("compare", root / "plan.json", "--out", root, "--seeds", 2) == 0
    out, err = capsys.readouterr()
    said = "vae seeds 0-1 and gan seeds 0-1: recorded before programs were, by an earlier gvlab."
    assert said in out.splitlines()
    assert said in err.splitlines()
    assert not {name for name in harness.changed(root, before) if name.startswith("units")}
    assert not units.is_complete(root, program(steps=30))


def test_a_unit_of_schema_1_is_verified_and_then_of_the_code_that_proved_it(root):
    older(root, "vae/seed-0")
    assert verified(root, fraction=0.5).outcome == "identical"
    assert read_json(root / "units/vae/seed-0/unit.json")["schema"] == 1  # a part of the training proves no more
    assert verified(root).outcome == "identical"
    now = read_json(root / "units/vae/seed-0/unit.json")
    assert identity.identity(program()).items() <= now.items()
    assert (now["schema"], "code" in now) == (2, False)
    assert now == read_json(harness.compared() / "units/vae/seed-0/unit.json")


# --- what can be proven -----------------------------------------------------------------------------------------------


def sign(run: Path) -> None:
    measures = read_json(run / "evaluation.json")["measures"]
    edit_json(run / "unit.json", lambda record: record.update(identity.contents(run, measures)))


def scale(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    text = "".join(json.dumps(line | {"loss": line["loss"] * 1.1}) + "\n" for line in lines)
    (run / "metrics.jsonl").write_text(text)
    sign(run)


def test_another_program_that_makes_the_same_bits_is_confirmed(root):
    before = read_json(root / "units/vae/seed-0/unit.json")
    edit(root, "vae/seed-0", program={"step": SHA}, measuring={"code": SHA})
    assert verified(root).outcome == "identical"
    assert read_json(root / "units/vae/seed-0/unit.json") == before


def test_of_another_program_nothing_is_proven_and_nothing_refuted(root):
    run = root / "units" / "vae" / "seed-0"
    scale(run)
    assert verified(root, fraction=0.1).outcome == "different"
    edit(root, "vae/seed-0", program={"step": SHA})
    one = verified(root, fraction=0.1)
    assert one.outcome == "unverified"
    revision = read_json(run / "environment.json")["git_revision"]
    assert one.sentence == (
        "vae/seed-0 was trained by another program (step), so this gvlab cannot prove its bits; its files are "
        "consistent. Made again here it is different from step 1 on, where loss is off by "
        f"{one.sentence.partition('off by ')[2].partition(' of its')[0]} of its size in the run (metrics.jsonl). "
        f"That refutes nothing: verify it with the gvlab that made it (revision {revision})."
    )


def test_measures_of_other_code_are_not_refuted_but_the_training_is_checked(root):
    run = root / "units" / "vae" / "seed-0"
    edit_json(run / "evaluation.json", lambda made: made["measures"]["elbo_nats"].update(value=-90.0))
    sign(run)
    assert verified(root).outcome == "different"
    edit(root, "vae/seed-0", measuring={"code": SHA})
    one = verified(root)
    assert one.outcome == "unverified"
    assert "vae/seed-0 was measured by other code (code), so this gvlab cannot prove its bits" in one.sentence
    assert "is trained alike, but the value of elbo_nats is " in one.sentence
    scale(run)
    assert verified(root, fraction=0.1).outcome == "different"
