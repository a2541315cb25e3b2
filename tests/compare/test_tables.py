"""Numbers as text, and the tables of a comparison."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
import scipy.stats
from handmade import CLEAR, ROOT, SHARED, collected, experiment, unit

from gvlab import numbers
from gvlab.compare import outputs, results, tables
from gvlab.compare.frame import ComparisonFrame


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "0"), (-88.2651, "-88.27"), (0.00012345, "0.0001234"), (123456.7, "123457"), (9999.4, "9999")],
)
def test_numbers_have_four_digits(value, text):
    assert numbers.number(value) == text


def test_intervals_as_text():
    assert numbers.interval({"mean": 1.0, "low": 0.5, "high": 1.5}) == "1.00 [0.50, 1.50]"
    assert numbers.interval({"mean": 1.0, "low": None, "high": None}) == "1"
    assert numbers.interval({"mean": None, "low": None, "high": None}) == "-"
    assert numbers.interval({"mean": 12.345, "sd": 0.21, "low": None, "high": None}) == "12.35"
    assert numbers.interval({"difference": -2.0, "low": -3.0, "high": -1.0}, "difference") == "-2.0 [-3.0, -1.0]"


def test_the_cells_of_a_row():
    lower, none = collected(*CLEAR[:8])["summaries"]
    assert len(tables.cells(lower)) == len(tables.HEADER)
    named = dict(zip(tables.HEADER, tables.cells(lower), strict=True))
    assert (named["experiment"], named["measure"], named["better"]) == ("a", "frechet_x", "lower")
    assert (named["median"], named["iqm"], named["best"], named["worst"]) == ("10.35", "10.35", "10.00", "10.70")
    assert (named["sd"], named["failed"]) == ("0.24", "0 of 8")
    assert tables.cells(none)[2] == ""  # no direction, so no best and no worst
    assert tables.cells(none)[-4:-2] == ["-", "-"]
    higher = collected(*(unit("a", seed, {"recall_x": seed / 10}) for seed in range(3)))["summaries"][0]
    assert tables.cells(higher)[-4:-2] == ["0.20", "0.00"]


def test_a_bar_does_not_end_a_cell_of_markdown():
    found = collected(*(unit("a|b", seed, {"frechet_x": 0.5}) for seed in range(3)))
    row = tables.markdown(found).splitlines()[-1]
    assert row.startswith(r"| a\|b | frechet_x | lower |")


def test_the_csv_survives_any_name():
    name = 'a, "b"\nc'
    found = collected(*(unit(name, seed, {"frechet_x": 1 / 3}) for seed in range(2)))
    rows = list(csv.DictReader(io.StringIO(outputs.texts(found)["comparison.csv"])))
    assert [(row["experiment"], float(row["value"])) for row in rows] == [(name, 1 / 3)] * 2
    assert json.loads(rows[0]["stamp"]) == SHARED


def test_what_the_verdict_is_about_does_not_depend_on_the_order_of_the_experiments():
    made = {
        "a": [unit("a", seed, {"precision_x": 0.5, "recall_x": 0.1 * seed}) for seed in range(3)],
        "b": [unit("b", seed, {"recall_x": 0.2 * seed, "precision_x": 0.4}) for seed in range(3)],
    }
    assert collected(*made["a"], *made["b"])["primary"] == collected(*made["b"], *made["a"])["primary"]


def test_of_many_measures_of_equals_hardly_one_is_called_better():
    """Twelve measures, eight seeds, no difference in truth: the other measures are one family."""
    simulations, rng = 60, np.random.RandomState(0)
    wrong = 0
    for _ in range(simulations):
        made = [
            unit(name, seed, {f"precision_{k:02}": float(rng.randn()) for k in range(12)})
            for name in ("a", "b")
            for seed in range(8)
        ]
        found = collected(*made)
        assert found["primary"] == "precision_00"
        others = [pair["verdict"] for pair in found["pairs"] if pair["measure"] != found["primary"]]
        wrong += any(verdict != "undecided" for verdict in others)
    assert wrong <= scipy.stats.binom.ppf(0.999, simulations, 0.05)


def test_an_experiment_that_lost_more_seeds_is_not_called_better():
    made = [unit("a", seed, {"frechet_x": 1.0 + seed / 100}) for seed in range(8)]
    made += [unit("a", seed, None, "At step 3 the loss is nan.") for seed in range(8, 16)]
    made += [unit("b", seed, {"frechet_x": 9.0 + seed / 100}) for seed in range(16)]
    found = collected(*made)
    (pair,) = found["pairs"]
    assert (pair["p_holm"] < 0.05, pair["verdict"]) == (True, "undecided")
    assert "a diverged in 8 of 16 seeds" in found["verdict"]


def test_the_commands_can_be_pasted():
    found = results.collect([experiment("a")], 1, None, [unit("a", 0, {"x": 1.0})], ROOT)
    assert found["commands"]["report"] == "gvlab report comparison"
    made = [unit("a", 0, {"x": 1.0})]
    spaced = results._commands("some where/a&b", made)
    assert spaced["rerun"] == ("gvlab compare 'some where/a&b/plan.json' --out NEW --together 1")
    assert results._commands("-x", made)["verify"] == "gvlab verify ./-x"
    file = results._commands("a b", made, ["units/it/seed-0/experiment.py"])
    assert file["verify"] == "gvlab verify 'a b' --experiment 'a b/units/it/seed-0/experiment.py'"
    assert file["report"] == "gvlab report 'a b'"
    named = results.collect([experiment("a")], 1, None, made, ROOT, "comparisons/it")
    assert named["commands"]["report"] == "gvlab report comparisons/it"


def test_the_frame_escapes_names():
    found = collected(*(unit("<b>&", seed, {"frechet_x": 0.5}) for seed in range(3)))
    page = ComparisonFrame.of(found, ROOT)._repr_html_()
    assert "<td>&lt;b&gt;&amp;</td>" in page
    assert "<b>" not in page
    assert "<img" not in page  # there are no samples
