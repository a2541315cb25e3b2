"""Measuring a trained model, or a set of images: numbers that carry their protocol."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from gvlab import __version__, data, distances, image_sets, likelihood, parallel, rng, rundir
from gvlab import config as c
from gvlab.build import Program
from gvlab.networks.features import Extractor
from gvlab.types import Diverged, Model, PyTree, UserError

Measures = dict[str, dict[str, Any]]

OF_LIKELIHOODS = {"ais": likelihood.annealed}
"""Measures of a model's likelihood that are made only where they are asked for."""

PER_RUN = (
    *("seed", "step", "gvlab", "backend", "matmul_precision", "samples", "images", "images_sha256", "warning"),
    *("latents", "latent_samples", "median_effective_chains"),
)
"""What two stamps may differ in and still be of one protocol."""


def evaluate(program: Program, state: PyTree, extractors: Sequence[Extractor] | None = None) -> Measures:
    """The measures that the experiment asks for, each as {"value", "stamp"} and, for a mean, "standard_error".

    Every model sees the same test examples (drawn once and for all where the pixels are binarised or dequantised), and
    runs of one seed see the same noise.

    Args:
        program: the experiment on its data.
        state: of its model.
        extractors: instead of those named by the experiment.

    Raises:
        Diverged: a measure is not finite.
        UserError: a measure does not fit the model or the number of examples.
    """
    asked = program.experiment.evaluation
    check(asked)
    key = rng.stream(rng.root(program.experiment.seed), rng.EVALUATE, 0)
    found = likelihood.held_out(program, state, jax.random.fold_in(key, 0))
    if program.model.log_weights is not None:
        found |= likelihood.bound(program, state, jax.random.fold_in(key, 1))
    _require_finite(found, state)
    if program.model.encode is not None and len(program.dataset.test.x) > 1:
        found |= likelihood.latents(program, state, jax.random.fold_in(key, 3))
    for name in asked.measures:
        if name in OF_LIKELIHOODS:
            found |= OF_LIKELIHOODS[name](program, state, jax.random.fold_in(key, 4))
    found = {name: one | {"stamp": _of_likelihood(program) | one["stamp"]} for name, one in found.items()}
    names = [name for name in asked.measures if name not in OF_LIKELIHOODS]
    if names or not asked.measures:
        found |= _distances(program, state, jax.random.fold_in(key, 2), extractors, names)
    _require_finite(found, state)
    return {name: one | {"stamp": _stamp(program, state) | one["stamp"]} for name, one in found.items()}


def check(asked: c.Evaluation) -> None:
    """Raises UserError for a measure or features that do not exist."""
    distances.check_measures(name for name in asked.measures if name not in OF_LIKELIHOODS)
    distances.check_features(asked.features)


def _require_finite(found: Measures, state: PyTree) -> None:
    for name, one in found.items():
        if not math.isfinite(one["value"]):
            raise Diverged(f"At step {int(state.step)} the measure {name} on the test split is {one['value']}.")


def of_images(
    images: image_sets.ImageSet, dataset: data.Dataset, asked: c.Evaluation, extractors: Sequence[Extractor]
) -> Measures:
    """Another system's images, measured as ours would be.

    Args:
        images: `image_sets.read` of a folder or an .npz file; `asked.samples` of them are used, or all if fewer.
        dataset: what they are compared with.
        asked: the measures.
        extractors: what they are measured on.

    Raises:
        UserError: the images are not of the data set's size or too few for a measure, or a measure needs a model.
    """
    if images.shape != dataset.shape:
        raise UserError(
            f"The images in {images.path} have the shape {images.shape}, but those of {dataset.name} {dataset.shape}: "
            "compare images of one size, so that no resize enters the number."
        )
    count = min(asked.samples, images.count)
    stamp = {"images": str(images.path), "images_sha256": images.sha256, "quantization": "none"}
    stamp |= _of_dataset(dataset, asked.split)
    found: Measures = {}
    for extractor in extractors:
        generated = distances.extract(extractor, images.batches(distances.BATCH, count))
        found |= distances.measure(_sets(extractor, generated, dataset, asked.split), _names(asked, dataset))
    return {name: one | {"stamp": stamp | {"gvlab": __version__} | one["stamp"]} for name, one in found.items()}


def _names(asked: c.Evaluation, dataset: data.Dataset) -> tuple[str, ...]:
    return asked.measures or distances.usual_measures(dataset)


def extractors_of(asked: c.Evaluation, dataset: data.Dataset, weights: Path | None = None) -> list[Extractor]:
    """The extractors that are asked for by name.

    Raises:
        UserError: there is none of a name, or its weights cannot be had.
    """
    return [distances.extractor(name, weights) for name in asked.features or distances.usual_features(dataset)]


def _distances(
    program: Program, state: PyTree, key: jax.Array, extractors: Sequence[Extractor] | None, names: Sequence[str]
) -> Measures:
    asked, dataset = program.experiment.evaluation, program.dataset
    kind = "mean of p(x|z)" if isinstance(program.experiment.model, c.VAE) else "generator"
    found: Measures = {}
    for extractor in extractors_of(asked, dataset) if extractors is None else extractors:
        generated = distances.extract(extractor, _generated(program, state, key))
        sets = _sets(extractor, generated, dataset, asked.split)
        found |= distances.measure(sets, names or distances.usual_measures(dataset))
    shared = {"samples": kind, "quantization": "none", "split": asked.split}
    return {name: one | {"stamp": shared | one["stamp"]} for name, one in found.items()}


def _sets(extractor: Extractor, generated: distances.Features, dataset: data.Dataset, split: str) -> distances.Sets:
    return distances.Sets(
        extractor,
        generated,
        distances.of_split(extractor, dataset, split),
        functools.partial(distances.of_split, extractor, dataset, "train"),
        dataset,
    )


def _generated(program: Program, state: PyTree, key: jax.Array) -> Iterator[jax.Array]:
    """Generated examples as they would be stored, split over the devices."""
    n = program.experiment.evaluation.samples
    size = min(distances.BATCH, n)
    sample, whole = _sampler(program.model, program.data_range, size)
    state = jax.device_put(state, whole)  # as restored, it is on the first device alone
    for i, start in enumerate(range(0, n, size)):
        yield sample(state, jax.random.fold_in(key, i))[: n - start]


@functools.lru_cache(maxsize=16)
def _sampler(model: Model, data_range: tuple[float, float], size: int) -> tuple[Callable, parallel.Sharding]:
    """(state, key) -> examples as stored: images in 8 bits, points as they are; compiled once for all seeds.

    And where the state must be.
    """

    def sample(state: PyTree, key: jax.Array) -> jax.Array:
        x = model.sample(state, key, size)
        if x.ndim != 4:
            return x
        unit = (x - data_range[0]) / (data_range[1] - data_range[0])
        return jnp.round(jnp.clip(unit, 0.0, 1.0) * 255).astype(jnp.uint8)

    mesh = parallel.data_mesh(parallel.devices_for(size))
    return jax.jit(sample, out_shardings=parallel.split(mesh)), parallel.replicated(mesh)


# --- stamps and files ------------------------------------------------------------------------------------------------


def write(run: Path, program: Program, state: PyTree, measures: Measures) -> Path:
    """Writes evaluation.json into the run directory: the measures, and the protocol they share."""
    return write_file(run / "evaluation.json", _protocol(program, state), measures)


def write_file(file: Path, protocol: dict[str, Any], measures: Measures) -> Path:
    """Writes measures and the protocol they share as JSON."""
    text = json.dumps({"protocol": protocol, "measures": measures}, indent=2, allow_nan=False)
    rundir.write_atomically(file, text + "\n")
    return file


def read(run: Path, program: Program, state: PyTree) -> Measures | None:
    """The run's evaluation.json, if it was made from this state, protocol and version; None if it must be made anew."""
    made = rundir.read_json(run / "evaluation.json")
    same = made and made.get("protocol") == json.loads(json.dumps(_protocol(program, state)))
    return made["measures"] if made and same else None


def _protocol(program: Program, state: PyTree) -> dict[str, Any]:
    return _stamp(program, state) | {"evaluation": c.to_dict(program.experiment.evaluation)}


def _of_dataset(dataset: data.Dataset, split: str) -> dict[str, Any]:
    return {
        "dataset": dataset.name,
        "dataset_sha256": dataset.checksum,
        "split": split,
        "examples": len(getattr(dataset, split).x),
    }


def _stamp(program: Program, state: PyTree) -> dict[str, Any]:
    return _of_dataset(program.dataset, "test") | {
        "quantization": program.experiment.data.quantization,
        "step": int(state.step),
        "seed": program.experiment.seed,
        "gvlab": __version__,
        "backend": jax.default_backend(),
        "matmul_precision": jax.config.values["jax_default_matmul_precision"] or "default",
    }


def _of_likelihood(program: Program) -> dict[str, Any]:
    """What a number of nats depends on besides."""
    model = program.experiment.model
    if not isinstance(model, c.VAE):
        return {}
    stamp: dict[str, Any] = {"likelihood": c.to_dict(model.likelihood)}
    if isinstance(model.likelihood, c.Bernoulli) and program.experiment.data.quantization != "binarize":
        stamp["note"] = "the pixels are grey, so nats are of a cross entropy, not of a likelihood"
    return stamp


@dataclass(frozen=True)
class Difference:
    """Where two stamps are of different protocols."""

    field: str
    first: Any
    second: Any


def difference(first: dict[str, Any], second: dict[str, Any], ignore: Sequence[str] = ()) -> Difference | None:
    """The first field in which two stamps are of different protocols; None if their numbers may be compared."""
    for name in first | second:
        if name not in PER_RUN and name not in ignore and first.get(name) != second.get(name):
            return Difference(name, first.get(name), second.get(name))
    return None
