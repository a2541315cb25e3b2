"""Measuring a trained model, or a set of images: numbers that carry their protocol."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from gvlab import __version__, data, rng
from gvlab import config as c
from gvlab.build import Program
from gvlab.data import image_sets, sound_sets
from gvlab.evaluate import annealing, bounds, codes, disentanglement, distances, held_out, latents, of_sets, usual
from gvlab.evaluate.features import of_split
from gvlab.evaluate.restorations import OF_RESTORATIONS, is_restoration, restoration
from gvlab.evaluate.restorations import check as check_restorations
from gvlab.evaluate.results import Measures
from gvlab.evaluate.sampling import Clipped, generate, sample_count
from gvlab.evaluate.sounds import OF_SOUND
from gvlab.evaluate.sounds import check as check_sounds
from gvlab.evaluate.sounds import check_features as check_sound_features
from gvlab.evaluate.sounds import measured as measured_sounds
from gvlab.evaluate.stamps import of_dataset, of_likelihood, stamp, with_warning
from gvlab.evaluate.texts import OF_TEXT
from gvlab.evaluate.texts import check as check_texts
from gvlab.evaluate.texts import measured as measured_texts
from gvlab.extractors import catalogue
from gvlab.extractors.extractor import Extractor
from gvlab.extractors.sets import BATCH, extract
from gvlab.types import Diverged, PyTree, UserError

OF_LIKELIHOODS = {"ais": annealing.annealed, "ais_gap": annealing.annealing_gap}
"""Measures of a model's likelihood that are made only where they are asked for."""


OF_CODES = {"disentanglement": disentanglement.disentangled, "cluster_accuracy": latents.clusters}
"""Measures of an encoder on data of known factors, or classes, made only where they are asked for, too."""


OF_MODELS = (*OF_LIKELIHOODS, *OF_CODES)
"""The names of those that compare no distributions, beside restorations, whose names are made of an operator's."""


def is_of_model(name: str) -> bool:
    """Whether a measure compares no distributions, but asks a model."""
    return name in OF_MODELS or is_restoration(name)


BOUND = "iw_bound_nats"
"""The measure that `known` keeps from being made again."""


def evaluate(
    program: Program,
    state: PyTree,
    extractors: Sequence[Extractor] | None = None,
    listen: held_out.Listener = held_out.silent,
    known: Measures | None = None,
) -> Measures:
    """The measures that the experiment asks for, each as {"value", "stamp"} and, for a mean, "standard_error".

    Every model sees the same test examples (drawn once and for all where the pixels are binarised or dequantised), and
    runs of one seed see the same noise.

    Args:
        program: the experiment on its data.
        state: of its model.
        extractors: instead of those named by the experiment.
        listen: hears how far the measures are that take long (`ais`, `ais_gap`, `disentanglement`).
        known: of this state, by `earlier`; the importance-weighted bound among them is not made again.

    Raises:
        Diverged: a measure, or a generated value, is not finite.
        UserError: before anything is computed: a measure does not fit the model, the data or the number of examples, or
            the labels that a conditional model needs are missing.
    """
    experiment, dataset, model = program.experiment, program.dataset, program.model
    asked = experiment.evaluation
    extractors = extractors_of(asked, dataset) if extractors is None else extractors
    check_ahead(program, extractors)
    key = rng.stream(rng.root(experiment.seed), rng.EVALUATE, 0)
    if asked.standing:
        state = _standing(program)(state, jax.random.fold_in(key, 6), experiment.batch_size, asked.standing)
    measures = held_out.held_out(program, state, jax.random.fold_in(key, 0))
    if model.log_weights is not None and BOUND not in (known or {}):
        measures |= bounds.bound(program, state, jax.random.fold_in(key, 1))
    _require_finite(measures, state)
    if model.encode is not None and len(dataset.test.x) > 1:
        measures |= latents.latents(program, state, jax.random.fold_in(key, 3))
    if model.codes is not None:
        measures |= codes.usage(program, state)
    for number, (name, of_likelihoods) in enumerate(OF_LIKELIHOODS.items(), start=4):
        if name in asked.measures:
            measures |= of_likelihoods(program, state, jax.random.fold_in(key, number), listen)
    measures = _stamped(measures, of_likelihood(program))
    for name, of_codes in OF_CODES.items():
        if name in asked.measures:
            measures |= of_codes(program, state, listen)
    for name in filter(is_restoration, asked.measures):
        measures |= OF_RESTORATIONS["restore"](program, state, name)
    names = of_samples(program)
    if names and dataset.alphabet is not None:
        measures |= _texts(program, state, jax.random.fold_in(key, 2), names)
    elif names:
        between = [name for name in names if name not in OF_SOUND]
        measures |= _distances(program, state, jax.random.fold_in(key, 2), extractors if between else (), between)
        if of_sound := [name for name in names if name in OF_SOUND]:
            measures |= _sounds(program, state, jax.random.fold_in(key, 2), of_sound)
    _require_finite(measures, state)
    measures = _stamped(measures, stamp(program, state))
    return measures | {name: measure for name, measure in (known or {}).items() if name == BOUND}


def _stamped(measures: Measures, protocol: dict[str, Any]) -> Measures:
    """With the protocol that all of them share; what a measure says of itself counts."""
    return {name: measure | {"stamp": protocol | measure["stamp"]} for name, measure in measures.items()}


def check(asked: c.Evaluation) -> None:
    """Raises UserError for a measure or features that do not exist."""
    for name in filter(is_restoration, asked.measures):
        restoration(name)
    others = (name for name in asked.measures if not is_of_model(name))
    distances.check_measures(name for name in others if name not in (*OF_TEXT, *OF_SOUND))
    catalogue.check_features(asked.features)


def check_ahead(program: Program, extractors: Sequence[Extractor]) -> None:
    """Raises UserError for whatever `evaluate` would refuse: nothing is computed, and no trained model needed."""
    asked, dataset = program.experiment.evaluation, program.dataset
    check(asked)
    _check_labels(program)
    if asked.decoded == "draw" and program.model.draw is None:
        raise UserError(
            f"Evaluation.decoded is 'draw', but {program.experiment.name} has no likelihood to draw from: use 'mean'."
        )
    if asked.standing:
        state = jax.eval_shape(program.model.init, rng.root(0), program.first_batch())
        jax.eval_shape(lambda state: _standing(program)(state, rng.root(0), program.experiment.batch_size, 1), state)
    annealing.check(program, asked.measures)
    disentanglement.check(program, asked.measures)
    check_restorations(program, asked.measures)
    names = of_samples(program)
    check_texts(names, dataset, asked.features)
    check_sounds(names, dataset)
    names = tuple(name for name in names if name not in OF_SOUND)
    for extractor in extractors if names else ():
        distances.check_ahead(names, extractor, dataset, asked.split, sample_count(asked, dataset))


def of_samples(program: Program) -> tuple[str, ...]:
    """The measures that are made of generated examples, none of a model without samples (`UserError` if they are asked
    for)."""
    asked = program.experiment.evaluation
    names = _distance_names(asked, program.dataset)
    if not program.model.unsampled:
        return names
    if names and asked.measures:
        raise UserError(f"The measure {names[0]} is of samples. {program.model.unsampled}")
    return ()


def _standing(program: Program) -> Callable[..., PyTree]:
    """The model's function of standing statistics (`UserError` if it has none)."""
    if program.model.standing is None:
        raise UserError(
            f"Evaluation.standing is {program.experiment.evaluation.standing}, but {program.experiment.name} is no GAN "
            "with statistics to estimate anew: leave it at 0."
        )
    return program.model.standing


def _distance_names(asked: c.Evaluation, dataset: data.Dataset) -> tuple[str, ...]:
    """The measures between distributions that are asked for, by default the usual ones."""
    if not asked.measures:
        return usual.usual_measures(dataset)
    return tuple(name for name in asked.measures if not is_of_model(name))


def _check_labels(program: Program) -> None:
    if program.experiment.conditional and program.dataset.test.y is None:
        raise UserError(
            f"{program.experiment.name} is conditional, but the test split of {program.dataset.name} has no labels: "
            "give its labels, too."
        )


def _require_finite(measures: Measures, state: PyTree) -> None:
    for name, measure in measures.items():
        if not math.isfinite(measure["value"]):
            raise Diverged(f"At step {int(state.step)} the measure {name} on the test split is {measure['value']}.")


def of_images(
    images: image_sets.ImageSet, dataset: data.Dataset, asked: c.Evaluation, extractors: Sequence[Extractor]
) -> Measures:
    """Another system's images, measured as ours would be.

    Args:
        images: `image_sets.read` of a folder or an array. All are used or, where fewer samples are asked for, as many,
            drawn at random. Three equal channels are taken for one where the data set's images are grey, and the other
            way round.
        dataset: what they are compared with.
        asked: the measures.
        extractors: what they are measured on.

    Raises:
        UserError: the images are not of the data set's size or too few for a measure, or a measure needs a model.
    """
    _check_of_no_model(asked, "images")
    stamp: dict[str, Any] = {"images": str(images.path)}
    if images.shape != dataset.shape and images.twin is not None and images.twin.shape == dataset.shape:
        grey = dataset.shape[-1] == 1
        stamp["channels"] = "three equal ones, taken for one" if grey else "one, taken for three equal ones"
        images = images.twin
    if images.shape != dataset.shape:
        advice = "compare images of one size, so that no resize enters the number"
        if images.shape[:2] == dataset.shape[:2]:
            advice = "turn those that have colours grey"
        if dataset.modality != data.IMAGES:
            advice = "compare them with a data set of images"
        raise UserError(
            f"The images in {images.path} have the shape {images.shape}, but those of {dataset.name} {dataset.shape}: "
            f"{advice}."
        )
    count = asked.samples or images.count
    if count > images.count:
        raise UserError(f"--samples is {count}, but {images.path} has only {images.count} images: ask for fewer.")
    names = _distance_names(asked, dataset)
    check_texts(names, dataset, asked.features)
    check_sounds(names, dataset)
    for extractor in extractors:
        distances.check_files(names, extractor, dataset, asked.split, count, images.count, "images")
    stamp |= {"images_sha256": images.sha256, "images_seed": image_sets.ORDER_SEED, "quantization": "none"}
    stamp |= of_dataset(dataset, asked.split)
    measures: Measures = {}
    for extractor in extractors:
        measures |= _measured(extractor, images.batches(BATCH, count), dataset, asked.split, names)
    return _stamped(measures, stamp | {"gvlab": __version__})


def of_sounds(
    sounds: sound_sets.SoundSet, dataset: data.Dataset, asked: c.Evaluation, extractors: Sequence[Extractor]
) -> Measures:
    """Another system's sounds, measured as ours would be.

    Args:
        sounds: `sound_sets.read` of a folder for the data set. All are used or, where fewer samples are asked for, as
            many, drawn at random.
        dataset: what they are compared with.
        asked: the measures.
        extractors: what they are measured on.

    Raises:
        UserError: the sounds are too few for a measure, or a measure needs a model.
    """
    _check_of_no_model(asked, "sounds")
    count = asked.samples or len(sounds.x)
    if count > len(sounds.x):
        raise UserError(f"--samples is {count}, but {sounds.path} has only {len(sounds.x)} sounds: ask for fewer.")
    names = _distance_names(asked, dataset)
    check_texts(names, dataset, asked.features)
    of_distances = [name for name in names if name not in OF_SOUND]
    for extractor in extractors:
        distances.check_files(of_distances, extractor, dataset, asked.split, count, len(sounds.x), "sounds")
    measures = measured_sounds(sounds.x[:count], dataset, asked.split, [name for name in names if name in OF_SOUND])
    batches = [sounds.x[start : min(start + BATCH, count)] for start in range(0, count, BATCH)]
    for extractor in extractors if of_distances else ():
        measures |= _measured(extractor, batches, dataset, asked.split, of_distances)
    stamp = {"sounds": str(sounds.path), "sounds_sha256": sounds.sha256, "sounds_seed": image_sets.ORDER_SEED}
    stamp |= {"filled_with_zeros": sounds.filled} if sounds.filled else {}
    stamp |= {"quantization": "none", "gvlab": __version__} | of_dataset(dataset, asked.split)
    return _stamped(measures, stamp)


def _check_of_no_model(asked: c.Evaluation, what: str) -> None:
    for name in asked.measures:
        if is_of_model(name):
            raise UserError(f"The measure {name} needs a model, and {what} are none: leave it out, or measure a run.")


def extractors_of(asked: c.Evaluation, dataset: data.Dataset, weights: Path | None = None) -> list[Extractor]:
    """The extractors that are asked for by name.

    Raises:
        UserError: there is none of a name, or its weights cannot be had.
    """
    check_sound_features(asked.features, dataset)
    return [catalogue.extractor(name, weights) for name in asked.features or usual.usual_features(dataset)]


def _texts(program: Program, state: PyTree, key: jax.Array, names: Sequence[str]) -> Measures:
    asked, dataset = program.experiment.evaluation, program.dataset
    assert dataset.alphabet is not None
    generated: list[str] = []
    for batch in generate(program, state, key):
        generated += dataset.alphabet.decode(jax.device_get(batch))
    shared = {"samples": "draw from p(x|z)", "quantization": "none", "split": asked.split}
    measures = measured_texts(generated, dataset, asked.split, names)
    return {name: measure | {"stamp": shared | measure["stamp"]} for name, measure in measures.items()}


def _sounds(program: Program, state: PyTree, key: jax.Array, names: Sequence[str]) -> Measures:
    generated = np.concatenate([jax.device_get(batch) for batch in generate(program, state, key)])
    split = program.experiment.evaluation.split
    return measured_sounds(generated, program.dataset, split, names)


def _distances(
    program: Program, state: PyTree, key: jax.Array, extractors: Sequence[Extractor], names: Sequence[str]
) -> Measures:
    asked, dataset = program.experiment.evaluation, program.dataset
    of_likelihood = {"mean": "mean of p(x|z)", "draw": "draw from p(x|z)"}[asked.decoded]
    kind = "generator" if program.model.log_weights is None else of_likelihood
    shared = {"samples": kind, "quantization": "none", "split": asked.split}
    measures: Measures = {}
    for extractor in extractors:
        clipped = Clipped()
        generated = generate(program, state, key, clipped)
        for name, measure in _measured(extractor, generated, dataset, asked.split, names).items():
            measures[name] = measure | {"stamp": shared | with_warning(measure["stamp"], clipped)}
    return measures


def _measured(
    extractor: Extractor,
    batches: Iterable[Any],
    dataset: data.Dataset,
    split: str,
    names: Sequence[str],
) -> Measures:
    """The measures of examples that come in batches; their features are held only if a measure needs them all."""
    if set(names) == {"frechet"}:
        return distances.frechet_streamed(extractor, batches, dataset, split)
    sets = of_sets.Sets(
        extractor,
        extract(extractor, batches),
        of_split(extractor, dataset, split),
        functools.partial(of_split, extractor, dataset, "train"),
        dataset,
    )
    return distances.measure(sets, names)
