"""Experiments and trained runs, as several commands need them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gvlab import backend

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.build import Program
    from gvlab.config import Experiment


def program_of(experiment: Experiment) -> Program:
    """The experiment on its data; starts the back-end."""
    backend.start()
    from gvlab import build

    return build.program(experiment, build.dataset(experiment.data))


def add_experiment(command: argparse.ArgumentParser, **options: Any) -> None:
    """The option by which the user names the file that a run's own parts are of."""
    command.add_argument(
        "--experiment",
        type=Path,
        metavar="FILE.py",
        help="the experiment file, where its own parts were trained with: it is executed, its copies never are",
        **options,
    )


def trained(run: Path, experiment: Path | None = None) -> tuple[Program, Any]:
    """The program and the newest state of a run directory; `experiment` is the file that its own parts are of."""
    backend.start()
    from gvlab.runs import directory as rundir
    from gvlab.train import loop, origin

    rundir.open_parts(run, experiment)
    program = origin.program_of(run)
    return program, loop.restore(program, run)
