"""The measures of two trained runs, and programs that differ from theirs in one thing."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import harness

from gvlab import evaluate
from gvlab.build import Program
from gvlab.train import loop
from gvlab.types import PyTree

PIXELS = 256  # of digits
EXAMPLES = 300  # in its test split


@functools.cache
def state(name: str) -> PyTree:
    return loop.restore(harness.program(name), harness.trained(name))


@functools.cache
def measures(name: str) -> evaluate.Measures:
    """Measured by the first process of the session that asks."""

    def make(directory: Path) -> None:
        made = evaluate.evaluate(harness.program(name), state(name))
        (directory / "measures.json").write_text(json.dumps(made, allow_nan=False))

    return json.loads((harness.shared(f"measures-{name}", make) / "measures.json").read_text())


def with_evaluation(program: Program, **fields: Any) -> Program:
    evaluation = replace(program.experiment.evaluation, **fields)
    return replace(program, experiment=replace(program.experiment, evaluation=evaluation))


def with_seed(program: Program, seed: int) -> Program:
    return replace(program, experiment=replace(program.experiment, seed=seed))
