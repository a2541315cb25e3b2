"""The ledger of published results: how a number is judged, recorded and shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from harness import COMPARED, assert_refused, call

from gvlab import reproduce, statistics
from gvlab.config import experiment_file
from gvlab.reproduce import Published, ledger
from gvlab.reproduce.published import load_published

PUBLISHED = Published(
    citation="Somebody, 2020",
    where="table 1",
    value=-90.0,
    text="90.0 nats",
    measure="iw_bound_nats",
    runs=1,
    margin=0.05,
    protocol="as here",
    differs="nothing",
)
ERROR = replace(PUBLISHED, measure="fid", value=90.0)  # lower is better


@pytest.mark.parametrize(
    ("values", "published", "verdict"),
    [
        ([-90.1, -89.9, -90.0, -90.05], PUBLISHED, "reproduced"),
        ([-60.0, -120.0, -90.0, -80.0], PUBLISHED, "undecided"),
        ([-85.1, -85.0, -84.9, -85.0], PUBLISHED, "better"),
        ([-95.1, -95.0, -94.9, -95.0], PUBLISHED, "not reached"),
        ([85.1, 85.0, 84.9, 85.0], ERROR, "better"),
        ([95.1, 95.0, 94.9, 95.0], ERROR, "not reached"),
        ([-90.0, -90.0], PUBLISHED, "not judged"),
        ([None, None, None], PUBLISHED, "not judged"),
        ([-90.1, -89.9, -90.0, -90.05], replace(PUBLISHED, comparable=False), "other protocol"),
        ([-89.80, -89.81, -89.79, -89.80], PUBLISHED, "better"),
        ([-89.80, -89.81, -89.79, -89.80], replace(PUBLISHED, margin=0.2), "reproduced"),  # known less exactly
    ],
)
def test_the_judgement(values, published, verdict):
    assert reproduce.judge(statistics.summarise(values), published) == verdict


@pytest.mark.parametrize(("n", "runs"), [(3, 1), (8, 1), (50, 1), (5, 10)])
def test_a_faithful_reproduction_is_called_one_in_95_of_100_cases_whatever_the_numbers_of_runs(n, runs):
    rng = np.random.default_rng(0)
    times = 2_000
    held = 0
    for ours, theirs in zip(rng.normal(size=(times, n)), rng.normal(size=(times, runs)).mean(axis=1), strict=True):
        summary = replace(SUMMARY, n=n, mean=float(ours.mean()), sd=float(ours.std(ddof=1)))
        low, high = reproduce.expected(summary, runs)
        held += low <= theirs <= high
    assert abs(held / times - 0.95) < 4 * np.sqrt(0.95 * 0.05 / times)


SUMMARY = statistics.summarise([0.0, 1.0, 2.0])


def test_the_range_that_is_expected_of_as_many_runs():
    low, high = reproduce.expected(SUMMARY, 1)
    assert (low + high) / 2 == pytest.approx(1.0)
    assert (high - low) / 2 == pytest.approx(4.302653 * np.sqrt(4 / 3))  # Student's quantile for 2 degrees of freedom
    assert reproduce.expected(statistics.summarise([0.0, 1.0]), 1) is None


LEDGER = Path(__file__).parents[2] / "experiments" / "reproductions"


def test_the_ledger_of_the_project_is_what_its_files_and_records_say():
    assert (LEDGER / "README.md").read_text() == ledger.page(LEDGER)


@pytest.mark.parametrize("record", sorted(LEDGER.glob("results/*.json")), ids=lambda file: file.stem)
def test_every_record_is_of_the_experiment_that_its_file_says(record):
    found = json.loads(record.read_text())
    file = LEDGER / record.with_suffix(".py").name
    assert found["schema"] == reproduce.SCHEMA
    assert reproduce.is_current(found, experiment_file.load(file))
    assert found["measure"] == load_published(file).measure
    assert found["stamp"]["dataset"] == experiment_file.load(file).data.name
    assert len(found["values"]) == len(found["seconds"]) == len(found["state_sha256"])


def reproduction(directory, measure="iw_bound_nats"):
    """A file of the ledger about the tests' own tiny VAE."""
    published = replace(PUBLISHED, measure=measure)
    experiment = replace(COMPARED["vae"], steps=40)
    file = directory / "tiny_vae.py"
    file.write_text(
        "from gvlab.config import *\nfrom gvlab.reproduce import Published\n\n\n"
        f"def config():\n    return {experiment!r}\n\n\ndef published():\n    return {published!r}\n"
    )
    return file


def test_a_reproduction_is_recorded_and_enters_the_ledger(tmp_path, capsys):
    file = reproduction(tmp_path)
    (tmp_path / "another.py").write_text("")
    assert call("reproduce", file, "--seeds", 3, "--steps", 20, "--out", tmp_path / "runs") == 0
    assert "not reached" in capsys.readouterr().out
    record = json.loads((tmp_path / "results" / "tiny_vae.json").read_text())
    assert len(record["values"]) == len(record["state_sha256"]) == 3
    assert (record["steps"], record["config"]["steps"]) == (20, 40)
    assert record["stamp"]["k"] == COMPARED["vae"].evaluation.k
    found = json.loads((tmp_path / "runs" / "comparison.json").read_text())
    assert record["values"] == [unit["measures"]["iw_bound_nats"]["value"] for unit in found["units"]]

    text = (tmp_path / "README.md").read_text()
    (row,) = [line for line in text.splitlines() if line.startswith("| tiny_vae")]
    assert "90.0 nats" in row
    assert "3 of 3" in row
    assert "20 of 40 (shortened)" in row
    assert "not reached" in row
    assert "Somebody, 2020" in text
    assert "Not run yet: `another`." in text
    assert text == ledger.page(tmp_path)

    # Of the same experiment, another number is found in the same runs.
    other = tmp_path / "tiny_vae_elbo.py"
    other.write_text(file.read_text().replace("iw_bound_nats", "elbo_nats"))
    made = [*(tmp_path / "runs").rglob("unit.json")]
    before = [one.stat().st_mtime_ns for one in made]
    assert call("reproduce", other, "--seeds", 3, "--steps", 20, "--out", tmp_path / "runs") == 0
    assert [one.stat().st_mtime_ns for one in made] == before
    assert (
        json.loads((tmp_path / "results" / "tiny_vae_elbo.json").read_text())["state_sha256"] == record["state_sha256"]
    )
    (note,) = [line for line in (tmp_path / "README.md").read_text().splitlines() if line.startswith("- **")]
    assert note.startswith("- **tiny_vae, tiny_vae_elbo**: Somebody, 2020, table 1.")

    # Less than what is there is refused; once the file says something else, the record is outdated.
    capsys.readouterr()
    assert_refused(
        call("reproduce", file, "--seeds", 2, "--steps", 20), *capsys.readouterr(), "ask for at least as much"
    )
    file.write_text(file.read_text().replace("batch_size=", "batch_size=1 + "))
    assert "| outdated |" in ledger.page(tmp_path)
    assert not reproduce.is_current(record, experiment_file.load(file))


def test_mistakes_get_one_sentence(tmp_path, capsys):
    assert_refused(call("reproduce", "nothing"), *capsys.readouterr(), "nothing.py")
    file = reproduction(tmp_path, measure="fid")
    code = call("reproduce", file, "--seeds", 1, "--out", tmp_path / "runs", "--steps", 20)
    assert code == 2
    assert "is about fid" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "results").exists()
    plain = tmp_path / "plain.py"
    plain.write_text(file.read_text().split("def published")[0])
    assert_refused(call("reproduce", plain), *capsys.readouterr(), "published()")
