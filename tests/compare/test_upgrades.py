"""Results outlive an upgrade: what an earlier gvlab made is read, reported, continued and verified."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import harness
import pytest
from harness import COMPARED, call, edit_json

from gvlab import build, data, evaluate
from gvlab.compare import outputs, report, units
from gvlab.files import read_json
from gvlab.train import loop


@pytest.fixture(autouse=True, scope="module")
def compiled_once():
    with harness.compiled_once():
        yield


# --- a field of the configuration came later --------------------------------------------------------------------------


def without(config: dict[str, Any]) -> None:
    """Takes away fields that have a default, on every level, and writes others as they were once written."""
    del config["keep_every"], config["data"]["flip"], config["evaluation"]["ais_variance"]
    model = config["model"]
    model.pop("ema_decay" if model["type"] == "GAN" else "kl_warmup_steps")
    if model["type"] == "GAN":  # whose discriminator had one loss only
        assert model.pop("contest") == {"type": "NonSaturating"}
        model["generator_loss"] = "non_saturating"
        assert model.pop("discriminator_terms") == []
    for name in ("optimizer", "generator_optimizer", "discriminator_optimizer"):  # of which there was one class only
        if name in model:
            assert model[name].pop("type") == "Adam"
            del model[name]["schedule"]


@pytest.fixture
def older(tmp_path) -> Path:
    """A comparison as it would lie on the disk, had it been made before four fields of the configuration existed."""
    root, _ = harness.copy_of_compared(tmp_path)
    edit_json(root / "plan.json", lambda made: [without(config) for config in made["experiments"]])
    for file in (root / "units").glob("*/*/unit.json"):
        edit_json(file.with_name("config.json"), without)
        edit_json(file.with_name("evaluation.json"), lambda made: made["protocol"]["evaluation"].pop("ais_variance"))
        config = json.dumps(json.loads(file.with_name("config.json").read_text()), sort_keys=True)
        edit_json(file, lambda made, config=config: made.update(config_sha256=sha256(config)))
    found = read_json(root / "comparison.json")
    for experiment in found["experiments"]:
        without(experiment["config"])
    outputs.write(found, root)
    report.write(root, found)
    return root


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_what_was_made_before_a_field_existed_is_read_and_continued(older, capsys):
    before = harness.contents(older)
    assert call("compare", older / "plan.json", "--out", older, "--seeds", 2) == 0
    assert not {name for name in harness.changed(older, before) if name.startswith("units")}
    continued, made = read_json(older / "comparison.json"), read_json(harness.compared() / "comparison.json")
    assert continued | {"commands": None} == made | {"commands": None}  # they name where it lies
    assert call("compare", older / "plan.json", "--out", older, "--seeds", 3) == 0
    made = {"/".join(name.split("/")[:3]) for name in harness.changed(older, before) if name.startswith("units")}
    assert made == {"units/vae/seed-2", "units/gan/seed-2"}


def test_what_was_made_before_a_field_existed_is_verified_and_reported(older, capsys):
    before = harness.contents(older)
    assert call("verify", older) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:29] for line in lines[:-1]] == [
        f"{name}/seed-{i}: identical bits up" for name in COMPARED for i in (0, 1)
    ]
    assert not harness.changed(older, before)
    assert call("report", older) == 0
    continued, made = read_json(older / "comparison.json"), read_json(harness.compared() / "comparison.json")
    assert continued | {"commands": None} == made | {"commands": None}  # they name where it lies


def test_a_measurement_made_before_a_field_existed_is_not_made_again(older):
    program = build.program(COMPARED["gan"], data.load("digits"))
    run = older / "units" / "gan" / "seed-0"
    state = loop.restore(program, run)
    assert evaluate.read(run, program, state) == read_json(run / "evaluation.json")["measures"]
    edit_json(run / "evaluation.json", lambda made: made["protocol"]["evaluation"].update(samples=65))
    assert evaluate.read(run, program, state) is None


def test_stamps_of_one_likelihood_before_and_after_it_gained_a_field_are_of_one_protocol():
    now = {"split": "test", "likelihood": {"type": "Gaussian", "variance": 0.01}}
    before = {"split": "test", "likelihood": {"type": "Gaussian"}}
    assert evaluate.difference(before, now) is None
    other = evaluate.difference(before, {"split": "test", "likelihood": {"type": "Gaussian", "variance": 0.1}})
    assert other is not None
    assert (other.field, other.second["variance"]) == ("likelihood", 0.1)


def test_a_field_that_is_taken_away_is_noticed_all_the_same(older):
    run = older / "units" / "vae" / "seed-0"
    edit_json(run / "config.json", lambda made: made["model"].pop("beta"))
    with pytest.raises(units.UserError, match=r"config\.json is not what was trained"):
        units.read(older, COMPARED["vae"])
