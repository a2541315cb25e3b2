"""One form of one benchmark in a process of its own: builds it, then runs so many steps whenever it is told to.

Started by `training_steps.py`. Every line of standard input is a number of steps; every line of standard output is a
JSON object: first what was built, then the seconds, those of all its threads together, and the losses of each turn.
"""

import argparse
import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

MODULES = {
    "gvlab": ("gvlab_tasks", "gvlab_gans", "gvlab_vaes"),
    "torch": ("torch_tasks", "torch_gans", "torch_vaes"),
    "keras": ("keras_tasks",),
}
"""By framework, which is the first word of a form's name: where its benchmarks are, in `TASKS` of each."""


class Task(NamedTuple):
    """A training loop that is ready to run."""

    parameters: dict[str, int]
    """How many numbers each network trains."""
    run: Callable[[int], np.ndarray]
    """steps -> the losses of every step [steps, losses]; it returns when they are all computed."""


def coloured(pixels: np.ndarray) -> np.ndarray:
    """Images of 28x28 pixels and one channel as such of 32x32 pixels and three channels."""
    return np.pad(pixels, [(0, 0), (2, 2), (2, 2), (0, 0)]).repeat(3, axis=-1)


def enlarged(pixels: np.ndarray) -> np.ndarray:
    """Images of 28x28 pixels as such of 64x64."""
    return np.pad(pixels.repeat(2, axis=1).repeat(2, axis=2), [(0, 0), (4, 4), (4, 4), (0, 0)])


MASKED, NOISE = 0.5, 0.1
"""What is restored: this share of the pixels, drawn by `default_rng(0)`, under noise of this deviation."""


def levels(tokens: np.ndarray) -> int:
    """How many integers a symbol of these sentences may be."""
    return int(tokens.max()) + 1


def threads() -> int:
    """The CPU threads that each framework gets."""
    return len(os.sched_getaffinity(0))


def cpu() -> str:
    """The processor's name and family."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    if "model name" not in facts:
        return platform.processor()
    return f"{facts['model name']}, family {facts['cpu family']}, model {facts['model']}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("benchmark")
    parser.add_argument("form")
    parser.add_argument("examples", type=Path, help="uint8 images [n, 28, 28, 1], or int32 sentences, as .npy")
    args = parser.parse_args()
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a framework prints is no reply

    modules = map(importlib.import_module, MODULES[args.form.split()[0]])
    module = next(module for module in modules if args.benchmark in module.TASKS)
    task = module.make(args.benchmark, args.form, np.load(args.examples))
    print(json.dumps({"parameters": task.parameters, "versions": module.versions()}), file=replies, flush=True)
    for line in sys.stdin:
        start, cpu_start = time.perf_counter(), time.process_time()
        losses = task.run(int(line))
        reply = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu_start}
        print(json.dumps(reply | {"losses": losses.tolist()}), file=replies, flush=True)


if __name__ == "__main__":
    main()
