"""The report of a comparison: what the page says, and that it works in a browser."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import html.parser
import io
import json
import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gvlab.compare import numbers, report
from gvlab.compare.report import forest
from gvlab.compare.report import sheets as shrinking
from gvlab.compare.report.curves import CURVE_POINTS
from gvlab.compare.report.page import _pairing
from gvlab.pictures.sheets import enlarge, grid, save_png, scatter
from gvlab.types import UserError

RUDE = '</script><b>A</b> & "co" {{ 1 }}'
"""An experiment's name that a careless page would execute."""
SIDE = 8
SEEDS = (0, 1, 2)
END = 100
LAST_OF_DIVERGED = 40


# --- a small comparison -----------------------------------------------------------------------------------------------


def images(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((n, SIDE, SIDE, 1)).astype(np.float32)


def save(file: Path, made: np.ndarray, columns: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    save_png(file, enlarge(grid(made, columns)))


def make_unit(directory: Path, family: str, seed: int, diverged: bool) -> None:
    """A run directory as gvlab compare leaves it."""
    directory.mkdir(parents=True)
    last = LAST_OF_DIVERGED if diverged else END
    term = {"GAN": "d_loss", "VAE": "elbo_nats"}[family]
    lines = [
        {"step": step, term: seed + step / 10, "grad_norm": 1 / step, "seconds": 1.0, "images_per_second": 9.0}
        for step in (1, *range(10, last + 1, 10))
    ]
    (directory / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for step in range(20, last + 1, 20):
        save(directory / "samples" / f"step-{step:08d}.png", images(64, 100 * seed + step), 8)
    if diverged:
        return
    if family == "VAE":
        save(directory / "pictures" / "reconstructions.png", images(16, seed), 8)
        save(directory / "pictures" / "traversals.png", images(20, seed), 5)
    else:
        save(directory / "pictures" / "neighbours.png", images(18, seed), 6)


def summary(experiment: str, measure: str, better: str | None, values: list[float], **more: Any) -> dict[str, Any]:
    stamp = {"split": "test", "samples": 64, "extractor": "digits-01234567"}
    return {
        "experiment": experiment,
        "measure": measure,
        "better": better,
        "stamp": stamp,
        "other_protocol": None,
        "n": len(values),
        "total": len(SEEDS),
        "mean": float(np.mean(values)),
        "sd": float(np.std(values, ddof=1)),
        "median": float(np.median(values)),
        "iqm": float(np.mean(values)),
        "low": min(values) if len(values) > 2 else None,
        "high": max(values) if len(values) > 2 else None,
        "minimum": min(values),
        "maximum": max(values),
        "failures": len(SEEDS) - len(values),
        "failure_low": 0.02,
        "failure_high": 0.56,
        "note": None if len(values) > 2 else "An interval needs 3 seeds.",
        **more,
    }


def make_comparison(directory: Path) -> dict[str, Any]:
    """Two experiments with three seeds each; the second seed of the first has diverged."""
    names = {RUDE: "GAN", "vae": "VAE"}
    units, values = [], {name: [] for name in names}
    for i, (name, family) in enumerate(names.items()):
        for seed in SEEDS:
            diverged = family == "GAN" and seed == 1
            where = f"units/{'ab'[i]}/seed-{seed}"
            make_unit(directory / where, family, seed, diverged)
            value = 10.0 * (i + 1) + seed
            if not diverged:
                values[name].append(value)
            units.append(
                {
                    "experiment": name,
                    "seed": seed,
                    "directory": where,
                    "status": "diverged" if diverged else "complete",
                    "failure": "d_loss is <nan> at step 41." if diverged else None,
                    "state_sha256": None,
                    "measures": None if diverged else {"fld": {"value": value, "stamp": {}}},
                    "cost": {"parameters": 1234567, "flops_per_step": 2.5e9, "memory_bytes": 3 * 2**20},
                    "timing": None if diverged else {"seconds": 100.0 + seed, "images_per_second": 50.0},
                    "environment": {"jax": "0.10.2", "cpu_threads": 4 if seed == 2 else 2, "command": ["gvlab", "x"]},
                }
            )
    return {
        "schema": 1,
        "gvlab": "0.1.0",
        "match": "steps",
        "seeds": list(SEEDS),
        "experiments": [
            {
                "name": name,
                "family": family,
                "steps": END,
                "images": 1600,
                "config": {
                    "name": name,
                    "model": {"type": family, "latent_dim": 4},
                    "batch_size": 16,
                    "steps": END,
                    "seed": 0,
                },
                "dataset": {"name": "digits", "sha256": "ab" * 32},
            }
            for name, family in names.items()
        ],
        "units": units,
        "summaries": [
            summary(RUDE, "fld", "lower", values[RUDE]),
            summary("vae", "fld", "lower", values["vae"]),
            summary(RUDE, "recall", "higher", [0.4, 0.5, 0.6]),
            summary("vae", "recall", "higher", [0.1, 0.2, 0.3], other_protocol="k is 5 here and 3 in the first."),
            summary("vae", "kl_nats", None, [3.0, 4.0, 5.0], stamp={"split": "test", "likelihood": "Bernoulli"}),
            summary(RUDE, "d_loss", None, [1.0, 1.5, 2.0]),
        ],
        "pairs": [
            {
                "measure": "fld",
                "first": RUDE,
                "second": "vae",
                "n": 2,
                "difference": -10.0,
                "low": -11.5,
                "high": -8.5,
                "p": 0.0078125,
                "p_holm": 0.015625,
                "superiority": 0.25,
                "detectable": 1.5,
                "seeds_needed": 17,
                "verdict": "first",
                "note": "One pair is missing.",
            }
        ],
        "primary": "fld",
        "verdict": f"{RUDE} is better than vae in fld.",
        "remarks": ["A remark of the comparison."],
        "commands": {
            "rerun": "gvlab compare a.py b.py --seeds 3",
            "report": "gvlab report D",
            "verify": "gvlab verify D",
        },
    }


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> tuple[Path, dict[str, Any]]:
    directory = tmp_path_factory.mktemp("report") / "comparison"
    return directory, make_comparison(directory)


@pytest.fixture(scope="module")
def page(original) -> str:
    return report.html(*original)


@pytest.fixture
def comparison(original, tmp_path) -> tuple[Path, dict[str, Any]]:
    """A copy that a test may spoil."""
    directory = tmp_path / "comparison"
    shutil.copytree(original[0], directory)
    return directory, json.loads(json.dumps(original[1]))


class Reader(html.parser.HTMLParser):
    """Elements and text of a page; refuses a closing tag that does not fit."""

    EMPTY = frozenset({"meta", "link", "img", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"line {self.getpos()[0]}: </{tag}>"
        if tag in ("td", "th", "dt", "dd", "li", "p", "pre", "figcaption"):
            self.text += " "

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


def data_of(page: str) -> dict[str, Any]:
    """What the page's script reads."""
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(found)


def pixels(image: dict[str, str | None]) -> np.ndarray:
    source = image["src"] or ""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.removeprefix("data:image/png;base64,")))))


# --- the page ---------------------------------------------------------------------------------------------------------


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
    "not told apart": ({"verdict": "undecided"}, f"\u2248 not told apart {RUDE} and vae on fld"),
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
    long = "".join(json.dumps({"step": step, "d_loss": 1 / 3}) + "\n" for step in range(1, 5001))
    (directory / "units/a/seed-0/metrics.jsonl").write_text(long)
    gan = data_of(report.html(directory, content))["curves"]["experiments"][0]
    assert len(gan["steps"]) <= CURVE_POINTS
    assert (gan["steps"][0], gan["steps"][-1]) == (1, 5000)
    assert LAST_OF_DIVERGED in gan["steps"]
    assert gan["terms"]["d_loss"]["seeds"][0][0] == 0.33333


def test_sheets_are_the_first_rows_of_the_saved_ones_pixel_by_pixel(page):
    shown = {image["alt"]: image for image in Reader(page).all("img")}
    sheet = pixels(shown["Samples of vae, seed 2, at step 60"])
    saved = grid(images(64, 260), 8)[..., 0]
    assert np.array_equal(sheet, saved[: 3 * (SIDE + 1) + 1])
    traversal = pixels(shown["Traversals of vae, seed 1"])
    assert np.array_equal(traversal, grid(images(20, 1), 5)[..., 0])  # four rows are fewer than eight


def test_every_picture_says_what_it_shows(page):
    shown = Reader(page).all("img")
    assert len(shown) == 5 * 5 + 2 + 2 + 3 + 3  # sheets, a diverged seed has two; neighbours; the VAE's two kinds
    assert all(re.search(r"(GAN|vae|co).*, seed \d", image["alt"] or "") for image in shown)
    assert len({image["alt"] for image in shown}) == len(shown)


def test_a_scatter_of_points_is_shown_whole(comparison):
    directory, content = comparison
    points = np.random.default_rng(0).normal(size=(50, 2))
    save_png(directory / "units/b/seed-0/samples/step-00000020.png", scatter(points, points))
    shown = {image["alt"]: image for image in Reader(report.html(directory, content)).all("img")}
    assert pixels(shown["Samples of vae, seed 0, at step 20"]).shape == (512, 512, 3)


# --- what is missing or damaged ---------------------------------------------------------------------------------------


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


# --- sizes ------------------------------------------------------------------------------------------------------------


def test_sheets_shrink_until_the_page_can_afford_them(comparison, monkeypatch):
    directory, content = comparison
    monkeypatch.setattr(shrinking, "SAMPLE_BYTES", 20_000)
    read = Reader(report.html(directory, content))
    sheets = [image for image in read.all("img") if "data-step" in image]
    assert sum(len(image["src"] or "") for image in sheets) <= 20_000
    assert pixels(sheets[0]).shape[0] == SIDE + 2
    assert "the first 1 row of each grid, and 2 of the saved steps are left out" in read.words
    (slider,) = [attributes for attributes in read.all("input") if attributes["id"] == "sample-step"]
    assert slider["data-steps"] == "20 60 100"
    assert (slider["max"], slider["value"]) == ("2", "2")


def test_mnist_like_pictures_stay_within_the_budget(tmp_path):
    """Noise compresses worst of all, so no model's samples of this size take more."""
    content = make_comparison(tmp_path)
    noise = np.random.default_rng(0).random((64, 28, 28, 1)).astype(np.float32)
    save(tmp_path / "noise.png", noise, 8)
    for unit in content["units"]:
        for step in range(1, 21):
            shutil.copy(tmp_path / "noise.png", tmp_path / unit["directory"] / "samples" / f"step-{step:08d}.png")
    page = report.html(tmp_path, content)
    assert len(page) < shrinking.SAMPLE_BYTES + 3 * shrinking.PICTURE_BYTES < 5_000_000
    (slider,) = [attributes for attributes in Reader(page).all("input") if attributes["id"] == "sample-step"]
    positions = (slider["data-steps"] or "").split()
    assert len(positions) == 12
    assert (positions[0], positions[-1]) == ("1", "100")


# --- numbers as text --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.0, 1.0, ["0.0", "0.5", "1.0"]),
        (-3.1, 12.2, ["0", "5", "10"]),
        (0.501, 0.509, ["0.502", "0.504", "0.506", "0.508"]),
    ],
)
def test_ticks_are_few_and_round(low, high, texts):
    assert [text for _, text in forest._ticks(low, high)] == texts


@pytest.mark.parametrize(
    ("times", "text"),
    [
        ((0.5, 0.25, 0.75), "0.5 [0.25, 0.75] s"),
        ((60.0, 30.0, 90.0), "1 [0.5, 1.5] min"),
        ((9000.0, 3600.0, 10800.0), "2.5 [1, 3] h"),
        ((None, None, None), numbers.DASH),
    ],
)
def test_times_share_the_unit_of_their_mean(times, text):
    assert numbers.times(*times) == text


# --- in a browser -----------------------------------------------------------------------------------------------------


class Browser:
    """Headless Chromium, spoken to in the DevTools protocol over a pair of pipes."""

    FLAGS = (
        "--headless",
        "--remote-debugging-pipe",
        "--no-sandbox",  # which root, in a container, cannot have
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
    )

    def __init__(self, binary: str, profile: Path) -> None:
        # Chromium reads from descriptor 3 and writes to 4; bash puts them there.
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        given = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]
        command = f'exec "$@" 3<&{given[0]} 4>&{given[1]}'
        self.process = subprocess.Popen(
            ["bash", "-c", command, "bash", binary, *self.FLAGS, f"--user-data-dir={profile}"],
            pass_fds=given,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for end in (theirs_in, theirs_out, *given):
            os.close(end)
        self._in, self._out, self._rest, self._number = ours_in, ours_out, b"", 0
        self.events: list[dict[str, Any]] = []
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], deadline - time.monotonic())
            assert ready, "Chromium did not answer within a minute."
            read = os.read(self._in, 1 << 20)
            assert read, "Chromium has ended."
            self._rest += read
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)

    def show(self, file: Path, width: int = 1200, scheme: str = "light") -> None:
        """Opens the file afresh and waits until it is loaded."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url="about:blank")
        self.events.clear()
        self.call("Page.navigate", url=file.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def run(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str, code: int) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def hover(self, selector: str, share: float) -> None:
        """The mouse over an element, at a share of its width."""
        x, y = self.run(
            f"(() => {{ const e = document.querySelector('{selector}'); e.scrollIntoView(); "
            f"const b = e.getBoundingClientRect(); return [b.left + {share} * b.width, b.top + b.height / 2]; }})()"
        )
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def close(self) -> None:
        with contextlib.suppress(AssertionError):
            self._session = None
            self.call("Browser.close")
        os.close(self._in)
        os.close(self._out)
        self.process.wait(30)


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on the path: install Debian's package chromium to test the page in a browser")
    started = Browser(CHROMIUM, tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def file(original) -> Path:
    return report.write(*original)


ALL_LOADED = "[...document.images].every((image) => image.complete && image.naturalWidth > 0)"
SHOWN = "[...document.querySelectorAll('[data-samples] img:not([hidden])')].map((image) => image.alt)"
VALUES = "document.getElementById('values').innerText"


def test_the_page_loads_without_a_complaint_and_asks_for_nothing(browser, file):
    browser.show(file)
    assert browser.run(ALL_LOADED)
    assert browser.run("document.images.length") == 35
    bad = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Network.loadingFailed")
    assert [event for event in browser.events if event["method"] in bad] == []
    asked = [e["params"]["request"]["url"] for e in browser.events if e["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]


def test_the_slider_changes_the_pictures_by_keyboard(browser, file):
    browser.show(file)
    last = browser.run(SHOWN)
    assert len(last) == 6
    assert last[1].endswith("seed 1, at step 40")  # diverged: its newest
    browser.run("document.getElementById('sample-step').focus()")
    browser.press("Home", 36)
    first = browser.run(SHOWN)
    assert all(alt.endswith("at step 20") for alt in first)
    assert browser.run("document.getElementById('sample-output').textContent") == "20"
    browser.press("ArrowRight", 39)
    assert all(alt.endswith("at step 40") for alt in browser.run(SHOWN))
    assert browser.run("document.querySelector('[data-samples] .at').textContent") == "step 40"
    browser.press("End", 35)
    assert browser.run(SHOWN) == last


def test_the_curves_show_every_seeds_value_by_mouse_and_keyboard(browser, file):
    browser.show(file)
    assert browser.run("document.querySelectorAll('#chart .line').length") == 3
    assert browser.run("document.querySelector('#chart [data-diverged]').dataset.diverged") == "1"
    table = browser.run(VALUES)
    assert table.split("\n")[1].split("\t")[1:] == ["10", "\u00d7 diverged", "12", "11"]
    browser.run("document.getElementById('cursor').focus()")
    browser.press("Home", 36)
    assert browser.run(VALUES).split("\n")[1].split("\t")[1:] == ["0.1", "1.1", "2.1", "1.1"]
    browser.hover("#chart", 0.5)
    hovered = browser.run(VALUES)
    assert hovered != table
    step = int(browser.run("document.getElementById('cursor-step').textContent"))
    assert 30 <= step <= 70
    assert hovered.split("\n")[1].split("\t")[1] == f"{step / 10:g}"


def test_term_and_range_redraw_the_curves(browser, file):
    browser.show(file)
    choose = (
        "(() => {{ const s = document.getElementById('{}'); s.value = '{}'; s.dispatchEvent(new Event('change')); }})()"
    )
    browser.run(choose.format("term", "grad_norm"))
    assert browser.run("document.querySelectorAll('#chart .line').length") == 6
    assert "grad_norm" in browser.run(VALUES)
    ticks = "[...document.querySelectorAll('#chart text')].map((text) => text.textContent).join(' ')"
    linear = browser.run(ticks)
    seen = [linear]
    for way in ("half", "log"):
        browser.run(choose.format("range", way))
        seen.append(browser.run(ticks))
        assert "NaN" not in browser.run("document.getElementById('chart').innerHTML")
    assert len(set(seen)) == 3
    assert browser.run("document.getElementById('chart-note').textContent") == ""  # of all values none is left out


@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_never_scrolls_sideways(browser, file, width, scheme):
    browser.show(file, width, scheme)
    browser.run("for (const details of document.querySelectorAll('details')) details.open = true")
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run(ALL_LOADED)


def test_the_page_of_a_quickstart_is_no_longer_than_seven_screens(browser, comparison):
    """Two experiments, six seeds and twenty measures each, on a screen of 1280 pixels."""
    directory, made = comparison
    kinds = [
        f"{kind}_{x}" for x in ("pixels", "digits") for kind in ("precision", "recall", "density", "coverage", "kld")
    ]
    many = [*kinds, "frechet_pixels", "elbo_nats", "iw_bound_nats", "active_units", "g_loss", "real_logit"]
    for name in (RUDE, "vae"):
        made["summaries"] += [summary(name, measure, "lower", [1.0, 2.0, 3.0]) for measure in many]
    made["pairs"] += [made["pairs"][0] | {"measure": measure} for measure in kinds]
    for unit in list(made["units"]):
        made["units"].append(unit | {"seed": unit["seed"] + 3, "directory": unit["directory"][:-1] + "0"})
    made["seeds"] = list(range(6))
    browser.show(report.write(directory, made), 1280)
    assert browser.run("document.documentElement.scrollHeight") <= 7000
    heads = "document.querySelectorAll('#intervals ~ .forests > .forest').length"
    assert browser.run(heads) == 6


def test_a_seed_is_chosen_for_all_pictures(browser, file):
    browser.show(file)
    visible = "[...document.querySelectorAll('[data-seed]')].filter((f) => f.offsetParent).map((f) => f.dataset.seed)"
    assert set(browser.run(visible)) == {"0"}
    choose = "(() => {{ const s = document.getElementById('seed'); s.value = '{}'; {} }})()"
    change = "s.dispatchEvent(new Event('change'));"
    browser.run(choose.format(2, change))
    assert set(browser.run(visible)) == {"2"}
    browser.run(choose.format("all", change))
    assert set(browser.run(visible)) == {"0", "1", "2"}
    assert browser.run("document.documentElement.scrollWidth") <= 1200


CONTRASTS = """(() => {
  const linear = (c) => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
  const light = (colour) => {
    const [r, g, b] = colour.match(/[0-9.]+/g).map((part) => linear(part / 255));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const back = light(getComputedStyle(document.body).backgroundColor);
  const contrast = (element) => {
    const front = light(getComputedStyle(element).color);
    return (Math.max(back, front) + .05) / (Math.min(back, front) + .05);
  };
  const mark = document.body.appendChild(document.createElement("i"));
  return {
    text: ["body", ".note", ".reason", "dt", "a", "td"].map((selector) => contrast(document.querySelector(selector))),
    marks: [0, 1, 2, 3, 4, 5].map((colour) => { mark.className = `k${colour}`; return contrast(mark); }),
  };
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_marks_stand_out_from_the_ground(browser, file, scheme):
    """4.5 for text and 3 for graphics, as the Web Content Accessibility Guidelines ask."""
    browser.show(file, scheme=scheme)
    found = browser.run(CONTRASTS)
    assert min(found["text"]) >= 4.5
    assert min(found["marks"]) >= 3


def test_every_control_can_be_reached_by_keyboard(browser, file):
    browser.show(file)
    reached = []
    for _ in range(80):
        browser.press("Tab", 9)
        reached.append(browser.run("document.activeElement.id || document.activeElement.tagName"))
    assert {"term", "range", "cursor", "sample-step", "SUMMARY", "A", "DIV"} <= set(reached)
