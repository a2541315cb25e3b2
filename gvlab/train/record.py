"""What is written down of one run while it trains."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from gvlab import config as c
from gvlab import tree
from gvlab.files import write_atomically
from gvlab.pictures import lines, sheets, sounds
from gvlab.runs import directory as rundir
from gvlab.runs.checkpoint import Checkpoints
from gvlab.runs.curves import MetricsLog
from gvlab.runs.environment import write_environment
from gvlab.train import origin
from gvlab.train.engines import Engine
from gvlab.types import Diverged, PyTree, UserError


@dataclass(frozen=True)
class Progress:
    """What a listener hears of training."""

    step: int
    steps: int
    images_per_second: float
    values: dict[str, float]


Listener = Callable[[Progress], None]
"""What is called at every logged step."""


class Record:
    """What is written down of one run: terms, pictures, checkpoints, and how it ended."""

    def __init__(self, engine: Engine, experiment: c.Experiment, run: Path, written: Path) -> None:
        self.experiment, self.run, self._written = experiment, run, written
        self.step = 0
        self.failure: Diverged | None = None
        self.metrics: MetricsLog
        self._program = engine.program
        self._checkpoints = Checkpoints(run, experiment.keep_every)
        self._state: PyTree = None
        self._states: dict[int, str] = {}
        self._stack = contextlib.ExitStack()
        self._stack.callback(self._checkpoints.close)

    def restore(self, like: PyTree, until: float = math.inf) -> None:
        """Takes up the newest whole checkpoint, of the step `until` at most, if there is any."""
        self._state, reports = self._checkpoints.restore(like, until)
        if self._state is None:
            rundir.check_new(self.run)
        for report in reports:
            print(report, file=sys.stderr)
        self.step = 0 if self._state is None else int(self._state.step)
        if self.step > self.experiment.steps:
            raise UserError(
                f"{self.run} is at step {self.step} already, beyond the {self.experiment.steps} asked for: use "
                f"--steps {self.step} or more."
            )

    def take(self) -> PyTree:
        """The restored state, which may then be donated."""
        state, self._state = self._state, None
        return state

    def begin(self, group: list[str]) -> None:
        write_atomically(self._written / "config.json", c.to_json(self.experiment))
        origin.write(self._written, self._program)
        groups = {step: names for step, names in rundir.read_groups(self._written).items() if step < self.step}
        if not groups or groups[max(groups)] != group:
            groups[self.step] = group
        rundir.write_groups(self._written, groups)
        for report in write_environment(self._written):
            print(report, file=sys.stderr)
        (self._written / "samples").mkdir(exist_ok=True)
        rundir.write_status(self._written, "running", self.step)
        self._states = {step: sha256 for step, sha256 in rundir.read_states(self._written).items() if step <= self.step}
        self.metrics = MetricsLog(self._written, self.step)
        self._stack.callback(self.metrics.close)

    def write(
        self,
        names: tuple[str, ...],
        rows: np.ndarray,
        watched: dict[int, dict[str, float]],
        last: int,
        now: int,
        seconds: float,
        speed: float,
    ) -> Iterator[Progress]:
        """Logs those of the rows, which belong to the steps up to `last`, that fall on a step to log, with what was
        seen by looking from outside after them; gives what it logs.

        If a term is not finite the run is over: it has diverged, as was noticed at the step `now`.
        """
        for step, values in enumerate(rows, start=last - len(rows) + 1):
            if self.failure:
                return
            if not np.isfinite(values).all():
                name = names[int(np.argmin(np.isfinite(values)))]
                self._give_up(f"At step {step} the term {name} is {values[names.index(name)]}.", now)
            elif step == 1 or step % self.experiment.log_every == 0:
                named = {name: float(value) for name, value in zip(names, values, strict=True)}
                named |= {name: value for name, value in watched.get(step, {}).items() if math.isfinite(value)}
                self.metrics.write(step, named, seconds, speed)
                yield Progress(step, self.experiment.steps, speed, named)

    def draw(self, engine: Engine, state: PyTree, step: int) -> None:
        target = self._written / "samples" / f"step-{step:08d}.png"
        samples, dataset = jax.device_get(engine.sample(state)), self._program.dataset
        if not len(samples):  # of a model that has none
            return
        match dataset.modality.exhibit:
            case "sheet":
                sheets.save_png(target, sheets.enlarge(sheets.grid(samples, columns=8)))
            case "scatter":
                sheets.save_png(target, sheets.scatter(samples, dataset.test.x[:2000]))
            case "sounds":
                sheets.save_png(target, sounds.sheet(samples))
                heard = sounds.as_stored(samples[: sounds.HEARD])
                sounds.write(target.with_suffix(".wav"), heard, sounds.rate_of(dataset))
            case "lines":
                lines.write(target.with_suffix(".txt"), lines.of(dataset, samples))

    def save(self, state: PyTree, step: int, finite: bool) -> None:
        """Saves a finite state; a run whose parameters are not finite is over."""
        if not finite:
            self._give_up(f"At step {step} a parameter is not finite.", step)
            return
        self.metrics.sync()
        self._states[step] = tree.digest(state)
        rundir.write_states(self._written, self._states)
        self._checkpoints.save(state, self._states[step])
        self.step = step
        rundir.write_status(self._written, "running", step)

    def wait(self) -> None:
        """Until everything is written."""
        self._checkpoints.wait()

    def end(self, step: int) -> None:
        """Says how far the run has come."""
        self.step = step
        rundir.write_status(self._written, "complete" if step == self.experiment.steps else "interrupted", step)

    def close(self) -> None:
        self._stack.close()

    def _give_up(self, reason: str, step: int) -> None:
        self.failure = Diverged(reason)
        self.metrics.sync()
        with contextlib.suppress(Exception):  # the divergence is what the user must hear of
            self._checkpoints.wait()
        rundir.write_status(self._written, "diverged", step, reason=reason)
