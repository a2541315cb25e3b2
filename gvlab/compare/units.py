"""The units of a comparison: one (experiment, seed) each, trained, measured and drawn, with a record that proves it.

A unit is a run directory with a `unit.json`, which is written last: where there is one, the unit is complete. It holds
digests of all that decides the numbers (configuration, data, program and measuring code) and of the numbers themselves,
so that no unit stands for another, and a number that was changed afterwards is noticed.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gvlab import config as c
from gvlab import evaluate, tree
from gvlab.build import Program
from gvlab.compare import collapsed, identity, marks, measuring, programs
from gvlab.compare.identity import config_sha256, contents
from gvlab.compare.record import SCHEMA, read_record
from gvlab.data import IMAGES
from gvlab.evaluate import ranking
from gvlab.extractors import catalogue
from gvlab.files import owned, write_atomically
from gvlab.pictures import bars, draw
from gvlab.pictures.sheets import save_png
from gvlab.runs import directory as rundir
from gvlab.runs import environment
from gvlab.runs.curves import read_metrics
from gvlab.train import engines, loop
from gvlab.train.record import Listener
from gvlab.types import Diverged, Json, PyTree, UserError

TRAINING = ("program", "versions", "settings")
"""Those that tell what trained a unit, as `programs.identity` does."""


TRAVERSALS = 10
"""Latents in the picture, the most active ones."""


@dataclass(frozen=True)
class Unit:
    """One (experiment, seed) of a comparison as it lies on the disk."""

    experiment: str
    seed: int
    run: Path
    record: dict[str, Any]
    """unit.json."""
    measures: evaluate.Measures | None
    """None if it diverged."""

    @property
    def failure(self) -> str | None:
        return self.record["failure"]


def directory(root: Path) -> Path:
    """Where a comparison keeps its units, as the run directories <experiment>/seed-<k>."""
    return root / "units"


def name(experiment: c.Experiment) -> str:
    """EXPERIMENT/seed-3."""
    return f"{experiment.name}/seed-{experiment.seed}"


def keep_convolutions(root: Path, experiments: Iterable[c.Experiment]) -> None:
    """Goes on with the convolutions that a comparison began with, where they are here."""
    environment.keep_convolutions(rundir.path(directory(root), experiment) for experiment in experiments)


def as_begun(root: Path, experiment: c.Experiment) -> c.Experiment:
    """The unit with the cadence that it began with, if it has begun: so its curves keep the same steps throughout, and
    what is finished stays finished whatever is asked for since. It changes no number."""
    run = rundir.path(directory(root), experiment)
    if not (run / "config.json").is_file():
        return experiment
    begun = rundir.read_config(run)
    return replace(experiment, **{field: getattr(begun, field) for field in c.CADENCE})


def read(root: Path, experiment: c.Experiment) -> Unit | None:
    """The unit as it was recorded; None if it is not complete.

    Raises:
        UserError: its curves or measures are not those that were recorded, or the record is damaged.
    """
    run = rundir.path(directory(root), experiment)
    record = read_record(run)
    if record is None:
        return None
    if (record["experiment"], record["seed"]) != (experiment.name, experiment.seed):
        raise UserError(
            f"{run / 'unit.json'} is of {record['experiment']}/seed-{record['seed']}: restore it from a copy, or move "
            f"{run} away and repeat the comparison."
        )
    if record["config_sha256"] != config_sha256(run):
        raise UserError(
            f"{run / 'config.json'} is not what was trained: restore it, or move {run} away and repeat the comparison."
        )
    measures = None
    if record["failure"] is None:
        evaluation = evaluate.read_file(run / "evaluation.json")
        measures = evaluation and evaluation["measures"]
    for digest, found in contents(run, measures).items():
        if record[digest] != found:
            what = {
                "curves_sha256": "metrics.jsonl",
                "measures_sha256": "evaluation.json",
                "pictures_sha256": "samples",
            }[digest]
            raise UserError(
                f"{run / what} is not what training and measuring wrote ({digest} is {found[:12]}, but was "
                f"{str(record[digest])[:12]}): restore it, or move {run} away and repeat the comparison."
            )
    if record["state_sha256"] not in (None, *rundir.read_states(run).values()):
        raise UserError(
            f"{run / 'states.jsonl'} lacks the state_sha256 of unit.json ({str(record['state_sha256'])[:12]}): restore "
            f"both, or move {run} away and repeat the comparison."
        )
    return Unit(experiment.name, experiment.seed, run, record, measures)


def others(root: Path, known: Iterable[c.Experiment]) -> list[str]:
    """The names of the complete units of a comparison's directory besides those that are known."""
    where = directory(root)
    complete = {file.parent.relative_to(where).as_posix() for file in where.glob("*/seed-*/unit.json")}
    return sorted(complete - {name(experiment) for experiment in known})


def is_complete(root: Path, program: Program) -> bool:
    """Whether nothing is left to do of a unit; one whose steps or evaluation were changed goes on from where it is.

    Args:
        root: of the comparison.
        program: its experiment has the unit's seed and steps.

    Raises:
        UserError: the unit was made of another configuration or of other data, or was tampered with, or it has been
            trained for more steps already, or by another program for fewer.
    """
    experiment = as_begun(root, program.experiment)
    run = rundir.path(directory(root), experiment)
    rundir.check_config(run, experiment)
    step = rundir.status(run)["step"]
    if step > experiment.steps:
        raise UserError(
            f"{run} is at step {step} already, beyond the {experiment.steps} asked for: use --steps {step} or more, or "
            "another --out."
        )
    unit = read(root, experiment)
    if unit is None:
        return False
    if unit.record["dataset"] != (now := identity.dataset(program)):
        was = unit.record["dataset"]
        raise UserError(
            f"{run} was made with other data ({was['name']} {was['sha256'][:12]}, not {now['name']} "
            f"{now['sha256'][:12]}): use another --out, or move it away to make it anew."
        )
    if rundir.read_config(run) == experiment:
        return True
    if step < experiment.steps and not unit.failure:
        _require_same_program(unit, program)
    return False


def _require_same_program(unit: Unit, program: Program) -> None:
    """Refuses to train a complete unit further by what is known to be another program."""
    now = identity.identity(program, unit.record)
    if marks.is_another_program(unit.record, now):
        raise UserError(
            f"{unit.run} was {marks.of_training(unit.record, now)} than this gvlab's, so more steps would make it "
            "neither's: keep its number of steps, use another --out, or move it away to make it anew."
        )


def finish(program: Program, root: Path, failure: Diverged | None, cost: engines.Cost) -> Unit:
    """Measures and draws a unit whose training has come to its end, and writes its record.

    Args:
        program: of the unit: its experiment has the unit's seed and steps.
        root: of the comparison.
        failure: why training diverged, or None.
        cost: of one step.
    """
    experiment = program.experiment
    run = rundir.path(directory(root), experiment)
    for report in environment.write_environment(run):  # it may be measured elsewhere than it was trained
        print(report, file=sys.stderr)
    measures, digest = None, None
    if failure is None:
        state = loop.restore(program, run)
        digest = tree.digest(state)
        try:
            collapsed.check(program, state)
            # Always anew: a number without a record could be anybody's.
            measures = evaluate.evaluate(program, state)
            evaluate.write(run, program, state, measures)
            draw_pictures(program, run, state)
            if ranking.can_be_ranked(program):
                ranked = ranking.as_json(ranking.ranking(program, state))
                write_atomically(run / ranking.FILE, json.dumps(ranked, indent=2) + "\n")
        except Diverged as diverged:
            measures, failure = None, diverged
    # As training wrote them: who finishes a unit after a kill need not have trained it.
    lines, groups = read_metrics(run), rundir.read_groups(run)
    group = groups[max(groups)]
    write_atomically(run / "config.json", c.to_json(experiment))  # training leaves it if only the protocol changed
    record = {
        "schema": SCHEMA,
        "experiment": experiment.name,
        "seed": experiment.seed,
        "status": "diverged" if failure else "complete",
        "failure": failure and rundir.status(run).get("reason", str(failure)),
        "config_sha256": config_sha256(run),
        "dataset": identity.dataset(program),
        **trained(run),
        "measuring": measuring.identity(program),
        "state_sha256": digest,
        **contents(run, measures),
        "group": group,
        "regrouped": sorted(groups)[1:],
        "cost": {
            "parameters": cost.parameters,
            "flops_per_step": cost.flops_per_step,
            "memory_bytes": cost.memory_bytes,
        },
        "timing": timing_of(lines, experiment.examples_per_step, len(group)),
    }
    write_atomically(run / "unit.json", json.dumps(record, indent=2) + "\n")
    return Unit(experiment.name, experiment.seed, run, record, measures)


def trained(run: Path) -> Json:
    """By programs.jsonl: by what program a run was trained last, and the steps from which another one went on."""
    known = rundir.read_programs(run)
    unknown: Json = {"program": None, "versions": {}, "settings": {}}  # before it was recorded
    last = known[max(known)] if known else None
    return {**(last or unknown), "reprogrammed": sorted(known)[1:]}


def _note_program(run: Path, program: Program) -> None:
    """Writes down by what program a run will be trained from here on; it says so if that is another one than before."""
    step, known = max(rundir.read_states(run), default=0), rundir.read_programs(run)
    record = read_record(run) or {}
    if not known and record.get("program"):  # confirmed since
        known = {0: {field: record[field] for field in TRAINING}}
    known = {at: one for at, one in known.items() if at < step}
    if step and not known:
        known = {0: None}  # it began before programs were recorded
    before = known[max(known)] if known else None
    now = programs.identity(program) if step < program.experiment.steps else before
    if before != now:
        known[step] = now
    rundir.write_programs(run, known)
    if before and now and (mark := marks.of_training(before, now)):
        print(f"{run} goes on by this gvlab's program from step {step} on; until there it was {mark}.", file=sys.stderr)


def confirm(unit: Unit, program: Program) -> None:
    """Gives a unit the identity of the code at hand, which was proven to make the same bits."""
    record = {name: value for name, value in unit.record.items() if name != "code"}
    record |= {"schema": SCHEMA, "reprogrammed": [], **identity.identity(program)}
    if record != unit.record:
        (unit.run / "programs.jsonl").unlink(missing_ok=True)  # which tells of another
        write_atomically(unit.run / "unit.json", json.dumps(record, indent=2) + "\n")


def timing_of(lines: list[dict[str, Any]], images_per_step: int, together: int) -> dict[str, float | None]:
    """A unit's share of its group's seconds, and its speed once everything was compiled."""
    if len(lines) < 2:
        return {"seconds": None, "images_per_second": None}
    first, last = lines[0], lines[-1]
    share = max(last["seconds"] - first["seconds"], 1e-3) / together
    speed = (last["step"] - first["step"]) * images_per_step / share
    return {"seconds": round(last["seconds"] / together, 3), "images_per_second": round(speed, 1)}


def draw_pictures(program: Program, run: Path, state: PyTree) -> None:
    """Reconstructions and traversals of a VAE, reconstructions where the latents are codes, the nearest training images
    of a GAN's samples; of a hierarchical VAE these, and what its layers say."""
    if program.dataset.modality != IMAGES:
        return
    (run / "pictures").mkdir(exist_ok=True)
    if program.model.codes is not None:
        sheets = {"reconstructions": draw.reconstructions(program, state, n=16)}
    elif program.model.encode is None:
        sheets = {"neighbours": draw.neighbours(program, state, catalogue.extractor("pixels"), seed=0, n=8, k=7)}
        if isinstance(program.experiment.model, c.HierarchicalVAE):
            sheets["layers"] = bars.layers(program, state)
    else:
        sheets = {
            "reconstructions": draw.reconstructions(program, state, n=16),
            "traversals": draw.traversals(program, state, example=0, columns=11, rows=TRAVERSALS),
        }
    for kind, sheet in sheets.items():
        save_png(run / "pictures" / f"{kind}.png", sheet)


def make(
    engine: engines.Engine, programs: list[Program], root: Path, listen: Callable[[], Listener | None] | None
) -> None:
    """Trains, measures and records units, save those that another process has completed meanwhile.

    Args:
        engine: that trains them.
        programs: of each unit; the engine's own has the numbers of one of them.
        root: of the comparison.
        listen: called when nothing stands against the training; what it gives hears of it.

    Raises:
        UserError: another process makes one of them; nothing has been changed then.
    """
    where = directory(root)
    with contextlib.ExitStack() as stack:
        # All of them before the first change; in one order, so that one of two who want the same units gets them all.
        for run in sorted(rundir.path(where, program.experiment) for program in programs):
            stack.enter_context(owned(run, "unit.lock"))
        begun = [replace(program, experiment=as_begun(root, program.experiment)) for program in programs]
        missing = [program for program in begun if not is_complete(root, program)]
        if not missing:
            return
        experiments = [program.experiment for program in missing]
        for program in missing:
            run = rundir.path(where, program.experiment)
            _note_program(run, program)
            (run / "unit.json").unlink(missing_ok=True)  # of fewer steps, or of another evaluation
        failures = loop.train_together(engine, experiments, where, listen and listen())
        cost = engines.cost(engine)
        for program, failure in zip(missing, failures, strict=True):
            finish(program, root, failure, cost)
