"""Which few measures tell most of a comparison, and the table of them."""

from __future__ import annotations

from collections.abc import Sequence

from gvlab import evaluate
from gvlab.compare import sweeps
from gvlab.numbers import DASH, evened, interval, number
from gvlab.types import Json

MOST = 6
"""Headline measures."""


SHARED = 4
"""So many of them are of what all experiments have, if they have so many."""


COLUMNS = 4
"""So many experiments stand side by side; more stand one below the other."""


PREFERRED = (
    *("iw_bound_nats", "fid", "fld_", "modes_covered", "frechet", "elbo_nats", "restored_psnr_db"),
    *("valid_share", "reverse_lm_bits"),
)
"""What the verdict is about, in the order of preference. Of text without a likelihood BLEU is first by name, but says
little of what is missing; the last two do."""


def primary(summaries: Sequence[Json]) -> str | None:
    """The measure that the verdict is about: the first in the order of preference that all experiments share of which
    a seed came to its end."""
    shared = _shared([row for row in summaries if row["better"]])
    # By name within a rank: the order of the experiments decides nothing.
    preferred = [measure for prefix in PREFERRED for measure in sorted(shared) if measure.startswith(prefix)]
    return next(iter([*preferred, *sorted(shared)]), None)


def headlines(summaries: Sequence[Json], first: str | None = None) -> list[str]:
    """At most `MOST` measures: `first`, those that all experiments share, then those that some have.

    Diagnostics and what measures pixels stay out where there is something better.
    """
    rows = [row for row in summaries if evaluate.kind_of(row["measure"]).group != "diagnostics"]
    every = sorted(dict.fromkeys(row["measure"] for row in rows), key=order)
    judging = {row["measure"] for row in rows if row["better"]}
    shared = [measure for measure in every if measure in set(_shared(rows)) & judging and measure != first]
    telling = [measure for measure in shared if not measure.endswith("_pixels")]
    begin = [*([first] if first else []), *telling][:SHARED]
    some = [measure for measure in every if measure in judging and measure not in (*shared, first)]
    chosen = [*begin, *some[: MOST - SHARED]]
    return list(dict.fromkeys([*chosen, *telling, *shared, *some, *every]))[:MOST]


def _shared(rows: Sequence[Json]) -> list[str]:
    """The measures that all experiments of the rows have, under one protocol."""
    finished = {row["experiment"] for row in rows}
    having: dict[str, set[str]] = {}
    for row in rows:
        if not row["other_protocol"]:
            having.setdefault(row["measure"], set()).add(row["experiment"])
    return [measure for measure, names in having.items() if names == finished]


def order(measure: str) -> tuple[bool, int, str]:
    """To sort measures by: those that tell most first, those of pixels last."""
    return measure.endswith("_pixels"), evaluate.rank(measure), measure


def best(pairs: Sequence[Json], measure: str | None) -> str | None:
    """The experiment that is better than every other one on a measure, as far as they were compared; None if none is.

    It is so by the verdicts of the comparison, which corrected its tests.
    """
    own = [pair for pair in pairs if pair["measure"] == measure]
    for name in dict.fromkeys(name for pair in own for name in (pair["first"], pair["second"])):
        mine = [pair for pair in own if name in (pair["first"], pair["second"])]
        if all(pair.get(pair["verdict"]) == name for pair in mine):
            return name
    return None


def table(comparison: Json) -> tuple[list[str], list[list[str]]]:
    """The headline measures as text: (head, rows). Measures are rows where there are few experiments; of many, and of a
    sweep, they are columns, and the experiments are ranked."""
    names = [experiment["name"] for experiment in comparison["experiments"]]
    measures = headlines(comparison["summaries"], comparison["primary"])
    by = {(row["measure"], row["experiment"]): row for row in evened(comparison["summaries"])}
    cells = {(measure, name): _cell(by.get((measure, name))) for measure in measures for name in names}
    if len(names) > COLUMNS or sweeps.of_names(names):
        head = ["experiment", *(f"{measure}{_better(measure, ', ')}" for measure in measures)]
        lines = [[name, *(cells[measure, name] for measure in measures)] for name in ranked(comparison)]
        if from_best := _told_from_the_best(comparison):
            head.insert(2, "told from the best")
            for line in lines:
                line.insert(2, from_best[line[0]])
        return head, lines
    pairs = {pair["measure"]: pair for pair in comparison["pairs"]}
    head = ["measure", "better", *names, *(["told apart"] if len(names) == 2 and pairs else [])]
    rows = [[measure, _better(measure), *(cells[measure, name] for name in names)] for measure in measures]
    if len(head) > 2 + len(names):
        rows = [[*row, _told_apart(pairs.get(row[0]))] for row in rows]
    return head, rows


def ranked(comparison: Json) -> list[str]:
    """The experiments' names, the best mean of the measure that the verdict is about first, those without one last."""
    names = [experiment["name"] for experiment in comparison["experiments"]]
    rows = [row for row in comparison["summaries"] if row["measure"] == comparison["primary"]]
    means = {row["experiment"]: row["mean"] for row in rows if row["mean"] is not None and not row["other_protocol"]}
    sign = -1 if rows and rows[0]["better"] == "higher" else 1
    return sorted(names, key=lambda name: (name not in means, sign * means.get(name, 0.0)))


def _told_from_the_best(comparison: Json) -> dict[str, str]:
    """Of each experiment whether its pair with the best one is told apart, and how surely; empty without pairs."""
    first, *others = ranked(comparison)
    pairs = {
        frozenset((pair["first"], pair["second"])): pair
        for pair in comparison["pairs"]
        if pair["measure"] == comparison["primary"]
    }
    return {first: DASH} | {name: _told_apart(pairs.get(frozenset((first, name)))) for name in others} if pairs else {}


def _better(measure: str, before: str = "") -> str:
    better = evaluate.kind_of(measure).better
    return before + better if better else ""


def _cell(row: Json | None) -> str:
    return DASH if row is None or row["other_protocol"] else interval(row)


def _told_apart(pair: Json | None) -> str:
    """yes or no, with the adjusted p-value."""
    if pair is None or pair["p_holm"] is None:
        return DASH
    return f"{'no' if pair['verdict'] == 'undecided' else 'yes'} (p = {number(pair['p_holm'])})"
