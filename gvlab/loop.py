"""The training loop: pure steps in, a run directory out, and nothing lost on the way.

The state at step t is a function of (config, seed, t) alone. The loop only decides how many steps go into one dispatch,
and what is written down at which step.
"""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gvlab import checkpoint, log, parallel, rng, rundir, tree
from gvlab import config as c
from gvlab.build import Program
from gvlab.checkpoint import Checkpoints
from gvlab.types import Batch, Diverged, PyTree, UserError

PICTURES = 64
"""Samples in each picture that training draws."""


class Interrupted(Exception):
    """A signal stopped training after everything was saved."""

    def __init__(self, run: Path, step: int, signum: int) -> None:
        super().__init__(f"Stopped at step {step}, which is saved in {run}.")
        self.signum = signum


@dataclass(frozen=True)
class Progress:
    """What a listener hears of training."""

    step: int
    steps: int
    images_per_second: float
    values: dict[str, float]


Listener = Callable[[Progress], None]
Step = Callable[[PyTree, Batch, jax.Array], tuple[PyTree, jax.Array]]


@dataclass(frozen=True)
class Engine:
    """The compiled functions of one program; made once, used for every seed."""

    program: Program
    names: tuple[str, ...]
    """The terms of a train step, in the order of the rows below."""
    init: Callable[[jax.Array], PyTree]
    single: Step
    """(state, data, key) -> (next state, [1, terms])."""
    many: Step | None
    """(state, data, key) -> (state after `chunk` steps, [chunk, terms]); None on CPU."""
    chunk: int
    sample: Callable[[PyTree, jax.Array], jax.Array]
    is_finite: Callable[[PyTree], jax.Array]
    data: Batch
    """The training split, on the device(s)."""
    sharding: parallel.Sharding
    """Of state and key: every device holds them whole."""


def scans_well(device: jax.Device) -> bool:
    """Whether many steps go into one dispatch: everywhere but on CPU."""
    return device.platform != "cpu"


def engine(program: Program, devices: Sequence[jax.Device] | None = None) -> Engine:
    """Puts the data on the devices and prepares the functions; they compile when first called.

    By default the batch is split over all devices, or over as many of them as divide it.

    On accelerators many steps go into one dispatch, by `lax.scan`. On CPU every step is its own: XLA runs convolutions
    inside loops 20 to 40 times slower there.

    Raises:
        UserError: a batch does not divide over the devices, or the networks do not fit the data.
    """
    experiment, model, split = program.experiment, program.model, program.dataset.train
    mesh = parallel.data_mesh(devices or parallel.devices_for(experiment.examples_per_step))
    whole, share = parallel.replicated(mesh), parallel.split(mesh)
    parallel.check_divides(program.experiment.examples_per_step, mesh.size)
    arrays: Batch = jax.device_put(
        Batch(jnp.asarray(split.x), None if split.y is None else jnp.asarray(split.y)), whole
    )

    def init(key: jax.Array) -> PyTree:
        return model.init(rng.stream(key, rng.INIT), program.first_batch())

    def step(state: PyTree, arrays: Batch, key: jax.Array) -> tuple[PyTree, dict[str, jax.Array]]:
        batch = jax.lax.with_sharding_constraint(program.draw(arrays, key, state.step), share)
        return model.train_step(state, batch, rng.stream(key, rng.TRAIN, state.step))

    def single(state: PyTree, arrays: Batch, key: jax.Array) -> tuple[PyTree, jax.Array]:
        state, info = step(state, arrays, key)
        return state, jnp.stack([info[name].astype(jnp.float32) for name in names])[None]

    key = rng.root(0)
    names = tuple(sorted(jax.eval_shape(step, jax.eval_shape(init, key), arrays, key)[1]))
    chunk = math.gcd(experiment.log_every, experiment.sample_every, experiment.checkpoint_every)
    scans = scans_well(mesh.devices.flat[0]) and chunk > 1
    return Engine(
        program=program,
        names=names,
        init=jax.jit(init, out_shardings=whole),
        single=jax.jit(single, donate_argnums=0, out_shardings=whole),
        many=jax.jit(scanned(single, chunk), donate_argnums=0, out_shardings=whole) if scans else None,
        chunk=chunk,
        sample=jax.jit(lambda state, key: model.sample(state, rng.stream(key, rng.PICTURE), PICTURES)),
        is_finite=jax.jit(tree.all_finite),
        data=arrays,
        sharding=whole,
    )


def scanned(single: Step, length: int) -> Step:
    """So many single steps as one function, the rows of their terms stacked: [length, terms]."""

    def many(state: PyTree, arrays: Batch, key: jax.Array) -> tuple[PyTree, jax.Array]:
        state, rows = jax.lax.scan(lambda state, _: single(state, arrays, key), state, length=length)
        return state, rows[:, 0]

    return many


def train(engine: Engine, root: Path, seed: int, steps: int | None = None, listen: Listener | None = None) -> Path:
    """Trains one seed up to `steps` (the experiment's by default), continuing what the run directory holds.

    Args:
        engine: of the program.
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
    experiment = replace(
        engine.program.experiment, seed=seed, steps=engine.program.experiment.steps if steps is None else steps
    )
    run = rundir.path(root, experiment)
    rundir.check_config(run, experiment)
    with rundir.owned(run):
        rundir.check_config(run, experiment)  # again: the first look was not under the lock
        known = rundir.status(run)
        if known["status"] == "diverged":
            raise Diverged(f"{known['reason']} Delete {run} or change the experiment to try again.")
        said = known["status"] == "complete" and known["step"] == experiment.steps
        if said and int(restore(engine.program, run).step) == experiment.steps:  # the checkpoint is the deed
            return run
        checkpoints = Checkpoints(run, experiment.keep_every)
        try:
            with _signals() as caught:
                _train(engine, experiment, run, checkpoints, listen or (lambda _: None), caught)
        finally:
            checkpoints.close()
    return run


def restore(program: Program, run: Path) -> PyTree:
    """The newest state of a run, for looking at; nothing is moved or written.

    Raises:
        UserError: there is no checkpoint yet.
    """
    device = parallel.replicated(parallel.data_mesh(jax.devices()[:1]))
    shapes = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device),
        jax.eval_shape(program.model.init, rng.root(0), program.first_batch()),
    )
    state, reports = checkpoint.read(run, shapes)
    if state is None:
        raise UserError(f"{run} has no checkpoint yet: train it first.")
    for report in reports:
        print(report, file=sys.stderr)
    return state


def _train(
    engine: Engine, experiment: c.Experiment, run: Path, checkpoints: Checkpoints, listen: Listener, caught: list[int]
) -> None:
    """Trains until the last step, or until a signal has been caught."""
    key = jax.device_put(rng.root(experiment.seed), engine.sharding)
    state = engine.init(key)
    restored, reports = checkpoints.restore(state)
    if restored is not None:
        state = restored
    step = int(state.step)
    if step > experiment.steps:
        raise UserError(
            f"{run} is at step {step} already, beyond the {experiment.steps} asked for: use --steps {step} or more."
        )
    rundir.write_atomically(run / "config.json", c.to_json(experiment))
    reports += rundir.write_environment(run)
    for report in reports:
        print(report, file=sys.stderr)
    (run / "samples").mkdir(exist_ok=True)
    rundir.write_status(run, "running", step)
    metrics = log.MetricsLog(run, step)
    clock = _Clock(metrics.seconds, step, engine.program.experiment.examples_per_step)
    pending: deque[tuple[int, jax.Array]] = deque()

    def write_down(until: int) -> None:
        """Fetches the terms of the steps up to `until`, refuses those that are not finite, logs the others."""
        ready = []
        while pending and pending[0][0] <= until:
            ready.append(pending.popleft())
        if ready:
            fetched = jax.device_get([rows for _, rows in ready])
            seconds, speed = clock.read(ready[-1][0])
            for (last, _), rows in zip(ready, fetched, strict=True):
                _write_rows(rows, last, engine.names, experiment, metrics, seconds, speed, listen)

    def save() -> None:
        write_down(step)
        if not bool(engine.is_finite(state)):
            raise Diverged(f"At step {step} a parameter is not finite.")
        metrics.sync()
        checkpoints.save(state)
        rundir.write_status(run, "running", step)

    try:
        with jax.transfer_guard("disallow"):
            arrays = engine.data
            while step < experiment.steps and not caught:
                many = engine.many and step % engine.chunk == 0 and step + engine.chunk <= experiment.steps
                state, rows = (engine.many if many else engine.single)(state, arrays, key)  # type: ignore[misc]
                step += len(rows)
                pending.append((step, rows))
                if step % experiment.log_every == 0:
                    # One window late: the device works on the next while this one is read.
                    write_down(step - experiment.log_every)
                with jax.transfer_guard("allow"):
                    if step % experiment.sample_every == 0 or step == experiment.steps:
                        write_down(step)  # there is no picture of what has diverged
                        _picture(engine, state, key, run / "samples" / f"step-{step:08d}.png")
                    if step % experiment.checkpoint_every == 0 or step == experiment.steps:
                        save()
            if caught:
                with jax.transfer_guard("allow"):
                    save()
        checkpoints.wait()
    except Diverged as diverged:
        metrics.sync()
        with contextlib.suppress(Exception):  # the divergence is what the user must hear of
            checkpoints.wait()
        rundir.write_status(run, "diverged", step, reason=str(diverged))
        raise
    finally:
        metrics.close()
    if caught and step < experiment.steps:
        rundir.write_status(run, "interrupted", step)
        raise Interrupted(run, step, caught[0])
    rundir.write_status(run, "complete", step)


def _write_rows(
    rows: np.ndarray,
    last: int,
    names: tuple[str, ...],
    experiment: c.Experiment,
    metrics: log.MetricsLog,
    seconds: float,
    speed: float,
    listen: Listener,
) -> None:
    """Logs those of the rows, which belong to the steps up to `last`, that fall on a step to log."""
    for step, values in enumerate(rows, start=last - len(rows) + 1):
        if not np.isfinite(values).all():
            name = names[int(np.argmin(np.isfinite(values)))]
            raise Diverged(f"At step {step} the term {name} is {values[names.index(name)]}.")
        if step == 1 or step % experiment.log_every == 0:
            named = {name: float(value) for name, value in zip(names, values, strict=True)}
            metrics.write(step, named, seconds, speed)
            listen(Progress(step, experiment.steps, speed, named))


class _Clock:
    """Seconds of training so far, and images per second since the last reading."""

    def __init__(self, seconds: float, step: int, images_per_step: int) -> None:
        self._start = time.monotonic() - seconds
        self._images_per_step = images_per_step
        self._last = (step, seconds)

    def read(self, step: int) -> tuple[float, float]:
        """To be called when the terms of the steps up to `step` have come from the device."""
        now = time.monotonic() - self._start
        speed = (step - self._last[0]) * self._images_per_step / max(now - self._last[1], 1e-9)
        self._last = (step, now)
        return now, speed


def _picture(engine: Engine, state: PyTree, key: jax.Array, target: Path) -> None:
    program = engine.program
    samples = jax.device_get(program.to_unit(engine.sample(state, key)))
    if samples.ndim == 4:
        log.save_png(target, log.enlarge(log.grid(samples, columns=8)))
    else:
        log.save_png(target, log.scatter(samples, program.dataset.test.x[:2000]))


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM in a list instead of dying of them; a second one acts as usual."""
    caught: list[int] = []
    before: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(signum: int, _frame: Any) -> None:
        caught.append(signum)
        restore()

    if threading.current_thread() is threading.main_thread():  # elsewhere no handler can be set
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, note)
    try:
        yield caught
    finally:
        restore()
