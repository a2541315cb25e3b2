"""The proof of units: they are trained again in a scratch place, and what comes out is held against what was recorded.

Where a unit was made on CPU, in the same environment, by the same program and measuring code, both repeat bit for bit,
so every bit must be the same: within a tolerance a number could be forged. Elsewhere `TOLERANCE` is allowed, and the
sentence says why: in another environment bits differ by rounding, and that they repeat on GPU and TPU has not been
measured. What is known to be of another program, or measured by other code, is unverified if it differs: that says
nothing against it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from gvlab import build, compare, data, rng, tree
from gvlab import config as c
from gvlab.compare import identity, marks, units
from gvlab.compare.proof import records, retraining
from gvlab.compare.proof.files import derived
from gvlab.compare.proof.leftovers import unchecked
from gvlab.compare.proof.outcome import Doubted, Verified
from gvlab.runs import directory as rundir
from gvlab.runs.environment import difference_of_environments, read_environment
from gvlab.train import loop
from gvlab.types import UserError

__all__ = ["unchecked", "verify"]


def verify(
    root: Path,
    names: Sequence[str] | None,
    fraction: float | None,
    listen: compare.Listen,
    redo: retraining.Redo = retraining.again,
) -> list[Verified]:
    """Retrains units of a comparison and compares them with what was recorded.

    Units that were trained as one program are trained again as one program, once for all of them.

    Args:
        root: of the comparison.
        names: EXPERIMENT/seed-3, ...; all units if None.
        fraction: of each unit's steps, rounded up to a checkpoint; without one, everything, the measures included.
        listen: hears of the training.
        redo: who trains a group again.

    Returns:
        One result per unit, and first of all one for each of the comparison's own files that does not follow from its
        units: "different", or "unverified" if another version of gvlab made them. The files are checked whichever
        units are named, but only where all are complete.

    Raises:
        UserError: there is no such unit, or the fraction is not within (0, 1].
    """
    if fraction is not None and not 0 < fraction <= 1:
        raise UserError(f"--fraction is {fraction}, but must be above 0 and at most 1.")
    plan = compare.read_plan(root)
    chosen = list(plan.units()) if names is None else [compare.unit_named(plan, name) for name in dict.fromkeys(names)]
    files = derived(plan, root)
    load = functools.cache(build.dataset)
    verdicts: dict[str, Verified] = {}
    groups: dict[tuple[tuple[str, ...], int], list[Doubted]] = {}
    for experiment in chosen:
        units.keep_convolutions(root, [experiment])
        name, doubted = units.name(experiment), _doubted(root, experiment, load(experiment.data))
        if isinstance(doubted, str):
            verdicts[name] = Verified(name, "different", doubted)
        elif isinstance(doubted, Verified):
            verdicts[name] = doubted
        else:
            own = doubted.program.experiment
            steps = own.steps if fraction is None else retraining.rounded_up(fraction, own)
            groups.setdefault((tuple(doubted.unit.record["group"]), steps), []).append(doubted)
    for (group, steps), doubts in groups.items():
        units.keep_convolutions(root, [doubts[0].program.experiment])
        verdicts |= {
            verified.unit: verified for verified in retraining.retrained(plan, root, group, steps, doubts, listen, redo)
        }
    return [*files, *(verdicts[units.name(experiment)] for experiment in chosen)]


def _doubted(root: Path, experiment: c.Experiment, dataset: data.Dataset) -> Doubted | Verified | str:
    """A unit and what trains it again; or that it isn't there; or a sentence, if it can be seen without training that
    something is wrong."""
    name = units.name(experiment)
    try:
        experiment = units.as_begun(root, experiment)
        rundir.check_config(rundir.path(units.directory(root), experiment), experiment)
        unit = units.read(root, experiment)
    except UserError as error:
        return str(error)
    if unit is None:
        return Verified(name, "unverified", f"{name} is not complete: there is nothing to verify.")
    program = build.program(experiment, dataset)
    record = unit.record
    if record["dataset"] != identity.dataset(program):
        return f"The data set {dataset.name} is not the one that {name} was trained on."
    if rundir.read_config(unit.run) != experiment:
        return f"The configuration in {unit.run / 'config.json'} is not the one that was recorded."
    if not rundir.copy_is_true(unit.run):
        return f"{unit.run / rundir.EXPERIMENT_FILE} is not the file that {name} was trained with."
    if not _is_group(record["group"], name):
        return f"unit.json of {name} names the group {record['group']}, which are not different units with {name}."
    parameters = tree.count_named(jax.eval_shape(program.model.init, rng.root(0), program.first_batch()), "params")
    if parameters != record["cost"]["parameters"]:
        return f"{name} has {parameters} parameters, but {record['cost']['parameters']} were recorded in unit.json."
    if contradiction := records.contradiction(unit, program) or _of_checkpoint(unit.run, program):
        return contradiction
    now = identity.identity(program, record)
    trained, measured = marks.of_training(record, now), marks.of_measuring(record, now)
    reasons = _reasons(unit, [mark for mark in (trained, marks.of_unit(record), measured) if mark])
    other_program = trained if marks.is_another_program(record, now) else marks.of_unit(record)
    return Doubted(unit, program, reasons, other_program, measured)


def _of_checkpoint(run: Path, program: build.Program) -> str | None:
    """What is wrong with the newest checkpoint, if there is any: it is not the state that states.jsonl ends with."""
    if not any(file.name.isdecimal() for file in (run / "checkpoints").glob("*")):
        return None
    states = rundir.read_states(run)
    try:
        state = loop.restore(program, run)
    except UserError as error:
        return str(error)
    if (int(state.step), tree.digest(state)) in list(states.items())[-1:]:
        return None
    return f"{run / 'checkpoints'} ends with another state, of step {int(state.step)}, than states.jsonl."


def _is_group(group: Any, name: str) -> bool:
    named = [one for one in group if re.fullmatch(r".+/seed-\d+", str(one))] if isinstance(group, list) else []
    return name in named and len(set(named)) == len(group)


def _reasons(unit: units.Unit, code_marks: Sequence[str]) -> list[str]:
    """Why the bits may be others when a unit is trained again; none if they must be the same."""
    environment = read_environment(unit.run)
    elsewhere = difference_of_environments(environment)
    backend = jax.default_backend()
    reasons = {
        f"it was made in another environment ({elsewhere})": elsewhere,
        "it went on in another environment than it began in": "earlier" in environment,
        **{f"it was {mark}": True for mark in code_marks},
        f"the bits of a training are not known to repeat on {backend}": backend != "cpu",
        "it was trained in several groups, one after another": unit.record["regrouped"],
    }
    return [reason for reason, holds in reasons.items() if holds]
