"""One form of one benchmark in a process of its own: builds it, then runs so many steps whenever it is told to.

Started by `training_steps.py`. Every line of standard input is a number of steps; every line of standard output is a
JSON object: first what was built, then the seconds and the losses of each turn.
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

MODULES = {"gvlab": "gvlab_tasks", "torch": "torch_tasks", "keras": "keras_tasks"}
"""The first word of a form's name is its framework."""


class Task(NamedTuple):
    """A training loop that is ready to run."""

    parameters: dict[str, int]
    """How many numbers each network trains."""
    run: Callable[[int], np.ndarray]
    """steps -> the losses of every step [steps, losses]; it returns when they are all computed."""


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
    parser.add_argument("pixels", type=Path, help="uint8 images [n, 28, 28, 1] as .npy")
    args = parser.parse_args()
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a framework prints is no reply

    module = importlib.import_module(MODULES[args.form.split()[0]])
    task = module.make(args.benchmark, args.form, np.load(args.pixels))
    print(json.dumps({"parameters": task.parameters, "versions": module.versions()}), file=replies, flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        losses = task.run(int(line))
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "losses": losses.tolist()}), file=replies, flush=True)


if __name__ == "__main__":
    main()
