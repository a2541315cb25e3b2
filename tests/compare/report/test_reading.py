"""A report of what is missing or damaged is still a page."""

from __future__ import annotations

import re
import shutil

import pytest
from small_comparison import Reader, data_of, make_comparison

from gvlab.compare import report
from gvlab.types import UserError


def test_a_missing_unit_is_remarked_upon(comparison):
    directory, content = comparison
    shutil.rmtree(directory / "units/b/seed-1")
    page = report.html(directory, content)
    assert "units/b/seed-1 is missing, so the curves and pictures of that seed are left out." in Reader(page).words
    vae = data_of(page)["curves"]["experiments"][1]
    assert set(vae["terms"]["elbo_nats"]["seeds"][1]) == {None}
    assert str(directory) not in page


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("metrics.jsonl", b"{nonsense\n", "units/b/seed-0/metrics.jsonl is damaged"),
        ("metrics.jsonl", b"\xff\n", "units/b/seed-0/metrics.jsonl is damaged"),
        ("metrics.jsonl", b"", "units/b/seed-0 has no lines in metrics.jsonl"),
        ("samples/step-00000100.png", b"no picture", "units/b/seed-0/samples/step-00000100.png cannot be read"),
        ("samples/step-00000100.png", "half", "units/b/seed-0/samples/step-00000100.png cannot be read"),
        ("pictures/traversals.png", None, "units/b/seed-0/pictures/traversals.png is missing."),
    ],
)
def test_what_cannot_be_read_is_left_out_and_remarked_upon(comparison, file, content, sentence):
    directory, told = comparison
    target = directory / "units/b/seed-0" / file
    if content is None:
        target.unlink()
    elif content == "half":
        target.write_bytes(target.read_bytes()[: target.stat().st_size // 2])
    else:
        target.write_bytes(content)
    page = report.html(directory, told)
    assert sentence in Reader(page).words
    assert str(directory) not in page


def test_a_unit_without_samples_has_a_place_that_says_so(comparison):
    directory, content = comparison
    shutil.rmtree(directory / "units/a/seed-0/samples")
    words = Reader(report.html(directory, content)).words
    assert "units/a/seed-0/samples has no pictures, so none are shown for that seed." in words
    assert "no picture seed 0" in words


def test_a_comparison_without_units_files_or_numbers_is_still_a_page(tmp_path):
    content = make_comparison(tmp_path / "made") | {"match": None}
    for row in content["summaries"]:
        row |= dict.fromkeys(("mean", "sd", "median", "iqm", "low", "high", "minimum", "maximum"))
    for row in content["pairs"]:
        row |= dict.fromkeys(("difference", "low", "high", "p", "p_holm", "superiority", "detectable", "seeds_needed"))
    for unit in content["units"]:
        unit |= {"measures": None, "timing": None, "cost": dict.fromkeys(unit["cost"])}
    read = Reader(report.html(tmp_path / "elsewhere", content))
    assert "3 seeds; 5 of 6 units" in read.words
    content["experiments"][0]["steps"] += 1
    uneven = Reader(report.html(tmp_path / "elsewhere", content)).words
    assert "3 seeds, each experiment with its own number of steps; 5 of 6 units" in uneven
    assert "No unit has curves." in read.words
    assert "No unit has sample pictures." in read.words
    assert "No seed of vae has this picture." in read.words
    assert "None" not in re.sub(r"None\.", "", read.words)


def test_another_schema_is_refused(original):
    with pytest.raises(UserError, match=r"schema 2, but this gvlab reads 1: make it again with gvlab compare\.$"):
        report.html(original[0], {**original[1], "schema": 2})


def test_the_file_is_written_whole_and_without_leftovers(comparison, page):
    directory, content = comparison
    before = {*directory.iterdir()}
    assert report.write(directory, content) == directory / "report.html"
    assert (directory / "report.html").read_text() == page
    assert {*directory.iterdir()} - before == {directory / "report.html"}


def test_a_directory_that_is_not_there_is_refused(original, tmp_path):
    with pytest.raises(UserError, match=r"nowhere is not a directory: name the one that gvlab compare made\.$"):
        report.write(tmp_path / "nowhere", original[1])
