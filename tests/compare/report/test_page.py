"""The report of a comparison: what the page says."""

from __future__ import annotations

import json
import re

import pytest
from small_comparison import END, LAST_OF_DIVERGED, RUDE, Reader, data_of

from gvlab import config as c
from gvlab import numbers
from gvlab.compare import report
from gvlab.compare.report.curves import CURVE_POINTS
from gvlab.compare.report.page import _differences, _pairing


def test_the_page_is_well_formed_and_its_labels_lead_somewhere(page):
    read = Reader(page)
    assert read.open == []
    names = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(names) == len(set(names))
    used = [attributes["href"] for _, attributes in read.elements if attributes.get("href", "").startswith("#")]
    used += [f"#{attributes['aria-labelledby']}" for attributes in read.all("section")]
    assert {reference[1:] for reference in used} <= set(names)
    assert all("scope" in attributes for attributes in read.all("th"))
    assert [attributes["lang"] for attributes in read.all("html")] == ["en"]


def test_everything_is_in_the_page_in_the_order_of_reading(page):
    read = Reader(page)
    order = [
        f"\u2713 better {RUDE} is better than vae on fld",
        f"{RUDE} is better than vae in fld.",
        "A remark of the comparison.",
        "Samples Seed",
        "The same latents",
        "Intervals Bar",
        "Measures Over the seeds",
        "Quality: how near",
        "Diversity: how much",
        "Likelihood: what",
        "Diagnostics: terms of training, which judge nothing (1)",
        "Pairs A seed gives",
        "Training curves",
        "Reconstructions Each row",
        "Traversals One latent",
        "Nearest training neighbours Each row",
        "Cost Of one seed",
        "Diverged runs",
        "Protocol What each number",
        "Environment",
        "Commands",
    ]
    start = 0
    for part in order:
        assert part in read.words[start:], part
        start = read.words.index(part, start)


def test_user_text_is_text(page):
    read = Reader(page)
    assert "<b>" not in page
    assert read.words.count(RUDE) > 10
    assert read.all("b") == []
    assert "d_loss is <nan> at step 41." in read.words
    assert [experiment["name"] for experiment in data_of(page)["curves"]["experiments"]] == [RUDE, "vae"]


def test_nothing_is_fetched(page):
    for tag, attributes in Reader(page).elements:
        for name in ("src", "href", "srcset", "action", "poster", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, value)
    assert "url(" not in page.replace("url(#inside)", "")
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page


def test_a_mean_stands_with_its_interval_and_both_directions_in_words(page):
    words = Reader(page).words
    assert "fld ↓ lower is better" in words
    assert "recall ↑ higher is better" in words
    assert "kl_nats no direction" in words
    assert "vae 21.0 [20.0, 22.0] 1.0 21.0 21.0 20.0 22.0 3 of 3" in words  # the best is the lowest
    assert "0.50 [0.40, 0.60] 0.10 0.50 0.50 0.60 0.40 3 of 3" in words  # the best is the highest
    assert "4.0 [3.0, 5.0] 1.0 4.0 4.0 min 3.0 max 5.0 3 of 3" in words


def test_few_seeds_have_a_mean_and_a_reason_but_no_interval(page):
    words = Reader(page).words
    assert f"{RUDE} 11.0 1.4 11.0 11.0 10.0 12.0 2 of 3" in words
    assert words.count("An interval needs 3 seeds.") == 1
    assert f"An interval needs 3 seeds. (fld of {RUDE})" in words
    assert f"{RUDE}: 1 of 3 seeds [2 %, 56 %]" in words


def test_another_protocol_is_a_dash_with_its_reason(page):
    words = Reader(page).words
    assert f"vae {numbers.DASH} k is 5 here and 3 in the first." in words
    assert "0.20 [0.10, 0.30]" not in words


def test_a_pair_has_everything_that_decides_it(page):
    words = Reader(page).words
    numbers_of_it = "-10.0 [-11.5, -8.5] 0.01562 0.007812 2 17 1.5 25 %"
    assert f"Differences are {RUDE} minus vae." in words
    assert f"fld ↓ {RUDE} {numbers_of_it} One pair is missing. (fld)" in words


def test_what_pairs_share_is_said_as_it_is(comparison):
    directory, made = comparison

    def said() -> str:
        (sentence,) = re.findall(r"A seed gives [^.]*\.", Reader(report.html(directory, made)).words)
        return sentence

    assert said().startswith("A seed gives the same data order and the same evaluation latents in every")
    made["experiments"][0]["config"]["model"]["latent_dim"] = 5
    assert said().startswith("A seed gives the same data order in every experiment, but latents of other")
    made["experiments"][0]["config"]["batch_size"] = 8
    assert said().startswith("A seed gives other data or batches and latents of other sizes")
    assert _pairing(made["experiments"][:1]) == ""


def test_cost_protocol_environment_and_commands_are_given(page):
    words = Reader(page).words
    assert "100 1,600 1.68 [1.67, 1.7] min 50 2 of 3 1,234,567 3 MiB 2.5 GFLOP 250 GFLOP" in words
    assert "split test" in words
    assert "likelihood Bernoulli" in words
    assert "cpu_threads 2 (4 of 6 units); 4" in words
    assert "jax 0.10.2" in words
    assert "model.type GAN VAE" in words  # what differs between the experiments
    assert "gvlab compare a.py b.py --seeds 3" in words


def test_an_experiment_of_which_every_seed_diverged_has_failed(comparison):
    directory, made = comparison
    for unit in made["units"][:3]:
        unit |= {"status": "diverged", "failure": "It broke.", "measures": None}
    made["summaries"] = [row for row in made["summaries"] if row["experiment"] == "vae"]
    words = Reader(report.html(directory, made)).words
    assert f"\u2715 failed {RUDE} diverged in every seed" in words
    assert f"{RUDE}: 3 of 3 seeds [44 %, 100 %]" in words


OUTCOMES = {
    "better": ({"verdict": "second"}, f"\u2713 better vae is better than {RUDE} on fld"),
    "not told apart": (
        {"verdict": "undecided", "n": 6, "smallest_p": 2**-5},
        f"\u2248 not told apart {RUDE} and vae on fld",
    ),
    "too few seeds": (
        {"verdict": "undecided"},
        f"? too few seeds {RUDE} and vae on fld: 2 pairs cannot reach p = 0.05, 6 could",
    ),
}


@pytest.mark.parametrize(("pair", "line"), OUTCOMES.values(), ids=OUTCOMES)
def test_the_verdict_is_one_line_with_a_mark(comparison, pair, line):
    directory, made = comparison
    made["pairs"][0] |= pair
    assert line in Reader(report.html(directory, made)).words


def test_nothing_is_repeated_under_every_row(comparison):
    directory, made = comparison
    for row in made["summaries"]:
        row["note"] = "No interval: 1 of 1 seed(s) finished, but at least 3 are needed."
    words = Reader(report.html(directory, made)).words
    assert words.count("No interval") == 1
    assert "at least 3 are needed. (6 rows)" in words


def test_a_diverged_run_is_shown_with_its_sentence(page):
    words = Reader(page).words
    assert f"{RUDE}, seed 1, last logged at step 40: d_loss is <nan> at step 41." in words
    assert "5 of 6 units complete, 1 diverged" in words
    gan = data_of(page)["curves"]["experiments"][0]
    assert [seed["diverged"] for seed in gan["seeds"]] == [False, True, False]
    assert gan["terms"]["d_loss"]["seeds"][1][gan["steps"].index(50) :] == [None] * 6


def test_curves_are_the_log_with_quartiles_over_the_seeds_still_training(page):
    curves = data_of(page)["curves"]
    assert curves["terms"] == ["d_loss", "grad_norm", "elbo_nats"]
    gan = curves["experiments"][0]
    assert gan["steps"] == [1, *range(10, END + 1, 10)]
    loss = gan["terms"]["d_loss"]
    assert loss["seeds"][2] == [round(2 + step / 10, 3) for step in gan["steps"]]
    at = gan["steps"].index(40)
    assert (loss["low"][at], loss["median"][at], loss["high"][at]) == (4.5, 5.0, 5.5)
    at = gan["steps"].index(50)  # two seeds are left
    assert (loss["low"][at], loss["median"][at], loss["high"][at]) == (5.5, 6.0, 6.5)
    assert "elbo_nats" not in gan["terms"]


def test_long_curves_are_thinned_and_keep_their_ends(comparison):
    directory, content = comparison
    clock = {"seconds": 1.0, "images_per_second": 1.0}
    long = "".join(json.dumps({"step": step, "d_loss": 1 / 3} | clock) + "\n" for step in range(1, 5001))
    (directory / "units/a/seed-0/metrics.jsonl").write_text(long)
    gan = data_of(report.html(directory, content))["curves"]["experiments"][0]
    assert len(gan["steps"]) <= CURVE_POINTS
    assert (gan["steps"][0], gan["steps"][-1]) == (1, 5000)
    assert LAST_OF_DIVERGED in gan["steps"]
    assert gan["terms"]["d_loss"]["seeds"][0][0] == 0.33333


def test_what_differs_in_terms_is_named_as_it_is_on_the_command_line():
    lists = ([c.R1()], [c.R1(2.0), c.Every(4, c.R2())], [])
    made = [c.Experiment("e", c.GAN(discriminator_terms=tuple(terms)), 1) for terms in lists]
    configs = [json.loads(c.to_json(one)) for one in made]
    rows = dict(_differences([{"config": config} for config in configs]))
    assert rows == dict(_differences([{"config": c.to_dict(one)} for one in made]))  # as it is before it is written
    name = "model.discriminator_terms"
    assert list(rows)[:2] == [f"{name}.0.type", f"{name}.0.weight"]
    assert set(rows) == {name} | {f"{name}.{field}" for field in (
        "0.type", "0.weight", "1.type", "1.steps", "1.inner.type", "1.inner.weight"
    )}  # fmt: skip
    assert rows[f"{name}.0.weight"][:2] == ["10.0", "2.0"]
