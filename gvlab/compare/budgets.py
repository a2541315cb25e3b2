"""Equal budgets: numbers of steps that spend what the first experiment spends."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import jax

from gvlab import config as c
from gvlab.build import Program
from gvlab.train import engines
from gvlab.types import UserError

MATCHES = ("steps", "images", "seconds", "flops")
"""What budgets can be equal in."""


def matched(programs: Sequence[Program], match: str) -> list[tuple[c.Experiment, float]]:
    """The experiments with numbers of steps that spend what the first one spends with its own.

    Args:
        programs: the experiments on their data.
        match: one of `MATCHES`. `seconds` is measured here and now, on an otherwise idle machine one hopes.

    Returns:
        Each experiment, and its budget over the first one's: 1 but for rounding to whole steps, of which there is one.

    Raises:
        UserError: the back-end doesn't count floating-point operations.
    """
    price = {
        "steps": lambda program: 1.0,
        "images": lambda program: float(program.experiment.examples_per_step),
        "seconds": seconds_per_step,
        "flops": _flops_per_step,
    }[match]
    prices = [price(program) for program in programs]
    budget = programs[0].experiment.steps * prices[0]
    steps = [max(1, round(budget / each)) for each in prices]
    return [
        (replace(program.experiment, steps=whole), whole * each / budget)
        for program, each, whole in zip(programs, prices, steps, strict=True)
    ]


def _flops_per_step(program: Program) -> float:
    flops = engines.cost(engines.alone(program)).flops_per_step
    if flops is None:
        raise UserError(
            f"--match flops: the back-end {jax.default_backend()} doesn't say what a step takes: use images."
        )
    return flops


def seconds_per_step(program: Program, seconds: float = 2.0) -> float:
    """Of training alone, by running steps for some seconds after the first, which compiles."""
    engine = engines.alone(program)
    inputs = engine.inputs([program.experiment])
    state, start, steps = engine.init(inputs), 0.0, 0
    with contextlib.closing(engine.dispatches(inputs, 0, sys.maxsize)) as dispatches:
        for advance, examples in dispatches:
            state, rows = advance(state, examples, inputs)
            jax.block_until_ready(rows)
            if not start:
                start = time.perf_counter()
                continue
            steps += len(rows)
            if time.perf_counter() - start >= seconds:
                break
    return (time.perf_counter() - start) / steps
