"""Which measures go into a paper, and what a reader calls them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from gvlab import evaluate
from gvlab.compare.headlines import headlines
from gvlab.compare.remarks import listed
from gvlab.types import Json, UserError

MOST = 4
"""Measures where nobody names any: as many as fit beside each other on a page."""


def chosen(comparison: Json, named: Sequence[str] | None = None) -> list[str]:
    """The measures that are named, or those that tell most.

    Raises:
        UserError: the comparison lacks one of them.
    """
    if named is None:
        return headlines(comparison["summaries"], comparison["primary"])[:MOST]
    require(named, list(dict.fromkeys(row["measure"] for row in comparison["summaries"])), "measure")
    return list(dict.fromkeys(named))


def require(named: Iterable[str], have: Sequence[str], what: str) -> None:
    """Raises UserError for a name that is not there; it proposes those most like it."""
    for name in named:
        if name not in have:
            near = difflib.get_close_matches(name, have, n=3, cutoff=0.4) or have[:3]
            ending = f"name {listed(near, 'or')}, say" if near else "no run of it came to its end"
            raise UserError(f"--measures {name} is no {what} of the comparison: {ending}.")


def titles(measures: Sequence[str]) -> dict[str, str]:
    """What a reader calls the measures; where two would be called alike, as they are in every other table."""
    named = {measure: evaluate.title_of(measure) for measure in measures}
    alike = list(named.values())
    return {measure: title if alike.count(title) == 1 else measure for measure, title in named.items()}
