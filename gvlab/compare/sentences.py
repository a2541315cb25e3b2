"""The verdict of a comparison in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from gvlab import statistics
from gvlab.compare.headlines import best
from gvlab.compare.remarks import listed
from gvlab.numbers import evened, interval, number
from gvlab.types import Json


def verdict(primary: str | None, names: Sequence[str], summaries: Sequence[Json], pairs: Sequence[Json]) -> str:
    """One sentence on the primary measure. Nothing is called better unless its interval and its test say so."""
    if not summaries:
        return f"No run of {listed(names)} came to its end."
    finished = [name for name in names if any(row["experiment"] == name for row in summaries)]
    lost = [name for name in names if name not in finished]
    rest = f"; {listed(lost)} diverged in every seed" if lost else ""
    if primary is None:
        none = "share no measure that judges, under one protocol: none can be called better"
        return f"{listed(finished)} {none if len(finished) > 1 else 'has no measure that judges'}{rest}."
    rows = {row["experiment"]: row for row in evened(summaries) if row["measure"] == primary}
    better = next(iter(rows.values()))["better"]
    about = f"On {primary} ({better} is better)"
    if len(finished) == 1:
        row = rows[finished[0]]
        return f"{about}, {finished[0]} reaches {interval(row)} over {row['n']} of {row['total']} seeds{rest}."
    seeds = next(iter(rows.values()))["total"]
    if seeds < statistics.FEWEST:
        few = f"{seeds} seed{'s give' if seeds > 1 else ' gives'} no interval, {statistics.FEWEST} would"
        return f"{about}, nothing can be said of {listed(finished)}: {few}{rest}."
    mine = [pair for pair in pairs if pair["measure"] == primary]
    said = _judged(mine[0]) if len(mine) == 1 else _ranked(finished, rows, mine, better == "higher")
    return f"{about}, {said}{rest}."


Outcome = Literal["better", "undecided", "few", "failed", "measured"]


def outcome(comparison: Json) -> tuple[Outcome, str]:
    """How a comparison ended, and that in a few words, which `verdict` says whole.

    Args:
        comparison: comparison.json's object.

    Returns:
        "failed" where an experiment has no run that came to its end, "measured" where there is nothing to compare,
        "few" where so few seeds decide nothing, whatever they show.
    """
    primary, names = comparison["primary"], [experiment["name"] for experiment in comparison["experiments"]]
    lost = [name for name in names if not any(row["experiment"] == name for row in comparison["summaries"])]
    if lost:
        return "failed", f"{listed(lost)} diverged in every seed"
    if primary is None:
        return "measured", f"{listed(names)}: no measure judges"
    if len(names) == 1:
        (row,) = (row for row in comparison["summaries"] if row["measure"] == primary)
        return "measured", f"{names[0]} reaches {interval(row)} on {primary}"
    if name := best(comparison["pairs"], primary):
        than = f" than {names[1 - names.index(name)]}" if len(names) == 2 else ""
        return "better", f"{name} is better{than} on {primary}"
    about = f"{listed(names) if len(names) < 4 else f'{len(names)} experiments'} on {primary}"
    few = [_too_few(pair) for pair in comparison["pairs"] if pair["measure"] == primary]
    return ("few", f"{about}: {few[0]}") if few and all(few) else ("undecided", about)


def _ranked(names: Sequence[str], rows: dict[str, Json], pairs: Sequence[Json], highest: bool) -> str:
    """Of three or more experiments: which has the best mean, and which of the others it is better than."""
    best = sorted(names, key=lambda name: rows[name]["mean"], reverse=highest)[0]
    beaten: list[tuple[str, Json]] = []
    undecided: list[tuple[str, Json]] = []
    better_ones: list[tuple[str, Json]] = []
    for pair in pairs:
        if best in (pair["first"], pair["second"]):
            other = pair["second"] if best == pair["first"] else pair["first"]
            winner = pair.get(pair["verdict"])
            (beaten if winner == best else better_ones if winner else undecided).append((other, pair))
    tied = [name for name in names if rows[name]["mean"] == rows[best]["mean"] and name != best]
    has = f"and {listed(tied)} share" if tied else "has"
    said = [f"{best} {has} the best mean of {len(names)}, {interval(rows[best])}"]
    if beaten:
        largest = max(pair["p_holm"] for _, pair in beaten)
        said.append(f"and is better than {listed([name for name, _ in beaten])} (adjusted p <= {number(largest)})")
    if better_ones:  # where seeds were lost, the pairs' means are not these
        are = f"{listed([name for name, _ in better_ones])} {'is' if len(better_ones) == 1 else 'are'}"
        said.append(f"but {are} better on the seeds that both finished")
    if undecided:
        needed = [_needed(pair) for _, pair in undecided]
        more = f", which would take about {max(n for n in needed if n)} pairs" if all(needed) else ""
        few = f" ({few})" if (few := _too_few(undecided[0][1])) else ""
        said.append(f"but not told apart from {listed([name for name, _ in undecided])}{few}{more}")
    lost = "".join(
        f"; {name} diverged in {row['failures']} of {row['total']} seeds"
        for name, row in rows.items()
        if row["failures"] and name in names
    )
    rule = "; who lost more seeds than another is not called better" if lost else ""
    return ", ".join(said) + lost + rule


def _judged(pair: Json) -> str:
    first, second = pair["first"], pair["second"]
    numbers = f"{first} minus {second}: {interval(pair, 'difference')}, adjusted p = {number(pair['p_holm'])}"
    if pair["verdict"] in ("first", "second"):
        winner, loser = (first, second) if pair["verdict"] == "first" else (second, first)
        return f"{winner} is better than {loser} ({numbers}{_lost(pair)})"
    if pair["low"] is None:
        pairs = f"{pair['n']} pair{'s'[: pair['n'] != 1]} of seeds came to the end"
        return f"{first} and {second} cannot be told apart: {pairs}{_lost(pair)}"
    more = f"; about {needed} pairs would settle a difference of this size" if (needed := _needed(pair)) else ""
    if few := _too_few(pair):
        return f"{pair['n']} seeds are too few to tell {first} and {second} apart ({numbers}; {few}{_lost(pair)}){more}"
    return f"{pair['n']} seeds don't tell {first} and {second} apart ({numbers}{_lost(pair)}){more}"


def _needed(pair: Json) -> int | None:
    """How many pairs would settle an undecided one; None also where lost seeds, and not their number, leave it so."""
    enough = pair["seeds_needed"] is not None and pair["seeds_needed"] <= pair["n"]
    return None if enough else pair["seeds_needed"]


def _too_few(pair: Json) -> str:
    """That so many pairs decide nothing, whatever they show; "" if they can."""
    if (pair["smallest_p"] or 1) * pair["family"] <= statistics.ALPHA:
        return ""
    reach = f"be the first of {pair['family']} tests to reach" if pair["family"] > 1 else "reach"
    could = statistics.fewest_pairs(pair["family"])
    return f"{pair['n']} pair{'s'[: pair['n'] != 1]} cannot {reach} p = {statistics.ALPHA}" + (
        f", {could} could" if could else ""
    )


def _lost(pair: Json) -> str:
    """Which of the two lost seeds, in words."""
    lost = [(name, n) for name, n in zip((pair["first"], pair["second"]), pair["failures"], strict=True) if n]
    seeds = pair["n"] + pair["left_out"]
    said = "".join(f"; {name} diverged in {n} of {seeds} seeds" for name, n in lost)
    uneven = pair["failures"][0] != pair["failures"][1] and pair["verdict"] == "undecided"
    return said + ("; who lost more seeds than the other is not called better" if uneven else "")
