"""Experiments and trained runs, as several commands need them."""

from __future__ import annotations

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


def trained(run: Path) -> tuple[Program, Any]:
    """The program and the newest state of a run directory."""
    backend.start()
    from gvlab.train import loop, origin

    program = origin.program_of(run)
    return program, loop.restore(program, run)
