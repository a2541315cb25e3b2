"""What measured a unit: the protocol, the extractors, the measuring code, and the model's functions that it calls."""

from __future__ import annotations

import functools

from jaxtyping import Array

from gvlab.build import Program
from gvlab.compare import programs, source
from gvlab.evaluate import of_sets, usual
from gvlab.evaluate.features import PROTOCOL
from gvlab.evaluate.measure import OF_MODELS
from gvlab.evaluate.restorations import OF_RESTORATIONS
from gvlab.evaluate.sounds import OF_SOUND
from gvlab.evaluate.texts import OF_TEXT
from gvlab.extractors import catalogue, extractor
from gvlab.files import json_sha256
from gvlab.types import Batch, Json, PyTree

_ROOT = source.Definition("gvlab.evaluate.measure", "evaluate")
_KNOWN_OTHERWISE = ("build", "config", "gvlab")
"""What of gvlab is no part of the measuring code: configurations are recorded as such, and what is built of them is
digested as it is lowered; the package itself holds the version."""


def identity(program: Program, platform: str | None = None) -> Json:
    """What the measuring of a unit is, as unit.json has it.

    Args:
        program: the experiment on its data.
        platform: that the model's functions are lowered for; the one at hand by default.

    Returns:
        asked: the measures and the features.
        protocol: of the evaluation, raised by hand.
        extractors: the digest of the weights and the preprocessing of each, by name.
        code: a digest of the source that `evaluate` leads to.
        model: a digest of the functions of the model that it calls, as they are lowered.
        lowered: for which platform, and a digest of the versions and settings of JAX: between others `model` differs
            anyway.
    """
    platform = platform or programs.platform_here()
    asked = program.experiment.evaluation
    names = asked.features or usual.usual_features(program.dataset)
    measures = asked.measures or usual.usual_measures(program.dataset)
    return {
        "asked": sorted((*names, *measures)),
        "protocol": PROTOCOL,
        "extractors": {name: catalogue.sha256(name) for name in names},
        "code": code_sha256(frozenset((*names, *measures))),
        "model": _model_sha256(program, platform),
        "lowered": [platform, json_sha256(programs.surroundings())],
    }


@functools.cache
def code_sha256(asked: frozenset[str]) -> str:
    """Of the definitions of gvlab that making these measures on these features leads to."""
    measures = {*of_sets.MEASURES, *OF_MODELS, *OF_TEXT, *OF_SOUND, *OF_RESTORATIONS}
    named = {*measures, *catalogue.RAW, *extractor.SMALL, *extractor.INCEPTION}
    # One is a part of another's name where it is a part of it: "mnist" of "stacked_mnist".
    unasked = frozenset(name for name in named if not any(name in asked_for for asked_for in asked))
    return source.sha256(_ROOT, _KNOWN_OTHERWISE, unasked)


def _model_sha256(program: Program, platform: str) -> str:
    return programs.once("measuring", program, platform, lambda: {"model": _lowered(program, platform)})["model"]


def _lowered(program: Program, platform: str) -> str:
    """Of all that `evaluate` calls of a program, as one function."""
    model, shapes = program.model, programs.shapes_of(program)

    def functions(state: PyTree, stored: Array, batch: Batch, key: Array) -> list[PyTree]:
        if model.unsampled and model.encode is not None:
            z = model.encode(state, batch)[0]
        else:
            z = model.latents(state, key, len(batch.x))
        y = batch.y if program.experiment.conditional else None
        values = [program.preprocess(stored, key), z, model.decode(state, z, y), model.evaluate(state, batch, key)]
        if model.encode is not None:
            values.append(model.encode(state, batch))
        if model.codes is not None:
            values.append(model.codes(state, batch))
        if model.clusters is not None and "cluster_accuracy" in program.experiment.evaluation.measures:
            values.append(model.clusters(state, batch))
        if model.log_likelihood is not None:
            values.append(model.log_likelihood(state, batch, z[None]))
        if model.log_weights is not None:
            values.append(model.log_weights(state, batch, key, 2))
        if program.experiment.evaluation.standing and model.standing is not None:
            values.append(model.standing(state, key, 2, 1))
        return values

    return programs.sha256(functions, platform, shapes.state, shapes.data.x, shapes.batch, shapes.key)
