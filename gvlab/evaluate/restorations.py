"""How well a model restores damaged test images, as a measure: `gvlab restore` by one protocol for all models."""

from __future__ import annotations

import dataclasses
import functools
import re
import typing
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from gvlab import config as c
from gvlab import data, restore, rng
from gvlab.build import Program
from gvlab.config.fields import field_types, member_to_dict
from gvlab.config.plain import plain
from gvlab.config.restoration import (
    LEAST_NOISE,
    MAP,
    MOST_NOISE,
    AnyOperator,
    Block,
    Blur,
    Downsample,
    Grey,
    Half,
    Mask,
    Noise,
    Projection,
)
from gvlab.evaluate.held_out import Measure, mean
from gvlab.restoration import driving, operators
from gvlab.restoration.operators import Operator
from gvlab.spelling import nearest
from gvlab.types import PyTree, UserError

PREFIX = "restore:"
"""Of a measure that is a restoration: restore:block10."""
EXAMPLES = ("mask0.5", "block10", "half", "downsample2", "blur1", "grey", "noise0.5", "projection50")
USUAL_NOISE = 0.1
"""Standard deviation of the measurements' noise, of images in [0, 1], where nobody says another."""
COMPARED = MAP(restarts=2, steps=100, rate=0.1)
"""How a restoration as a measure is made."""
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
_OPERATORS: dict[type, Callable[..., Operator]] = {
    Mask: operators.random_mask,
    Block: operators.block,
    Half: operators.half,
    Downsample: operators.downsample,
    Blur: operators.blur,
    Grey: operators.grey,
    Noise: operators.identity,
    Projection: operators.projection,
}
"""As the configuration makes them. They are named here because what measured a unit is known by the names that lead
there, and configurations are not entered (`gvlab.compare.measuring`)."""


class Restoration(NamedTuple):
    """A restoration as a measure."""

    name: str
    """As its numbers are called: block10."""
    what: AnyOperator
    noise: float


def is_restoration(measure: str) -> bool:
    """Whether the name of a measure is that of a restoration."""
    return measure.startswith(PREFIX)


def restoration(measure: str) -> Restoration:
    """The restoration that a measure names: `restore:` and an operator with its number, restore:mask0.5; of `noise` the
    number is its standard deviation.

    Raises:
        UserError: there is no such operator, or the number is none for it.
    """
    kinds = {kind.__name__.lower(): kind for kind in typing.get_args(AnyOperator)}
    found = re.fullmatch(r"(?P<operator>[a-z]+)(?P<number>\d+(\.\d+)?)?", measure.removeprefix(PREFIX))
    kind = kinds.get(found["operator"]) if found else None
    if found is None or kind is None:
        known = [PREFIX + name for name in EXAMPLES]
        raise UserError(
            f"There is no measure {measure!r}: choose one like {', '.join(known)}{nearest(measure, known)}."
        )
    text = found["number"]
    number = None if text is None else float(text) if "." in text else int(text)
    name = found["operator"] if number is None else f"{found['operator']}{number:g}"
    if kind is Noise:
        return Restoration(name, Noise(), USUAL_NOISE if number is None else _checked_noise(measure, float(number)))
    if number is None:
        return Restoration(name, kind(), USUAL_NOISE)
    if not dataclasses.fields(kind):
        raise UserError(f"The measure {measure} has a number, but {found['operator']} has none: leave it out.")
    field = dataclasses.fields(kind)[0].name
    return Restoration(name, kind(plain(field_types(kind)[field], number, f"{kind.__name__}.{field}")), USUAL_NOISE)


def _checked_noise(measure: str, noise: float) -> float:
    if not LEAST_NOISE <= noise <= MOST_NOISE:
        raise UserError(f"The noise of {measure} is {noise:g}, but must be from {LEAST_NOISE} to {MOST_NOISE:g}.")
    return noise


def check(program: Program, names: Iterable[str]) -> None:
    """Raises UserError where one of the measures is a restoration that cannot be made, before anything is computed."""
    for name in filter(is_restoration, names):
        asked, experiment = restoration(name), program.experiment.name
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
        asked.what.operator(_shape(program))


def restored(program: Program, state: PyTree, name: str) -> dict[str, Measure]:
    """The measures of restored test images, with those of what needs no model in the stamp.

    Args:
        program: of images; see `check`.
        state: of its model.
        name: of the measure: restore:block10.
    """
    asked, test = restoration(name), program.dataset.test
    true = np.asarray(test.x[:IMAGES], np.float32) / 255
    classes = np.asarray(test.y[: len(true)]) if program.experiment.conditional and test.y is not None else None
    operator = _operator(program, asked)
    y = operator.observed(rng.stream(rng.root(SEED), rng.OBSERVATION), jnp.asarray(true), asked.noise)
    method, searcher = COMPARED, _searcher(_of_any_seed(program), asked)
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


def _shape(program: Program) -> operators.Shape:
    height, width, channels = program.dataset.shape
    return height, width, channels


def _operator(program: Program, asked: Restoration) -> Operator:
    return _OPERATORS[type(asked.what)](_shape(program), **vars(asked.what))


def _of_any_seed(program: Program) -> Program:
    """The program without what no search depends on."""
    return replace(program, experiment=replace(program.experiment, seed=0, evaluation=c.Evaluation()))


@functools.lru_cache(maxsize=16)
def _searcher(program: Program, asked: Restoration) -> driving.Searcher:
    """Compiled once for all seeds."""
    operator = _operator(program, asked)
    return restore.searcher_of(program, operator, COMPARED, asked.noise)


OF_RESTORATIONS: dict[str, Callable[[Program, PyTree, str], dict[str, Measure]]] = {"restore": restored}
"""By what stands before the colon."""
