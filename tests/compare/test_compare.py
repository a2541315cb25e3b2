"""A comparison: units that are made once, whatever happens in between, and one set of tables from them."""

from __future__ import annotations

import csv
import dataclasses
import json
import random
import re
import secrets
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import harness
import jax
import numpy as np
import pandas as pd
import pytest
from harness import COMPARED, assert_refused, call, changed, copy_of_compared, edit_json, experiment_file

import gvlab
from gvlab import build, compare, data, evaluate, rng, statistics
from gvlab import config as c
from gvlab.compare import budgets, groups, results, tables, units
from gvlab.evaluate import bounds, held_out, latents
from gvlab.files import owned
from gvlab.runs import directory as rundir
from gvlab.train import engines, loop
from gvlab.types import UserError

TABLES = {"comparison.json", "comparison.csv", "table.md", "table.tex", "report.html"}
MEASURES = {
    "vae": {
        *("elbo_nats", "kl_nats", "reconstruction_nats", "bits_per_dim", "iw_bound_nats", "active_units"),
        *("collapsed_units", "mutual_information_nats", "marginal_kl_nats"),
        *("frechet_pixels", "sliced_wasserstein2_pixels"),
    },
    "gan": {"d_loss", "fake_logit", "real_logit", "frechet_pixels", "sliced_wasserstein2_pixels"},
}


@pytest.fixture(autouse=True, scope="module")
def compiled_once():
    with harness.compiled_once():
        yield


@pytest.fixture
def made(tmp_path):
    """(a copy of the comparison of a VAE and a GAN with two seeds each, their files)."""
    return copy_of_compared(tmp_path)


def found_in(root: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads((root / "comparison.json").read_text(), parse_constant=refuse)


def timeless(root: Path) -> dict[str, Any]:
    """comparison.json without what two equal comparisons do not share: the wall clock, and how they were called."""
    found = found_in(root)
    del found["commands"]
    for unit in found["units"]:
        del unit["timing"], unit["environment"]["command"]
        for one in (unit["measures"] or {}).values():
            one.pop("points_per_second", None)
    return found


# --- what is in it ----------------------------------------------------------------------------------------------------


def test_everything_is_in_the_directory():
    root = harness.compared()
    assert {path.name for path in root.iterdir()} == TABLES | {"units", "plan.json", "lock"}
    units_made = {path.relative_to(root / "units").as_posix() for path in (root / "units").glob("*/*")}
    assert units_made == {f"{name}/seed-{seed}" for name in COMPARED for seed in range(2)}
    pictures = {"vae": {"reconstructions.png", "traversals.png"}, "gan": {"neighbours.png"}}
    for name, of_family in pictures.items():
        for seed in range(2):
            run = root / "units" / name / f"seed-{seed}"
            assert {path.name for path in (run / "pictures").iterdir()} == of_family
            assert (run / "samples" / "step-00000020.png").is_file()
            assert rundir.status(run) == {"status": "complete", "step": 20}


def test_comparison_json_follows_its_schema():
    root = harness.compared()
    found = found_in(root)
    documented = re.findall(r"^    (\w[\w, ]*?)  ", results.__doc__, re.MULTILINE)
    assert set(found) == {name for names in documented for name in names.split(", ")}

    def fields(name: str) -> set[str]:
        """The fields that the documentation gives the entries of a list or an object."""
        (text,) = re.findall(rf"^ +{name} +\[?\{{(.*?)\}}", results.__doc__, re.MULTILINE | re.DOTALL)
        return set(re.findall(r"\w+", text.partition(", and")[0]))

    assert all(set(one) == fields("experiments") for one in found["experiments"])
    assert all(set(one["dataset"]) == fields("dataset") for one in found["experiments"])
    assert all(set(one) == fields("units") for one in found["units"])
    for part in ("cost", "timing"):
        assert all(set(one[part]) == fields(part) for one in found["units"])
    for part, statistic in (("summaries", statistics.Summary), ("pairs", statistics.Paired)):
        of_it = {field.name for field in dataclasses.fields(statistic)}
        assert all(set(one) == fields(part) | of_it for one in found[part])
    for unit in found["units"]:
        kinds = {"value", "stamp", "standard_error", "spread", "points_per_second"}
        assert all({"value", "stamp"} <= set(one) <= kinds for one in unit["measures"].values())
    assert (found["schema"], found["gvlab"], found["match"]) == (1, gvlab.__version__, None)
    assert found["seeds"] == [0, 1]
    assert found["commands"] == {
        "rerun": f"gvlab compare {root}/plan.json --out NEW --together 1",
        "report": f"gvlab report {root}",
        "verify": f"gvlab verify {root}",
    }

    first, second = found["experiments"]
    assert (first["name"], first["family"], first["steps"], first["images"]) == ("vae", "VAE", 20, 320)
    assert (second["name"], second["family"], second["steps"], second["images"]) == ("gan", "GAN", 20, 320)
    assert c.from_json(json.dumps(second["config"])) == COMPARED["gan"]
    assert first["dataset"] == {"name": "digits", "sha256": data.load("digits").checksum}

    assert [(unit["experiment"], unit["seed"]) for unit in found["units"]] == [
        ("vae", 0),
        ("vae", 1),
        ("gan", 0),
        ("gan", 1),
    ]
    for unit in found["units"]:
        run = root / unit["directory"]
        assert unit["directory"] == f"units/{unit['experiment']}/seed-{unit['seed']}"
        assert (unit["status"], unit["failure"], len(unit["group"])) == ("complete", None, 1)
        assert unit["measures"] == json.loads((run / "evaluation.json").read_text())["measures"]
        assert set(unit["measures"]) == MEASURES[unit["experiment"]]
        assert unit["state_sha256"] == harness.digest(run, 20)
        assert unit["cost"]["parameters"] > 100
        assert unit["cost"]["flops_per_step"] > 1000
        assert unit["cost"]["memory_bytes"] > 1000
        assert unit["timing"]["seconds"] > 0
        assert unit["timing"]["images_per_second"] > 0
        assert unit["environment"] == json.loads((run / "environment.json").read_text())

    assert {(row["experiment"], row["measure"]) for row in found["summaries"]} == {
        (name, measure) for name, measures in MEASURES.items() for measure in measures
    }
    for row in found["summaries"]:
        values = [
            u["measures"][row["measure"]]["value"] for u in found["units"] if u["experiment"] == row["experiment"]
        ]
        assert row["mean"] == pytest.approx(np.mean(values))
        assert row["sd"] == pytest.approx(np.std(values, ddof=1))
        assert (row["n"], row["total"], row["failures"]) == (2, 2, 0)
        assert row["low"] is row["high"] is None  # of two seeds there is no interval
        assert "seed" not in row["stamp"]
        assert row["stamp"]["dataset"] == "digits"
    assert [pair["measure"] for pair in found["pairs"]] == ["frechet_pixels", "sliced_wasserstein2_pixels"]
    for pair in found["pairs"]:
        assert (pair["first"], pair["second"], pair["verdict"]) == ("vae", "gan", "undecided")
    assert found["primary"] == "frechet_pixels"
    assert "2 seeds give no interval" in found["verdict"]


def test_the_csv_is_tidy():
    root = harness.compared()
    frame = pd.read_csv(root / "comparison.csv")
    assert list(frame.columns) == ["experiment", "seed", "measure", "value", "stamp"]
    assert len(frame) == 2 * sum(map(len, MEASURES.values()))
    for unit in found_in(root)["units"]:
        mine = frame[(frame.experiment == unit["experiment"]) & (frame.seed == unit["seed"])].set_index("measure")
        for measure, one in unit["measures"].items():
            assert mine.value[measure] == one["value"]  # with all digits
            assert json.loads(mine.stamp[measure]) == one["stamp"]


def test_load_gives_a_frame_that_shows_itself():
    frame = gvlab.compare.load(harness.compared())
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == ["experiment", "seed", "measure", "value", "protocol"]
    assert max(map(len, frame.protocol)) < 120
    assert "split test, examples 300, quantization binarize, k 7" in set(frame.protocol)
    plain = pd.read_csv(harness.compared() / "comparison.csv")
    assert frame.value.tolist() == plain.value.tolist()
    means = frame.groupby(["experiment", "measure"]).value.mean()
    assert means["gan", "frechet_pixels"] == pytest.approx(plain[plain.measure == "frechet_pixels"].value[-2:].mean())

    page = frame._repr_html_()
    assert "2 seeds give no interval" in page
    assert page.count("<tr>") == 1 + sum(map(len, MEASURES.values()))
    assert page.count('<img alt="') == 2
    for alt in ("vae, seed 0, step 00000020", "gan, seed 0, step 00000020"):
        assert f'<img alt="{alt}" width="300" src="data:image/png;base64,iVBOR' in page
    for derived in (frame[frame.seed == 0], frame.head(), frame.copy(), frame[["value"]], frame.sort_values("value")):
        assert type(derived) is pd.DataFrame
        assert "<p>" not in derived._repr_html_()


def test_load_wants_a_comparison(tmp_path):
    (tmp_path / "comparison.json").write_text('{"schema": 99}')
    with pytest.raises(UserError, match=r"has schema 99, but this gvlab reads 1: run gvlab report .*\.$"):
        compare.load(tmp_path)
    (tmp_path / "comparison.json").unlink()
    with pytest.raises(UserError, match=r"no comparison\.json: run gvlab compare or gvlab report first"):
        compare.load(tmp_path)


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
    sentence = "Not in the plan and so left out: 3 complete units in units/ (2 of gan, 1 of vae).\n"
    assert capsys.readouterr().err == sentence
    assert changed(root, before) == TABLES | {"plan.json"}
    assert call("report", root) == 0
    assert capsys.readouterr().err == sentence
    assert "left out" not in (root / "comparison.json").read_text()  # it follows from the plan's units, as verify knows
    assert call("compare", *files, "--seeds", 2, "--out", root) == 0
    assert capsys.readouterr().err == ""


# --- killed -----------------------------------------------------------------------------------------------------------


def test_killed_at_three_moments_it_gives_the_undisturbed_result(tmp_path):
    seed = secrets.randbits(32)
    print(f"the moments are drawn with random.Random({seed})")
    draw = random.Random(seed)
    files = [experiment_file(tmp_path, replace(experiment, steps=60)) for experiment in COMPARED.values()]
    root = tmp_path / "killed" / "comparison"
    args = ("compare", *files, "--seeds", 1, "--out")

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

    done = harness.run(*args, root)
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


# --- common random numbers --------------------------------------------------------------------------------------------


def test_experiments_share_the_batches_and_the_latents_of_a_seed():
    wide = replace(COMPARED["vae"], name="wide", model=replace(COMPARED["vae"].model, network=c.MLP(hidden=(8, 8))))
    grey = replace(COMPARED["vae"], data=c.Data(), name="grey")
    digits = data.load("digits")
    program = {e.name: build.program(e, digits) for e in [*COMPARED.values(), wide, grey]}
    arrays = engines.alone(program["vae"]).data

    def drawn(name: str, seed: int, step: int) -> np.ndarray:
        return np.asarray(program[name].draw(arrays, rng.root(seed), jax.numpy.int32(step)).x)

    for step in (0, 1, 93, 94, 200):  # an epoch has 93 steps
        np.testing.assert_array_equal(drawn("vae", 3, step), drawn("wide", 3, step))
        np.testing.assert_allclose(drawn("grey", 3, step), (drawn("gan", 3, step) + 1) / 2, atol=1e-6)
        assert (drawn("vae", 3, step) != drawn("vae", 4, step)).any()
        assert (drawn("vae", 3, step) != drawn("vae", 3, step + 1)).any()

    # Samples are what the model makes of the prior's latents, and these depend on key and number alone.
    key = rng.stream(rng.root(3), rng.EVALUATE)
    for name in ("vae", "wide", "gan"):
        model = program[name].model
        np.testing.assert_array_equal(model.prior(key, 5), program["vae"].model.prior(key, 5))
        state = model.init(rng.stream(rng.root(3), rng.INIT), program[name].first_batch())
        made = model.decode(state, model.prior(key, 5))
        np.testing.assert_allclose(model.sample(state, key, 5), made, rtol=1e-5, atol=1e-6)


def test_the_evaluation_of_a_seed_uses_one_key_in_every_experiment(monkeypatch):
    """The keys with which samples are drawn for the distances."""
    keys: dict[tuple[str, int], list] = {}
    monkeypatch.setattr(held_out, "held_out", lambda *args: {})
    monkeypatch.setattr(bounds, "bound", lambda *args: {})
    monkeypatch.setattr(latents, "latents", lambda *args: {})
    root = harness.compared()
    for experiment in COMPARED.values():
        for seed in range(2):
            program = build.program(replace(experiment, seed=seed), data.load("digits"))
            state = loop.restore(program, rundir.path(units.directory(root), program.experiment))
            seen = keys.setdefault((experiment.name, seed), [])

            def sample(state, key, size, of=program.model, seen=seen):
                jax.debug.callback(lambda bits: seen.append(bits.tolist()), jax.random.key_data(key))
                return of.sample(state, key, size)

            evaluate.evaluate(replace(program, model=program.model._replace(sample=sample)), state)
            jax.effects_barrier()
    assert all(keys.values())
    as_sets = {unit: {tuple(bits) for bits in seen} for unit, seen in keys.items()}
    for seed in range(2):
        assert as_sets["vae", seed] == as_sets["gan", seed]
    assert as_sets["vae", 0] != as_sets["vae", 1]


def test_who_is_killed_while_measuring_a_group_goes_on_with_it(tmp_path, monkeypatch):
    """The records say with whom each unit was trained, not with whom it was waiting to be measured."""
    file = experiment_file(tmp_path, COMPARED["vae"])
    args = ("compare", file, "--seeds", 3, "--together", 3, "--out")
    assert call(*args, tmp_path / "undisturbed") == 0

    class Killed(BaseException):
        """Nobody catches it."""

    finish, finished = units.finish, []

    def once(*given):
        if finished:
            raise Killed
        finished.append(finish(*given))
        return finished[0]

    monkeypatch.setattr(units, "finish", once)
    with pytest.raises(Killed):
        call(*args, tmp_path / "killed")
    monkeypatch.setattr(units, "finish", finish)
    assert call(*args, tmp_path / "killed") == 0
    undisturbed, found = (timeless(tmp_path / name) for name in ("undisturbed", "killed"))
    assert found["units"] == undisturbed["units"]
    together = [f"vae/seed-{seed}" for seed in range(3)]
    assert [(unit["group"], unit["regrouped"]) for unit in found["units"]] == [(together, [])] * 3


def test_what_began_in_one_program_goes_on_in_it_and_a_rest_of_one_is_alone(tmp_path):
    file, root = experiment_file(tmp_path, COMPARED["vae"]), tmp_path / "c"
    args = ("compare", file, "--together", 3, "--out", root)
    assert call(*args, "--seeds", 2, "--steps", 20) == 0
    assert call(*args, "--seeds", 3, "--steps", 40) == 0
    assert [(unit["group"], unit["regrouped"]) for unit in found_in(root)["units"]] == [
        *[(["vae/seed-0", "vae/seed-1"], [])] * 2,
        (["vae/seed-2"], []),
    ]
    assert call("verify", root, "--unit", "vae/seed-2") == 0  # the bits of a program for one


def test_a_change_of_groups_is_recorded(tmp_path):
    file, root = experiment_file(tmp_path, COMPARED["vae"]), tmp_path / "c"
    assert call("compare", file, "--seeds", 2, "--steps", 20, "--together", 2, "--out", root) == 0
    assert call("compare", file, "--seeds", 2, "--steps", 40, "--out", root) == 0  # alone from there
    for unit in found_in(root)["units"]:
        assert (unit["group"], unit["regrouped"]) == ([f"vae/seed-{unit['seed']}"], [20])


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
    assert r"diverged & -- & 2 of 2 [34 \%, 100 \%] \\" in (root / "table.tex").read_text()
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


# --- the tables from the units alone ----------------------------------------------------------------------------------


def test_report_makes_the_same_files_again(made, monkeypatch):
    root, _ = made
    texts = {name: (root / name).read_bytes() for name in TABLES}
    for name in TABLES:
        (root / name).unlink()
    units_before = harness.contents(root / "units")
    assert call("report", root) == 0
    assert {name: (root / name).read_bytes() for name in TABLES} == texts
    monkeypatch.chdir(root)
    assert call("report", ".") == 0
    assert {name: (root / name).read_bytes() for name in TABLES} == texts
    assert not changed(root / "units", units_before)


@pytest.mark.parametrize(
    "change",
    [
        lambda plan: plan["experiments"][0]["model"]["optimizer"].update(learning_rate=0.5),
        lambda plan: plan["experiments"][0].update(steps=40),
        lambda plan: plan["experiments"][0]["evaluation"].update(k=9),
    ],
    ids=["config", "steps", "evaluation"],
)
def test_no_report_says_that_something_else_was_trained(change, made, capsys):
    root = made[0] if isinstance(made, tuple) else made
    edit_json(root / "plan.json", change)
    before = harness.contents(root)
    assert_refused(call("report", root), *capsys.readouterr(), "units")
    assert not changed(root, before)


def test_a_missing_unit_is_named_and_gvlab_unit_makes_it(made, capsys):
    root, _ = made
    expected = timeless(root)
    shutil.rmtree(root / "units" / "gan" / "seed-1")
    assert_refused(call("report", root), *capsys.readouterr(), "gan/seed-1", "gvlab unit")
    assert_refused(call("unit", root, "gan/seed-7"), *capsys.readouterr(), "gan/seed-7", "did you mean gan/seed-1?")
    assert_refused(call("unit", root.parent, "gan/seed-1"), *capsys.readouterr(), "no plan.json")
    assert call("unit", root, "gan/seed-1") == 0
    assert capsys.readouterr().out == f"{root}: gan/seed-1 is complete.\n"
    assert call("report", root) == 0
    assert timeless(root) == expected

    before = harness.contents(root)
    assert call("unit", root, "gan/seed-1") == 0
    assert not changed(root, before)


PLANS = {
    "cut off": lambda text: text[: len(text) // 2],
    "a list": lambda text: "[]",
    "seeds missing": lambda text: text.replace('"seeds"', '"sedes"'),
    "seeds in words": lambda text: text.replace('"seeds": 2', '"seeds": "2"'),
    "no seeds": lambda text: text.replace('"seeds": 2', '"seeds": 0'),
    "another schema": lambda text: text.replace('"schema": 1', '"schema": 2'),
    "unknown field": lambda text: text.replace('"latent_dim"', '"latent_dom"'),
    "no experiments": lambda text: json.dumps(json.loads(text) | {"experiments": []}),
    "one budget for two": lambda text: json.dumps(json.loads(text) | {"spent": [1.0]}),
    "a budget in words": lambda text: json.dumps(json.loads(text) | {"spent": ["all", "half"]}),
}


@pytest.mark.parametrize("damage", PLANS.values(), ids=PLANS)
def test_a_damaged_plan_gets_a_sentence(damage, tmp_path, capsys):
    (tmp_path / "plan.json").write_text(damage((harness.compared() / "plan.json").read_text()))
    for args in (("report", tmp_path), ("unit", tmp_path, "vae/seed-0"), ("verify", tmp_path)):
        assert_refused(call(*args), *capsys.readouterr(), "plan.json is damaged", "restore it from a copy")


def test_there_is_no_plan(tmp_path, capsys):
    assert_refused(call("report", tmp_path), *capsys.readouterr(), str(tmp_path), "no plan.json")
    assert_refused(call("compare", tmp_path / "plan.json"), *capsys.readouterr(), str(tmp_path), "no plan.json")


def test_a_plan_can_be_run_again_elsewhere(made):
    root, _ = made
    edit_json(root / "plan.json", lambda plan: plan.update(match="images", spent=[1.0, 0.98]))
    elsewhere = root.parent / "a=b" / "comparison"  # a directory that a setting could be mistaken for
    assert call("compare", root / "plan.json", "--out", elsewhere) == 0
    plans = [json.loads((directory / "plan.json").read_text()) for directory in (root, elsewhere)]
    assert plans[1] == plans[0] | {"directory": str(elsewhere)}
    assert timeless(elsewhere) == timeless(root) | {"match": "images"}
    before = harness.contents(elsewhere)
    assert call("compare", elsewhere / "plan.json", "--out", elsewhere) == 0
    assert changed(elsewhere, before) == TABLES | {"plan.json"}


# --- what is asked for ------------------------------------------------------------------------------------------------


@pytest.fixture
def planned(monkeypatch):
    """What the command line asks for, without running it."""
    plans: list[tuple[compare.Plan, Path]] = []

    def kept(plan, root, listen, together):
        plans.append((plan, root))
        compare.write_plan(root, plan)
        raise UserError("It is only planned.")

    monkeypatch.setattr(compare, "run", kept)

    def plan(*args: object) -> compare.Plan:
        assert call("compare", *args) == 2
        return plans[-1][0]

    plan.plans = plans
    return plan


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return [experiment_file(tmp_path, experiment) for experiment in COMPARED.values()]


def test_the_defaults(planned, files):
    plan = planned(*files)
    assert plan == compare.Plan(tuple(COMPARED.values()), 6)
    assert planned.plans[-1][1] == Path("comparisons/vae-vs-gan")


def test_fields_of_one_experiment_are_set_by_its_name(planned, files):
    settings = ("vae.model.latent-dim=5", "gan.model.generator_optimizer.learning_rate=0.01", "vae.data.flip=True")
    vae, gan = planned(*files, *settings, "--steps", 7, "--seeds", 1).experiments
    model = replace(COMPARED["vae"].model, latent_dim=5)
    assert vae == replace(COMPARED["vae"], steps=7, model=model, data=replace(COMPARED["vae"].data, flip=True))
    assert gan.model.generator_optimizer == c.Adam(learning_rate=0.01, b1=0.5)


ASKED = {
    "another name": (["vea.steps=3"], ["vea.steps=3", "vae or gan"]),
    "no such field": (["vae.model.latnet-dim=3"], ["--model.latnet-dim", "--model.latent-dim?"]),
    "not a number": (["vae.steps=many"], ["many"]),
    "out of range": (["vae.model.beta=-1"], ["VAE.beta is -1"]),
    "seeds": (["--seeds", "0"], ["--seeds is 0"]),
    "together": (["--together", "0"], ["--together is 0"]),
    "match": (["--match", "time"], ["'time'", "steps, images, seconds, flops"]),
    "a sweep of nothing": (["--sweep", "beta"], ["'beta'", "FIELD=VALUE"]),
    "a sweep with a hole": (["--sweep", "beta=1,,2"], ["'beta=1,,2'"]),
    "launcher": (["--launcher", "slurm"], ["slurm"]),
    "two sweeps": (["--sweep", "beta=1,2", "--sweep", "batch-size=8,16"], ["beta=1,2 and batch-size=8,16"]),
    "a field twice": (["vae.steps=3", "vae.steps=4"], ["vae.steps=3 and vae.steps=4"]),
    "steps twice": (["vae.steps=3", "--steps", "4"], ["vae.steps=3 would have no effect", "--steps 4"]),
    "swept steps": (["--sweep", "steps=3,4", "--steps", "4"], ["steps=3,4 would have no effect"]),
    "a seed": (["vae.seed=3"], ["vae.seed=3 would have no effect", "--seeds"]),
    "too many seeds": (["--seeds", "99999999"], ["--seeds is 99999999"]),
}


@pytest.mark.parametrize(("more", "words"), ASKED.values(), ids=ASKED)
def test_a_mistake_gets_one_sentence_and_leaves_nothing(more, words, files, tmp_path, capsys):
    assert_refused(call("compare", *files, *more), *capsys.readouterr(), *words)
    assert not (tmp_path / "comparisons").exists()


def test_a_name_that_no_directory_can_have_gets_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file = experiment_file(tmp_path, replace(COMPARED["vae"], name="v" * 190))
    code = call("compare", file, "--sweep", "optimizer.b1=0.5,0.25")
    assert_refused(code, *capsys.readouterr(), ",optimizer.b1=0.5' has 207 bytes", "may have 200: ", "shorter name")
    assert not (tmp_path / "comparisons").exists()
    with pytest.raises(UserError, match="has 202 bytes"):
        compare.Plan((replace(COMPARED["vae"], name="\u00e9" * 101),), 1)
    assert compare.Plan((replace(COMPARED["vae"], name="\u00e9" * 100),), 1).seeds == 1


def test_the_default_directory_of_many_long_names_is_one_that_can_be(planned, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["\u00e9" * 60 + end for end in "abc"]  # 189 characters together, but 369 bytes
    planned(*(experiment_file(tmp_path, replace(COMPARED["vae"], name=name)) for name in names))
    assert planned.plans[-1][1] == Path("comparisons") / f"{names[0]}-and-2-more"


def test_settings_without_a_file(capsys):
    assert_refused(call("compare", "vae.steps=3"), *capsys.readouterr(), "vae.steps=3", "no experiment file")


def test_a_sweep_makes_an_experiment_of_each_value(planned, files):
    plan = planned(files[0], "--sweep", "optimizer.b1=0.5,0.9", "--seeds", 2)
    assert [e.name for e in plan.experiments] == ["vae,optimizer.b1=0.5", "vae,optimizer.b1=0.9"]
    assert [e.model.optimizer.b1 for e in plan.experiments] == [0.5, 0.9]
    assert compare.swept(COMPARED["vae"], "latent-dim", [2, 3])[1].model.latent_dim == 3
    assert compare.swept(COMPARED["vae"], "quantization", ["none"])[0].data.quantization == "none"
    assert compare.swept(COMPARED["vae"], "model.optimizer.learning_rate", [1])[0].model.optimizer.learning_rate == 1.0


SWEEPS = {
    "ambiguous": ("gan", "learning_rate", [0.1], "generator_optimizer.learning_rate or model.discriminator_optimizer"),
    "misspelt": ("vae", "optimizer.learnign_rate", [0.1], "did you mean model.optimizer.learning_rate?"),
    "wrong type": ("vae", "optimizer.learning_rate", ["fast"], "'fast', but must be of type float"),
    "half a number": ("vae", "batch_size", [2.5], "2.5, but must be of type int"),
    "out of range": ("vae", "optimizer.b1", [1.5], "Adam.b1 is 1.5"),
    "the seed": ("vae", "seed", [1], "is no field"),
}


@pytest.mark.parametrize(("name", "field", "values", "words"), SWEEPS.values(), ids=SWEEPS)
def test_a_sweep_that_cannot_be(name, field, values, words):
    with pytest.raises(UserError) as refused:
        compare.swept(COMPARED[name], field, values)
    assert words in str(refused.value)


# --- equal budgets ----------------------------------------------------------------------------------------------------


def budget_programs() -> list[build.Program]:
    twice = replace(
        COMPARED["gan"], model=replace(COMPARED["gan"].model, discriminator_steps=2), name="twice", steps=90
    )
    experiments = [replace(COMPARED["vae"], steps=100), replace(COMPARED["gan"], batch_size=48), twice]
    return [build.program(experiment, data.load("digits")) for experiment in experiments]


def test_equal_steps_and_equal_images():
    programs = budget_programs()
    assert [(e.steps, spent) for e, spent in compare.matched(programs, "steps")] == [(100, 1.0)] * 3
    made = compare.matched(programs, "images")
    assert [(e.steps, spent) for e, spent in made] == [(100, 1.0), (33, 0.99), (50, 1.0)]  # 16, 48, 2 x 16 examples
    assert [replace(e, steps=1) for e, _ in made] == [replace(p.experiment, steps=1) for p in programs]


def test_equal_work_by_the_price_of_a_step(monkeypatch):
    programs = budget_programs()
    prices = {"vae": 3.0, "gan": 7.0, "twice": 1000.0}
    monkeypatch.setattr(budgets, "seconds_per_step", lambda program: prices[program.experiment.name])
    made = compare.matched(programs, "seconds")
    assert [(e.steps, spent) for e, spent in made] == [(100, 1.0), (43, 301 / 300), (1, 1000 / 300)]
    cost = engines.Cost(parameters=1, flops_per_step=None, memory_bytes=None, data_bytes=0)
    monkeypatch.setattr(
        engines, "cost", lambda engine: replace(cost, flops_per_step=prices[engine.program.experiment.name])
    )
    assert [e.steps for e, _ in compare.matched(programs[::-1], "flops")] == [90, 12857, 30000]
    monkeypatch.setattr(engines, "cost", lambda engine: cost)
    with pytest.raises(UserError, match=r"--match flops: the back-end cpu doesn't say .* use images"):
        compare.matched(programs, "flops")


def test_the_steps_that_are_asked_for_are_those_of_the_first(planned, files):
    def steps(*args: object) -> list[int]:
        return [e.steps for e in planned(*args, "gan.batch_size=48", "--match", "images", "--steps", 60).experiments]

    assert steps(*files) == [60, 20]  # vae 16 examples a step, gan 48
    assert steps(*files[::-1]) == [60, 180]
    assert steps(files[0], files[1], "--sweep", "latent-dim=2,3") == [60, 60, 20, 20]


def test_one_experiment_has_nothing_to_match(files, tmp_path, capsys):
    code = call("compare", files[0], "--match", "images", "--out", tmp_path / "c")
    assert_refused(code, *capsys.readouterr(), "--match images has only vae")
    assert not (tmp_path / "c").exists()


def test_budgets_that_whole_steps_leave_unequal_are_remarked_upon(tmp_path):
    experiments = tuple(COMPARED.values())
    plan = compare.Plan(experiments, 2, "images", (1.0, 0.968))
    compare.write_plan(tmp_path, plan)
    assert compare.read_plan(tmp_path) == plan
    assert compare.notes(plan, tmp_path) == [
        "The budgets are equal in images to within 3.2 % only, since steps are whole: gan has 96.8 % of that of vae."
    ]
    assert compare.notes(replace(plan, spent=(1.0, 1.0099)), tmp_path) == []
    assert compare.notes(compare.Plan(experiments, 2), tmp_path) == []
    edit_json(tmp_path / "plan.json", lambda made: made.pop("spent"))  # as gvlab wrote it before
    assert compare.read_plan(tmp_path) == replace(plan, spent=())


def test_a_step_takes_a_positive_time():
    program = build.program(COMPARED["vae"], data.load("digits"))
    assert 0 < compare.seconds_per_step(program, seconds=0.05) < 1


def test_matched_seconds_are_kept_when_a_comparison_goes_on(planned, files, monkeypatch):
    prices = iter(range(1, 100))
    monkeypatch.setattr(budgets, "seconds_per_step", lambda program: float(next(prices)))

    def steps(*args: object) -> list[int]:
        return [e.steps for e in planned(*args, "--match", "seconds").experiments]

    assert steps(*files, "--steps", 60) == [60, 30]
    assert planned.plans[-1][0].match == "seconds"
    assert steps(*files, "--steps", 60, "--seeds", 5) == [60, 30]  # a measurement would give 45
    assert steps(*files, "--steps", 60, "gan.evaluation.samples=100") == [60, 30]
    third = experiment_file(files[0].parent, replace(COMPARED["vae"], name="third"))
    root = planned.plans[-1][1]
    assert steps(*files, third, "--steps", 60, "--out", root) == [60, 30, round(60 * 3 / 5)]  # prices 3, 4, 5
    assert steps(*files, "--steps", 120, "--out", root) == [120, round(120 * 6 / 7)]  # another budget
    assert steps(*files, "--steps", 120, "--out", root, "gan.batch_size=8") == [120, round(120 * 8 / 9)]
    assert steps(*files, "--steps", 120, "--out", root, "gan.batch_size=8") == [120, round(120 * 8 / 9)]
    # Of another first experiment the same steps are another budget.
    first = ("vae.batch_size=8", "gan.batch_size=8")
    assert steps(*files, "--steps", 120, "--out", root, *first) == [120, round(120 * 10 / 11)]
    assert planned.plans[-1][0].spent == (1.0, pytest.approx(109 * 11 / (120 * 10)))
    spent = planned.plans[-1][0].spent
    assert steps(*files, "--steps", 120, "--out", root, *first, "--seeds", 4) == [120, 109]
    assert planned.plans[-1][0].spent == spent


@pytest.mark.parametrize(
    ("runs", "most", "devices", "sizes"),
    [
        (8, 8, 1, [8]),
        (8, 3, 1, [3, 3, 2]),
        (7, 8, 4, [4, 3]),  # 7 don't divide over 4 devices: 4 do, and 3 take one each
        (3, 8, 4, [3]),
        (10, 8, 4, [8, 2]),
        (5, 1, 4, [1] * 5),
    ],
)
def test_groups_use_all_devices(runs, most, devices, sizes):
    assert list(groups._sizes(runs, most, devices)) == sizes
