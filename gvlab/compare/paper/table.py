"""The table of a comparison as it stands in a paper: experiments in rows, measures in columns, in LaTeX or Markdown.

Each number is a mean +- half the width of its interval. The best of a measure is bold only where the comparison's test
tells it apart from every other experiment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from gvlab import evaluate, statistics
from gvlab.compare import written
from gvlab.compare.headlines import best
from gvlab.compare.paper import typesetting as tex
from gvlab.compare.paper.choice import titles
from gvlab.compare.paper.lines import broken
from gvlab.compare.remarks import escaped_markdown, folded
from gvlab.numbers import evened, with_half
from gvlab.types import Json

ARROWS = {"lower": "\u2193", "higher": "\u2191"}
"""Behind a measure's title, for the direction that is the good one."""
OF_HEAD, OF_NAME = 13, 22
"""Letters of a line in the head of a column and in an experiment's name: four measures fit on a page of 345 points."""


class _Row(NamedTuple):
    name: str
    seeds: str
    """6 of 8."""
    cells: list[tuple[str, str | None, bool] | None]
    """(mean, half the width of its interval if it has one, whether it is bold); None where there is no number."""


class _Table(NamedTuple):
    heads: list[str]
    """A measure's title and its arrow."""
    rows: list[_Row]
    lost_some: bool
    """Whether a seed diverged: there is a column of seeds then."""
    caption: str


def latex(comparison: Json, measures: Sequence[str]) -> str:
    """A float with booktabs' rules, its caption and its label; above it, as comments, what the measures are.

    Args:
        comparison: comparison.json's object.
        measures: those in its columns, from `chosen`.
    """
    made = _table(comparison, measures)
    columns = ["l", *("r" if made.lost_some else ""), *("r" * len(measures))]
    heads = ["", *(["seeds"] if made.lost_some else []), *map(_head, made.heads)]
    body = [
        " & ".join(
            [
                _stacked(broken(row.name, OF_NAME), "l", "t"),
                *([row.seeds] if made.lost_some else []),
                *map(_formula, row.cells),
            ]
        )
        for row in made.rows
    ]
    lines = [
        r"\begin{table}",
        r"\centering\small\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{tex.escaped(made.caption)}}}",
        rf"\label{{tab:{_label([row.name for row in made.rows])}}}",
        r"\vspace{4pt}",
        rf"\begin{{tabular}}{{{''.join(columns)}}}",
        r"\toprule",
        " & ".join(heads) + r" \\",
        r"\midrule",
        *(f"{row} \\\\" for row in body),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    comments = [r"\usepackage{booktabs} in the preamble", *_about(comparison, measures), *comparison["remarks"]]
    if beyond := tex.beyond_pdflatex("".join(lines)):
        comments.append(f"pdfLaTeX has no letters {beyond}: use LuaLaTeX or XeLaTeX, with a font that has them")
    above = [f"% gvlab {comparison['gvlab']} table", *(f"% {folded(comment)}" for comment in comments)]
    return "\n".join([*above, *lines]) + "\n"


def markdown(comparison: Json, measures: Sequence[str]) -> str:
    """The table in Markdown, its caption below it, and as a comment what the measures are."""
    made = _table(comparison, measures)
    heads = ["", *(["seeds"] if made.lost_some else []), *made.heads]
    rows = [
        [escaped_markdown(row.name), *([row.seeds] if made.lost_some else []), *map(_text, row.cells)]
        for row in made.rows
    ]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    about = "\n".join(folded(line).replace("--", "- -") for line in _about(comparison, measures))
    table = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    return f"<!-- gvlab {comparison['gvlab']} table\n{about}\n-->\n\n{table}\n{escaped_markdown(made.caption)}\n"


def _table(comparison: Json, measures: Sequence[str]) -> _Table:
    names = [experiment["name"] for experiment in comparison["experiments"]]
    by = {(row["measure"], row["experiment"]): row for row in evened(comparison["summaries"])}
    winners = {measure: best(comparison["pairs"], measure) for measure in measures}
    ended = {name: written.finished(comparison, name) for name in names}
    rows = []
    for name in names:
        cells = [_cell(by.get((measure, name)), winners[measure] == name) for measure in measures]
        rows.append(_Row(name, f"{ended[name]} of {len(comparison['seeds'])}", cells))
    titled = titles(measures)
    heads = [" ".join(filter(None, [titled[m], ARROWS.get(evaluate.kind_of(m).better or "")])) for m in measures]
    lost_some = min(ended.values()) < len(comparison["seeds"])
    return _Table(heads, rows, lost_some, _caption(comparison, measures, rows, lost_some))


def _cell(row: Json | None, bold: bool) -> tuple[str, str | None, bool] | None:
    return None if row is None or row["other_protocol"] or row["mean"] is None else (*with_half(row), bold)


def _caption(comparison: Json, measures: Sequence[str], rows: Sequence[_Row], lost_some: bool) -> str:
    """What the numbers are, and by what test one is bold."""
    cells = [cell for row in rows for cell in row.cells]
    sentences = [mean_of(comparison, any(cell and cell[1] is not None for cell in cells))]
    meant = directions(measures)
    sentences += meant
    if len(rows) > 1 and meant:
        test = f"by the exact sign-flip test on pairs of equal seeds, p \u2264 0.05 {_correction(comparison)}"
        sentences.append(
            f"Bold: better than every other, {test}."
            if any(cell and cell[2] for cell in cells)
            else f"None is told apart from every other as the better one, {test}, so none is bold."
        )
    if lost_some:
        sentences.append("Seeds that diverged are left out.")
    if None in cells:
        sentences.append("Dashes: not measured, or by another protocol.")
    if comparison["match"]:
        sentences.append(f"All were trained with equal budgets ({comparison['match']}).")
    return " ".join(sentences)


def directions(measures: Sequence[str]) -> list[str]:
    """What the arrows mean, in a sentence, if there are any."""
    better = {evaluate.kind_of(measure).better for measure in measures}
    meant = [f"{arrow}: {direction} is better" for direction, arrow in ARROWS.items() if direction in better]
    return [f"{'; '.join(meant)}."] if meant else []


def _correction(comparison: Json) -> str:
    """Holm's, and over what."""
    judging, primary = {pair["measure"] for pair in comparison["pairs"]}, comparison["primary"]
    others = len(judging - {primary})
    if primary not in judging or not others:
        return "after Holm's correction"
    main = evaluate.title_of(primary)
    rest = "the other measure" if others == 1 else f"the {others} other measures"
    return f"after Holm's correction, one for {main} and one for {rest} of the comparison together"


def mean_of(comparison: Json, has_intervals: bool) -> str:
    """What a mean with its interval is, in a sentence."""
    if not comparison["summaries"]:
        return "No run came to its end."
    count = len(comparison["seeds"])
    seeds = f"{count} seed{'s'[: count > 1]}"
    if not has_intervals:
        return f"Means over {seeds}; an interval takes {statistics.FEWEST}." if count > 1 else "Of one seed."
    interval = "95 % interval (BCa bootstrap, never narrower than Student's)"
    return f"Mean \u00b1 half the width of its {interval} over {seeds}."


def _about(comparison: Json, measures: Sequence[str]) -> list[str]:
    """Of each measure its title, the name that gvlab gives it, and the protocol."""
    first: dict[str, Json] = {}
    for row in comparison["summaries"]:
        first.setdefault(row["measure"], row)
    return [
        f"{title}: {', '.join(filter(None, [name, first[name]['protocol']]))}"
        for name, title in titles(measures).items()
    ]


def _formula(cell: tuple[str, str | None, bool] | None) -> str:
    if cell is None:
        return "--"
    mean, half, bold = cell
    inner = tex.number(mean) if half is None else rf"{tex.number(mean)} \pm {tex.number(half)}"
    return rf"{{\boldmath${inner}$}}" if bold else f"${inner}$"


def _text(cell: tuple[str, str | None, bool] | None) -> str:
    if cell is None:
        return "\u2013"
    mean, half, bold = cell
    text = (mean if half is None else f"{mean} \u00b1 {half}").replace("-", "\u2212")
    return f"**{text}**" if bold else text


def _head(title: str) -> str:
    parts = re.split(r" (?=\()", title, maxsplit=1)
    return _stacked([line for part in parts for line in broken(part, OF_HEAD)], "r", "b")


def _stacked(lines: Sequence[str], side: str, aligned: str) -> str:
    """Several lines in one cell."""
    if len(lines) == 1:
        return tex.escaped(lines[0])
    inner = r" \\ ".join(map(tex.escaped, lines))
    return rf"\begin{{tabular}}[{aligned}]{{@{{}}{side}@{{}}}}{inner}\end{{tabular}}"


def _label(names: Sequence[str]) -> str:
    called = names if len(names) < 4 else [names[0], f"and-{len(names) - 1}-more"]
    return re.sub(r"[^A-Za-z0-9]+", "-", "-".join(called)).strip("-") or "comparison"
