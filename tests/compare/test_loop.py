"""Units are made once, whatever happens in between: kills, more seeds, other settings, divergence."""

from __future__ import annotations

import csv
import random
import re
import secrets
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import harness
import pytest
from harness import COMPARED, assert_refused, call, changed, experiment_file
from looks import TABLES, found_in, timeless

import gvlab
from gvlab import compare, data
from gvlab.compare import tables, units
from gvlab.files import owned
from gvlab.runs import directory as rundir
from gvlab.runs.curves import read_metrics
from gvlab.train import loop


@pytest.fixture(autouse=True, scope="module")
def compiled_once():
    with harness.compiled_once():
        yield


# --- nothing is done twice --------------------------------------------------------------------------------------------


def test_a_second_call_writes_the_same_tables_and_nothing_else(made, capsys):
    root, files = made
    assert call("compare", *files, "--seeds", 2, "--out", root) == 0  # for the commands: this is a copy
    capsys.readouterr()
    before = harness.contents(root)
    texts = {name: (root / name).read_bytes() for name in TABLES}
    assert call("compare", *files, "--seeds", 2, "--out", root, "--full") == 0
    assert changed(root, before) == TABLES | {"plan.json"}
    assert {name: (root / name).read_bytes() for name in TABLES} == texts

    out, err = capsys.readouterr()
    assert err == ""  # nothing is trained: nothing is said of seeds or units
    assert out.splitlines()[0] == found_in(root)["verdict"]
    assert out.splitlines()[2].split()[:3] == ["experiment", "measure", "better"]
    for row in found_in(root)["summaries"]:
        cells = " ".join(tables.cells(row)[:-1]).split()  # the protocol may take several lines
        assert any(line.split()[: len(cells)] == cells for line in out.splitlines()), row
    for name in TABLES:
        assert name in out


def test_one_more_seed_and_one_more_experiment_train_only_the_new(made):
    root, files = made
    other = experiment_file(root.parent, replace(COMPARED["vae"], name="other"))
    before = harness.contents(root)
    assert call("compare", *files, "--seeds", 3, "--out", root) == 0
    new = {"/".join(Path(name).parts[:3]) for name in changed(root, before)}
    assert new == TABLES | {"plan.json", "units/vae/seed-2", "units/gan/seed-2"}
    assert found_in(root)["summaries"][0]["n"] == 3

    before = harness.contents(root)
    assert call("compare", *files, other, "--seeds", 2, "--out", root) == 0
    new = {"/".join(Path(name).parts[:3]) for name in changed(root, before)}
    assert new == TABLES | {"plan.json", "units/other/seed-0", "units/other/seed-1"}
    found = found_in(root)
    assert [experiment["name"] for experiment in found["experiments"]] == ["vae", "gan", "other"]
    same = [unit for unit in found["units"] if unit["seed"] == 1 and unit["experiment"] != "gan"]
    assert same[0]["state_sha256"] == same[1]["state_sha256"]  # a name has no influence


def test_more_steps_go_on_and_a_kill_in_between_loses_nothing(made, monkeypatch, capsys):
    root, files = made
    args = ("compare", files[0], "--seeds", 1, "--out", root, "--steps", 40)

    def killed(*args):
        raise InterruptedError("as if killed before unit.json was written")

    with monkeypatch.context() as patch:
        patch.setattr(units, "finish", killed)
        assert call(*args) == 2
    assert not (root / "units" / "vae" / "seed-0" / "unit.json").exists()
    assert call(*args) == 0
    with_pause = root / "units" / "vae" / "seed-0"
    assert rundir.status(with_pause) == {"status": "complete", "step": 40}
    assert call("compare", files[0], "--seeds", 1, "--out", root.parent / "new", "--steps", 40) == 0
    undisturbed = root.parent / "new" / "units" / "vae" / "seed-0"
    assert harness.curves(with_pause) == harness.curves(undisturbed)
    assert harness.digest(with_pause, 40) == harness.digest(undisturbed, 40)
    assert found_in(root)["summaries"] == found_in(root.parent / "new")["summaries"]

    before = harness.contents(root)
    capsys.readouterr()
    code = call("compare", files[0], "--seeds", 1, "--out", root, "--steps", 30)
    assert_refused(code, *capsys.readouterr(), str(with_pause), "step 40", "30", "--steps 40 or more")
    assert not changed(root, before)


def test_another_cadence_disowns_nothing_and_new_units_have_it(made, capsys):
    """What is finished stays as it is, also for `report` and `verify`; only a new seed is written down otherwise."""
    root, files = made
    before = harness.contents(root)
    asked = ("vae.log-every=5", "vae.checkpoint-every=20", "vae.sample-every=4")
    assert call("compare", *files, "--seeds", 2, "--out", root, *asked) == 0
    assert changed(root, before) == TABLES | {"plan.json"}
    err = capsys.readouterr().err.splitlines()
    assert err[0] == "What has begun of vae keeps log_every = 10 instead of 5, which changes no number."
    assert [line.split(" keeps ")[1].split(" = ")[0] for line in err] == [
        "log_every",
        "sample_every",
        "checkpoint_every",
    ]

    assert call("compare", files[0], "--seeds", 3, "--out", root, *asked) == 0
    new, old = ([line["step"] for line in read_metrics(root / "units" / "vae" / f"seed-{seed}")] for seed in (2, 1))
    assert (new, old) == ([1, 5, 10, 15, 20], [1, 10, 20])
    assert call("report", root) == 0
    capsys.readouterr()
    assert call("verify", root, "--unit", "vae/seed-0", "vae/seed-2") == 0
    assert [line.split(" up to")[0] for line in capsys.readouterr().out.splitlines()[:2]] == [
        "vae/seed-0: identical bits",
        "vae/seed-2: identical bits",
    ]


def test_a_unit_that_is_trained_further_keeps_the_cadence_that_it_began_with(made, capsys):
    root, files = made
    assert call("compare", files[0], "--seeds", 1, "--steps", 30, "--out", root, "vae.log-every=3") == 0
    run = root / "units" / "vae" / "seed-0"
    assert [line["step"] for line in read_metrics(run)] == [1, 10, 20, 30]
    assert rundir.read_config(run) == replace(COMPARED["vae"], steps=30)
    capsys.readouterr()
    assert call("verify", root) == 0
    assert capsys.readouterr().out.startswith("vae/seed-0: identical bits")


def test_another_evaluation_measures_again_without_training(made, capsys):
    root, files = made
    before = harness.contents(root)
    assert call("compare", *files, "--seeds", 2, "--out", root, "vae.evaluation.k=8") == 0
    touched = changed(root, before)
    assert {"/".join(Path(name).parts[:2]) for name in touched} == TABLES | {"plan.json", "units/vae"}
    assert not [name for name in touched if name.endswith(("metrics.jsonl", "states.jsonl")) or "checkpoints" in name]
    for unit in found_in(root)["units"][:2]:
        assert unit["measures"]["iw_bound_nats"]["stamp"]["k"] == 8
        assert rundir.read_config(root / unit["directory"]).evaluation.k == 8
    capsys.readouterr()
    assert call("verify", root, "--unit", "vae/seed-1") == 0
    assert capsys.readouterr().out.startswith("vae/seed-1: identical bits")


def test_measures_that_are_asked_for_no_more_leave_the_tables_with_a_word(made, capsys):
    """It is said before anything is measured, and what is to be asked for does bring them back."""
    root, files = made

    def measures() -> set[str]:
        return {name for unit in found_in(root)["units"] for name in unit["measures"] if name.endswith("_pixels")}

    before = measures()
    command = ("compare", *files, "--seeds", 2, "--out", root)
    capsys.readouterr()
    assert call(*command, "gan.evaluation.measures=frechet") == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[1:3] == [
        "gan is measured again without the measures sliced_wasserstein, whose numbers leave the tables: to have both, "
        "ask for both, by gan.evaluation.measures=frechet,sliced_wasserstein or in the experiment file.",
        next(line for line in lines if "unit 3 of 4" in line),
    ]
    assert call(*command, "gan.evaluation.measures=frechet") == 0  # by now nothing is measured again
    assert call(*command, "gan.evaluation.measures=frechet,sliced_wasserstein", "vae.evaluation.k=8") == 0
    assert "leave the tables" not in capsys.readouterr().err
    assert measures() == before


def test_several_experiments_lose_measures_in_one_sentence(made, capsys):
    root, files = made
    settings = [f"{name}.evaluation.measures=frechet" for name in COMPARED]
    capsys.readouterr()
    assert call("compare", *files, "--seeds", 2, "--out", root, *settings, "--launcher", "commands") == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "leave the tables" in line]
    assert line.startswith("vae and gan are measured again without the measures sliced_wasserstein, ")
    assert ", by NAME.evaluation.measures=frechet,sliced_wasserstein or in " in line


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("vae.model.latent-dim=5", ["vae/seed-0", "model.latent_dim = 4, not 5"]),
        ("gan.batch_size=8", ["gan/seed-0", "batch_size = 16, not 8"]),
    ],
)
def test_another_configuration_is_refused_and_the_field_named(setting, words, made, capsys):
    root, files = made
    before = harness.contents(root)
    assert_refused(call("compare", *files, "--seeds", 2, "--out", root, setting), *capsys.readouterr(), *words)
    assert not changed(root, before)


def test_other_data_are_refused(made, monkeypatch, capsys):
    root, files = made
    before = harness.contents(root)
    digits = data.load("digits")
    with monkeypatch.context() as patch:
        patch.setattr(data, "load", lambda name: replace(digits, checksum="f" * 64))
        code = call("compare", *files, "--seeds", 2, "--out", root)
    assert_refused(code, *capsys.readouterr(), "vae/seed-0", "other data", digits.checksum[:12], "f" * 12)
    assert not changed(root, before)


def test_a_measure_that_does_not_exist_is_refused_before_anything_is_written(tmp_path, capsys):
    files = [experiment_file(tmp_path, experiment) for experiment in COMPARED.values()]
    for setting in ("gan.evaluation.measures=frechett", "gan.evaluation.features=inceptoin"):
        code = call("compare", *files, setting, "--out", tmp_path / "out")
        assert_refused(code, *capsys.readouterr(), setting.split("=")[1])
    assert not (tmp_path / "out").exists()


def test_two_experiments_of_one_name_are_refused(tmp_path, capsys):
    file = experiment_file(tmp_path, COMPARED["vae"])
    assert_refused(
        call("compare", file, file, "--out", tmp_path / "out"), *capsys.readouterr(), "'vae'", "another name"
    )
    assert not (tmp_path / "out").exists()


def test_while_a_comparison_runs_another_leaves_its_plan_alone(made, monkeypatch, capsys):
    root, files = made
    shutil.rmtree(root / "units" / "gan" / "seed-1")
    make, codes = units.make, []

    def making(*args):
        capsys.readouterr()
        before = harness.contents(root)
        for more in ((), ("--launcher", "commands")):
            if len(codes) < 2:
                codes.append(call("compare", files[0], "--seeds", 1, "--out", root, *more))
                assert_refused(codes[-1], *capsys.readouterr(), f"{root} is in use by another process (number ")
        assert not changed(root, before)
        make(*args)

    with monkeypatch.context() as patch:
        patch.setattr(units, "make", making)
        assert call("compare", *files, "--seeds", 2, "--out", root) == 0
    assert codes == [2, 2]
    assert compare.read_plan(root) == compare.Plan(tuple(COMPARED.values()), 2)

    shutil.rmtree(root / "units" / "gan" / "seed-1")
    with owned(root):  # units are independent
        assert call("unit", root, "gan/seed-1") == 0


def test_units_that_a_smaller_plan_leaves_out_are_counted_and_stay(made, capsys):
    root, files = made
    before = harness.contents(root)
    assert call("compare", files[0], "--seeds", 1, "--out", root) == 0
    said = f"{root} compared gan, too: the tables and the report will be without, unless you name it again"
    err = capsys.readouterr().err.splitlines(keepends=True)
    assert err[0] == f"{said} (the units stay).\n"
    sentence = "Not in the plan and so left out: 3 complete units in units/ (2 of gan, 1 of vae).\n"
    assert err[1:] == [sentence]
    assert changed(root, before) == TABLES | {"plan.json"}
    assert call("report", root) == 0
    assert capsys.readouterr().err == sentence
    assert "left out" not in (root / "comparison.json").read_text()  # it follows from the plan's units, as verify knows
    assert call("compare", *files, "--seeds", 2, "--out", root) == 0
    assert capsys.readouterr().err == ""
    assert call("compare", *files, "--seeds", 1, "--out", root) == 0
    assert f"{root} had 2 seeds: the tables and the report will be of 1 (the units stay)." in capsys.readouterr().err


# --- killed -----------------------------------------------------------------------------------------------------------


def test_killed_at_three_moments_it_gives_the_undisturbed_result(tmp_path):
    seed = secrets.randbits(32)
    print(f"the experiment and the moments are drawn with random.Random({seed})")
    draw = random.Random(seed)
    file = experiment_file(tmp_path, replace(COMPARED[draw.choice(sorted(COMPARED))], steps=60))
    root = tmp_path / "killed" / "comparison"
    args = ("compare", file, "--seeds", 2, "--out")

    process = harness.start(*args, tmp_path / "undisturbed" / "comparison")
    harness.wait_until((tmp_path / "undisturbed").exists, process)
    start = time.monotonic()
    _, err = process.communicate()
    assert process.returncode == 0, err
    takes = time.monotonic() - start

    for _ in range(3):
        process, before = harness.start(*args, root), harness.contents(tmp_path)
        harness.wait_until(lambda known=before: bool(changed(tmp_path, known)), process)
        time.sleep(draw.uniform(0, takes / 3))
        process.kill()
        process.communicate()
        assert process.returncode in (-signal.SIGKILL, 0)

    done = harness.again(*args, root)
    assert done.returncode == 0, done.stderr
    assert timeless(root) == timeless(tmp_path / "undisturbed" / "comparison")
    for name in TABLES - {"comparison.json", "report.html"}:
        assert (root / name).read_text() == (tmp_path / "undisturbed" / "comparison" / name).read_text()


def test_a_signal_ends_the_comparison_with_its_code(tmp_path, monkeypatch, capsys):
    def stopped(*args):
        raise loop.Interrupted(tmp_path / "vae" / "seed-0", 7, signal.SIGTERM)

    monkeypatch.setattr(compare, "run", stopped)
    with pytest.raises(SystemExit) as stop:
        call("compare", experiment_file(tmp_path, COMPARED["vae"]), "--out", tmp_path)
    assert stop.value.code == 143
    err = capsys.readouterr().err
    assert "Stopped at step 7" in err
    assert "To continue: " in err


# --- divergence -------------------------------------------------------------------------------------------------------


def test_diverged_seeds_are_shown_and_the_others_stand(tmp_path, capsys):
    """A sweep whose second value is absurd, with all four units in one program."""
    file, root = experiment_file(tmp_path, COMPARED["vae"]), tmp_path / "sweep"
    args = ("compare", file, "--seeds", 2, "--out", root, "--together", 4, "--full")
    assert call(*args, "--sweep", "optimizer.learning-rate=0.001,1e30") == 0
    out = capsys.readouterr().out
    assert len(re.findall(r"^vae,\S+ +diverged +-", out, re.MULTILINE)) == 1
    good, bad = "vae,optimizer.learning_rate=0.001", "vae,optimizer.learning_rate=1e+30"
    found = found_in(root)
    assert [unit["status"] for unit in found["units"]] == ["complete", "complete", "diverged", "diverged"]
    assert {len(unit["group"]) for unit in found["units"]} == {4}
    for unit in found["units"][2:]:
        sentence = unit["failure"]
        assert sentence.startswith("At step 2 the term ")
        assert (unit["measures"], unit["state_sha256"]) == (None, None)
        assert sentence in (root / "report.html").read_text()
        with (root / "comparison.csv").open() as file_:
            rows = [row for row in csv.DictReader(file_) if row["experiment"] == bad]
        assert [row["measure"] for row in rows] == ["", ""]
    assert {row["experiment"] for row in found["summaries"]} == {good}
    said = f"{bad}, seeds 0 and 1, diverged: At step 2 the term "
    assert len([remark for remark in found["remarks"] if remark.startswith(said)]) == 1
    for text in (out, (root / "table.md").read_text()):
        assert text.count("seeds 0 and 1, diverged: At step 2 the term ") == 1
    assert f"{bad} diverged in every seed" in found["verdict"]
    dashes = " | ".join("-" * 6)
    assert f"| {bad} | diverged |  | {dashes} | 2 of 2 [34 %, 100 %] | - |\n" in (root / "table.md").read_text()
    assert "& 0 of 2 & --" in (root / "table.tex").read_text()
    assert "2 of 2 seeds [34 %, 100 %]" in (root / "report.html").read_text()
    frame = gvlab.compare.load(root)
    assert frame[frame.experiment == bad].measure.isna().all()

    # In a comparison of its own the sound value gives the same numbers, but for rounding.
    alone = [unit["measures"] for unit in found_in(harness.compared())["units"][:2]]
    for mine, theirs in zip(found["units"][:2], alone, strict=True):
        for name, one in theirs.items():
            assert mine["measures"][name]["value"] == pytest.approx(one["value"], rel=1e-3, abs=1e-4), name

    before = harness.contents(root)
    assert call(*args, "--sweep", "optimizer.learning-rate=0.001,1e30") == 0
    assert changed(root, before) == TABLES | {"plan.json"}  # a diverged unit is complete, too


def test_when_all_diverge_the_code_is_1(tmp_path, capsys):
    file, root = experiment_file(tmp_path, COMPARED["vae"]), tmp_path / "out"
    assert call("compare", file, "--seeds", 2, "--out", root, "vae.model.optimizer.learning-rate=1e30") == 1
    out, err = capsys.readouterr()
    assert err.splitlines()[-1] == "gvlab: Training diverged: no run of the comparison came to its end."
    assert out.count("vae, seeds 0 and 1, diverged: At step 2") == 1
    found = found_in(root)
    assert (found["summaries"], found["pairs"], found["primary"]) == ([], [], None)
    assert found["verdict"] == "No run of vae came to its end."
    assert {path.name for path in root.iterdir()} >= TABLES
    assert call("report", root) == 1
