"""Measures of generated examples beside a data set's, on the features of an extractor.

Generated examples stream through the extractor; only their features are kept. Those of the data set are kept on disk,
under everything that determines them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32

from gvlab import data, metrics
from gvlab.networks import features, weights
from gvlab.networks.features import Extractor
from gvlab.types import UserError

BATCH = 500
"""Examples per call of the device."""
KID_SUBSETS, KID_SIZE = 100, 1000
SPLITS = 10
"""Of the Inception score."""
RAW = {"pixels": features.pixels, "coordinates": features.coordinates}
"""The features that no network makes."""

Measure = dict[str, Any]
"""{"value", "stamp"} and, where there is one, "spread": over subsets or splits, which is no standard error."""


class Features(NamedTuple):
    """A whole set through an extractor, on the host."""

    features: Float32[np.ndarray, "n d"]
    logits: Float32[np.ndarray, "n classes"] | None


class Sets(NamedTuple):
    """What a measure looks at."""

    extractor: Extractor
    generated: Features
    real: Features
    training: Callable[[], Features]
    """The training split's, made when asked for."""
    dataset: data.Dataset


def extract(extractor: Extractor, batches: Iterable[np.ndarray | Array]) -> Features:
    """The features of all batches, [n, *shape] each, as stored (uint8 images, or points)."""
    rows, logits = [], []
    for batch in batches:
        found = extractor.apply(jnp.asarray(batch))
        rows.append(np.asarray(found.features, np.float32))
        if found.logits is not None:
            logits.append(np.asarray(found.logits, np.float32))
    return Features(np.concatenate(rows), np.concatenate(logits) if logits else None)


def of_split(extractor: Extractor, dataset: data.Dataset, split: str) -> Features:
    """The features of a whole split; those of a network are kept in the user's cache directory.

    What is kept is found by the data's checksum, split and number and by the network's hash and preprocessing, and is
    used only if its bytes are those that were written.
    """
    x = getattr(dataset, split).x
    if extractor.sha256 is None:
        return extract(extractor, _pieces(x))
    identity = {
        "dataset_sha256": dataset.checksum,
        "split": split,
        "examples": len(x),
        "extractor": extractor.name,
        "extractor_sha256": extractor.sha256,
        "preprocessing": extractor.preprocessing,
    }
    name = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    file = weights.weights_dir().parent / "references" / f"{name}.safetensors"
    kept = _kept(file, identity)
    if kept is None:
        kept = extract(extractor, _pieces(x))
        with contextlib.suppress(OSError):  # a cache that cannot be written costs time, not the number
            _keep(file, identity, kept)
    return kept


def _pieces(x: np.ndarray) -> Iterator[np.ndarray]:
    """The rows in batches of one size, so that the extractor compiles once; the rest comes as a batch of its own."""
    return (x[start : start + BATCH] for start in range(0, len(x), BATCH))


def _keep(file: Path, identity: dict[str, Any], found: Features) -> None:
    arrays = {name: array for name, array in found._asdict().items() if array is not None}
    about = {"identity": json.dumps(identity, sort_keys=True), "content": weights.fingerprint(arrays)}
    weights.write_safetensors(file, arrays, about)


def _kept(file: Path, identity: dict[str, Any]) -> Features | None:
    """What `_keep` wrote, or None if there is nothing, or something else than was written."""
    if not file.is_file():
        return None
    try:
        arrays, about = weights.read_safetensors(file)
    except UserError:
        return None  # damaged: it is made anew
    wanted = {"identity": json.dumps(identity, sort_keys=True), "content": weights.fingerprint(arrays)}
    return Features(arrays["features"], arrays.get("logits")) if about == wanted else None


# --- the measures ----------------------------------------------------------------------------------------------------


def _frechet(sets: Sets) -> dict[str, Measure]:
    generated, real = metrics.moments(sets.generated.features), metrics.moments(sets.real.features)
    return {"frechet": _measure(metrics.frechet_distance(generated, real), _rank(sets), covariance="ddof=1")}


def _frechet_infinity(sets: Sets) -> dict[str, Measure]:
    smallest = len(sets.generated.features) // 2
    value = metrics.frechet_distance_infinity(
        sets.generated.features, metrics.moments(sets.real.features), smallest=smallest, seed=0
    )
    return {"frechet_infinity": _measure(value, _rank(sets), sizes=15, smallest=smallest, subset_seed=0)}


def _kernel(sets: Sets) -> dict[str, Measure]:
    x, y = sets.generated.features, sets.real.features
    if sets.extractor.names.get("kernel", "").startswith("kid"):  # as it is published
        value, spread = metrics.polynomial_mmd2_subsets(x, y, subsets=KID_SUBSETS, size=KID_SIZE, seed=2020)
        how = f"unbiased, {KID_SUBSETS} subsets of {KID_SIZE}, seed 2020"
        return {"kernel": _measure(value, kernel="(x.y/d + 1)^3", estimator=how) | {"spread": spread}}
    value = metrics.polynomial_mmd2(x, y)
    return {"kernel": _measure(value, kernel="(x.y/d + 1)^3", estimator="unbiased, all pairs")}


def _inception_score(sets: Sets) -> dict[str, Measure]:
    logits = sets.generated.logits
    if logits is None:
        raise UserError(f"it needs a classifier's features, and {sets.extractor.name} are none.")
    value, spread = metrics.inception_score(logits, SPLITS)
    few = len(logits) < 500 * SPLITS
    warning = f"{len(logits) // SPLITS} examples a split: the score is biased downwards" if few else None
    return {"class_score": _measure(value, warning, splits=SPLITS) | {"spread": spread}}


def _prdc(sets: Sets) -> dict[str, Measure]:
    real, generated, protocol = _equal(sets)
    found = metrics.prdc(real, generated, k=5)
    protocol |= {"neighbours": 5, "balls": "open"}
    return {kind: _measure(value, **protocol) for kind, value in found._asdict().items()}


def _improved_precision_recall(sets: Sets) -> dict[str, Measure]:
    real, generated, protocol = _equal(sets)
    found = metrics.improved_precision_recall(real, generated, k=3)
    protocol |= {"neighbours": 3, "balls": "closed"}
    return {f"improved_{kind}": _measure(value, **protocol) for kind, value in found._asdict().items()}


def _prd(sets: Sets) -> dict[str, Measure]:
    real, generated, protocol = _equal(sets)
    curve = metrics.prd_curve_from_features(generated, real, seed=0)
    recall_heavy, precision_heavy = metrics.prd_f_scores(curve)
    protocol |= {"clusters": 20, "runs": 10, "angles": 1001, "clustering_seed": 0}
    return {
        "prd_f8": _measure(recall_heavy, **protocol),
        "prd_f1_8": _measure(precision_heavy, **protocol),
    }


def _vendi(sets: Sets) -> dict[str, Measure]:
    return {"vendi": _measure(metrics.vendi_score(sets.generated.features), kernel="cosine", order=1)}


def _sliced_wasserstein(sets: Sets) -> dict[str, Measure]:
    projections = metrics.random_projections(sets.real.features.shape[1], 200, seed=0)
    value = metrics.sliced_wasserstein2(sets.generated.features, sets.real.features, projections)
    return {"sliced_wasserstein2": _measure(value, projections=200, projection_seed=0)}


def _authenticity(sets: Sets) -> dict[str, Measure]:
    return {"authenticity": _measure(metrics.authenticity(sets.generated.features, sets.training().features))}


def _memorisation(sets: Sets) -> dict[str, Measure]:
    """The held-out examples' rate beside the generated ones': it isn't 0 either."""
    training = sets.training().features
    return {
        "memorisation": _measure(metrics.memorisation_rate(sets.generated.features, training), threshold="1/3"),
        "memorisation_of_real": _measure(metrics.memorisation_rate(sets.real.features, training), threshold="1/3"),
    }


def _modes(sets: Sets) -> dict[str, Measure]:
    if sets.dataset.name not in data.MIXTURES:
        raise UserError(
            f"it needs a mixture of known modes ({', '.join(data.MIXTURES)}), and {sets.dataset.name} is none."
        )
    if sets.extractor is not features.coordinates():
        raise UserError(f"modes are known in the features coordinates, and not in {sets.extractor.name}.")
    mixture = data.MIXTURES[sets.dataset.name]()
    found = metrics.mixture_coverage(sets.generated.features, np.asarray(mixture.means), mixture.scale)
    return {kind: _measure(value, modes=len(mixture.means)) for kind, value in found._asdict().items()}


MEASURES: dict[str, Callable[[Sets], dict[str, Measure]]] = {
    "frechet": _frechet,
    "frechet_infinity": _frechet_infinity,
    "kernel": _kernel,
    "inception_score": _inception_score,
    "prdc": _prdc,
    "improved_precision_recall": _improved_precision_recall,
    "prd": _prd,
    "vendi": _vendi,
    "sliced_wasserstein": _sliced_wasserstein,
    "authenticity": _authenticity,
    "memorisation": _memorisation,
    "modes": _modes,
}


def usual_measures(dataset: data.Dataset) -> tuple[str, ...]:
    """What is measured where nobody asks for anything else."""
    return ("frechet", "kernel", "modes") if dataset.name in data.MIXTURES else ("frechet", "kernel", "prdc")


def usual_features(dataset: data.Dataset) -> tuple[str, ...]:
    """The raw values and, where gvlab comes with one, the data set's own classifier."""
    if len(dataset.shape) != 3:
        return ("coordinates",)
    return ("pixels", dataset.name) if features.has_small(dataset.name) else ("pixels",)


def extractor(name: str, weights_file: Path | None = None) -> Extractor:
    """The extractor of that name: raw values, one of gvlab's classifiers, or Inception.

    Raises:
        UserError: there is none, or its weights cannot be had.
    """
    check_features([name])
    if name in RAW:
        return RAW[name]()
    if name in features.INCEPTION:
        return features.inception(name, weights_file)
    return features.small(name)


def check_features(names: Iterable[str]) -> None:
    """Raises UserError for features that do not exist."""
    known = (*RAW, *features.SMALL, *features.INCEPTION)
    for name in names:
        if name not in known:
            raise UserError(f"There are no features named {name!r}: choose one of {', '.join(known)}.")


def check_measures(names: Iterable[str]) -> None:
    """Raises UserError for a measure that does not exist."""
    for name in names:
        if name not in MEASURES:
            raise UserError(f"There is no measure {name!r}: choose from {', '.join(MEASURES)}.")


def measure(sets: Sets, names: Sequence[str]) -> dict[str, Measure]:
    """The measures of those names, each under the name that it has earned on these features.

    Raises:
        UserError: there is no such measure, or these sets are too small or of the wrong kind for it.
    """
    check_measures(names)
    shared = {
        "features": sets.extractor.name,
        "features_sha256": sets.extractor.sha256,
        "preprocessing": sets.extractor.preprocessing,
        "generated": len(sets.generated.features),
        "examples": len(sets.real.features),
    }
    found = {}
    for name in names:
        try:
            made = MEASURES[name](sets)
        except UserError as error:  # of a function that knows nothing of generated examples and data sets
            sizes = f"{shared['generated']} generated and {shared['examples']} real examples"
            raise UserError(f"The measure {name} cannot be made of {sizes}: {error}") from error
        for kind, one in made.items():
            called = kind if name == "modes" else sets.extractor.measure(kind)
            found[called] = one | {"stamp": shared | one["stamp"]}
    return found


def _measure(value: float, warning: str | None = None, **protocol: Any) -> Measure:
    return {"value": value, "stamp": protocol | ({"warning": warning} if warning else {})}


def _rank(sets: Sets) -> str | None:
    smaller, width = min(len(sets.generated.features), len(sets.real.features)), sets.real.features.shape[1]
    if smaller > width:
        return None
    return f"{smaller} examples for {width} features: the covariance is singular and the distance biased upwards"


def _equal(sets: Sets) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """As many real as generated examples, the first of each set, and what a stamp says of it.

    Balls of nearest neighbours shrink and histograms sharpen with the size of a set: with 300 real and 10,000 generated
    examples recall would be about 0 whatever the model.
    """
    count = min(len(sets.generated.features), len(sets.real.features))
    few = {"warning": f"only {count} examples of each: balls of nearest neighbours are large"} if count < 1000 else {}
    return (
        sets.real.features[:count],
        sets.generated.features[:count],
        {"generated": count, "examples": count} | few,
    )
