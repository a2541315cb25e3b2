"""Figures for a paper: the same bytes, fonts that journals take, sizes, and what there is to see in them."""

from __future__ import annotations

import builtins
import io
import itertools
import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from handmade import CLEAR, collected, unit

from gvlab.compare import paper
from gvlab.compare.paper import canvas, figures
from gvlab.types import UserError

NOWHERE = Path("nowhere")
RATES = [f"vae,learning_rate={rate}" for rate in ("0.0001", "0.001", "0.003")]
GRID = [f"vae,b1={b1},contest={contest}" for b1 in ("0.5", "0.9") for contest in ("hinge", "minimax")]


def swept(names: list[str], lost: tuple[str, ...] = ()) -> dict:
    return collected(
        *(
            unit(name, seed, None, "It broke.")
            if name in lost
            else unit(name, seed, {"fld_x": 1.0 + i + seed / 10, "recall_x": 0.5, "active_units": 12.0})
            for i, name in enumerate(names)
            for seed in range(8)
        )
    )


def drawn(kind, root, comparison, named=None):
    """The Matplotlib figure."""
    kept: list = []
    drawing = figures._drawing(kind, root, comparison, named, [])
    canvas.rendered(drawing._replace(draw=lambda figure: (drawing.draw(figure), kept.append(figure))), "png")
    return kept[0]


def texts(figure) -> list[str]:
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


# --- the file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["pdf", "svg", "png"])
@pytest.mark.parametrize("kind", ["forest", "curves", "samples"])
def test_the_same_comparison_is_the_same_bytes_whatever_the_users_settings(original, kind, suffix, monkeypatch):
    import matplotlib

    directory, comparison = original
    first, caption = paper.figure(kind, directory, comparison, None, suffix)
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 20)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    assert paper.figure(kind, directory, comparison, None, suffix) == (first, caption)
    assert caption.endswith(".")
    assert matplotlib.rcParams["font.size"] == 20


def test_fonts_are_embedded_whole_and_no_clock_is_in_the_file(original):
    pdf, _ = paper.figure("forest", *original, None, "pdf")
    assert pdf.startswith(b"%PDF")
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf
    assert b"<dc:date>" not in paper.figure("forest", *original, None, "svg")[0]


@pytest.mark.parametrize(("measures", "inches"), [(["fld"], canvas.COLUMN), (["fld", "recall"], canvas.PAGE)])
def test_a_figure_is_as_wide_as_a_column_or_a_page(original, measures, inches):
    png, _ = paper.figure("forest", *original, measures, "png")
    assert PIL.Image.open(io.BytesIO(png)).size[0] == pytest.approx(300 * inches, abs=1)


def test_what_no_page_holds_is_refused(original):
    many = [f"precision_{i}" for i in range(40)]
    found = collected(*(unit("a", seed, dict.fromkeys(many, 1.0)) for seed in range(2)))
    with pytest.raises(UserError, match="inches high, but a page has 9: name fewer measures with --measures"):
        paper.figure("forest", NOWHERE, found, many, "png")


def test_without_matplotlib_it_is_said_what_to_install(original, monkeypatch):
    found = builtins.__import__

    def missing(name, *args):
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return found(name, *args)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UserError, match=r"Figures need Matplotlib: pip install 'gvlab\[figures\]'."):
        paper.figure("forest", *original, None, "png")


def test_letters_that_the_font_lacks_are_named(capsys):
    found = collected(*(unit("\u6570 $x_1$", seed, {"fld_x": 1.0 + seed}) for seed in range(3)))
    paper.figure("forest", NOWHERE, found, None, "png")
    assert capsys.readouterr().err == "The font of figures has no \u6570: boxes stand there.\n"


# --- what is in it ----------------------------------------------------------------------------------------------------


def test_intervals_and_seeds_stand_beside_their_names(original):
    figure = drawn("forest", *original)
    shown = texts(figure)
    assert {"Fr\u00e9chet distance\u00a0\u2193", "Recall\u00a0\u2191", "KL to the prior (nats)"} <= set(shown)
    assert [text for text in shown if text.endswith("(2 of 3 seeds)")]
    assert "other protocol" in shown  # recall of vae
    assert any("co" in text and "{{" in text for text in shown)  # the rude name as it is


@pytest.mark.parametrize("count", [2, 3, 4])
def test_panels_beside_each_other_have_axes_of_their_own(count):
    measures = ["fld_x", "frechet_pixels", "precision_x", "recall_x"][:count]
    found = collected(*(unit(name, seed, dict.fromkeys(measures, 1.0 + seed)) for name in "ab" for seed in range(3)))
    figure = drawn("forest", NOWHERE, found, measures)
    width, places = figure.get_figwidth(), [panel.get_position() for panel in figure.axes if panel.get_visible()]
    gaps = [width * (right.x0 - left.x1) for left, right in itertools.pairwise(places) if left.y0 == right.y0]
    assert len(gaps) == {2: 1, 3: 2, 4: 2}[count]
    assert min(gaps) > 0.2


def test_samples_fill_their_figure(original):
    png, _ = paper.figure("samples", *original, None, "png")
    drawn_on = np.asarray(PIL.Image.open(io.BytesIO(png)).convert("L")) < 255
    for axis in (0, 1):
        (inked,) = np.nonzero(drawn_on.any(axis))
        assert max(inked[0], drawn_on.shape[1 - axis] - 1 - inked[-1]) < 300 * 0.08


def test_an_experiment_of_which_every_seed_diverged_is_said_to_have():
    lost = [unit("c", seed, None, "It broke.") for seed in range(8)]
    assert "diverged" in texts(drawn("forest", NOWHERE, collected(*CLEAR, *lost)))


def test_curves_are_of_the_terms_that_are_named_and_a_cross_ends_a_seed_that_diverged(original):
    figure = drawn("curves", *original, ["d_loss"])
    crosses = [line for panel in figure.axes for line in panel.lines if line.get_marker() == "x"]
    assert [line.get_xdata().tolist() for line in crosses] == [[40]]
    assert len(drawn("curves", *original, ["d_loss", "elbo_nats", "grad_norm"]).axes) == 4  # one of them empty
    with pytest.raises(
        UserError, match="--measures fld is no term of training of the comparison: name elbo_nats, d_loss or"
    ):
        paper.figure("curves", *original, ["fld"], "png")


def test_samples_are_the_pixels_of_the_last_sheets(original, tmp_path):
    figure = drawn("samples", *original)
    images = [panel.images[0].get_array() for panel in figure.axes if panel.images]
    assert len(images) == 2
    assert all(set(np.unique(image[:1])) == {128} for image in images)  # the gap above the first row
    _, caption = paper.figure("samples", *original, None, "png")
    assert caption == "Samples at the end of training, seed 0."
    empty = tmp_path / "empty"
    shutil.copytree(original[0], empty, ignore=shutil.ignore_patterns("*.png"))
    with pytest.raises(UserError, match="has pictures of samples: choose another --kind"):
        paper.figure("samples", empty, original[1], None, "png")


def test_a_sweep_over_numbers_is_a_line_with_a_band_on_a_logarithmic_axis():
    figure = drawn("sweep", NOWHERE, swept(RATES), ["fld_x"])
    (panel,) = figure.axes
    assert panel.get_xscale() == "log"
    (mean,) = [line for line in panel.lines if line.get_label() == "vae"]
    assert mean.get_xdata().tolist() == [0.0001, 0.001, 0.003]
    assert mean.get_ydata().tolist() == pytest.approx([1.35, 2.35, 3.35])
    assert len(panel.collections) == 1
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["0.0001", "0.001", "0.003"]


def test_a_sweep_over_names_has_bars_and_no_line_between_them():
    names = [f"{name},contest={contest}" for name in ("a", "b") for contest in ("hinge", "minimax")]
    (panel,) = drawn("sweep", NOWHERE, swept(names, lost=(names[3],)), ["fld_x"]).axes
    assert not panel.collections
    assert {line.get_linestyle() for line in panel.lines if line.get_label() in "ab"} == {"None"}
    assert [line for line in panel.lines if line.get_marker() == "x"]


def test_a_sweep_over_two_fields_is_a_map():
    comparison = swept(GRID, lost=(GRID[3],))
    shown = texts(drawn("sweep", NOWHERE, comparison, ["fld_x"]))
    assert {"1.35\n\u00b1 0.20", "diverged", "b1", "contest", "hinge"} <= set(shown)


@pytest.mark.parametrize(
    ("names", "words"),
    [(["a", "b"], "is no sweep"), ([f"a,x={x},y={x},z={x}" for x in (1, 2)], "is a sweep over 3 fields")],
)
def test_other_comparisons_are_no_sweep(names, words):
    with pytest.raises(UserError, match=words):
        paper.figure("sweep", NOWHERE, swept(names), None, "png")


def test_nothing_to_measure():
    lost = collected(*(unit("a", seed, None, "It broke.") for seed in range(2)))
    with pytest.raises(UserError, match="came to its end, so there is nothing to measure"):
        paper.figure("forest", NOWHERE, lost, None, "png")
