"""What a comparison found, as one JSON object.

comparison.json, schema 1:

    schema, gvlab, match    of the file; the version; what the numbers of steps were made equal in, or null
    seeds                   [0, 1, ...]
    experiments             [{name, family, steps, images, config, dataset}]
      config                the experiment's fields, as in a run's config.json
      dataset               {name, sha256}
    units                   [{experiment, seed, directory, status, failure, state_sha256, group, regrouped, cost,
                            timing, marks, measures, environment}]
      status, failure       "complete" or "diverged", and why, or null
      state_sha256          of the last state, or null
      group, regrouped      the units EXPERIMENT/seed-k trained in one program with this one, itself included; the steps
                            from which it was trained in another group than before, mostly []
      cost                  {parameters, flops_per_step, memory_bytes}: of one step of one unit on one device
      timing                {seconds, images_per_second}: its share of its group's
      marks                 [words]: by what the code that made it differs from that of the first unit
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

from gvlab import __version__, evaluate, statistics
from gvlab import config as c
from gvlab.compare import marks
from gvlab.compare.headlines import primary
from gvlab.compare.remarks import folded, remarks
from gvlab.compare.sentences import verdict
from gvlab.compare.units import Unit
from gvlab.config import own
from gvlab.evaluate import Measure
from gvlab.runs import directory as rundir
from gvlab.runs.environment import read_environment
from gvlab.types import Json

SCHEMA = 1


def collect(
    experiments: Sequence[c.Experiment],
    seeds: int,
    match: str | None,
    units: Sequence[Unit],
    root: Path,
    directory: str | None = None,
) -> Json:
    """Everything that is known of a comparison, from its units alone.

    Args:
        experiments: all of them.
        seeds: how many each has.
        match: what their budgets were made equal in, if anything.
        units: every experiment with every seed.
        root: where they lie.
        directory: what the comparison was called where it was made; by default the name that it has.
    """
    summaries = _summaries([e.name for e in experiments], units)
    main = primary(summaries)
    pairs = _pairs(main, summaries, units)
    return {
        "schema": SCHEMA,
        "gvlab": __version__,
        "match": match,
        "seeds": list(range(seeds)),
        "experiments": [_experiment(experiment, units) for experiment in experiments],
        "units": [_unit(unit, marked, root) for unit, marked in zip(units, marks.among(units), strict=True)],
        "summaries": summaries,
        "pairs": pairs,
        "primary": main,
        "verdict": folded(verdict(main, [e.name for e in experiments], summaries, pairs)),
        "remarks": remarks(units, summaries),
        "commands": _commands(
            root.resolve().name if directory is None else directory, units, _copies(experiments, units, root)
        ),
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


def _unit(unit: Unit, marked: list[str], root: Path) -> Json:
    copied = ("status", "failure", "state_sha256", "group", "regrouped", "cost", "timing")
    return {
        "experiment": unit.experiment,
        "seed": unit.seed,
        "directory": unit.run.relative_to(root).as_posix(),
        **{name: unit.record[name] for name in copied},
        "marks": marked,
        "measures": unit.measures,
        "environment": read_environment(unit.run) or None,
    }


def _copies(experiments: Sequence[c.Experiment], units: Sequence[Unit], root: Path) -> list[str]:
    """Of each file that own parts are of the copy that the first unit keeps, by its path within the root."""
    copies: dict[str, str] = {}
    for experiment in experiments:
        run = next(unit.run for unit in units if unit.experiment == experiment.name)
        for sha256 in filter(None, own.files(experiment)):
            copies.setdefault(sha256, (run / rundir.EXPERIMENT_FILE).relative_to(root).as_posix())
    return list(copies.values())


def _commands(directory: str, units: Sequence[Unit], copies: Sequence[str] = ()) -> dict[str, str]:
    """They run as they stand, from where the comparison was made; what needs the classes of `copies` names them."""
    named = directory if not directory.startswith("-") else f"./{directory}"
    where, plan = shlex.quote(named), shlex.quote(f"{named}/plan.json")
    together = max(len(unit.record["group"]) for unit in units)
    files = "".join(f" --experiment {shlex.quote(f'{named}/{copy}')}" for copy in copies)
    return {
        "rerun": f"gvlab compare {plan} --out NEW --together {together}{files}",
        "report": f"gvlab report {where}",
        "verify": f"gvlab verify {where}{files}",
    }


def _summaries(names: Sequence[str], units: Sequence[Unit]) -> list[Json]:
    """One row per measure and experiment; a number of another protocol than the first of its name is marked."""
    rows = []
    protocols: dict[str, tuple[str, Json]] = {}
    for name in names:
        mine = [unit for unit in units if unit.experiment == name]
        measured: dict[str, list[Measure]] = {}
        for record in (Measure.of(*item) for unit in mine for item in (unit.measures or {}).items()):
            measured.setdefault(record.name, []).append(record)
        for measure, seeds in measured.items():
            stamps = [record.stamp for record in seeds]
            first, protocol = protocols.setdefault(measure, (name, stamps[0]))
            others = (_other_protocol(measure, first, protocol, name, stamp) for stamp in stamps)
            warnings = dict.fromkeys(warning for record in seeds for warning in record.warnings)
            rows.append(
                {
                    "experiment": name,
                    "measure": measure,
                    "better": seeds[0].better,
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
    gap = evaluate.difference(protocol, stamp)
    if gap is None:
        return None
    here, there = (f"{gap.field} = {value}" for value in (gap.second, gap.first))
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
            decided = _decided(statistics.verdict(pair, p, _row(summaries, measure, first)["better"]), failures)
            names = {"measure": measure, "first": first, "second": second}
            outcome = {"failures": failures, "p_holm": p, "verdict": decided}
            rows.append({**names, **dataclasses.asdict(pair), **outcome})
    order = {measure: i for i, measure in enumerate(dict.fromkeys(row["measure"] for row in summaries))}
    return sorted(rows, key=lambda row: order[row["measure"]])


def _row(summaries: Sequence[Json], measure: str, name: str) -> Json:
    return next(row for row in summaries if (row["measure"], row["experiment"]) == (measure, name))


def _decided(verdict: str, failures: list[int]) -> str:
    """The verdict, unless its winner lost more seeds than the other."""
    lost = {"first": failures[0] - failures[1], "second": failures[1] - failures[0]}
    return "undecided" if lost.get(verdict, 0) > 0 else verdict
