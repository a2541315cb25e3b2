"""Drawing with Matplotlib, which is imported here alone: the same figure is the same bytes, on every machine that has
these versions, since neither a user's settings nor the clock nor a system's fonts have a part in it."""

from __future__ import annotations

import io
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from gvlab.compare.looks import look
from gvlab.compare.paper.lines import broken
from gvlab.types import UserError

COLUMN, PAGE, HIGHEST = 3.35, 6.9, 9.2
"""Inches: the width of a column, and the width and height of a page's text."""
PALETTE = ("#0072b2", "#d55e00", "#008a64", "#b5588c", "#000000", "#a87400")
"""Okabe & Ito's, darkened as in the report until all stand out from white."""
MARKS = ("o", "s", "^", "D", "v", "P")
LINES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)))
"""Without colours lines are told apart by these, and by their marks."""
QUIET, RULE = "#565656", "#d9d9d9"
FONT = "DejaVu Sans"
"""Matplotlib brings it along."""
PER_INCH = 17
"""Letters of an inch of text, about."""

_STYLE: Any = {
    "font.family": FONT,
    "font.size": 7,
    "text.parse_math": False,  # a name may have dollars
    "axes.titlesize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.edgecolor": QUIET,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.6,
    "pdf.fonttype": 42,  # whole fonts, which journals ask for
    "svg.fonttype": "path",
    "svg.hashsalt": "gvlab",
}
_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
    "png": {},
}


class Drawing(NamedTuple):
    """A figure that is not drawn yet."""

    width: float
    """In inches, as the height."""
    height: float
    draw: Callable[[Any], None]
    """Draws it on a Matplotlib figure."""
    caption: str
    """What there is to see, in sentences."""


def rendered(drawing: Drawing, format: str) -> bytes:
    """The file.

    Raises:
        UserError: Matplotlib is not installed, or the figure would be longer than a page.
    """
    if drawing.height > HIGHEST:
        raise UserError(
            f"The figure would be {drawing.height:.0f} inches high, but a page has {HIGHEST:.0f}: name fewer measures "
            "with --measures, or compare fewer experiments."
        )
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("Figures need Matplotlib: pip install 'gvlab[figures]'.") from error
    with matplotlib.rc_context(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure = Figure(figsize=(drawing.width, drawing.height), layout="constrained")
        drawing.draw(figure)
        file = io.BytesIO()
        figure.savefig(file, format=format, dpi=300, metadata=_METADATA[format])
    _tell(caught)
    return file.getvalue()


def _tell(caught: Sequence[warnings.WarningMessage]) -> None:
    """Which letters the font lacks, in a sentence; any other warning goes on."""
    lacking: dict[str, None] = {}
    for warning in caught:
        if missing := re.match(r"Glyph (\d+) .*missing from", str(warning.message)):
            lacking[chr(int(missing[1]))] = None
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    if lacking:
        print(f"The font of figures has no {' '.join(lacking)}: boxes stand there.", file=sys.stderr)


def style(number: int) -> dict[str, Any]:
    """Colour, mark and line of an experiment, by its number."""
    colour, mark = look(number)
    return {"color": PALETTE[colour], "marker": MARKS[mark], "linestyle": LINES[mark]}


def tints_of(first: str, last: str) -> Any:
    """The colours from one to another."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("tints", (first, last))


def wrapped(text: str, inches: float) -> str:
    """`broken` into lines of that width."""
    return "\n".join(broken(text, max(6, int(PER_INCH * inches))))


def text_of(value: float, _position: int | None = None) -> str:
    """The text of a tick."""
    return f"{value:,.6g}".replace("-", "\u2212") if abs(value) < 1e6 else f"{value:.3g}"


def legend(figure: Any, axes: Any, names: Sequence[str], width: float) -> None:
    """The experiments' names above the panels, in as many columns as fit."""
    longest = max(map(len, names)) / PER_INCH + 0.45
    columns = max(1, min(len(names), int(width / longest)))
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, [wrapped(label, width - 0.6) for label in labels], loc="outside upper left", ncols=columns)


def legend_height(names: Sequence[str], width: float) -> float:
    """Inches that `legend` takes."""
    longest = max(map(len, names)) / PER_INCH + 0.45
    columns = max(1, min(len(names), int(width / longest)))
    lines = max(wrapped(name, width - 0.6).count("\n") + 1 for name in names)
    return 0.1 + 0.14 * lines * -(-len(names) // columns)
