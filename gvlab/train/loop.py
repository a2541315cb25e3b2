"""The training loop: pure steps in, a run directory out, and nothing lost on the way.

The state at step t is a function of (config, seed, t) alone. The loop only decides how many steps go into one dispatch,
and what is written down at which step.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from gvlab import config as c
from gvlab import families, parallel, rng
from gvlab.build import Program
from gvlab.files import owned
from gvlab.runs import checkpoint
from gvlab.runs import directory as rundir
from gvlab.train import origin
from gvlab.train.engines import Engine
from gvlab.train.record import Listener, Record
from gvlab.types import Diverged, PyTree, UserError


class Interrupted(Exception):
    """A signal stopped training after everything was saved."""

    def __init__(self, run: Path, step: int, signum: int) -> None:
        super().__init__(f"Stopped at step {step}, which is saved in {run}.")
        self.signum = signum


def train(engine: Engine, root: Path, seed: int, steps: int | None = None, listen: Listener | None = None) -> Path:
    """Trains one seed up to `steps` (the experiment's by default), continuing what the run directory holds.

    Args:
        engine: of the program, as `engines.alone` makes it.
        root: directory of runs; the run is <root>/<experiment>/seed-<seed>.
        seed: of the run.
        steps: to train in all.
        listen: called at every logged step.

    Returns:
        The run directory.

    Raises:
        UserError: the directory belongs to another config, to another process, or to a run that is longer already.
        Diverged: a term or a parameter is not finite; the last good checkpoint is kept.
        Interrupted: SIGINT or SIGTERM came; everything is saved.
    """
    experiment = engine.program.experiment
    experiment = replace(experiment, seed=seed, steps=experiment.steps if steps is None else steps)
    run = rundir.path(root, experiment)
    failure = _train(engine, [(experiment, run)], listen)[0]
    if failure:
        raise failure
    return run


def train_together(
    engine: Engine, experiments: Sequence[c.Experiment], root: Path, listen: Listener | None = None
) -> list[Diverged | None]:
    """Trains several runs as one program, each in its own run directory, as `train` would one after another.

    A kill between the checkpoints of two runs leaves them one checkpoint apart: the others go back to it. Runs that are
    further apart, because one of them was damaged, are trained in groups of one step.

    Args:
        engine: as `engines.together` makes it.
        experiments: one per run, which differ in name, seed and the numbers that the engine batches.
        root: directory of runs.
        listen: called at every logged step of a group.

    Returns:
        Why each run diverged, or None.

    Raises:
        UserError, Interrupted: as `train`.
    """
    return _train(engine, [(experiment, rundir.path(root, experiment)) for experiment in experiments], listen)


def _train(engine: Engine, runs: list[tuple[c.Experiment, Path]], listen: Listener | None) -> list[Diverged | None]:
    """Trains what is not at its end yet; why each run diverged, or None."""
    for experiment, run in runs:
        checkpoint.check_place(run)
        rundir.check_config(run, experiment)
    found: list[Diverged | None] = [None] * len(runs)
    first = jax.process_index() == 0
    with contextlib.ExitStack() as stack:
        records = {}
        for i, (experiment, run) in enumerate(runs):
            if first:
                stack.enter_context(owned(run))
            rundir.check_config(run, experiment)  # again: the first look was not under the lock
            origin.check(run, engine.program)
            known = rundir.status(run)
            if known["status"] == "diverged":
                reason = known.get("reason", f"{run} diverged.")
                found[i] = Diverged(f"{reason} So it would again: change the experiment, and its name or --out.")
            elif not _is_complete(engine.program, experiment, run, known):
                # Of several processes that train a run, all write its checkpoints, and the first everything else.
                written = run if first else Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gvlab-")))
                records[i] = Record(engine, experiment, run, written)
                stack.callback(records[i].close)
        if not records:
            return found
        shapes = _shapes(engine.program, engine.where)
        for record in records.values():
            record.restore(shapes)
        behind = min(record.step for record in records.values())
        if _were_together(list(records.values())):
            for record in records.values():
                if 0 < record.step - behind <= record.experiment.checkpoint_every:
                    record.restore(shapes, until=behind)
        caught = stack.enter_context(_signals())
        for step in sorted({record.step for record in records.values()}, reverse=True):
            if not caught:
                group = [record for record in records.values() if record.step == step]
                _advance(engine, group, listen or (lambda _: None), caught)
        for record in records.values():
            if caught:  # also where the last step was done already: whoever called is to stop, too
                raise Interrupted(record.run, record.step, caught[0])
    return [records[i].failure if i in records else known for i, known in enumerate(found)]


def _were_together(records: Sequence[Record]) -> bool:
    """Whether these runs were trained as one program. If they are one checkpoint apart then, a kill came between two of
    theirs, and where all go back to the earlier one they are the same program again, with the same bits."""
    group = _names(records)
    return all(list(rundir.read_groups(record.run).values())[-1:] == [group] for record in records)


def _names(records: Sequence[Record]) -> list[str]:
    return ["/".join(record.run.parts[-2:]) for record in records]


def _is_complete(program: Program, experiment: c.Experiment, run: Path, known: rundir.Status) -> bool:
    if known["status"] != "complete" or known["step"] != experiment.steps:
        return False
    state, _ = _read(program, run)  # the checkpoint is the deed
    return state is not None and int(state.step) == experiment.steps


def _shapes(program: Program, where: parallel.Sharding) -> PyTree:
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where),
        jax.eval_shape(program.model.init, rng.root(0), program.first_batch()),
    )


def restore(program: Program, run: Path) -> PyTree:
    """The newest state of a run, for looking at; nothing is moved or written.

    Raises:
        UserError: there is no checkpoint yet.
    """
    state, reports = _read(program, run)
    if state is None:
        rundir.check_new(run)
        raise UserError(f"{run} has no checkpoint yet: train it first.")
    for report in reports:
        print(report, file=sys.stderr)
    return state


def _read(program: Program, run: Path) -> tuple[PyTree | None, list[str]]:
    """The newest state, if there is one, and what is to be said of the checkpoints that cannot be used."""
    origin.check_model(run, program)
    shapes = _shapes(program, parallel.replicated(parallel.data_mesh(jax.local_devices()[:1])))
    return checkpoint.read(run, shapes)


def _advance(engine: Engine, records: list[Record], listen: Listener, caught: list[int]) -> None:
    """Trains runs that are at one step until the last step, or until a signal has been caught."""
    experiment, step = records[0].experiment, records[0].step
    with jax.transfer_guard("allow"):
        inputs = engine.inputs([record.experiment for record in records])
        if not step:
            families.check_beginning(experiment)
        state = engine.join([record.take() for record in records]) if step else engine.init(inputs)
    for record in records:
        record.begin(_names(records))
    terms = _Terms(engine, records, listen)
    dispatches = engine.dispatches(inputs, step, experiment.steps)
    with jax.transfer_guard("disallow"), contextlib.closing(dispatches):
        for advance, examples in dispatches:
            # 1. One dispatch, of many steps or of one.
            if caught or not _going(records):
                break
            state, rows = advance(state, examples, inputs)
            step += len(rows)
            terms.add(step, rows)
            # 2. What was logged, one window late: the device works on the next while this one is read.
            if step % experiment.log_every == 0:
                terms.watch(step, state)
                terms.write(until=step - experiment.log_every, now=step)
            # 3. Pictures and checkpoints, of runs whose terms are finite so far.
            pictures, checkpoints = (
                step % every == 0 or step == experiment.steps
                for every in (experiment.sample_every, experiment.checkpoint_every)
            )
            if pictures or checkpoints:
                terms.write(until=step, now=step)
            with jax.transfer_guard("allow"):
                if pictures:
                    _draw(engine, records, state, step)
                if checkpoints:
                    _save(engine, records, state, step)
    if caught:
        terms.write(until=step, now=step)
        _save(engine, records, state, step)
    for record in _going(records):  # of all before one is called complete: who is killed here finds them at one step
        record.wait()
    for record in _going(records):
        record.end(step)


def _going(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if not record.failure]


def _draw(engine: Engine, records: Sequence[Record], state: PyTree, step: int) -> None:
    for i, finite in enumerate(np.asarray(engine.is_finite(state))):
        if finite and not records[i].failure:  # there is no picture of what has diverged
            records[i].draw(engine, engine.member(state, i), step)


def _save(engine: Engine, records: Sequence[Record], state: PyTree, step: int) -> None:
    for i, finite in enumerate(np.asarray(engine.is_finite(state)).tolist()):
        if not records[i].failure:
            records[i].save(engine.member(state, i), step, finite)


class _Terms:
    """The terms of a group's steps, from when they are dispatched until they are written down."""

    def __init__(self, engine: Engine, records: Sequence[Record], listen: Listener) -> None:
        self._engine, self._records, self._listen = engine, records, listen
        self._clock = _Clock(records[0].metrics.seconds, records[0].step, records[0].experiment.examples_per_step)
        self._pending: deque[tuple[int, jax.Array]] = deque()
        self._watched: dict[int, dict[str, jax.Array]] = {}

    def add(self, last: int, rows: jax.Array) -> None:
        """Takes the rows [steps, runs, terms] of the steps up to `last`, which the device may still be making."""
        self._pending.append((last, rows))

    def watch(self, step: int, state: PyTree) -> None:
        """Looks at the runs after a step, if that is wanted."""
        if self._engine.watch is not None:
            self._watched[step] = self._engine.watch(state)

    def write(self, until: int, now: int) -> None:
        """Fetches the terms of the steps up to `until`, gives up runs where they are not finite, logs the others."""
        ready = []
        while self._pending and self._pending[0][0] <= until:
            ready.append(self._pending.popleft())
        if not ready:
            return
        fetched = jax.device_get([rows for _, rows in ready])
        watched = {step: jax.device_get(self._watched.pop(step)) for step in list(self._watched) if step <= until}
        seconds, speed = self._clock.read(ready[-1][0])
        for (last, _), rows in zip(ready, fetched, strict=True):
            first = next(iter(_going(self._records)), None)
            for i, record in enumerate(self._records):
                seen = {step: {name: float(curve[i]) for name, curve in of.items()} for step, of in watched.items()}
                for progress in record.write(self._engine.names, rows[:, i], seen, last, now, seconds, speed):
                    if record is first:
                        self._listen(progress)


class _Clock:
    """Seconds of training so far, and images per second since the first reading, by which all is compiled.

    Not since the last one: terms come a window late, and at a checkpoint two windows at once.
    """

    def __init__(self, seconds: float, step: int, images_per_step: int) -> None:
        self._start = time.monotonic() - seconds
        self._images_per_step = images_per_step
        self._begin = (step, seconds)
        self._has_read = False

    def read(self, step: int) -> tuple[float, float]:
        """To be called when the terms of the steps up to `step` have come from the device."""
        now = time.monotonic() - self._start
        speed = (step - self._begin[0]) * self._images_per_step / max(now - self._begin[1], 1e-9)
        if not self._has_read:
            self._begin, self._has_read = (step, now), True
        return now, speed


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM in a list instead of dying of them; a second one acts as usual.

    Where several processes train one run they would not stop at the same step: a signal acts as usual there.
    """
    caught: list[int] = []
    before: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(signum: int, _frame: Any) -> None:
        caught.append(signum)
        restore()

    # Outside of the main thread no handler can be set.
    if threading.current_thread() is threading.main_thread() and jax.process_count() == 1:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, note)
    try:
        yield caught
    finally:
        restore()
