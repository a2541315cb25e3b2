"""Training units again, in the groups in which they were trained."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gvlab import build, compare
from gvlab import config as c
from gvlab.compare import units
from gvlab.compare.proof.judgement import judged
from gvlab.compare.proof.outcome import Doubted, Verified
from gvlab.runs import directory as rundir
from gvlab.train import engines, loop
from gvlab.types import UserError


def retrained(
    plan: compare.Plan, root: Path, group: Sequence[str], steps: int, doubts: Sequence[Doubted], listen: compare.Listen
) -> list[Verified]:
    """What training a group again shows of those of its members that are in doubt."""
    names = [units.name(one.program.experiment) for one in doubts]
    try:
        members = [replace(_member(plan, root, name), steps=steps) for name in group]
        engine = _engine(doubts[0].program, members)
    except UserError as error:
        return [Verified(name, "unverified", f"{name} cannot be verified: {error}") for name in names]
    with tempfile.TemporaryDirectory(prefix="gvlab-verify-") as scratch:
        failures = loop.train_together(engine, members, Path(scratch), listen(f"again: {compare.title(members)}"))
        failed = {units.name(one): failure for one, failure in zip(members, failures, strict=True)}
        return [judged(one, Path(scratch), steps, failed[name]) for name, one in zip(names, doubts, strict=True)]


def _member(plan: compare.Plan, root: Path, name: str) -> c.Experiment:
    """A unit by its name: of the plan, which may have its seed no more, or as its directory remembers it."""
    experiment, _, seed = name.rpartition("/seed-")
    known = {one.name: one for one in plan.experiments}
    if experiment in known:
        return replace(known[experiment], seed=int(seed))
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
