"""A comparison's units on several machines, by engines that exist: a scheduler's own queue, or Ray."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gvlab import compare, onednn
from gvlab import config as c
from gvlab.compare import units
from gvlab.compare.loop import of_other_cadence, of_other_evaluation, of_unequal_samples
from gvlab.compare.plan import file_options
from gvlab.compare.schedule import too_few
from gvlab.config import experiment_file, own
from gvlab.files import owned
from gvlab.types import UserError

RETRIES = 3
"""How often Ray tries a unit again whose worker was killed; it goes on from its checkpoint."""


def commands(plan: compare.Plan, root: Path) -> list[str]:
    """One shell line per unit that is not complete, in any order and on any machine that sees the directory.

    Writes the plan. Afterwards `gvlab report` makes the tables.
    """
    with _planned(plan, root) as missing:
        chosen = ["env", "GVLAB_CONVOLUTIONS=onednn"] if onednn.choice() != onednn.XLA else []
        return [
            shlex.join([*chosen, "gvlab", "unit", str(root.absolute()), units.name(one), *file_options(root, one)])
            for one in missing
        ]


def ray(plan: compare.Plan, root: Path) -> None:
    """Makes the missing units as tasks of the Ray cluster at RAY_ADDRESS, or of one on this machine.

    The directory must be one that every worker sees. A task has one GPU where the cluster has any; a killed worker's
    task is started again and continues from its checkpoint.

    Raises:
        UserError: Ray is not installed, or a unit failed for another reason than its worker's death.
    """
    engine = _ray()
    with _planned(plan, root) as missing:
        started = begin_ray()
        gpus = 1 if engine.cluster_resources().get("GPU") else 0
        task = engine.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES, retry_exceptions=False)(_unit)
        try:
            waiting = {
                task.remote(str(root.absolute()), units.name(e), _texts(e), onednn.choice()): units.name(e)
                for e in missing
            }
            while waiting:
                done, _ = engine.wait(list(waiting))
                for reference in done:
                    name = waiting.pop(reference)
                    try:
                        engine.get(reference)
                    except engine.exceptions.RayError as error:
                        why = str(getattr(error, "cause", None) or type(error).__name__).rstrip(".")
                        raise UserError(f"The unit {name} failed on its worker ({why}): repeat the command.") from error
        finally:
            if started:
                engine.shutdown()


def begin_ray() -> bool:
    """Joins the cluster, or starts one; before JAX's back-end starts, since Ray forks, which JAX's threads don't bear.

    One that is started ends with the command, and has no dashboard.

    Returns:
        Whether it was not done already.
    """
    engine = _ray()
    if engine.is_initialized():
        return False
    engine.init(
        address=os.environ.get("RAY_ADDRESS"),
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    return True


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise UserError("--launcher ray needs Ray: install gvlab[ray].") from error
    return ray


@contextlib.contextmanager
def _planned(plan: compare.Plan, root: Path) -> Iterator[list[c.Experiment]]:
    """Writes the plan and gives the units that are missing, while no other process runs the comparison."""
    programs = compare.programs_of(plan)
    with owned(root):
        units.keep_convolutions(root, plan.units())
        missing = compare.pending(plan, root, programs)
        compare.write_plan(root, replace(plan, directory=str(root)))
        few = [sentence] if missing and (sentence := too_few(plan)) else []
        few += of_unequal_samples(programs) if missing else []
        for sentence in [*few, *of_other_cadence(plan, root), *of_other_evaluation(programs, missing, root)]:
            print(sentence, file=sys.stderr, flush=True)
        yield missing


def _texts(experiment: c.Experiment) -> list[bytes]:
    """The experiment files that the unit's own parts are of, which the worker need not see."""
    return [source.text for sha256 in own.files(experiment) if (source := own.source(sha256))]


def _unit(root: str, name: str, texts: Sequence[bytes], convolutions: str) -> None:
    from gvlab import backend

    backend.start()
    backend.keep_convolutions(convolutions)
    with tempfile.TemporaryDirectory(prefix="gvlab-experiment-") as directory:
        for i, text in enumerate(texts):
            file = Path(directory) / f"experiment_{i}.py"
            file.write_bytes(text)
            experiment_file.open_parts(file, {hashlib.sha256(text).hexdigest(): []})
        compare.run_unit(Path(root), name, lambda title: None)
