"""The ledger of published results: how a number is judged, recorded and shown."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import pytest
from harness import COMPARED, assert_refused, call

from gvlab import reproduce, statistics
from gvlab.reproduce import Published

PUBLISHED = Published(
    citation="Somebody, 2020",
    where="table 1",
    value=-90.0,
    text="90.0 nats",
    measure="iw_bound_nats",
    margin=0.05,
    protocol="as here",
    differs="nothing",
)


@pytest.mark.parametrize(
    ("values", "better", "verdict"),
    [
        ([-90.1, -89.9, -90.0, -90.05], "higher", "reproduced"),
        ([-60.0, -120.0, -90.0, -80.0], "higher", "undecided"),
        ([-85.1, -85.0, -84.9, -85.0], "higher", "better"),
        ([-95.1, -95.0, -94.9, -95.0], "higher", "not reached"),
        ([-85.1, -85.0, -84.9, -85.0], "lower", "not reached"),
        ([-95.1, -95.0, -94.9, -95.0], "lower", "better"),
        ([-90.0, -90.0], "higher", "not judged"),
        ([None, None, None], "higher", "not judged"),
    ],
)
def test_the_judgement(values, better, verdict):
    assert reproduce.judge(statistics.summarise(values), PUBLISHED, better) == verdict


def test_what_was_measured_otherwise_is_not_judged():
    summary = statistics.summarise([-90.1, -89.9, -90.0, -90.05])
    assert reproduce.judge(summary, replace(PUBLISHED, comparable=False), "higher") == "other protocol"


def test_the_ledger_of_the_project_is_what_its_records_say():
    directory = Path(__file__).parents[1] / "experiments" / "reproductions"
    assert (directory / "README.md").read_text() == reproduce.ledger(directory)
    for file in (directory / "results").glob("*.json"):
        record = json.loads(file.read_text())
        summary = statistics.summarise(record["values"])
        assert record["summary"] == dataclasses.asdict(summary), file
        assert record["verdict"] == reproduce.judge(summary, Published(**record["published"]), record["better"]), file


def test_the_margin_belongs_to_the_published_number():
    summary = statistics.summarise([-89.80, -89.82, -89.78, -89.80])
    assert reproduce.judge(summary, PUBLISHED, "higher") == "better"
    assert reproduce.judge(summary, replace(PUBLISHED, margin=0.2), "higher") == "reproduced"


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
    assert record["verdict"] == "not reached"  # after 20 steps
    assert len(record["values"]) == len(record["state_sha256"]) == 3
    assert record["summary"]["mean"] == pytest.approx(sum(record["values"]) / 3)
    assert (record["steps"], record["full_steps"]) == (20, 40)
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
    assert text == reproduce.ledger(tmp_path)


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
