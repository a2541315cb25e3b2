"""Sheets of pictures in the page: pixel by pixel, and within its budget."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil

import numpy as np
from PIL import Image
from small_comparison import SIDE, Reader, images, make_comparison, save

from gvlab.compare import report
from gvlab.compare.report import sheets as shrinking
from gvlab.pictures.sheets import grid, save_png, scatter


def pixels(image: dict[str, str | None]) -> np.ndarray:
    source = image["src"] or ""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.removeprefix("data:image/png;base64,")))))


# --- as they were saved -----------------------------------------------------------------------------------------------


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


# --- latents ----------------------------------------------------------------------------------------------------------


def test_rankings_of_latents_are_tables_of_each_seed(comparison):
    directory, content = comparison
    assert "Latents" not in Reader(report.html(directory, content)).words
    rows = [
        {"latent": 5, "kl_nats": 2.0, "information_nats": [0.125, 1.5], "follows": "x <b>"},
        {"latent": 1, "kl_nats": 0.5, "information_nats": [0.0, 0.75], "follows": None},
    ]
    ranking = {"examples": 9, "factors": ["shape", "x <b>"], "chance_nats": [0.25, 0.5], "latents": rows}
    (directory / "units/b/seed-1/latents.json").write_text(json.dumps(ranking))
    page = report.html(directory, content)
    read = Reader(page)
    words = " ".join(read.words.split())
    for cells in (
        "chance 0.25",
        "chance 0.50",
        "5 2.00 0.12 1.50 x <b>",
        "1 0.50 0.00 0.75 \u2013",
        "seed 1, 9 examples",
    ):
        assert cells in words, cells
    shares = re.findall(r'<td style="--share: (\d+)%">', page)
    assert shares == ["100", "100", "100", "25", "0", "50"]
    (directory / "units/b/seed-1/latents.json").write_text("{")
    assert "That seed has no ranking of latents" in Reader(report.html(directory, content)).words


# --- sentences --------------------------------------------------------------------------------------------------------


def as_sentences(directory, *lines):
    """The samples of all units are these, instead of their pictures."""
    for file in directory.glob("units/*/*/samples/*.png"):
        file.with_suffix(".txt").write_text("".join(f"{line}\n" for line in lines))
        file.unlink()


def test_sentences_are_shown_as_lines_and_never_as_what_they_say(comparison):
    directory, content = comparison
    as_sentences(directory, "a line", "<script>x</script>", "now\u202ebackwards", *["more"] * 40)
    page = report.html(directory, content)
    read = Reader(page)
    lists = [ol for ol in read.all("ol") if "data-step" in ol]
    assert len(lists) == 5 * 5 + 2
    assert not [image for image in read.all("img") if "data-step" in image]
    assert "<li>&lt;script&gt;x&lt;/script&gt;<span" in page
    assert "now&lt;U+202E&gt;backwards" in page
    assert "\u202e" not in page
    assert "at most 24 sentences each, where ⏎ is the end" in read.words
    assert 'querySelectorAll("img, ol")' in page
    assert ".sentences" in page
    assert "Traversals" not in page  # which are pictures


def test_pages_of_pictures_know_nothing_of_sentences(page):
    assert ".sentences" not in page
    assert 'querySelectorAll("img")' in page


def test_text_that_is_none_is_left_out_and_remarked_upon(comparison):
    directory, content = comparison
    as_sentences(directory, "a line")
    (directory / "units/b/seed-0/samples/step-00000100.txt").write_bytes(b"\xff\n")
    page = report.html(directory, content)
    assert "units/b/seed-0/samples/step-00000100.txt is no UTF-8 text" in Reader(page).words
