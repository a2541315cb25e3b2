"""Tampering that only training again shows."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import harness
import pytest
from harness import COMPARED, edit_json
from looks import code, different, edit_lines, sign, unit_of

from gvlab.compare import units
from gvlab.compare.proof import differences
from gvlab.compare.proof.outcome import TOLERANCE
from gvlab.runs import directory as rundir


@pytest.fixture(autouse=True, scope="module")
def compiled_once():
    with harness.compiled_once():
        yield


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
    edit_lines(unit_of(root), lambda line: line.update(loss=math.nan) if line["step"] == 10 else None)
    different(root, "metrics.jsonl is damaged (line 2: NaN, which is no JSON)", fraction=0.1)
