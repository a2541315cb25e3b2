"""What a comparison found, as one JSON object.

comparison.json, schema 1:

    schema, gvlab, match    of the file; the version; what the numbers of steps were made equal in, or null
    seeds                   [0, 1, ...]
    experiments             [{name, family, steps, images, config, dataset}]
      config                the experiment's fields, as in a run's config.json
      dataset               {name, sha256}
    units                   [{experiment, seed, directory, status, failure, state_sha256, group, regrouped, cost,
                            timing, measures, environment}]
      status, failure       "complete" or "diverged", and why, or null
      state_sha256          of the last state, or null
      group, regrouped      the units EXPERIMENT/seed-k trained in one program with this one, itself included; the steps
                            from which it was trained in another group than before, mostly []
      cost                  {parameters, flops_per_step, memory_bytes}: of one step of one unit on one device
      timing                {seconds, images_per_second}: its share of its group's
      measures              null, or {measure: {value, stamp, and sometimes standard_error, spread, points_per_second}}
      environment           a run's environment.json
    summaries               [{experiment, measure, better, stamp, protocol, warnings, other_protocol, and
                            `statistics.Summary`}]
    pairs                   [{measure, first, second, verdict, p_holm, failures, and `statistics.Paired`}]
      verdict               "first", "second" or "undecided"
      failures              [seeds that the first lost, seeds that the second lost]
    primary, verdict        the measure that the verdict is about, or null; one sentence
    remarks                 [sentence]
    commands                {rerun, report, verify}
"""

from __future__ import annotations

import dataclasses
import itertools
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from gvlab import __version__, evaluate, rundir, statistics
from gvlab import config as c
from gvlab.tables import Json, interval, number
from gvlab.units import Unit

SCHEMA = 1

_LOWER = (
    *("fid", "fld_", "frechet", "kid", "kld_", "kernel_", "sliced_wasserstein", "bits_per_dim", "reverse_kl", "kl_to"),
)
_HIGHER = (
    *("elbo_nats", "iw_bound_nats", "ais_bound_nats", "precision", "recall", "density", "coverage", "improved_"),
    *("prd_f", "class_score", "inception_score", "isc", "modes_covered", "high_quality", "authenticity"),
)
_FIRST = ("iw_bound_nats", "fid", "fld_", "modes_covered", "frechet", "elbo_nats")
"""What the verdict is about, in the order of preference."""


def better(measure: str) -> Literal["lower", "higher"] | None:
    """Which direction of a measure is the good one; None for those that describe and don't judge."""
    if measure.startswith(_LOWER):
        return "lower"
    return "higher" if measure.startswith(_HIGHER) else None


def collect(
    experiments: Sequence[c.Experiment], seeds: int, match: str | None, units: Sequence[Unit], root: Path
) -> Json:
    """Everything that is known of a comparison, from its units alone."""
    summaries = _summaries([e.name for e in experiments], units)
    primary = _primary(summaries)
    pairs = _pairs(primary, summaries, units)
    return {
        "schema": SCHEMA,
        "gvlab": __version__,
        "match": match,
        "seeds": list(range(seeds)),
        "experiments": [_experiment(experiment, units) for experiment in experiments],
        "units": [_unit(unit, root) for unit in units],
        "summaries": summaries,
        "pairs": pairs,
        "primary": primary,
        "verdict": verdict(primary, [e.name for e in experiments], summaries, pairs),
        "remarks": _remarks(units, summaries),
        "commands": _commands(root, units),
    }


def _experiment(experiment: c.Experiment, units: Sequence[Unit]) -> Json:
    dataset = next(unit.record["dataset"] for unit in units if unit.experiment == experiment.name)
    return {
        "name": experiment.name,
        "family": type(experiment.model).__name__,
        "steps": experiment.steps,
        "images": experiment.steps * experiment.examples_per_step,
        "config": c.to_dict(experiment),
        "dataset": dataset,
    }


def _unit(unit: Unit, root: Path) -> Json:
    copied = ("status", "failure", "state_sha256", "group", "regrouped", "cost", "timing")
    return {
        "experiment": unit.experiment,
        "seed": unit.seed,
        "directory": unit.run.relative_to(root).as_posix(),
        **{name: unit.record[name] for name in copied},
        "measures": unit.measures,
        "environment": rundir.read_json(unit.run / "environment.json"),
    }


def _commands(root: Path, units: Sequence[Unit]) -> dict[str, str]:
    where = shlex.quote(root.resolve().name)
    together = max(len(unit.record["group"]) for unit in units)
    return {
        "rerun": f"gvlab compare {where}/plan.json --out NEW --together {together}",
        "report": f"gvlab report {where}",
        "verify": f"gvlab verify {where}",
    }


# --- statistics ------------------------------------------------------------------------------------------------------


def _summaries(names: Sequence[str], units: Sequence[Unit]) -> list[Json]:
    """One row per measure and experiment; a number of another protocol than the first of its name is marked."""
    rows = []
    protocols: dict[str, tuple[str, Json]] = {}
    for name in names:
        mine = [unit for unit in units if unit.experiment == name]
        for measure in dict.fromkeys(measure for unit in mine for measure in unit.measures or {}):
            stamps = [unit.measures[measure]["stamp"] for unit in mine if unit.measures and measure in unit.measures]
            first, protocol = protocols.setdefault(measure, (name, stamps[0]))
            others = (_other_protocol(measure, first, protocol, name, stamp) for stamp in stamps)
            warnings = dict.fromkeys(stamp[k] for stamp in stamps for k in ("warning", "note") if k in stamp)
            rows.append(
                {
                    "experiment": name,
                    "measure": measure,
                    "better": better(measure),
                    "stamp": {key: value for key, value in stamps[0].items() if key not in ("seed", "step")},
                    "protocol": evaluate.described(stamps[0]),
                    "warnings": list(warnings),
                    "other_protocol": next(filter(None, others), None),
                    **dataclasses.asdict(statistics.summarise(values(mine, measure))),
                }
            )
    return rows


def values(units: Sequence[Unit], measure: str) -> list[float | None]:
    """Of one experiment, by seed; None where a seed diverged."""
    return [float(u.measures[measure]["value"]) if u.measures and measure in u.measures else None for u in units]


def _other_protocol(measure: str, first: str, protocol: Json, name: str, stamp: Json) -> str | None:
    found = evaluate.difference(protocol, stamp)
    if found is None:
        return None
    here, there = (f"{found.field} = {value}" for value in (found.second, found.first))
    return f"{measure} of {name} has {here}, that of {first} {there}: they cannot be compared."


def _pairs(primary: str | None, summaries: Sequence[Json], units: Sequence[Unit]) -> list[Json]:
    """Every two experiments on every measure that judges.

    The p-values of the primary measure's pairs are one family (Holm). Those of all other measures are another, all
    together: among a dozen measures one in three comparisons of equals would find a "better" one otherwise. An
    experiment that lost more seeds than the other is not called better for what its survivors did.
    """
    of = {name: [unit for unit in units if unit.experiment == name] for name in {unit.experiment for unit in units}}
    rows = []
    for main in (True, False):
        compared = []
        for measure in dict.fromkeys(row["measure"] for row in summaries if row["better"]):
            if (measure == primary) == main:
                shown = [row["experiment"] for row in summaries if row["measure"] == measure]
                fair = [name for name in shown if not _row(summaries, measure, name)["other_protocol"]]
                compared += [(measure, *names) for names in itertools.combinations(fair, 2)]
        both = [[values(of[name], measure) for name in names] for measure, *names in compared]
        tests = sum(sum(None not in pair for pair in zip(*two, strict=True)) >= statistics.FEWEST for two in both)
        pairs = [statistics.paired(*two, family=max(tests, 1)) for two in both]
        adjusted = statistics.holm([pair.p for pair in pairs])
        for (measure, first, second), two, pair, p in zip(compared, both, pairs, adjusted, strict=True):
            failures = [each.count(None) for each in two]
            decided = _decided(statistics.verdict(pair, p, better(measure)), failures)
            names = {"measure": measure, "first": first, "second": second}
            found = {"failures": failures, "p_holm": p, "verdict": decided}
            rows.append({**names, **dataclasses.asdict(pair), **found})
    order = {measure: i for i, measure in enumerate(dict.fromkeys(row["measure"] for row in summaries))}
    return sorted(rows, key=lambda row: order[row["measure"]])


def _row(summaries: Sequence[Json], measure: str, name: str) -> Json:
    return next(row for row in summaries if (row["measure"], row["experiment"]) == (measure, name))


def _decided(verdict: str, failures: list[int]) -> str:
    """The verdict, unless its winner lost more seeds than the other."""
    lost = {"first": failures[0] - failures[1], "second": failures[1] - failures[0]}
    return "undecided" if lost.get(verdict, 0) > 0 else verdict


def _primary(summaries: Sequence[Json]) -> str | None:
    """The measure that the verdict is about: the first in the order of preference that all experiments share of which
    a seed came to its end."""
    finished = {row["experiment"] for row in summaries}
    shown = [row for row in summaries if row["better"] and not row["other_protocol"]]
    shared = [
        measure
        for measure in dict.fromkeys(row["measure"] for row in shown)
        if {row["experiment"] for row in shown if row["measure"] == measure} == finished
    ]
    # By name within a rank: the order of the experiments decides nothing.
    preferred = [measure for prefix in _FIRST for measure in sorted(shared) if measure.startswith(prefix)]
    return next(iter([*preferred, *sorted(shared)]), None)


def verdict(primary: str | None, names: Sequence[str], summaries: Sequence[Json], pairs: Sequence[Json]) -> str:
    """One sentence on the primary measure. Nothing is called better unless its interval and its test say so."""
    if not summaries:
        return f"No run of {_listed(names)} came to its end."
    finished = [name for name in names if any(row["experiment"] == name for row in summaries)]
    lost = [name for name in names if name not in finished]
    rest = f"; {_listed(lost)} diverged in every seed" if lost else ""
    if primary is None:
        none = "share no measure that judges, under one protocol: none can be called better"
        return f"{_listed(finished)} {none if len(finished) > 1 else 'has no measure that judges'}{rest}."
    rows = {row["experiment"]: row for row in summaries if row["measure"] == primary}
    about = f"On {primary} ({better(primary)} is better)"
    if len(finished) == 1:
        row = rows[finished[0]]
        return f"{about}, {finished[0]} reaches {interval(row)} over {row['n']} of {row['total']} seeds{rest}."
    seeds = next(iter(rows.values()))["total"]
    if seeds < statistics.FEWEST:
        few = f"{seeds} seed{'s give' if seeds > 1 else ' gives'} no interval, {statistics.FEWEST} would"
        return f"{about}, nothing can be said of {_listed(finished)}: {few}{rest}."
    mine = [pair for pair in pairs if pair["measure"] == primary]
    said = _judged(mine[0]) if len(mine) == 1 else _ranked(finished, rows, mine, better(primary) == "higher")
    return f"{about}, {said}{rest}."


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


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
    has = f"and {_listed(tied)} share" if tied else "has"
    said = [f"{best} {has} the best mean of {len(names)}, {interval(rows[best])}"]
    if beaten:
        largest = max(pair["p_holm"] for _, pair in beaten)
        said.append(f"and is better than {_listed([name for name, _ in beaten])} (adjusted p <= {number(largest)})")
    if better_ones:  # where seeds were lost, the pairs' means are not these
        are = f"{_listed([name for name, _ in better_ones])} {'is' if len(better_ones) == 1 else 'are'}"
        said.append(f"but {are} better on the seeds that both finished")
    if undecided:
        needed = [_needed(pair) for _, pair in undecided]
        more = f", which would take about {max(n for n in needed if n)} pairs" if all(needed) else ""
        few = f" ({few})" if (few := _too_few(undecided[0][1])) else ""
        said.append(f"but not told apart from {_listed([name for name, _ in undecided])}{few}{more}")
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
    few = f"; {few}" if (few := _too_few(pair)) else ""
    return f"{pair['n']} seeds don't tell {first} and {second} apart ({numbers}{few}{_lost(pair)}){more}"


def _needed(pair: Json) -> int | None:
    """How many pairs would settle an undecided one; None also where lost seeds, and not their number, leave it so."""
    enough = pair["seeds_needed"] is not None and pair["seeds_needed"] <= pair["n"]
    return None if enough else pair["seeds_needed"]


def _too_few(pair: Json) -> str:
    """That so many pairs decide nothing, whatever they show; "" if they can."""
    if (pair["smallest_p"] or 0) * pair["family"] <= statistics.ALPHA:
        return ""
    reach = f"be the first of {pair['family']} tests to reach" if pair["family"] > 1 else "reach"
    could = statistics.fewest_pairs(pair["family"])
    return f"{pair['n']} pairs cannot {reach} p = {statistics.ALPHA}" + (f", {could} could" if could else "")


def _lost(pair: Json) -> str:
    """Which of the two lost seeds, in words."""
    lost = [(name, n) for name, n in zip((pair["first"], pair["second"]), pair["failures"], strict=True) if n]
    seeds = pair["n"] + pair["left_out"]
    said = "".join(f"; {name} diverged in {n} of {seeds} seeds" for name, n in lost)
    uneven = pair["failures"][0] != pair["failures"][1] and pair["verdict"] == "undecided"
    return said + ("; who lost more seeds than the other is not called better" if uneven else "")


def _remarks(units: Sequence[Unit], summaries: Sequence[Json]) -> list[str]:
    """What the tables don't show, and why."""
    remarks = [f"{u.experiment}, seed {u.seed}, diverged: {u.failure}" for u in units if u.failure]
    remarks += [row["other_protocol"] for row in summaries if row["other_protocol"]]
    warned: dict[str, list[str]] = {}
    for row in summaries:
        for text in row["warnings"]:
            warned.setdefault(text, []).append(f"{row['measure']} of {row['experiment']}")
    remarks += [f"{', '.join(of)}: {text}." for text, of in warned.items()]
    environments = [rundir.read_json(unit.run / "environment.json") or {} for unit in units]
    for field in rundir.DECISIVE:
        found = list(dict.fromkeys(str(environment.get(field)) for environment in environments))
        if len(found) > 1:
            remarks.append(f"The units were made in different environments: {field} was {' or '.join(found)}.")
    return remarks


def difference_of_environments(before: Json) -> str | None:
    """Where an environment.json differs from this process's in what bits depend on, in words; None if nowhere."""
    now = rundir.environment()
    changed = [
        f"{name} was {before.get(name)} and is {now[name]}" for name in rundir.DECISIVE if before.get(name) != now[name]
    ]
    return ", ".join(changed) or None
