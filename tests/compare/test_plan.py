"""What is asked for becomes a plan, and from a plan and its units the tables are made."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import harness
import pytest
from harness import COMPARED, assert_refused, call, changed, edit_json, experiment_file
from looks import TABLES, timeless

from gvlab import compare
from gvlab import config as c
from gvlab.types import UserError


@pytest.fixture(autouse=True, scope="module")
def compiled_once():
    with harness.compiled_once():
        yield


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
    assert_refused(call("compare", tmp_path / "plan.json"), *capsys.readouterr(), f"no plan {tmp_path / 'plan.json'}")
    (tmp_path / "a-vs-b").mkdir()
    (tmp_path / "a-vs-b" / "plan.json").touch()
    meant = f"(did you mean {tmp_path / 'a-vs-b'}"
    assert_refused(call("report", tmp_path / "a-vs-c"), *capsys.readouterr(), "there is no such directory", meant)
    assert_refused(call("compare", tmp_path / "a-v-b" / "plan.json"), *capsys.readouterr(), f"{meant}/plan.json?)")
    assert_refused(call("table", tmp_path / "avsb", "--out", tmp_path / "t.md"), *capsys.readouterr(), meant)


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


def test_the_defaults(planned, files):
    plan = planned(*files)
    assert plan == compare.Plan(tuple(COMPARED.values()), 6)
    assert planned.plans[-1][1] == Path("comparisons/vae-vs-gan")


def test_metrics_are_of_all_experiments(planned, files, capsys):
    asked = ("restore:half", "frechet")
    assert [one.evaluation.measures for one in planned(*files, "--metrics", *asked).experiments] == [asked, asked]
    capsys.readouterr()
    code = call("compare", *files, "--metrics", "frechet", "--seeds", 1, "vae.evaluation.measures=kernel")
    assert_refused(code, *capsys.readouterr(), "would have no effect, since --metrics says what all are measured by")


def test_fields_of_one_experiment_are_set_by_its_name(planned, files):
    settings = ("vae.model.latent-dim=5", "gan.model.generator_optimizer.learning_rate=0.01", "vae.data.flip=True")
    vae, gan = planned(*files, *settings, "--steps", 7, "--seeds", 1).experiments
    model = replace(COMPARED["vae"].model, latent_dim=5)
    assert vae == replace(COMPARED["vae"], steps=7, model=model, data=replace(COMPARED["vae"].data, flip=True))
    assert gan.model.generator_optimizer == c.Adam(learning_rate=0.01, b1=0.5)


ASKED = {
    "another name": (["vea.steps=3"], ["vea.steps=3", "(did you mean vae?)", "name vae or gan"]),
    "no such field": (["vae.model.latnet-dim=3"], ["vae.model.latnet-dim=3 sets", "mean model.latent_dim?"]),
    "a field elsewhere": (["vae.hiden=3"], ["vae.hiden=3 sets no field of vae (did you mean model.network.hidden?)"]),
    "a setting as an option": (["--vae.steps", "3"], ["--vae.steps: a field is set by NAME.FIELD=VALUE"]),
    "not a number": (["vae.steps=many"], ["vae.steps=many is refused", "'many' is no whole number"]),
    "out of range": (["vae.model.beta=-1"], ["VAE.beta is -1"]),
    "seeds": (["--seeds", "0"], ["--seeds is 0"]),
    "together": (["--together", "0"], ["--together is 0"]),
    "match": (["--match", "time"], ["'time'", "steps, images, seconds, flops"]),
    "a sweep of nothing": (["--sweep", "beta"], ["'beta'", "FIELD=VALUE"]),
    "a sweep with a hole": (["--sweep", "beta=1,,2"], ["'beta=1,,2'"]),
    "a sweep over words": (["--sweep", "steps=many"], ["--sweep steps=many", "type int", "give values that the field"]),
    "launcher": (["--launcher", "slurm"], ["slurm"]),
    "a value twice": (["--sweep", "flip=True,True"], ["vae,flip=True and vae,flip=True of one configuration"]),
    "a number twice": (["--sweep", "batch-size=8,8"], ["of one configuration", "each of its values once"]),
    "a field swept twice": (
        ["--sweep", "data.flip=True,False", "--sweep", "flip=True,False"],
        ["of one configuration", "each field and each of its values once"],
    ),
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
