"""The report of a comparison: one HTML file with everything in it, which opens anywhere without a network."""

from gvlab.compare.report.page import html, write

__all__ = [
    "html",
    "write",
]
