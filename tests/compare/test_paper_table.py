"""The table for a paper: what is in it, what is bold, and that LaTeX takes it whatever the names are."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from handmade import CLEAR, collected, unit

from gvlab import evaluate
from gvlab.compare import paper
from gvlab.compare.paper import typesetting as tex
from gvlab.types import UserError

MEASURES = {"fld_mnist-b3d52d00": 100.0, "precision_pixels": 0.5, "active_units": 12.0}
LETTERS = '50% of_it & {more} $x$ #1 ^2 ~3 \\end <b> |q| "said" -- é ÿ ß β Ω ς ± → “'


def made(values: dict[str, float], seeds: int = 8, lost: tuple[int, ...] = ()) -> list:
    """Units of the experiments that are named, whose measures are so many times those of `MEASURES`."""

    def one(name: str, times: float, seed: int):
        return unit(name, seed, {m: v * times * (1 + seed / 1000) for m, v in MEASURES.items()})

    return [
        unit(name, seed, None, "It broke.") if seed in lost else one(name, times, seed)
        for name, times in values.items()
        for seed in range(seeds)
    ]


def rows(text: str) -> dict[str, list[str]]:
    """The cells of a table in Markdown by experiment."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return {first: cells for first, *cells in lines[2:]}


# --- what a reader calls measures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measure", "title"),
    [
        ("fld_mnist-b3d52d00", "Fréchet distance (MNIST classifier)"),
        ("kld_own_set-b3d52d00", "Kernel distance (own_set classifier)"),
        ("kernel_pixels", "Kernel distance (pixels)"),
        ("fid", "FID"),
        ("fid_infinity", "FID, extrapolated"),
        ("fid_clean", "FID (clean)"),
        ("precision_inception", "Precision (Inception)"),
        ("iw_bound_nats", "Importance-weighted bound (nats)"),
        ("reverse_kl_nats", "Reverse KL of modes (nats)"),
        ("bits_per_dim", "Bits per dimension"),
        ("d_loss", "d_loss"),
        ("somebodys_nats", "somebodys_nats"),
    ],
)
def test_measures_have_readable_names(measure, title):
    assert evaluate.title_of(measure) == title


def test_two_measures_of_one_title_keep_their_own_names():
    twins = ["fld_mnist-b3d52d00", "fld_mnist-00000000"]
    found = collected(*(unit("a", seed, dict.fromkeys(twins, 1.0)) for seed in range(3)))
    assert f"| {twins[0]} ↓ | {twins[1]} ↓ |" in paper.markdown(found, twins)


# --- what is in it ----------------------------------------------------------------------------------------------------


def test_experiments_are_rows_and_measures_columns_with_their_half_intervals():
    found = collected(*made({"a": 1.0, "b_2": 1.5}))
    text = paper.markdown(found, list(MEASURES))
    assert "| Fréchet distance (MNIST classifier) ↓ | Precision (pixels) ↑ | Active units |" in text
    assert rows(text) == {
        "a": ["**100.35 ± 0.20**", "0.5018 ± 0.0010", "12.042 ± 0.025"],
        "b_2": ["150.52 ± 0.31", "**0.7526 ± 0.0015**", "18.063 ± 0.037"],
    }
    latex = paper.latex(found, list(MEASURES)).splitlines()
    assert r"b\_2 & $150.52 \pm 0.31$ & {\boldmath$0.7526 \pm 0.0015$} & $18.063 \pm 0.037$ \\" in latex
    assert r"\begin{tabular}{lrrr}" in latex
    assert r"\label{tab:a-b-2}" in latex
    assert "% Active units: active_units" in latex


def test_the_best_is_bold_only_where_the_test_tells_it_from_every_other():
    """Six seeds decide between two experiments, but not among three, however far they are apart."""
    two, three = collected(*made({"a": 1.0, "b": 2.0}, 6)), collected(*made({"a": 1.0, "b": 2.0, "c": 3.0}, 6))
    measure = [next(iter(MEASURES))]
    assert [cell for (cell,) in rows(paper.markdown(two, measure)).values()] == ["**100.25 ± 0.20**", "200.50 ± 0.39"]
    assert "Bold: better than every other, by the exact sign-flip test" in paper.markdown(two, measure)
    undecided = paper.markdown(three, measure)
    assert "**" not in undecided
    assert "None is told apart from every other as the better one" in undecided
    more = collected(*made({"a": 1.0, "b": 2.0, "c": 3.0}))
    assert paper.markdown(more, measure).count("**") == 2


def test_one_that_beats_some_but_not_all_is_not_bold():
    close = [unit("c", seed, {"frechet_x": 10.0 + (seed % 3) / 10}) for seed in range(8)]
    assert "**" not in paper.markdown(collected(*CLEAR, *close), ["frechet_x"])


def test_lost_seeds_are_said_and_never_bold():
    found = collected(*made({"a": 1.0}, lost=(2, 5)), *made({"b": 2.0}), *made({"c": 1.0}, lost=tuple(range(8))))
    table = rows(paper.markdown(found, ["fld_mnist-b3d52d00"]))
    assert [cells[0] for cells in table.values()] == ["6 of 8", "8 of 8", "0 of 8"]
    assert "**" not in str(table)
    assert table["c"] == ["0 of 8", "\u2013"]
    assert "Seeds that diverged are left out." in paper.markdown(found, ["fld_mnist-b3d52d00"])


@pytest.mark.parametrize(
    ("seeds", "words", "cell"),
    [(1, "Of one seed.", "100"), (2, "Means over 2 seeds; an interval takes 3.", "100.050"), (3, "over 3 seeds", "±")],
)
def test_few_seeds_have_no_interval(seeds, words, cell):
    text = paper.markdown(collected(*made({"a": 1.0}, seeds)), ["fld_mnist-b3d52d00"])
    assert words in text
    assert cell in rows(text)["a"][0]


def test_what_cannot_be_compared_is_a_dash():
    other = [unit("b", seed, {"fld_x": 1.0}, k=3) for seed in range(3)]
    text = paper.markdown(collected(*(unit("a", seed, {"fld_x": 1.0}, k=5) for seed in range(3)), *other), ["fld_x"])
    assert rows(text)["b"] == ["\u2013"]
    assert "Dashes: not measured, or by another protocol." in text


def test_four_measures_are_shown_where_nobody_names_any_and_unknown_ones_refused():
    many = {f"{kind}_pixels": 1.0 for kind in ("precision", "recall", "density", "coverage", "frechet", "kernel")}
    found = collected(*(unit("a", seed, many) for seed in range(3)))
    assert len(paper.chosen(found)) == 4
    assert paper.chosen(found, ["recall_pixels"] * 2) == ["recall_pixels"]
    with pytest.raises(
        UserError, match=r"--measures recal_pixels .* comparison \(did you mean recall_pixels\?\): name "
    ):
        paper.chosen(found, ["recal_pixels"])


def test_for_an_unknown_measure_its_family_is_proposed_and_what_tells_most_comes_first():
    measures = {"d_loss": 1.0, "kl_nats": 1.0, "fld_x-032b91b4": 1.0, "precision_x": 1.0, "frechet_pixels": 1.0}
    found = collected(*(unit("a", seed, measures) for seed in range(3)))
    with pytest.raises(UserError) as refused:
        paper.chosen(found, ["fid"])
    said = str(refused.value)
    assert (
        "--measures fid is no measure of the comparison (did you mean fld_x-032b91b4?): name fld_x-032b91b4, " in said
    )
    assert said.endswith(" or d_loss.")


# --- LaTeX ------------------------------------------------------------------------------------------------------------


def test_letters_are_escaped():
    assert tex.escaped(r"50% of_it & {more} $x$ #1 ^2 ~3 \end") == (
        r"50\% of\_it \& \{more\} $\$$x$\$$ \#1 \textasciicircum{}2 \textasciitilde{}3 \textbackslash{}end"
    )
    assert tex.escaped("é î β Λ \u039f --<") == r"\'{e} \^{\i} $\beta$ $\Lambda$ O -{}-\textless{}"
    assert tex.beyond_pdflatex(tex.escaped("β 数é数")) == "数"
    assert "% pdfLaTeX has no letters 数: use LuaLaTeX" in paper.latex(collected(*made({"数": 1.0})), ["active_units"])


@pytest.mark.skipif(
    not (shutil.which("pdflatex") or shutil.which("tectonic")), reason="neither pdflatex nor tectonic is on the path"
)
def test_it_compiles(tmp_path):
    found = collected(*made({LETTERS: 1.0, "x" * 60: 2.0}), *made({"c": 3.0}, lost=(1,)))
    (tmp_path / "table.tex").write_text(paper.latex(found, list(MEASURES)))
    (tmp_path / "paper.tex").write_text(
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n\\input{table}\n\\end{document}\n"
    )
    engine = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error"] if shutil.which("pdflatex") else ["tectonic"]
    done = subprocess.run([*engine, "paper.tex"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "paper.pdf").read_bytes().startswith(b"%PDF")
