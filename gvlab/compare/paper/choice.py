"""Which measures go into a paper, and what a reader calls them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gvlab import evaluate
from gvlab.compare.headlines import headlines, order
from gvlab.compare.remarks import listed
from gvlab.spelling import likeness
from gvlab.types import Json, UserError

MOST = 4
"""Measures where nobody names any: as many as fit beside each other on a page."""
_SHOWN = 6
"""Names in a sentence."""


def chosen(comparison: Json, named: Sequence[str] | None = None) -> list[str]:
    """The measures that are named, or those that tell most.

    Raises:
        UserError: the comparison lacks one of them.
    """
    telling = headlines(comparison["summaries"], comparison["primary"])
    if named is None:
        return telling[:MOST]
    every = sorted({row["measure"] for row in comparison["summaries"]}, key=order)
    require(named, list(dict.fromkeys([*telling, *every])), "measure", "table.md")
    return list(dict.fromkeys(named))


def require(named: Iterable[str], have: Sequence[str], what: str, where: str) -> None:
    """Raises UserError for a name that is not there; it proposes those most like it, and then others.

    Args:
        named: by the user.
        have: what there is, those that tell most first.
        what: a name of these is, for the sentence.
        where: all of them can be read.
    """
    for name in named:
        if name not in have:
            if not have:
                raise UserError(f"--measures {name} is no {what} of the comparison: no run of it came to its end.")
            near = _near(name, have)
            hint = f" (did you mean {listed(near, 'or')}?)" if near else ""
            shown = f"{', '.join(have[:_SHOWN])}, or another one of {where}" if have[_SHOWN:] else listed(have, "or")
            raise UserError(f"--measures {name} is no {what} of the comparison{hint}: name {shown}.")


def _near(name: str, have: Sequence[str]) -> list[str]:
    """At most three that are spelled alike, or begin so: fid_mnist and fid are like fld_mnist-b3d52d00."""
    begin = name.partition("_")[0]
    alike = {one: max(likeness(name, one), likeness(begin, one.partition("_")[0])) for one in have}
    best = max(alike.values())
    return [one for one in have if alike[one] >= max(0.6, best - 0.1)][:3]


def titles(measures: Sequence[str]) -> dict[str, str]:
    """What a reader calls the measures; where two would be called alike, as they are in every other table."""
    named = {measure: evaluate.title_of(measure) for measure in measures}
    alike = list(named.values())
    return {measure: title if alike.count(title) == 1 else measure for measure, title in named.items()}
