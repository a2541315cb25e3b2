"""Measuring a trained model, or a set of images: numbers that carry their protocol."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from gvlab import __version__, data, distances, image_sets, likelihood, parallel, rng, rundir, tree
from gvlab import config as c
from gvlab.build import Program
from gvlab.networks.features import Extractor
from gvlab.types import Diverged, Model, PyTree, UserError

Measures = dict[str, dict[str, Any]]

OF_LIKELIHOODS = {"ais": likelihood.annealed, "ais_gap": likelihood.annealing_gap}
"""Measures of a model's likelihood that are made only where they are asked for."""
BOUND = "iw_bound_nats"

PER_RUN = (
    *("seed", "step", "gvlab", "backend", "matmul_precision", "samples", "images", "images_sha256", "warning"),
    *("images_seed", "channels", "clipped_share", "latents", "latent_samples", "median_effective_chains"),
)
"""What two stamps may differ in and still be of one protocol."""

CLIPPED = 1e-3
"""The share of generated values outside the range of the data, and so clipped, above which a stamp warns."""


def evaluate(
    program: Program,
    state: PyTree,
    extractors: Sequence[Extractor] | None = None,
    listen: likelihood.Listener = likelihood.silent,
    known: Measures | None = None,
) -> Measures:
    """The measures that the experiment asks for, each as {"value", "stamp"} and, for a mean, "standard_error".

    Every model sees the same test examples (drawn once and for all where the pixels are binarised or dequantised), and
    runs of one seed see the same noise.

    Args:
        program: the experiment on its data.
        state: of its model.
        extractors: instead of those named by the experiment.
        listen: hears how far the measures are that take long (`ais`, `ais_gap`).
        known: of this state, by `earlier`; the importance-weighted bound among them is not made again.

    Raises:
        Diverged: a measure, or a generated value, is not finite.
        UserError: before anything is computed: a measure does not fit the model, the data or the number of examples, or
            the labels that a conditional model needs are missing.
    """
    asked = program.experiment.evaluation
    extractors = extractors_of(asked, program.dataset) if extractors is None else extractors
    check_ahead(program, extractors)
    key = rng.stream(rng.root(program.experiment.seed), rng.EVALUATE, 0)
    found = likelihood.held_out(program, state, jax.random.fold_in(key, 0))
    if program.model.log_weights is not None and BOUND not in (known or {}):
        found |= likelihood.bound(program, state, jax.random.fold_in(key, 1))
    _require_finite(found, state)
    if program.model.encode is not None and len(program.dataset.test.x) > 1:
        found |= likelihood.latents(program, state, jax.random.fold_in(key, 3))
    for number, (name, measure) in enumerate(OF_LIKELIHOODS.items(), start=4):
        if name in asked.measures:
            found |= measure(program, state, jax.random.fold_in(key, number), listen)
    found = {name: one | {"stamp": _of_likelihood(program) | one["stamp"]} for name, one in found.items()}
    names = _distance_names(asked, program.dataset)
    if names:
        found |= _distances(program, state, jax.random.fold_in(key, 2), extractors, names)
    _require_finite(found, state)
    found = {name: one | {"stamp": _stamp(program, state) | one["stamp"]} for name, one in found.items()}
    return found | {name: one for name, one in (known or {}).items() if name == BOUND}


def check(asked: c.Evaluation) -> None:
    """Raises UserError for a measure or features that do not exist."""
    distances.check_measures(name for name in asked.measures if name not in OF_LIKELIHOODS)
    distances.check_features(asked.features)


def check_ahead(program: Program, extractors: Sequence[Extractor]) -> None:
    """Raises UserError for whatever `evaluate` would refuse: nothing is computed, and no trained model needed."""
    asked, dataset = program.experiment.evaluation, program.dataset
    check(asked)
    _check_labels(program)
    likelihood.check(program, asked.measures)
    names = _distance_names(asked, dataset)
    for extractor in extractors if names else ():
        distances.check_ahead(names, extractor, dataset, asked.split, _samples(asked, dataset))


def _distance_names(asked: c.Evaluation, dataset: data.Dataset) -> tuple[str, ...]:
    """The measures between distributions that are asked for, by default the usual ones."""
    if not asked.measures:
        return distances.usual_measures(dataset)
    return tuple(name for name in asked.measures if name not in OF_LIKELIHOODS)


def _check_labels(program: Program) -> None:
    if program.experiment.model.conditional and program.dataset.test.y is None:
        raise UserError(
            f"{program.experiment.name} is conditional, but the test split of {program.dataset.name} has no labels: "
            "give its labels, too."
        )


def _require_finite(found: Measures, state: PyTree) -> None:
    for name, one in found.items():
        if not math.isfinite(one["value"]):
            raise Diverged(f"At step {int(state.step)} the measure {name} on the test split is {one['value']}.")


def of_images(
    images: image_sets.ImageSet, dataset: data.Dataset, asked: c.Evaluation, extractors: Sequence[Extractor]
) -> Measures:
    """Another system's images, measured as ours would be.

    Args:
        images: `image_sets.read` of a folder or an .npz file. All are used or, where fewer samples are asked for, as
            many, drawn at random. Three equal channels are taken for one where the data set's images are grey.
        dataset: what they are compared with.
        asked: the measures.
        extractors: what they are measured on.

    Raises:
        UserError: the images are not of the data set's size or too few for a measure, or a measure needs a model.
    """
    of_models = [name for name in asked.measures if name in OF_LIKELIHOODS]
    if of_models:
        raise UserError(
            f"The measure {of_models[0]} needs a model, and images are none: leave it out, or measure a run."
        )
    stamp: dict[str, Any] = {"images": str(images.path)}
    if images.shape != dataset.shape and images.grey is not None and images.grey.shape == dataset.shape:
        images = images.grey
        stamp["channels"] = "three equal ones, taken for one"
    if images.shape != dataset.shape:
        raise UserError(
            f"The images in {images.path} have the shape {images.shape}, but those of {dataset.name} {dataset.shape}: "
            "compare images of one size, so that no resize enters the number."
        )
    count = min(asked.samples or images.count, images.count)
    names = _distance_names(asked, dataset)
    for extractor in extractors:
        distances.check_ahead(names, extractor, dataset, asked.split, count)
    stamp |= {"images_sha256": images.sha256, "images_seed": image_sets.ORDER_SEED, "quantization": "none"}
    stamp |= _of_dataset(dataset, asked.split)
    found: Measures = {}
    for extractor in extractors:
        found |= _measured(extractor, images.batches(distances.BATCH, count), dataset, asked.split, names)
    return {name: one | {"stamp": stamp | {"gvlab": __version__} | one["stamp"]} for name, one in found.items()}


def _samples(asked: c.Evaluation, dataset: data.Dataset) -> int:
    return asked.samples or distances.usual_samples(dataset)


def extractors_of(asked: c.Evaluation, dataset: data.Dataset, weights: Path | None = None) -> list[Extractor]:
    """The extractors that are asked for by name.

    Raises:
        UserError: there is none of a name, or its weights cannot be had.
    """
    return [distances.extractor(name, weights) for name in asked.features or distances.usual_features(dataset)]


def _distances(
    program: Program, state: PyTree, key: jax.Array, extractors: Sequence[Extractor], names: Sequence[str]
) -> Measures:
    asked, dataset = program.experiment.evaluation, program.dataset
    kind = "mean of p(x|z)" if isinstance(program.experiment.model, c.VAE) else "generator"
    shared = {"samples": kind, "quantization": "none", "split": asked.split}
    found: Measures = {}
    for extractor in extractors:
        clipped = _Clipped()
        generated = _generated(program, state, key, clipped)
        for name, one in _measured(extractor, generated, dataset, asked.split, names).items():
            found[name] = one | {"stamp": shared | _with_warning(one["stamp"], clipped)}
    return found


@dataclass
class _Clipped:
    """How many of the generated values lay outside the range of the data."""

    outside: int = 0
    values: int = 0


def _with_warning(stamp: dict[str, Any], clipped: _Clipped) -> dict[str, Any]:
    share = clipped.outside / max(clipped.values, 1)
    if share <= CLIPPED:
        return stamp
    warning = f"{share:.2g} of the generated values lay outside the range of the data, and were clipped"
    return stamp | {"clipped_share": share, "warning": "; ".join(filter(None, [stamp.get("warning"), warning]))}


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
    sets = distances.Sets(
        extractor,
        distances.extract(extractor, batches),
        distances.of_split(extractor, dataset, split),
        functools.partial(distances.of_split, extractor, dataset, "train"),
        dataset,
    )
    return distances.measure(sets, names)


def _generated(program: Program, state: PyTree, key: jax.Array, clipped: _Clipped | None = None) -> Iterator[jax.Array]:
    """Generated examples as they would be stored, split over the devices; `clipped` counts what left the range.

    Raises:
        Diverged: a value is not finite. As an image it would be stored as black, and measured as if nothing were wrong.
    """
    n = _samples(program.experiment.evaluation, program.dataset)
    size = min(distances.BATCH, n)
    sample, whole = _sampler(program.model, program.data_range, size)
    state = jax.device_put(state, whole)  # as restored, it is on the first device alone
    for i, start in enumerate(range(0, n, size)):
        x, finite, outside = sample(state, jax.random.fold_in(key, i))
        if not finite:
            raise Diverged(f"At step {int(state.step)} a generated value is not finite.")
        if clipped is not None:
            clipped.outside += int(outside)
            clipped.values += x.size
        yield x[: n - start]


@functools.lru_cache(maxsize=16)
def _sampler(model: Model, data_range: tuple[float, float], size: int) -> tuple[Callable, parallel.Sharding]:
    """(state, key) -> examples as stored (images in 8 bits, points as they are), whether all are finite, and how many
    values lie outside the range of images; compiled once for all seeds.

    And where the state must be.
    """

    def sample(state: PyTree, key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        x = model.sample(state, key, size)
        finite = jnp.isfinite(x).all()
        if x.ndim != 4:
            return x, finite, jnp.int32(0)
        levels = (x - data_range[0]) / (data_range[1] - data_range[0]) * 255
        outside = ((levels < -0.5) | (levels > 255.5)).sum()  # by more than rounding does
        return jnp.round(jnp.clip(levels, 0.0, 255.0)).astype(jnp.uint8), finite, outside

    mesh = parallel.data_mesh(parallel.devices_for(size))
    whole = parallel.replicated(mesh)
    return jax.jit(sample, out_shardings=(parallel.split(mesh), whole, whole)), whole


# --- stamps and files ------------------------------------------------------------------------------------------------


def write(run: Path, program: Program, state: PyTree, measures: Measures, kept: Measures | None = None) -> Path:
    """Writes evaluation.json into the run directory: the measures, and the protocol they share.

    Beside them stand those that are `kept`, of `earlier`, where they were not made anew.
    """
    return write_file(run / "evaluation.json", _protocol(program, state), measures, kept)


def write_file(file: Path, protocol: dict[str, Any], measures: Measures, kept: Measures | None = None) -> Path:
    """Writes measures and the protocol they share as JSON; `made` names those that are not `kept`."""
    content = {"protocol": protocol, "made": list(measures), "measures": (kept or {}) | measures}
    text = json.dumps(content, indent=2, allow_nan=False)
    rundir.write_atomically(file, text + "\n")
    return file


def read(run: Path, program: Program, state: PyTree) -> Measures | None:
    """What this evaluation measured of this state, by evaluation.json; None if it must be made anew.

    So it must where gvlab, its `distances.PROTOCOL` or the weights of an extractor are others than they were.
    """
    made = rundir.read_json(run / "evaluation.json")
    if not made or made.get("protocol") != _as_json(_protocol(program, state)):
        return None
    return {name: made["measures"][name] for name in made["made"]}


def earlier(run: Path, program: Program, state: PyTree) -> Measures:
    """All that evaluation.json has of this state on these data by this gvlab, whatever was asked for, on any device."""
    made = rundir.read_json(run / "evaluation.json") or {}
    identity = {k: v for k, v in _identity(program, state).items() if k not in ("backend", "matmul_precision")}
    same = identity.items() <= made.get("protocol", {}).items()
    return made["measures"] if same else {}


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _identity(program: Program, state: PyTree) -> dict[str, Any]:
    """What all measures of a state depend on."""
    return _stamp(program, state) | {"state_sha256": tree.digest(state)}


def _protocol(program: Program, state: PyTree) -> dict[str, Any]:
    """What is measured, too, and by which weights."""
    asked = program.experiment.evaluation
    names = asked.features or distances.usual_features(program.dataset)
    hashes = {name: distances.sha256(name) for name in names}
    return _identity(program, state) | {"extractors": hashes, "evaluation": c.to_dict(asked)}


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
        "protocol": distances.PROTOCOL,
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


def described(stamp: dict[str, Any]) -> str:
    """A stamp in a line, without what is the same for all measures of a run."""
    shown = ("split", "examples", "quantization", "k", "latent_samples", "features", "generated", "latents", "chains")
    return ", ".join(f"{name} {stamp[name]}" for name in shown if name in stamp)


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
