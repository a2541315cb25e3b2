"""What is said first of a comparison: few measures, one line per reason, numbers rounded alike everywhere."""

from __future__ import annotations

import json
import typing
from pathlib import Path

import numpy as np
import pytest
from handmade import collected, unit

from gvlab import evaluate, numbers
from gvlab.compare import headlines, outputs, paper, remarks, tables
from gvlab.evaluate import kinds

SHARED_OF_IMAGES = {
    f"{kind}_{features}": 0.5
    for features in ("pixels", "digits-032b91b4")
    for kind in ("precision", "recall", "density", "coverage")
}
SHARED_OF_IMAGES |= {
    "frechet_pixels": 1.0,
    "kernel_pixels": 1.0,
    "fld_digits-032b91b4": 50.0,
    "kld_digits-032b91b4": 1.0,
}
GAN = SHARED_OF_IMAGES | {"d_loss": 1.0, "g_loss": 1.0, "real_logit": 2.0, "fake_logit": -2.0}
VAE = SHARED_OF_IMAGES | {"elbo_nats": -99.0, "iw_bound_nats": -98.0, "kl_nats": 20.0, "active_units": 12.0}


def two(seeds: int = 6, **stamp: str) -> tables.Json:
    made = []
    for name, values, shift in (("gan", GAN, 0.0), ("vae", VAE, 2.0)):
        for seed in range(seeds):
            shifted = {measure: value + shift + seed / 50 for measure, value in values.items()}
            made.append(unit(name, seed, shifted, **stamp))
    return collected(*made)


# --- a measure says everything of itself ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "better", "group"),
    [
        ("fld_digits-032b91b4", "lower", "quality"),
        ("precision_pixels", "higher", "quality"),
        ("improved_recall_pixels", "higher", "diversity"),
        ("prd_f8_pixels", "higher", "diversity"),
        ("prd_f1_8_pixels", "higher", "quality"),
        ("reverse_kl_nats", "lower", "diversity"),
        ("bits_per_dim", "lower", "likelihood"),
        ("kl_nats", None, "likelihood"),
        ("active_units", None, "latents"),
        ("d_loss", None, "diagnostics"),
        ("a_term_of_somebodys_model", None, "diagnostics"),
        ("fidelity_of_somebodys_model", None, "diagnostics"),
    ],
)
def test_a_measure_has_its_direction_and_its_group(name, better, group):
    one = evaluate.Measure.of(name, {"value": 1, "stamp": {"k": 5, "warning": "few", "note": "grey"}})
    assert (one.name, one.value, one.better, one.group) == (name, 1.0, better, group)
    assert one.warnings == ["few", "grey"]


def test_every_group_has_a_heading_and_every_kind_a_group():
    assert list(evaluate.GROUPS) == list(typing.get_args(kinds.Group))
    assert {kind.group for kind in kinds.KINDS} == set(evaluate.GROUPS) - {"diagnostics"}
    names = [kind.name for kind in kinds.KINDS]
    assert [kinds.kind_of(name).name for name in names] == names


# --- headlines --------------------------------------------------------------------------------------------------------


def test_the_headlines_are_six_those_shared_first_and_no_diagnostics():
    found = two()
    assert headlines.headlines(found["summaries"], found["primary"]) == [
        "fld_digits-032b91b4",
        *(f"{kind}_digits-032b91b4" for kind in ("precision", "recall", "coverage")),
        "iw_bound_nats",
        "elbo_nats",
    ]
    head, rows = headlines.table(found)
    assert head == ["measure", "better", "gan", "vae", "told apart"]
    assert rows[0][:2] == ["fld_digits-032b91b4", "lower"]
    assert rows[0][2:] == ["50.050 [50.011, 50.089]", "52.050 [52.011, 52.089]", "yes (p = 0.03125)"]
    assert rows[4][:3] == ["iw_bound_nats", "higher", "-"]
    assert rows[4][-1] == "-"


def test_one_experiment_has_six_headlines_of_its_own():
    found = collected(*(unit("gan", seed, GAN) for seed in range(3)))
    head, rows = headlines.table(found)
    assert head == ["measure", "better", "gan"]
    assert len(rows) == headlines.MOST
    assert not [row for row in rows if row[0] in ("d_loss", "g_loss", "real_logit", "fake_logit")]


def test_many_experiments_stand_one_below_the_other():
    made = [unit(f"e{i}", seed, {"frechet_x": float(abs(i - 2) + seed)}) for i in range(5) for seed in range(3)]
    head, rows = headlines.table(collected(*made, *(unit("lost", seed, None, "It broke.") for seed in range(3))))
    assert head == ["experiment", "frechet_x, lower", "told from the best"]
    assert [row[0] for row in rows] == ["e2", "e1", "e3", "e0", "e4", "lost"]  # ranked
    assert [row[2] for row in rows] == ["-", *["no (p = 1)"] * 4, "-"]
    assert rows[-1][1] == "-"


def test_a_sweep_is_ranked_however_few_experiments_it_has():
    rates = {"0.1": 3.0, "0.2": 1.0}
    made = [
        unit(f"a,lr={rate}", seed, {"recall_x": best + seed, "density_x": 1.0})
        for rate, best in rates.items()
        for seed in range(6)
    ]
    found = collected(*made) | {"primary": "recall_x"}
    head, rows = headlines.table(found)
    assert head == ["experiment", "recall_x, higher", "told from the best", "density_x, higher"]
    assert [row[0] for row in rows] == ["a,lr=0.1", "a,lr=0.2"]
    assert rows[1][2].startswith(("yes (p = ", "no (p = "))


def test_without_a_run_that_ended_there_are_no_headlines():
    assert headlines.table(collected(unit("a", 0, None, "It broke.")))[1] == []


# --- remarks ----------------------------------------------------------------------------------------------------------


def test_one_reason_is_one_line():
    assert two(warning="balls of nearest neighbours are large")["remarks"] == [
        "Balls of nearest neighbours are large (20 measures)."
    ]


def test_reasons_that_differ_in_their_numbers_are_one():
    found = collected(
        unit("a", 0, {"x_a": 1.0}, warning="0.012 of the values were clipped"),
        unit("a", 1, {"x_a": 1.0}, warning="0.0034 of the values were clipped"),
        unit("b", 0, {"x_a": 1.0, "x_b": 1.0}, warning="0.5 of the values were clipped"),
        unit("b", 1, {"x_a": 1.0, "x_b": 1.0}, warning="3 other values"),
    )
    assert found["remarks"] == [
        "0.0034 to 0.5 of the values were clipped (x_a).",
        "3 other values (x_a and x_b of b).",
        "0.5 of the values were clipped (x_b of b).",  # of another scale, maybe
    ]


def test_seeds_that_diverged_alike_are_one_line():
    made = [unit("lr=1e30", seed, None, f"At step {seed + 2} the term loss is nan.") for seed in (0, 1, 4)]
    assert collected(*made)["remarks"] == ["lr=1e30, seeds 0, 1 and 4, diverged: At step 2 to 6 the term loss is nan."]
    made = [unit("a", seed, None, f"The term loss is {value}.") for seed, value in enumerate(("nan", "-inf", "nan"))]
    assert collected(*made)["remarks"] == ["a, seeds 0, 1 and 2, diverged: The term loss is nan or -inf."]


def test_measures_that_differ_in_one_field_are_one_line():
    values = {"fld_x": 1.0, "kld_x": 1.0, "recall_x": 0.5}
    made = [unit("a", 0, values, split="test"), unit("b", 0, values, split="train")]
    assert collected(*made)["remarks"] == [
        "fld_x of b has split = train, that of a split = test: they cannot be compared (3 measures)."
    ]


@pytest.mark.parametrize("text", ["a\nb", "a\r\n b", "a\u2028b", "a\x0bb\x85"])
def test_no_newline_leaves_a_comment_or_a_row(text):
    """A newline in a warning would end the comment of LaTeX that it stands in, and what follows would be typeset."""
    hostile = f"{text}\n\\input{{/etc/passwd}}"
    found = collected(
        *(unit(f"n{text}", seed, {"frechet_x": 1.0 + seed}, warning=hostile) for seed in range(3)),
        unit("b", 0, None, hostile),
    )
    assert all(remark == " ".join(remark.split()) for remark in [*found["remarks"], found["verdict"]])
    found["remarks"].append(hostile)  # as a comparison.json that somebody wrote might have it
    for line in paper.latex(found, paper.chosen(found)).splitlines():
        assert line.startswith("%") or "input" not in line, line
    table = [line for line in tables.markdown(found).split("\n") if line.startswith("|")]
    assert len(table) == 4  # head, rule, and a row for each experiment
    assert len({line.count(" | ") for line in table}) == 1


def test_markdown_shows_names_and_remarks_as_they_are():
    name = "a|b *c* `d` <b>"
    found = collected(*(unit(name, seed, {"frechet_x": 0.5}, warning="<script>") for seed in range(3)))
    text = tables.markdown(found)
    assert r"a\|b \*c\* \`d\` \<b>" in text
    assert r"\<script>" in text
    assert "p <= 0.05" in remarks.escaped_markdown("p <= 0.05")


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "spread", "text"),
    [
        (None, None, "-"),
        (0.0, None, "0"),
        (0.0, 0.21, "0.00"),
        (12.3456, 0.21, "12.35"),
        (12.3456, 21.0, "12"),
        (12345.6, 210.0, "12346"),
        (12345.6, None, "12346"),
        (-0.00123456, None, "-0.001235"),
        (1.5e9, None, "1.5e+09"),
        (1.5e9, 1e5, "1.5e+09"),
        (1.5e-9, 1e-10, "1.5e-09"),
        (3, 0.0, "3"),
    ],
)
def test_a_number_has_two_digits_of_its_spread(value, spread, text):
    assert numbers.number(value, spread) == text


def test_one_number_is_rounded_alike_in_every_file():
    """Terminal, Markdown, LaTeX, verdict and report say the same digits; comparison.csv has them all."""
    from gvlab.compare import report

    rng = np.random.default_rng(0)
    found = collected(*(unit("a", seed, {"frechet_x": 12 + float(rng.normal())}) for seed in range(6)))
    found["units"] = []
    text = numbers.interval(found["summaries"][0])
    page = report.html(Path("nowhere"), json.loads(json.dumps(found)))
    texts = outputs.texts(found)
    assert headlines.table(found)[1][0][2] == text
    for said in (texts["table.md"], found["verdict"], page):
        assert text in said
    mean, half = numbers.with_half(found["summaries"][0])
    assert rf"${mean} \pm {half}$" in texts["table.tex"]


def test_the_means_of_two_seeds_have_one_number_of_decimals_in_a_column():
    """Their own deviations are chance; where there are intervals, each number has two digits of its own."""
    from gvlab.compare import report

    values = {"a": (1459.0, 1464.8), "b": (1362.9, 1362.966), "c": (1400.0, 1400.0)}
    found = collected(*(unit(name, seed, {"frechet_x": v}) for name in values for seed, v in enumerate(values[name])))
    found["units"] = []
    assert [row[2:] for row in headlines.table(found)[1]] == [["1461.9", "1362.9", "1400.0"]]
    page, texts = report.html(Path("nowhere"), json.loads(json.dumps(found))), outputs.texts(found)
    for text in ("1461.9", "1362.9", "1400.0"):
        assert f"${text}$" in texts["table.tex"]
        assert f"| {text} |" in texts["table.md"]
        assert f"<td>{text}</td>" in page
    assert "1362.93" not in page + texts["table.tex"] + texts["table.md"]


@pytest.mark.parametrize(
    ("rows", "spread"),
    [
        ([(130.0, 50.0), (0.012, 0.001)], 0.012),  # the second keeps two digits
        ([(0.00002, 0.002), (0.013, 0.003)], 0.002),  # the first is noise
        ([(5.0, None), (6.0, 0.2), (7.0, 0.0)], 0.2),
        ([(5.0, None), (6.0, None)], None),  # of one seed
    ],
)
def test_what_decides_the_decimals_of_a_column(rows, spread):
    made = [{"measure": "m", "mean": mean, "sd": sd, "low": None, "high": None} for mean, sd in rows]
    with_interval = {"measure": "m", "mean": 1.0, "sd": 9.0, "low": 0.5, "high": 1.5}
    evened = numbers.evened([*made, with_interval])
    assert {row.get("spread") for row in evened[:-1]} == {spread}
    assert evened[-1] == with_interval


def test_ranges_keep_text_that_is_no_number():
    assert remarks.merged(["k=5 in x2 at 1.5e-3", "k=7 in x2 at 2e-3"]) == "k=5 to 7 in x2 at 1.5e-3 to 2e-3"
