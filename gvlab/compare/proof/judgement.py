"""What is said of a unit that was trained again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gvlab.compare import identity, units
from gvlab.compare.proof import pictures
from gvlab.compare.proof.differences import difference
from gvlab.compare.proof.outcome import TOLERANCE, Doubted, Redone, Verified
from gvlab.config import own
from gvlab.runs import directory as rundir
from gvlab.runs.environment import read_environment


def judged(doubted: Doubted, redone: Redone) -> Verified:
    """Holds all of a unit against what came out when it was trained, measured and drawn again."""
    unit, experiment, reasons = doubted.unit, doubted.program.experiment, doubted.reasons
    name = units.name(experiment)
    if redone.whole and redone.failure != unit.failure:
        ends = f"recorded was {unit.failure or 'success'}, now {redone.failure or 'success'}"
        return _differs(doubted, name, f" ended otherwise: {ends} (unit.json)", doubted.other_program)

    wrong = exact = difference(unit, redone, experiment, 0.0)
    if wrong and reasons:
        wrong = difference(unit, redone, experiment, TOLERANCE)
    if wrong:
        alike = difference(unit, redone._replace(measures=None), experiment, TOLERANCE if reasons else 0.0) is None
        other_measuring = doubted.other_measuring if alike else None
        return _differs(doubted, name, f": {wrong}", doubted.other_program or other_measuring)
    wrong, doubtful = _of_pictures(doubted, redone, states_differ=exact is not None)
    if wrong is None and redone.whole and not reasons:
        wrong = _of_cost(unit, redone)
    if wrong:
        return _differs(doubted, name, f": trained alike, but {wrong}", doubted.other_program)
    unchecked = tuple(_unchecked(unit, redone, doubtful, bool(reasons)))
    if exact is None:
        if redone.whole:  # proven: this code makes the same bits
            units.confirm(unit, doubted.program)
        return Verified(name, "identical", f"{name}: {_proof(unit, redone)}.", unchecked)
    within = f"equal up to step {redone.steps} within {TOLERANCE:g} of each term's size, but not in every bit ({exact})"
    allowed = f"which is allowed since {' and '.join(reasons)}"
    return Verified(name, "equal", f"{name}: {within}, {allowed}.", unchecked)


def _of_pictures(doubted: Doubted, redone: Redone, states_differ: bool) -> tuple[str | None, list[str]]:
    """(what is wrong with the pictures, what nothing can be said of).

    Where the states have other bits, by rounding that training magnifies, so have the pictures, by how much nobody
    knows; where the states have the same, only drawing can have rounded otherwise, and only elsewhere.
    """
    unit, experiment, reasons = doubted.unit, doubted.program.experiment, doubted.reasons
    due = {step for step in range(1, redone.steps + 1) if step % experiment.sample_every == 0}
    due |= {experiment.steps} if redone.whole else set()
    if unit.failure:  # nothing is drawn of a run that has diverged
        due &= set(pictures.steps_drawn(redone.run))
    wrong = pictures.difference(unit.run, redone, due)
    if wrong:
        return wrong, []
    unsaid = []
    for file, levels, words in pictures.off(unit.run, redone):
        if levels == 0:
            if not reasons and pictures.share_an_encoder(unit.run, redone):
                return f"{file} {words}", []
            unsaid.append(f"the bytes of {file}, which {words}")
        elif levels > (pictures.LEVELS if reasons else 0):
            if not states_differ or levels == pictures.OTHERWISE:
                return f"{file} {words}", []
            unsaid.append(f"{file}, which {words}")
    return None, unsaid


def _of_cost(unit: units.Unit, redone: Redone) -> str | None:
    recorded = unit.record["cost"]["flops_per_step"]
    if recorded == redone.flops_per_step:
        return None
    return f"a step has {redone.flops_per_step} operations and was recorded with {recorded} (unit.json)"


def _unchecked(unit: units.Unit, redone: Redone, doubtful: Iterable[str], elsewhere: bool) -> Iterable[str]:
    """What of a unit that is true nothing was said about."""
    if not redone.whole:
        yield f"what comes after step {redone.steps}"
        yield "the measures"
    left = pictures.left(unit.run, redone)
    if left:
        yield f"{len(left)} picture{'s'[: len(left) > 1]} of what comes later"
    if not redone.whole or elsewhere:
        yield "the operations of a step"
    yield from doubtful


def _differs(doubted: Doubted, name: str, what: str, other_code: str | None) -> Verified:
    """Of a unit that is not what training again gives; by other code, that neither confirms nor refutes it."""
    if other_code is None:
        return Verified(name, "different", f"{name}{what}{_rule(doubted.reasons)}.")
    revision = read_environment(doubted.unit.run).get("git_revision")
    where = f" (revision {revision})" if revision else ""
    if own.files(doubted.program.experiment):
        where += ", and with the packages that its experiment file imports as they were then"
    return Verified(
        name,
        "unverified",
        f"{name} was {other_code}, so this gvlab cannot prove its bits; its files are consistent. Made again here it "
        f"is {what.lstrip(': ')}. That refutes nothing: verify it with the gvlab that made it{where}.",
    )


def _rule(reasons: Sequence[str]) -> str:
    """What the judgement rests on, to be said of a unit that is different."""
    if not reasons:
        return "; made on CPU, in this environment and by this code, it must be the same in every bit"
    return f"; {TOLERANCE:g} is allowed since {' and '.join(reasons)}, but training can magnify rounding beyond that"


def _proof(unit: units.Unit, redone: Redone) -> str:
    """What is identical, in words."""
    proof = f"{len(identity.curves(redone.run))} logged steps"
    if rundir.read_states(unit.run).keys() & rundir.read_states(redone.run).keys():
        proof += " and the states of the checkpoints"
    if redone.measures:
        proof += f" and {len(redone.measures)} measures"
    if drawn := len(set(identity.drawn(unit.run)) & set(identity.drawn(redone.run))):
        proof += f" and {drawn} picture{'s'[: drawn > 1]}"
    if unit.failure and redone.whole:
        return f"diverged again, with identical bits until then ({proof})"
    unmeasured = "" if redone.measures else "; its measures were not checked"
    return f"identical bits up to step {redone.steps} ({proof}){unmeasured}"
