"""A unit: what identifies it, what it records, and how it is measured and drawn."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import harness
import jax
import jaxlib
import pytest
from harness import COMPARED, assert_refused, call, edit_json

from gvlab import backend, build, compare, data, evaluate, tree
from gvlab import config as c
from gvlab.compare import identity as unit_identity
from gvlab.compare import units
from gvlab.evaluate.features import PROTOCOL
from gvlab.files import owned
from gvlab.runs import directory as rundir
from gvlab.train import engines, loop
from gvlab.types import Diverged, UserError


@pytest.fixture(autouse=True, scope="module")
def compiled_once():
    with harness.compiled_once():
        yield


def program(name: str = "vae", seed: int = 0) -> build.Program:
    return build.program(replace(COMPARED[name], seed=seed), data.load("digits"))


@pytest.fixture
def root(tmp_path) -> Path:
    """Of a comparison whose only unit is vae/seed-0."""
    shutil.copytree(harness.compared() / "units" / "vae" / "seed-0", tmp_path / "units" / "vae" / "seed-0")
    return tmp_path


# --- identity ---------------------------------------------------------------------------------------------------------


def test_the_names():
    assert units.name(replace(COMPARED["gan"], seed=3)) == "gan/seed-3"
    assert units.directory(Path("c")) == Path("c/units")


def test_what_decides_the_numbers_is_in_the_identity():
    identity = unit_identity.identity(program())
    assert identity["dataset"] == {"name": "digits", "sha256": data.load("digits").checksum}
    assert list(identity["program"]) == ["platform", "init", "batch", "step", "sample"]
    assert identity["versions"] == {"jax": jax.__version__, "jaxlib": jaxlib.__version__}
    assert identity["settings"] == backend.decisive_settings()
    assert identity["measuring"]["protocol"] == PROTOCOL
    assert unit_identity.identity(program(seed=1)) == identity


def test_all_of_the_identity_is_recorded(root):
    unit = units.read(root, COMPARED["vae"])
    assert unit is not None
    now = unit_identity.identity(program(), unit.record)
    assert unit.record["schema"] == 2
    assert now.items() <= unit.record.items()
    assert unit.record["reprogrammed"] == []


def test_a_unit_knows_its_configuration_as_it_lies_on_the_disk(root):
    run = root / "units" / "vae" / "seed-0"
    as_recorded = json.loads((run / "unit.json").read_text())["config_sha256"]
    assert unit_identity.config_sha256(run) == as_recorded
    texts = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(dict(reversed(texts.items()))))  # the same, written otherwise
    assert unit_identity.config_sha256(run) == as_recorded
    for changed in ({"seed": 1}, {"steps": 21}, {"evaluation": texts["evaluation"] | {"k": 8}}):
        (run / "config.json").write_text(json.dumps(texts | changed))
        assert unit_identity.config_sha256(run) != as_recorded


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_unit_is_read_as_it_was_made(root):
    unit = units.read(root, COMPARED["vae"])
    assert unit is not None
    assert (unit.experiment, unit.seed, unit.failure) == ("vae", 0, None)
    assert unit.run == root / "units" / "vae" / "seed-0"
    assert unit.measures == json.loads((unit.run / "evaluation.json").read_text())["measures"]
    assert unit.record["state_sha256"] == tree.digest(loop.restore(program(), unit.run))
    assert units.is_complete(root, program())
    assert units.read(root, replace(COMPARED["vae"], seed=1)) is None
    assert not units.is_complete(root, program(seed=1))


def test_the_wall_clock_is_no_part_of_what_is_proven(root):
    run = root / "units" / "vae" / "seed-0"
    lines = [json.loads(line) | {"seconds": 1e6} for line in (run / "metrics.jsonl").read_text().splitlines()]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    edit_json(run / "evaluation.json", lambda made: made["measures"]["iw_bound_nats"].update(points_per_second=1.0))
    assert units.read(root, COMPARED["vae"]) is not None


def test_more_steps_or_another_evaluation_leave_something_to_do(root):
    more = [replace(COMPARED["vae"], steps=30), replace(COMPARED["vae"], evaluation=c.Evaluation())]
    for experiment in more:
        assert not units.is_complete(root, replace(program(), experiment=experiment))
    with pytest.raises(UserError, match=r"at step 20 already, beyond the 10 asked for: use --steps 20 or more"):
        units.is_complete(root, replace(program(), experiment=replace(COMPARED["vae"], steps=10)))


# --- making -----------------------------------------------------------------------------------------------------------


def test_a_measure_that_is_not_finite_is_a_failure_of_the_unit(root, monkeypatch):
    """Training came to its end, so there is a state; but nothing was measured."""
    run = root / "units" / "vae" / "seed-0"
    (run / "unit.json").unlink()
    sentence = "At step 20 the measure elbo_nats on the test split is nan."

    def diverging(*args):
        raise Diverged(sentence)

    monkeypatch.setattr(evaluate, "evaluate", diverging)
    units.make(engines.alone(program()), [program()], root, None)
    unit = units.read(root, COMPARED["vae"])
    assert unit is not None
    assert (unit.failure, unit.measures) == (sentence, None)
    assert unit.record["status"] == "diverged"
    assert unit.record["state_sha256"] == tree.digest(loop.restore(program(), run))
    assert units.is_complete(root, program())


def test_while_a_unit_is_measured_no_other_process_makes_it(root, monkeypatch, capsys):
    compare.write_plan(root, compare.Plan((COMPARED["vae"],), 1))
    run, measure = root / "units" / "vae" / "seed-0", evaluate.evaluate
    (run / "unit.json").unlink()
    calls: list[str] = []

    def measuring(*args):
        calls.append("measured")
        if len(calls) == 1:
            capsys.readouterr()  # that the first one trains
            before = harness.contents(root)
            code = call("unit", root, "vae/seed-0")
            sentence = f"{run} is in use by another process (number {os.getpid()}): wait for it"
            assert_refused(code, *capsys.readouterr(), sentence)
            assert harness.contents(root) == before
        return measure(*args)

    monkeypatch.setattr(evaluate, "evaluate", measuring)
    assert call("unit", root, "vae/seed-0") == 0
    assert calls == ["measured"]
    assert units.is_complete(root, program())


def test_what_another_process_completed_meanwhile_is_not_made_again(root):
    """As if a look at the units had come before their locks."""
    engine, both = engines.together(program(), 2), [program(), program(seed=1)]
    before = harness.contents(root)
    units.make(engines.alone(program()), [program()], root, None)
    assert not harness.changed(root, before)
    units.make(engine, both, root, None)
    assert {"/".join(Path(name).parts[:3]) for name in harness.changed(root, before)} == {"units/vae/seed-1"}
    made = units.read(root, both[1].experiment)
    assert made is not None
    assert made.record["group"] == ["vae/seed-1"]
    assert units.others(root, []) == ["vae/seed-0", "vae/seed-1"]
    assert units.others(root, [COMPARED["vae"], COMPARED["gan"]]) == ["vae/seed-1"]


def test_a_group_is_made_only_if_all_of_its_units_are_free(root):
    longer = [replace(one, experiment=replace(one.experiment, steps=30)) for one in (program(), program(seed=1))]
    before, engine = harness.contents(root), engines.alone(program())
    first, second = (root / "units" / "vae" / f"seed-{seed}" for seed in range(2))
    with owned(second, "unit.lock"), pytest.raises(UserError, match=f"{second} is in use by another process"):
        units.make(engine, longer[::-1], root, None)
    assert not harness.changed(root, before)
    assert (first / "unit.json").exists()
    with owned(first, "unit.lock"):  # nobody has kept it
        pass


def test_a_number_without_a_record_is_measured_anew(root):
    """Who deletes the record cannot have a forged number sealed by repeating the comparison."""
    run = root / "units" / "vae" / "seed-0"
    recorded = json.loads((run / "evaluation.json").read_text())["measures"]
    edit_json(run / "evaluation.json", lambda made: made["measures"]["iw_bound_nats"].update(value=-1.0))
    (run / "unit.json").unlink()
    units.finish(program(), root, None, engines.Cost(1, None, None, 0))
    made = json.loads((run / "evaluation.json").read_text())["measures"]
    assert made["iw_bound_nats"]["value"] == recorded["iw_bound_nats"]["value"]


def test_a_unit_has_its_share_of_the_time_of_its_group():
    lines = [{"step": 1, "seconds": 9.0}, {"step": 101, "seconds": 29.0}]
    assert units.timing_of(lines, 10, together=4) == {"seconds": 7.25, "images_per_second": 200.0}
    assert units.timing_of(lines[:1], 10, together=1) == {"seconds": None, "images_per_second": None}


def test_points_get_no_pictures_of_images(tmp_path):
    ring = c.Experiment(
        "ring",
        c.GAN(c.MLP(hidden=(8,)), latent_dim=2),
        steps=2,
        data=c.Data("ring"),
        batch_size=16,
        evaluation=c.Evaluation(samples=64, measures=("modes",)),
    )
    made = build.program(ring, data.load("ring"))
    units.make(engines.alone(made), [made], tmp_path, None)
    run = tmp_path / "units" / "ring" / "seed-0"
    assert not (run / "pictures").exists()
    assert rundir.status(run) == {"status": "complete", "step": 2}
    unit = units.read(tmp_path, ring)
    assert unit is not None
    assert "modes_covered" in (unit.measures or {})
