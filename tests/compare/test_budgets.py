"""Experiments of equal budgets: in steps, images, seconds or operations."""

from __future__ import annotations

from dataclasses import replace

import harness
import pytest
from harness import COMPARED, assert_refused, call, edit_json, experiment_file

from gvlab import build, compare, data
from gvlab.compare import budgets
from gvlab.train import engines
from gvlab.types import UserError


@pytest.fixture(autouse=True, scope="module")
def compiled_once():
    with harness.compiled_once():
        yield


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
