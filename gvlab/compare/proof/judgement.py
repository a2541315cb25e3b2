"""What is said of a unit that was trained again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from gvlab import evaluate
from gvlab.compare import identity, units
from gvlab.compare.proof.differences import difference
from gvlab.compare.proof.outcome import TOLERANCE, Doubted, Verified
from gvlab.files import write_atomically
from gvlab.runs import directory as rundir
from gvlab.train import loop
from gvlab.types import Diverged


def judged(doubted: Doubted, scratch: Path, steps: int, diverged: Diverged | None) -> Verified:
    """Measures a unit that was trained again, and holds all of it against what was recorded."""
    unit, program, reasons = doubted
    name, whole = units.name(program.experiment), steps == program.experiment.steps
    again = rundir.path(scratch, program.experiment)
    measures, failure = None, diverged and str(diverged)
    if whole and failure is None:
        try:
            measures = json.loads(json.dumps(evaluate.evaluate(program, loop.restore(program, again))))
        except Diverged as error:
            failure = str(error)
    if whole and failure != unit.failure:
        ends = f"recorded was {unit.failure or 'success'}, now {failure or 'success'}"
        return Verified(name, "different", f"{name} ended otherwise: {ends}{_rule(reasons)}.")

    wrong = difference(unit, again, steps, measures, 0.0)
    if wrong is None:
        if whole and unit.record["code"] != (
            code := identity.identity(program)["code"]
        ):  # proven to make the same bits
            record = json.dumps(unit.record | {"code": code}, indent=2)
            write_atomically(unit.run / "unit.json", record + "\n")
        return Verified(name, "identical", f"{name}: {_proof(unit, again, steps, measures, whole)}.")
    if reasons:
        wrong = difference(unit, again, steps, measures, TOLERANCE)
    if wrong:
        return Verified(name, "different", f"{name}: {wrong}{_rule(reasons)}.")
    within = f"equal up to step {steps} within {TOLERANCE:g} of each term's size, but not in every bit"
    return Verified(name, "equal", f"{name}: {within}, which is allowed since {' and '.join(reasons)}.")


def _rule(reasons: Sequence[str]) -> str:
    """What the judgement rests on, to be said of a unit that is different."""
    if not reasons:
        return "; made on CPU, in this environment and by this code, it must be the same in every bit"
    return f"; {TOLERANCE:g} is allowed since {' and '.join(reasons)}, but training can magnify rounding beyond that"


def _proof(unit: units.Unit, again: Path, steps: int, measures: evaluate.Measures | None, whole: bool) -> str:
    """What is identical, in words."""
    proof = f"{len(identity.curves(again))} logged steps"
    if rundir.read_states(unit.run).keys() & rundir.read_states(again).keys():
        proof += " and the states of the checkpoints"
    if measures:
        proof += f" and {len(measures)} measures"
    if unit.failure and whole:
        return f"diverged again, with identical bits until then ({proof})"
    return f"identical bits up to step {steps} ({proof}){'' if measures else '; its measures were not checked'}"
