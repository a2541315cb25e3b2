"""What the report shows of a sweep: the ranking, lines with bands over one field, maps over two."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from handmade import collected, unit
from small_comparison import Reader

from gvlab.compare import report
from gvlab.compare.report.sweep import _staggered

RATES = [f"vae,learning_rate={rate}" for rate in ("0.0001", "0.01", "0.001")]
GRID = [f"vae,b1={b1},contest={contest}" for b1 in ("0.5", "0.9") for contest in ("hinge", "minimax")]


def page(names: list[str], lost: str = "") -> str:
    """The report of experiments whose means are 1.25, 2.25, ..."""
    made = [
        unit(name, seed, None, "It broke.")
        if name == lost
        else unit(name, seed, {"fld_x": 1.0 + i + seed / 10, "recall_x": 0.5})
        for i, name in enumerate(names)
        for seed in range(6)
    ]
    return report.html(Path("nowhere"), json.loads(json.dumps(collected(*made))))


def section(html: str) -> str:
    return html[html.index('<section aria-labelledby="sweep">') : html.index('<section aria-labelledby="samples">')]


def test_the_page_of_a_sweep_is_well_formed():
    for html in (page(RATES), page(GRID), page([f"{name},x=1,y=2,z={z}" for name in "ab" for z in ("a", "b")])):
        read = Reader(html)
        assert read.open == []
        assert {"href": "#sweep"} in read.all("a")
        assert all("scope" in attributes for attributes in read.all("th"))


def test_no_other_comparison_has_the_section():
    assert 'id="sweep"' not in page(["a", "b"])


def test_experiments_are_ranked():
    words = Reader(section(page(RATES, lost=RATES[2]))).words
    assert "experiment fld_x, lower told from the best recall_x, higher" in words
    best, second, lost = (words.index(f"{name} ") for name in (RATES[0], RATES[1], RATES[2]))
    assert best < second < lost
    assert f"{RATES[1]} 2.25 [2.05, 2.45] yes (p = 0.03125)" in words


def test_a_line_goes_from_the_least_to_the_greatest_value_by_their_ratios():
    read = Reader(section(page(RATES)))
    median, band = ([path["d"] for path in read.all("path") if path["class"] == name] for name in ("median", "band"))
    assert len(median) == len(band) == 2  # one plot for each measure
    points = [tuple(map(float, point.split())) for point in median[0][1:].split("L")]
    assert len({round(after[0] - before[0]) for before, after in itertools.pairwise(points)}) == 1
    heights = [height for _, height in points]
    assert heights[0] > heights[2] > heights[1]  # 1.25 at 0.0001, 3.25 at 0.001, 2.25 at 0.01: down the screen
    assert "0.0001 0.001 0.01 learning_rate" in read.words


def test_names_get_bars_and_no_line():
    read = Reader(section(page([f"{name},contest={contest}" for name in "ab" for contest in ("hinge", "minimax")])))
    assert not [path for path in read.all("path") if path.get("class") in ("band", "median")]
    assert len([line for line in read.all("line") if line["class"] == "bar"]) == 8
    assert [item for item in read.all("li")]  # which mark is which experiment


@pytest.mark.parametrize("lost", ["", GRID[3]])
def test_a_map_is_tinted_from_the_worst_to_the_best(lost):
    html = section(page(GRID, lost))
    shares = [f"--share: {share}%" for share in ((100, 67, 33, 0) if not lost else (100, 50, 0))]
    (first, *_) = html.split('<table class="map">')[1:]
    assert [part.split('"')[0] for part in first.split('style="')[1:]] == shares
    assert ("diverged" in first) == bool(lost)
    assert "1.25<br><small>[1.05, 1.45]</small>" in first


def test_long_names_are_cut_to_what_two_rows_have_room_for_and_short_ones_stay():
    names = ["importance_weighted", "doubly_reparametrised", "renyi"]  # 100 pixels between every second, 14 letters
    cut = _staggered([60.0, 110.0, 160.0], names)
    assert [text for *_, text in cut] == ["importance_we…", "doubly_repara…", "renyi"]
    assert [text for *_, text in _staggered([60.0, 200.0, 340.0], ["a", "b", "renyi"])] == ["a", "b", "renyi"]
