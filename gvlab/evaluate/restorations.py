"""How well a model restores damaged test images, as a measure: `gvlab restore` by one protocol for all models."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from gvlab import config as c
from gvlab import data, restore, rng
from gvlab.build import Program
from gvlab.config import restoration
from gvlab.config.fields import member_to_dict
from gvlab.evaluate.held_out import Measure, mean
from gvlab.restoration import driving
from gvlab.restoration.operators import Operator
from gvlab.types import PyTree, UserError

IMAGES = 64
"""Of the test split, the first."""
SEED = 0
"""Of the measurements' noise, of what is seen and of the search's starts: the same for all models."""
NAMES = {
    "psnr_db": "restored_psnr_db",
    "error_per_pixel": "restored_error_per_pixel",
    "ssim": "restored_ssim",
    "class_agreement": "restored_class_agreement",
}
"""What the measures are called, with the restoration's name behind."""


def check(program: Program, names: Iterable[str]) -> None:
    """Raises UserError where one of the measures is a restoration that cannot be made, before anything is computed."""
    for name in filter(restoration.is_restoration, names):
        asked, experiment = restoration.restoration(name), program.experiment.name
        if program.dataset.modality != data.IMAGES:
            raise UserError(
                f"The measure {name} is of images, but {program.dataset.name} has {program.dataset.modality.name}: "
                "leave it out."
            )
        if program.model.codes is not None or not program.has_normal_prior:
            raise UserError(
                f"The measure {name} searches latents of a standard normal prior, but {experiment} has others: leave "
                "it out."
            )
        _operator(program, asked)


def restored(program: Program, state: PyTree, name: str) -> dict[str, Measure]:
    """The measures of restored test images, with those of what needs no model in the stamp.

    Args:
        program: of images; see `check`.
        state: of its model.
        name: of the measure: restore:block10.
    """
    asked, test = restoration.restoration(name), program.dataset.test
    true = np.asarray(test.x[:IMAGES], np.float32) / 255
    classes = np.asarray(test.y[: len(true)]) if program.experiment.conditional and test.y is not None else None
    operator = _operator(program, asked)
    y = operator.observed(rng.stream(rng.root(SEED), rng.OBSERVATION), jnp.asarray(true), asked.noise)
    method, searcher = restoration.COMPARED, _searcher(_of_any_seed(program), asked)
    found = restore.restore(program, state, operator, y, method, asked.noise, SEED, classes, searcher=searcher)
    judge = restore.classifier(program.dataset)
    of_model, of_baseline = (restore.measured(x, true, judge=judge) for x in (found.x, found.baseline))
    shared: dict[str, Any] = {
        "split": "test",
        "examples": len(true),
        "quantization": "none",
        "operator": member_to_dict(asked.what),
        "noise": asked.noise,
        "method": member_to_dict(method),
        "restore_seed": SEED,
        "baseline": found.baseline_name,
    }
    measures = {}
    for measure, values in of_model.items():
        stamp = shared | {"of_baseline": float(of_baseline[measure].mean())}
        if measure == "class_agreement" and judge is not None:
            stamp |= {"features": judge.name, "extractor_sha256": judge.sha256}
        measures[f"{NAMES[measure]}_{asked.name}"] = mean(values, **stamp)
    return measures


def _operator(program: Program, asked: restoration.Restoration) -> Operator:
    height, width, channels = program.dataset.shape
    return asked.what.operator((height, width, channels))


def _of_any_seed(program: Program) -> Program:
    """The program without what no search depends on."""
    return replace(program, experiment=replace(program.experiment, seed=0, evaluation=c.Evaluation()))


@functools.lru_cache(maxsize=16)
def _searcher(program: Program, asked: restoration.Restoration) -> driving.Searcher:
    """Compiled once for all seeds."""
    operator = _operator(program, asked)
    return restore.searcher_of(program, operator, restoration.COMPARED, asked.noise)


OF_RESTORATIONS: dict[str, Callable[[Program, PyTree, str], dict[str, Measure]]] = {"restore": restored}
"""By what stands before the colon."""
