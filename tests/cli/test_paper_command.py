"""`gvlab table` and `gvlab figure` on a comparison that was trained, and their mistakes."""

from __future__ import annotations

import pytest
from harness import assert_refused, call, changed, compared, contents, copy_of_compared

from gvlab import compare


def test_table_and_figure_are_written_and_leave_the_comparison_as_it_is(tmp_path, capsys):
    root = compared()
    before = contents(root)
    for file in ("t.tex", "t.md", "f.pdf", "f.svg", "f.PNG"):
        command = "table" if file.startswith("t") else "figure"
        for _ in range(2):  # its own may be made anew
            assert call(command, root, "--out", tmp_path / file) == 0
        assert capsys.readouterr().out.splitlines()[0] == str(tmp_path / file)
    for kind in ("curves", "samples"):
        assert call("figure", root, "--kind", kind, "--out", tmp_path / f"{kind}.png") == 0
    measure = "frechet_pixels"
    assert call("table", root, "--out", tmp_path / "one.md", "--measures", measure) == 0
    assert f"Fréchet distance (pixels): {measure}, split test" in (tmp_path / "one.md").read_text()
    assert (tmp_path / "t.tex").read_text() == (root / "table.tex").read_text()
    assert not changed(root, before)
    assert not [*tmp_path.glob("*.part")]


MISTAKES = {
    "an ending of a table": (["table", "--out", "t.csv"], ["--out is t.csv", "end in .tex or .md"]),
    "an ending of a figure": (["figure", "--out", "f.jpg"], ["--out is f.jpg", "end in .pdf, .svg or .png"]),
    "a paper of one's own": (["table", "--out", "paper.tex"], ["paper.tex is there already", "another --out"]),
    "a picture that is none": (["figure", "--out", "note.png"], ["note.png is there already"]),
    "a directory": (["figure", "--out", "folder.pdf"], ["--out is folder.pdf, which is a directory"]),
    "a measure": (
        ["table", "--out", "t.md", "--measures", "frechet_pixel"],
        ["frechet_pixel ", "(did you mean frechet_pixels?)"],
    ),
    "a measure of nothing here": (
        ["figure", "--out", "f.pdf", "--measures", "qqq"],
        ["--measures qqq is no measure of the comparison: name frechet_pixels, iw_bound_nats"],
    ),
    "a term": (["figure", "--kind", "curves", "--out", "f.pdf", "--measures", "d_lss"], ["d_lss ", "d_loss"]),
    "measures of samples": (
        ["figure", "--kind", "samples", "--out", "f.pdf", "--measures", "frechet_pixels"],
        ["--measures frechet_pixels", "--kind samples"],
    ),
    "no sweep": (["figure", "--kind", "sweep", "--out", "f.pdf"], ["--kind sweep", "is no sweep"]),
    "a kind": (["figure", "--kind", "pie", "--out", "f.pdf"], ["'pie'"]),
    "no place": (["figure", "--out", "no/f.pdf"], ["No such file or directory"]),
}


@pytest.mark.parametrize(("args", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gets_one_sentence_and_leaves_nothing(args, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "paper.tex").write_text("\\documentclass{article}\n")
    (tmp_path / "note.png").write_text("to be done\n")
    (tmp_path / "folder.pdf").mkdir()
    before = contents(tmp_path)
    assert_refused(call(args[0], compared(), *args[1:]), *capsys.readouterr(), *words)
    assert not changed(tmp_path, before)


def test_the_comparisons_own_table_is_not_replaced(tmp_path, capsys):
    root, _ = copy_of_compared(tmp_path)
    for file in ("table.tex", "table.md"):
        code = call("table", root, "--out", root / file)
        assert_refused(code, *capsys.readouterr(), "which gvlab report writes: choose another place")
    (root / "comparison.json").unlink()
    assert_refused(call("table", root, "--out", tmp_path / "t.md"), *capsys.readouterr(), "no comparison.json")
    assert_refused(
        call("figure", tmp_path / "x", "--out", tmp_path / "f.pdf"), *capsys.readouterr(), f"no {tmp_path / 'x'}"
    )
    assert compare.read_plan(root).seeds == 2
