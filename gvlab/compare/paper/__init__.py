"""What goes from a comparison into a paper: one table, and figures."""

from gvlab.compare.paper.choice import MOST, chosen
from gvlab.compare.paper.figures import figure
from gvlab.compare.paper.table import latex, markdown

__all__ = [
    "MOST",
    "chosen",
    "figure",
    "latex",
    "markdown",
]
