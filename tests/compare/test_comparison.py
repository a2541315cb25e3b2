"""What a comparison finds in its units: summaries, pairs and the verdict."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from handmade import CLEAR, collected, experiment, unit

from gvlab import evaluate, numbers, statistics
from gvlab.compare import results, tables
from gvlab.compare.paper import latex
from gvlab.compare.sentences import outcome


def table_of(text: str) -> dict[tuple[str, str], list[str]]:
    """The rows of table.md by experiment and measure."""
    lines = [[cell.strip() for cell in line.strip("|\n").split(" | ")] for line in text.splitlines() if line[:1] == "|"]
    assert set("".join(lines[1])) <= set("-:| ")
    return {(line[0], line[1]): line[2:] for line in [lines[0], *lines[2:]]}


# --- what is better ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measure", "direction"),
    [
        *((name, "lower") for name in ("fid", "fld_mnist", "frechet_pixels", "kid", "bits_per_dim", "reverse_kl_nats")),
        *((name, "higher") for name in ("elbo_nats", "iw_bound_nats", "recall_pixels", "modes_covered", "isc")),
        *((name, None) for name in ("kl_nats", "d_loss", "active_units", "real_logit")),
    ],
)
def test_the_good_direction_of_a_measure(measure, direction):
    assert evaluate.kind_of(measure).better == direction


def test_a_clear_difference_has_a_winner():
    found = collected(*CLEAR)
    (pair,) = found["pairs"]  # the loss doesn't judge
    assert (pair["measure"], pair["first"], pair["second"], pair["verdict"]) == ("frechet_x", "a", "b", "first")
    assert pair["difference"] == pytest.approx(np.mean([-10 + s / 5 for s in range(8)]))
    assert pair["low"] < pair["difference"] < pair["high"] < 0
    assert pair["p"] == pair["p_holm"] == pytest.approx(2 / 2**8)
    assert found["primary"] == "frechet_x"
    ends = f"{pair['low']:.2f}, {pair['high']:.2f}"
    assert found["verdict"] == (
        f"On frechet_x (lower is better), a is better than b (a minus b: -9.30 [{ends}], adjusted p = 0.007812)."
    )
    turned = collected(*CLEAR[8:], *CLEAR[:8])
    assert turned["pairs"][0]["verdict"] == "second"
    assert "a is better than b (b minus a: 9.30 [" in turned["verdict"]


def test_the_p_values_of_a_measure_are_adjusted_for_its_pairs():
    third = [unit("c", seed, {"frechet_x": 30.0 + seed / 10}) for seed in range(8)]
    found = collected(*CLEAR, *third)
    assert [(pair["first"], pair["second"]) for pair in found["pairs"]] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [pair["p_holm"] for pair in found["pairs"]] == [pytest.approx(3 * 2 / 2**8)] * 3
    (row,) = [row for row in found["summaries"] if (row["experiment"], row["measure"]) == ("a", "frechet_x")]
    assert found["verdict"] == (
        f"On frechet_x (lower is better), a has the best mean of 3, {numbers.interval(row)}, and is better than b "
        "and c (adjusted p <= 0.02344)."
    )


def test_what_the_best_of_several_is_not_told_apart_from_is_named():
    near = [unit("n", seed, {"frechet_x": 10.0 + (seed * 7 % 8) / 8}) for seed in range(8)]
    found = collected(*CLEAR, *near)
    assert found["verdict"].startswith("On frechet_x (lower is better), a has the best mean of 3, 10.35 [")
    assert "], and is better than b (adjusted p <= 0.02344), but not told apart from n, which would" in found["verdict"]


def test_an_undecided_pair_is_not_told_to_take_fewer_seeds_than_it_had():
    """Five experiments far apart: ten pairs, of which 8 seeds cannot decide one after Holm's correction."""
    apart = [unit(name, s, {"frechet_x": 10.0 * i + s / 9}) for i, name in enumerate("abcde") for s in range(8)]
    found = collected(*apart)
    assert {pair["family"] for pair in found["pairs"]} == {10}
    assert {pair["verdict"] for pair in found["pairs"]} == {"undecided"}
    assert all(pair["seeds_needed"] > 8 for pair in found["pairs"])
    assert "8 pairs cannot be the first of 10 tests to reach p = 0.05, 9 could" in found["verdict"]


def test_the_family_of_the_other_measures_is_theirs_alone():
    rng = np.random.default_rng(0)
    many = {name: rng.normal(size=8) for name in ("frechet_x", "recall_x", "coverage_x", "precision_x")}
    made = [unit(e, s, {m: float(v[s] + 9 * (e == "b")) for m, v in many.items()}) for e in "ab" for s in range(8)]
    families = {pair["measure"]: pair["family"] for pair in collected(*made)["pairs"]}
    assert families == {"frechet_x": 1, "recall_x": 3, "coverage_x": 3, "precision_x": 3}


def test_no_difference_is_called_one():
    even = [
        unit(name, seed, {"frechet_x": float(v)})
        for name in "ab"
        for seed, v in enumerate((1, 5, 2, 7)[:: 1 if name == "a" else -1])
    ]
    found = collected(*even)
    assert found["pairs"][0]["verdict"] == "undecided"
    assert "4 seeds are too few to tell a and b apart" in found["verdict"]


FEW = {
    "seeds that decide nothing": (5, "ab", "5 pairs cannot reach p = 0.05, 6 could"),
    "seeds without an interval": (2, "ab", "2 pairs cannot reach p = 0.05, 6 could"),
    "more experiments": (6, "abc", "6 pairs cannot be the first of 3 tests to reach p = 0.05, 7 could"),
    "enough": (6, "ab", None),
    "enough for three": (7, "abc", None),
}


@pytest.mark.parametrize(("seeds", "names", "why"), FEW.values(), ids=FEW)
def test_too_few_seeds_are_told_from_a_difference_that_is_too_small(seeds, names, why):
    """Of equal experiments, which no number of seeds tells apart."""
    alike = [unit(name, seed, {"frechet_x": float(seed * 7 % 5)}) for name in names for seed in range(seeds)]
    found = collected(*alike)
    ended, said = outcome(found)
    about = {"ab": "a and b on frechet_x", "abc": "a, b and c on frechet_x"}[names]
    assert (ended, said) == (("few", f"{about}: {why}") if why else ("undecided", about))
    assert ("cannot" in found["verdict"]) == (why is not None and seeds > 2)
    assert ("few" in found["verdict"]) == (why is not None and seeds > 2 and names == "ab")


def test_seeds_that_decide_one_pair_are_not_too_few():
    assert outcome(collected(*CLEAR)) == ("better", "a is better than b on frechet_x")
    lost = [unit(name, 0, {"frechet_x": 1.0}) for name in "ab"]
    lost += [unit(name, seed, None, "It broke.") for name in "ab" for seed in range(1, 9)]
    assert outcome(collected(*lost)) == ("few", "a and b on frechet_x: 1 pair cannot reach p = 0.05, 6 could")


def test_one_experiment_alone():
    found = collected(*CLEAR[:8])
    assert found["pairs"] == []
    row = found["summaries"][0]
    ends = f"{row['low']:.2f}, {row['high']:.2f}"
    assert found["verdict"] == f"On frechet_x (lower is better), a reaches 10.35 [{ends}] over 8 of 8 seeds."


def test_nothing_shared_is_judged():
    found = collected(*CLEAR[:3], *(unit("b", seed, {"elbo_nats": 1.0}) for seed in range(3)))
    assert (found["pairs"], found["primary"]) == ([], None)
    assert found["verdict"] == "a and b share no measure that judges, under one protocol: none can be called better."


def test_the_verdict_is_about_the_measure_of_the_first_rank():
    both = {"elbo_nats": -1.0, "precision_x": 0.5, "iw_bound_nats": -0.5, "frechet_x": 3.0}
    found = collected(*(unit(name, seed, both) for name in "ab" for seed in range(3)))
    assert found["primary"] == "iw_bound_nats"
    only = [unit("a", 0, both), unit("b", 0, {"precision_x": 0.5})]
    assert collected(*only)["primary"] == "precision_x"


# --- gaps -------------------------------------------------------------------------------------------------------------


def test_diverged_seeds_are_counted_and_left_out():
    broken = unit("a", 1, None, "At step 3 the term loss is nan.")
    found = collected(*CLEAR[:1], broken, *CLEAR[2:])
    row = found["summaries"][0]
    assert (row["experiment"], row["n"], row["total"], row["failures"]) == ("a", 7, 8, 1)
    assert 0 < row["failure_low"] < 1 / 8 < row["failure_high"] < 1
    assert tables.cells(row)[-2] == "1 of 8"
    assert found["pairs"][0]["n"] == 7
    assert found["remarks"] == ["a, seed 1, diverged: At step 3 the term loss is nan."]
    assert found["units"][1]["measures"] is None
    assert tables.tidy(found)[2] == {"experiment": "a", "seed": 1, "measure": None, "value": None, "stamp": None}
    assert tables.markdown(found).endswith("\na, seed 1, diverged: At step 3 the term loss is nan.\n")


def test_when_all_have_diverged():
    found = collected(*(unit(name, seed, None, "It broke.") for name in "ab" for seed in range(3)))
    assert found["verdict"] == "No run of a and b came to its end."
    assert found["remarks"] == [f"{name}, seeds 0, 1 and 2, diverged: It broke." for name in "ab"]
    diverged = "3 of 3 [44 %, 100 %]"
    assert tables.table(found) == [[name, "diverged", "", *["-"] * 6, diverged, "-"] for name in "ab"]
    assert table_of(tables.markdown(found))["b", "diverged"] == ["", *["-"] * 6, diverged, "-"]
    body = [line for line in latex(found, []).splitlines() if line.endswith(r"\\")]
    assert body == [r" & seeds \\", r"a & 0 of 3 \\", r"b & 0 of 3 \\"]
    json.dumps(found, allow_nan=False)


def test_an_experiment_of_which_every_seed_diverged_has_a_row():
    found = collected(*CLEAR[:3], *(unit("b", seed, None, "It broke.") for seed in range(3)))
    (row,) = tables.lost(found)
    assert (row["experiment"], row["n"], row["failures"], row["total"], row["mean"]) == ("b", 0, 3, 3, None)
    assert (row["failure_low"], row["failure_high"]) == statistics.wilson(3, 3)
    assert tables.table(found)[:-1] == [tables.cells(one) for one in found["summaries"]]
    assert tables.table(found)[-1] == ["b", "diverged", "", *["-"] * 6, "3 of 3 [44 %, 100 %]", "-"]
    assert len(tables.table(found)[-1]) == len(tables.HEADER)
    assert r"b & 0 of 3 & -- \\" in latex(found, ["frechet_x"]).splitlines()
    some = [unit("b", 0, None, "No."), *(unit("b", seed, {"frechet_x": 1.0}) for seed in (1, 2))]
    assert tables.lost(collected(*CLEAR[:3], *some)) == []


def test_an_experiment_that_always_diverged_does_not_silence_the_others():
    """As in a sweep with one learning rate too many."""
    broken = [unit("c", seed, None, "It broke.") for seed in range(8)]
    found = collected(*CLEAR, *broken)
    (pair,) = found["pairs"]
    assert (found["primary"], pair["verdict"], pair["family"]) == ("frechet_x", "first", 1)
    assert "a is better than b (" in found["verdict"]
    assert found["verdict"].endswith("; c diverged in every seed.")
    alone = collected(*CLEAR[:8], *broken)["verdict"]
    assert alone.startswith("On frechet_x (lower is better), a reaches 10.35 [")
    assert alone.endswith("over 8 of 8 seeds; c diverged in every seed.")


def test_different_environments_are_remarked(tmp_path):
    made = []
    for seed, threads in enumerate((2, 2, 1)):
        run = tmp_path / "units" / "a" / f"seed-{seed}"
        run.mkdir(parents=True)
        (run / "environment.json").write_text(json.dumps({"cpu_threads": threads, "jax": "1", "command": [str(seed)]}))
        made.append(replace(unit("a", seed, {"frechet_x": 1.0}), run=run))
    found = results.collect([experiment("a")], 3, None, made, tmp_path)
    assert found["remarks"] == ["The units were made in different environments: cpu_threads was 2 or 1."]


# --- protocols --------------------------------------------------------------------------------------------------------

OTHER = {
    "k": ("iw_bound_nats", {"k": 50}, {"k": 5000}, "k = 5000", "k = 50"),
    "likelihood": (
        "elbo_nats",
        {"likelihood": {"type": "Bernoulli"}},
        {"likelihood": {"type": "Gaussian", "variance": 0.01}},
        "likelihood = {'type': 'Gaussian', 'variance': 0.01}",
        "likelihood = {'type': 'Bernoulli'}",
    ),
    "quantization": (
        "bits_per_dim",
        {"quantization": "binarize"},
        {"quantization": "dequantize"},
        "quantization = dequantize",
        "quantization = binarize",
    ),
    "samples": ("frechet_pixels", {"generated": 64}, {"generated": 65}, "generated = 65", "generated = 64"),
    "split": ("fld_x", {"split": "test"}, {"split": "train"}, "split = train", "split = test"),
    "data": ("fld_x", {"dataset_sha256": "a"}, {"dataset_sha256": "b"}, "dataset_sha256 = b", "dataset_sha256 = a"),
    "a field that only one has": ("fld_x", {}, {"subset_seed": 0}, "subset_seed = 0", "subset_seed = None"),
}


@pytest.mark.parametrize(("measure", "first", "second", "here", "there"), OTHER.values(), ids=OTHER)
def test_numbers_of_other_protocols_are_dashes_with_a_reason(measure, first, second, here, there):
    """The first experiment's stand, and so do those of its protocol; what was measured is kept, with its stamp."""
    found = collected(
        *(unit("a", seed, {measure: 1.5 + seed}, **first) for seed in range(3)),
        *(unit("b", seed, {measure: 7.5 + seed}, **second) for seed in range(3)),
        *(unit("c", seed, {measure: 3.5 + seed}, **(first | {"backend": "gpu"})) for seed in range(3)),
    )
    reason = f"{measure} of b has {here}, that of a {there}: they cannot be compared."
    assert [row["other_protocol"] for row in found["summaries"]] == [None, reason, None]
    assert found["remarks"] == [reason]
    assert [(pair["first"], pair["second"]) for pair in found["pairs"]] == [("a", "c")]
    assert found["primary"] is None  # not all of them share it

    text = tables.markdown(found)
    assert text.count(reason) == 1
    table = table_of(text)
    assert table["b", measure][1:8] == [*["-"] * 6, "0 of 3"]
    assert table["a", measure][1].startswith("2.5 [")
    assert table["c", measure][1].startswith("4.5 [")
    assert r"b & -- \\" in latex(found, [measure]).splitlines()
    assert found["units"][3]["measures"][measure]["value"] == 7.5


def test_seeds_of_different_protocols_have_no_average_and_warnings_are_passed_on():
    found = collected(
        unit("a", 0, {"frechet_x": 1.0}, generated=100, warning="few examples"),
        unit("a", 1, {"frechet_x": 2.0}, generated=10_000),
        unit("a", 2, {"frechet_x": 2.0}, generated=100, warning="few examples"),
    )
    (row,) = found["summaries"]
    assert "generated = 10000" in row["other_protocol"]
    assert row["warnings"] == ["few examples"]
    assert "Few examples (frechet_x)." in found["remarks"]
    assert "generated 100" in row["protocol"]
    assert tables.cells(row)[3:9] == ["-"] * 6


def test_a_diverged_seed_of_another_protocol_is_still_one_that_diverged():
    found = collected(
        unit("a", 0, {"x": 1.0}, k=1),
        unit("a", 1, {"x": 2.0}, k=1),
        unit("b", 0, {"x": 1.0}, k=2),
        unit("b", 1, None, "No."),
    )
    assert tables.cells(found["summaries"][1]) == ["b", "x", "", *["-"] * 6, "1 of 2", "k 2"]
    assert found["remarks"] == [
        "b, seed 1, diverged: No.",
        "x of b has k = 2, that of a k = 1: they cannot be compared.",
    ]


# --- lost seeds in words ----------------------------------------------------------------------------------------------


def test_who_lost_seeds_is_named_among_several_and_the_rule_is_said():
    lost = [*CLEAR[:6], *(unit("a", seed, None, "It broke.") for seed in (6, 7))]
    third = [unit("c", seed, {"frechet_x": 30.0 + seed / 10}) for seed in range(8)]
    found = collected(*lost, *CLEAR[8:], *third)
    assert "a has the best mean of 3, " in found["verdict"]
    assert found["verdict"].endswith(
        "; a diverged in 2 of 8 seeds; who lost more seeds than another is not called better."
    )
    assert " is better than" not in found["verdict"]
    two = collected(*lost, *CLEAR[8:])["verdict"]
    assert "; a diverged in 2 of 8 seeds; who lost more seeds than the other is not called better)" in two
    assert r"a & 6 of 8 & $10.25 \pm 0.20$ \\" in latex(found, ["frechet_x"]).splitlines()


def test_equal_means_are_shared():
    made = [unit(name, seed, {"frechet_x": float(seed)}) for name in "abc" for seed in range(3)]
    assert "a and b and c share the best mean of 3" in collected(*made)["verdict"]


def test_negative_numbers_are_typeset_with_a_minus_and_large_ones_with_an_exponent():
    made = [unit("a", seed, {"elbo_nats": -100.0 - seed}) for seed in range(3)]
    assert r"a & $-101.0 \pm 2.5$ \\" in latex(collected(*made), ["elbo_nats"])
    huge = collected(*(unit("a", seed, {"elbo_nats": 1e54}) for seed in range(2)))
    assert r"a & $1 \times 10^{54}$ \\" in latex(huge, ["elbo_nats"])
    assert numbers.number(1e54) == "1e+54"
    assert numbers.number(-123456.0) == "-123456"
