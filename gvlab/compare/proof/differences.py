"""Where what was recorded and what came out are apart by more than a tolerance."""

from __future__ import annotations

import itertools
import math
from typing import Any

from gvlab import config as c
from gvlab import evaluate
from gvlab.compare import identity, units
from gvlab.compare.proof.outcome import Redone
from gvlab.evaluate import results
from gvlab.runs import directory as rundir

ERRORS = 50
"""A standard error or a spread, which is no more than an estimate, may be off by so many tolerances."""
_MAKERS = ("gvlab", "backend", "matmul_precision")
"""In a stamp: what made the numbers, which may be others if the numbers are the same."""


def difference(unit: units.Unit, redone: Redone, experiment: c.Experiment, tolerance: float) -> str | None:
    """In what a unit that was trained again is off by more than the tolerance, and from which step on; None if in
    nothing. The states count where nothing is tolerated."""
    recorded, made = identity.curves(unit.run), identity.curves(redone.run)
    old = [line for line in recorded if redone.whole or line["step"] <= redone.steps]
    found = list(filter(None, [of_curves(old, made, tolerance)]))
    if not tolerance:
        found += of_states(unit, redone, experiment)
    if found:
        step, what = min(found, key=lambda one: one[0])
        return f"different from step {step} on, where {what}"
    if redone.measures is None:
        return None
    off = of_measures(unit.measures or {}, redone.measures, tolerance) or of_protocol(unit, redone, tolerance)
    return off and f"trained alike, but {off} (evaluation.json)"


def of_states(unit: units.Unit, redone: Redone, experiment: c.Experiment) -> list[tuple[int, str]]:
    """The steps at which the states that were saved have other bits, or are of only one of the two."""
    recorded = {step: sha for step, sha in rundir.read_states(unit.run).items() if redone.whole or step <= redone.steps}
    again = rundir.read_states(redone.run)
    # Of the states that were saved again only those count that must have been saved: see `retraining.again`.
    due = {step for step in again if step % experiment.checkpoint_every == 0 or step == experiment.steps}
    gaps = [(step, "states.jsonl lacks the state") for step in due - recorded.keys()]
    gaps += [(step, "states.jsonl has a state that none should have") for step in recorded.keys() - again.keys()]
    both = recorded.keys() & again.keys()
    return gaps + [(step, "the state has other bits (states.jsonl)") for step in both if recorded[step] != again[step]]


def of_curves(old: list[dict[str, Any]], new: list[dict[str, Any]], tolerance: float) -> tuple[int, str] | None:
    """(the first logged step that is off by more than the tolerance, in what); None if there is none."""
    size: dict[str, float] = {}
    for line in new:
        size |= {term: max(size.get(term, 0.0), abs(value)) for term, value in line.items()}
    none: dict[str, Any] = {}
    for before, after in itertools.zip_longest(old, new, fillvalue=none):
        if before.keys() != after.keys() or before["step"] != after["step"]:
            return min(line["step"] for line in (before, after) if line), "other terms were logged (metrics.jsonl)"
        gaps = {term: _gap(before[term], after[term]) / (size[term] or 1.0) for term in after}
        term = max(gaps, key=lambda name: gaps[name])
        if gaps[term] > tolerance:
            return after["step"], f"{term} is off by {gaps[term]:.2g} of its size in the run (metrics.jsonl)"
    return None


def of_measures(old: evaluate.Measures, new: evaluate.Measures, tolerance: float) -> str | None:
    """The measure that is off by more than the tolerance of its value, or of another protocol, in words."""
    if new.keys() != old.keys():
        return f"{min(new.keys() ^ old.keys())} is a measure of only one of the two"
    for name, now in new.items():
        was = old[name]
        for kind in sorted((now.keys() | was.keys()) - {"stamp", "points_per_second"}):
            made, recorded = now.get(kind), was.get(kind)
            # The last term is for what is almost 0.
            slack = tolerance * max((1 if kind == "value" else ERRORS) * abs(made or 0.0), 1e-3)
            if _gap(made, recorded) > slack:
                return f"the {kind.replace('_', ' ')} of {name} is {made} and was recorded as {recorded}"
        ignored = evaluate.PER_RUN if tolerance else _MAKERS
        for field in was["stamp"] | now["stamp"]:
            stamps = evaluate.stated(was["stamp"], field), evaluate.stated(now["stamp"], field)
            if field not in ignored and stamps[0] != stamps[1]:
                return f"{name} was recorded with {field} = {stamps[0]}, not {stamps[1]}"
    return None


def of_protocol(unit: units.Unit, redone: Redone, tolerance: float) -> str | None:
    """The field of the measures' common protocol that is another one, in words."""
    recorded = results.completed((evaluate.read_file(unit.run / "evaluation.json") or {}).get("protocol"))
    made = results.completed(redone.protocol)
    ignored = {*_MAKERS, *(("state_sha256",) if tolerance else ())}
    for field in sorted((recorded.keys() | made.keys()) - ignored):
        if recorded.get(field) != made.get(field):
            return f"the protocol was recorded with {field} = {recorded.get(field)}, not {made.get(field)}"
    return None


def _gap(first: Any, second: Any) -> float:
    """Between two numbers; infinite if one of them is none."""
    gap = abs(first - second) if type(first) in (int, float) and type(second) in (int, float) else math.nan
    return math.inf if math.isnan(gap) else float(gap)
