"""Training units again, in the groups in which they were trained."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from gvlab import build, compare, evaluate
from gvlab import config as c
from gvlab.compare import collapsed, units
from gvlab.compare.proof import pictures
from gvlab.compare.proof.judgement import judged
from gvlab.compare.proof.outcome import Doubted, Redone, Verified
from gvlab.evaluate import results
from gvlab.runs import directory as rundir
from gvlab.train import engines, loop
from gvlab.train.record import Listener
from gvlab.types import Diverged, UserError

Redo = Callable[[engines.Engine, Sequence[c.Experiment], Sequence[Doubted], Path, Listener | None], list[Redone]]
"""(engine, members with the steps to train, those in doubt, a scratch directory, who listens) -> what came out of those
in doubt."""


def retrained(
    plan: compare.Plan,
    root: Path,
    group: Sequence[str],
    steps: int,
    doubts: Sequence[Doubted],
    listen: compare.Listen,
    redo: Redo,
) -> list[Verified]:
    """What training a group again shows of those of its members that are in doubt."""
    names = [units.name(one.program.experiment) for one in doubts]
    try:
        members = [replace(_member(plan, root, name), steps=steps) for name in group]
        engine = _engine(doubts[0].program, members)
    except UserError as error:
        return [Verified(name, "unverified", f"{name} cannot be verified: {error}") for name in names]
    with tempfile.TemporaryDirectory(prefix="gvlab-verify-") as scratch:
        redones = redo(engine, members, doubts, Path(scratch), listen(f"again: {compare.title(members)}"))
        return [judged(one, redone) for one, redone in zip(doubts, redones, strict=True)]


def again(
    engine: engines.Engine,
    members: Sequence[c.Experiment],
    doubts: Sequence[Doubted],
    scratch: Path,
    listen: Listener | None,
) -> list[Redone]:
    """Trains the members, and measures and draws those in doubt if that was all of their steps.

    Where one of them recorded states or pictures of steps at which nothing is due, because its training was interrupted
    there or first asked to end there, this training stops there, too, and goes on.
    """
    steps = members[0].steps
    stops = sorted({*(stop for each in doubts for stop in _stops(each, steps)), steps})
    failures: list[Diverged | None] = [None] * len(members)
    for stop in stops:
        going = [i for i, failure in enumerate(failures) if failure is None]
        stopping = [replace(members[i], steps=stop) for i in going]
        for i, failure in zip(going, loop.train_together(engine, stopping, scratch, listen), strict=True):
            failures[i] = failure
    failed = {units.name(each): failure for each, failure in zip(members, failures, strict=True)}
    flops = (
        engines.cost(engine).flops_per_step if any(steps == each.program.experiment.steps for each in doubts) else None
    )
    return [
        _finished(each.program, scratch, steps, failed[units.name(each.program.experiment)], flops) for each in doubts
    ]


def _finished(
    program: build.Program, scratch: Path, steps: int, diverged: Diverged | None, flops: float | None
) -> Redone:
    """As `units.finish` does it: measured and drawn, if all steps were trained."""
    run = rundir.path(scratch, program.experiment)
    whole = steps == program.experiment.steps
    failure = None if diverged is None else str(diverged)
    measures, protocol = None, None
    if whole and failure is None:
        try:
            state = loop.restore(program, run)
            collapsed.check(program, state)
            measures = json.loads(json.dumps(evaluate.evaluate(program, state)))
            protocol = json.loads(json.dumps(results.protocol(program, state)))
            units.draw_pictures(program, run, state)
        except Diverged as error:
            failure, measures, protocol = str(error), None, None
    return Redone(run, steps, whole, failure, measures, protocol, flops)


def _stops(doubted: Doubted, steps: int) -> list[int]:
    """The steps below `steps` of which the unit has a state or a picture although none is due."""
    run, experiment = doubted.unit.run, doubted.program.experiment
    states = [step for step in rundir.read_states(run) if step % experiment.checkpoint_every]
    drawn = [step for step in pictures.steps_drawn(run) if step % experiment.sample_every]
    return [step for step in (*states, *drawn) if 0 < step < steps]


def _member(plan: compare.Plan, root: Path, name: str) -> c.Experiment:
    """A unit by its name: of the plan, which may have its seed no more, or as its directory remembers it."""
    experiment, _, seed = name.rpartition("/seed-")
    known = {one.name: one for one in plan.experiments}
    if experiment in known:
        return units.as_begun(root, replace(known[experiment], seed=int(seed)))
    run = units.directory(root) / name
    if not (run / "config.json").is_file():
        raise UserError(
            f"{name}, which was trained in the same program, is neither in the plan nor in {run.parent.parent}: add "
            "its experiment again."
        )
    return replace(rundir.read_config(run), name=experiment, seed=int(seed))


def _engine(program: build.Program, members: Sequence[c.Experiment]) -> engines.Engine:
    """What trains the members as they were trained: alone, or with the same others."""
    one = replace(program, experiment=members[0])
    return engines.alone(one) if len(members) == 1 else engines.together(one, len(members), compare.differing(members))


def rounded_up(fraction: float, experiment: c.Experiment) -> int:
    every = experiment.checkpoint_every
    return min(experiment.steps, math.ceil(fraction * experiment.steps / every) * every)
