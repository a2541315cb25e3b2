"""The commands that make of a comparison what stands in a paper: table and figure."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from gvlab.cli import outputs
from gvlab.errors import UserError
from gvlab.files import replacing, require_regular, write_atomically

TABLES = {".tex": b"% gvlab ", ".md": b"<!-- gvlab "}
"""How a table begins that `gvlab table` wrote, by the ending of its name."""
FIGURES = {".pdf": b"%PDF", ".svg": b"<?xml", ".png": b"\x89PNG"}
"""How a figure begins."""
KINDS = ("forest", "curves", "samples", "sweep")


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Adds the commands to the parser; `command(name, help, run)` makes one."""
    table = command("table", "Make the table of a comparison for a paper.", _table)
    table.add_argument("directory", type=Path, metavar="DIR")
    latex_or_markdown = outputs.file(TABLES, "a table is LaTeX or Markdown")
    table.add_argument("--out", type=latex_or_markdown, required=True, metavar="TABLE.tex", help="or TABLE.md")
    figure = command("figure", "Make a figure of a comparison for a paper.", _figure)
    figure.add_argument("directory", type=Path, metavar="DIR")
    drawing = outputs.file(FIGURES, "a figure is a PDF, an SVG or a PNG file")
    figure.add_argument("--out", type=drawing, required=True, metavar="FIGURE.pdf", help="or FIGURE.svg, FIGURE.png")
    figure.add_argument(
        "--kind",
        choices=KINDS,
        default="forest",
        help="forest: intervals and seeds; curves: of training; samples: of one seed each; sweep: measures against "
        "the swept values (default: forest)",
    )
    for made, of in ((table, ""), (figure, "; with --kind curves, terms of training")):
        made.add_argument(
            "--measures",
            nargs="+",
            metavar="NAME",
            help=f"which, as table.md names them (default: what tells most){of}",
        )


def _table(args: argparse.Namespace, rest: list[str]) -> None:
    suffix = _check_out(args.out, TABLES, args.directory)
    from gvlab.compare import paper, written

    comparison = written.read(args.directory)
    measures = paper.chosen(comparison, args.measures)
    make = {".tex": paper.latex, ".md": paper.markdown}[suffix]
    write_atomically(args.out, make(comparison, measures))
    print(args.out)


def _figure(args: argparse.Namespace, rest: list[str]) -> None:
    suffix = _check_out(args.out, FIGURES, args.directory)
    if args.kind == "samples" and args.measures:
        raise UserError(f"--measures {args.measures[0]} is no matter of --kind samples: leave it out.")
    from gvlab.compare import paper, written

    comparison = written.read(args.directory)
    made, caption = paper.figure(args.kind, args.directory, comparison, args.measures, suffix.removeprefix("."))
    with replacing(args.out) as file:
        file.write(made)
    print(args.out)
    print(caption)


def _check_out(out: Path, kinds: Mapping[str, bytes], directory: Path) -> str:
    """The ending of the file's name; raises `UserError` where something else would be lost."""
    suffix = out.suffix.lower()
    if out.resolve() in [(directory / f"table{ending}").resolve() for ending in TABLES]:
        raise UserError(f"--out is {out}, which gvlab report writes: choose another place.")
    if os.path.lexists(out):
        require_regular(out)
        with out.open("rb") as file:
            if file.read(len(kinds[suffix])) != kinds[suffix]:
                raise UserError(f"{out} is there already, and is nothing that this command made: choose another --out.")
    return suffix
