"""A comparison: several experiments, several seeds, one table and one picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from gvlab import evaluate, log, loop, rng, rundir
from gvlab.build import Program
from gvlab.types import Diverged, UserError

PICTURES = 12
"""Samples per run in the picture."""


@dataclass(frozen=True)
class Unit:
    """One (experiment, seed) of a comparison: its measures, or why there are none."""

    experiment: str
    seed: int
    run: Path
    measures: evaluate.Measures | None
    failure: str | None
    samples: np.ndarray | None
    """The first generated examples of the run's fixed latents, [n, *shape], images in [0, 1]."""


def run_unit(engine: loop.Engine, root: Path, seed: int, steps: int, listen: loop.Listener | None) -> Unit:
    """Trains and measures one seed, as far as that has not been done yet. A divergence is a result, not an error."""
    experiment = replace(engine.program.experiment, seed=seed, steps=steps)
    program = replace(engine.program, experiment=experiment)
    run = rundir.path(root, experiment)
    try:
        loop.train(engine, root, seed, steps, listen)
        state = loop.restore(program, run)
        measures = evaluate.read(run, program, state)
        if measures is None:
            measures = evaluate.evaluate(program, state)
            evaluate.write(run, program, state, measures)
    except Diverged as diverged:
        return Unit(experiment.name, seed, run, None, str(diverged), None)
    samples = jax.device_get(program.to_unit(engine.sample(state, rng.root(seed))))
    return Unit(experiment.name, seed, run, measures, None, samples)


def run(
    programs: list[Program], seeds: int, root: Path, listen: Callable[[str, int], loop.Listener | None]
) -> list[Unit]:
    """All units, one after another; each program compiles once for all of its seeds.

    Args:
        programs: one per experiment.
        seeds: how many; they are 0, 1, ..., seeds - 1.
        root: directory of runs.
        listen: (experiment, seed) -> what hears of that training.
    """
    names = [program.experiment.name for program in programs]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"Two of the experiments are named {name!r}: their runs would share a directory.")
    if len({len(program.dataset.shape) for program in programs}) > 1:
        raise UserError(f"Images and points don't fit into one picture: compare {names} on data of one kind.")
    for program in programs:  # refuse before the first second of training
        evaluate.check(program.experiment.evaluation)
        evaluate.extractors_of(program.experiment.evaluation, program.dataset)
    engines = [loop.engine(program) for program in programs]
    for program in programs:
        for seed in range(seeds):
            experiment = replace(program.experiment, seed=seed)
            rundir.check_config(rundir.path(root, experiment), experiment)
    units = []
    for engine in engines:
        for seed in range(seeds):
            experiment = engine.program.experiment
            units.append(run_unit(engine, root, seed, experiment.steps, listen(experiment.name, seed)))
    return units


@dataclass(frozen=True)
class Row:
    """One measure of one experiment over the seeds; a failed seed has no value and enters no average."""

    experiment: str
    measure: str
    values: tuple[float | None, ...]
    other_protocol: str | None = None
    """Why these numbers may not stand beside the first experiment's of this name; then none are shown."""

    @property
    def finished(self) -> list[float]:
        return [] if self.other_protocol else [value for value in self.values if value is not None]

    @property
    def mean(self) -> float | None:
        return float(np.mean(self.finished)) if self.finished else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds (ddof=1); None with fewer than two."""
        return float(np.std(self.finished, ddof=1)) if len(self.finished) > 1 else None


def table(units: list[Unit]) -> list[Row]:
    """Measures in rows, experiments together, in the order in which they were measured.

    A number that was made by another protocol than the first of its name is not shown beside it.
    """
    rows = []
    protocols: dict[str, tuple[str, dict[str, Any]]] = {}
    for experiment in dict.fromkeys(unit.experiment for unit in units):
        mine = [unit for unit in units if unit.experiment == experiment]
        for measure in dict.fromkeys(name for unit in mine for name in unit.measures or {}):
            values = tuple(unit.measures[measure]["value"] if unit.measures else None for unit in mine)
            stamp = next(unit.measures[measure]["stamp"] for unit in mine if unit.measures)
            other, protocol = protocols.setdefault(measure, (experiment, stamp))
            found = evaluate.difference(protocol, stamp)
            reason = None
            if found:
                here, there = (f"{found.field} = {value}" for value in (found.second, found.first))
                reason = f"{measure} of {experiment} has {here}, that of {other} {there}: they cannot be compared."
            rows.append(Row(experiment, measure, values, reason))
        if not any(unit.measures for unit in mine):
            rows.append(Row(experiment, "(none)", (None,) * len(mine)))
    return rows


def number(value: float | None) -> str:
    """Four significant digits; a dash where there is no value."""
    if value is None:
        return "-"
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"


def header(seeds: int) -> list[str]:
    return ["experiment", "measure", "mean", "sd", *(f"seed {k}" for k in range(seeds))]


def cells(row: Row) -> list[str]:
    """The row as text, under `header`."""
    each = ["diverged" if value is None else "-" if row.other_protocol else number(value) for value in row.values]
    return [row.experiment, row.measure, number(row.mean), number(row.deviation), *each]


def remarks(units: list[Unit], rows: list[Row]) -> list[str]:
    """What the table does not show, and why."""
    failed = [f"{u.experiment}, seed {u.seed}, diverged: {u.failure}" for u in units if u.failure]
    return failed + [row.other_protocol for row in rows if row.other_protocol]


def markdown(rows: list[Row]) -> str:
    """The table in Markdown."""
    head = header(len(rows[0].values))
    lines = [head, ["---"] * 2 + ["---:"] * (len(head) - 2), *(cells(row) for row in rows)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def picture(units: list[Unit]) -> np.ndarray:
    """A uint8 sheet with one row of samples per run that finished, in the order of the units."""
    done = [unit.samples for unit in units if unit.samples is not None]
    if not done:
        raise UserError("Every run of the comparison diverged, so there is nothing to show.")
    if done[0].ndim == 2:
        everything = np.concatenate(done)
        return np.concatenate([log.scatter(samples, everything) for samples in done])
    height, width = (max(samples.shape[axis] for samples in done) for axis in (1, 2))
    rows = [_padded(samples[:PICTURES], height, width) for samples in done]
    return log.enlarge(log.grid(np.concatenate(rows), columns=PICTURES), least=720)


def _padded(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """RGB images of one size, centred on grey."""
    down, right = height - images.shape[1], width - images.shape[2]
    margins = ((0, 0), (down // 2, down - down // 2), (right // 2, right - right // 2), (0, 0))
    return np.pad(np.broadcast_to(images, (*images.shape[:3], 3)), margins, constant_values=0.5)


def write(units: list[Unit], root: Path) -> tuple[Path, Path, Path]:
    """Writes table.md, samples.png and comparison.json under <root>/comparisons/<experiments>; gives their paths."""
    names = list(dict.fromkeys(unit.experiment for unit in units))
    directory = root / "comparisons" / "-vs-".join(names)
    directory.mkdir(parents=True, exist_ok=True)
    rows = table(units)
    files = directory / "table.md", directory / "samples.png", directory / "comparison.json"
    rundir.write_atomically(files[0], markdown(rows) + "".join(f"\n{remark}\n" for remark in remarks(units, rows)))
    if any(unit.samples is not None for unit in units):
        log.save_png(files[1], picture(units))
    else:
        files[1].unlink(missing_ok=True)
    rundir.write_atomically(files[2], json.dumps([_plain(unit) for unit in units], indent=2) + "\n")
    return files


def _plain(unit: Unit) -> dict[str, Any]:
    return {
        "experiment": unit.experiment,
        "seed": unit.seed,
        "run": str(unit.run),
        "failure": unit.failure,
        "measures": unit.measures,
    }
