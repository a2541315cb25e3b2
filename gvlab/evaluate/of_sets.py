"""The measures of generated examples beside real ones: of each a function of the two sets of features."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float

from gvlab import data, metrics
from gvlab.evaluate.features import of_split
from gvlab.evaluate.usual import STACKED_SAMPLES
from gvlab.extractors.extractor import Extractor
from gvlab.extractors.sets import Features, pieces

KID_SUBSETS, KID_SIZE = 100, 1000


SPLITS = 10
"""Of the Inception score."""


SHUFFLE_SEED = 2020
"""Of the order in which examples are split; torch-fidelity's."""


SUBSET_SEED = 0
"""Of the examples that are left where two sets are cut to one size."""


NEIGHBOURS, IMPROVED_NEIGHBOURS = 5, 3


NEAREST_OF = 1000
"""Examples whose nearest ones are looked for."""


BIASED = 0.1
"""The share of a Fréchet distance that may be the bias of small sets without a warning: where it is more, the number is
as much of the counts as of the model. A count alone would not tell: what 300 examples add to an `fld_digits`, 18, would
be most of a distance of 20 and nothing beside one of 700."""


FEW = 1000
"""Below so many examples, what rests on neighbours, directions or shares of them gets a warning."""


Measure = dict[str, Any]
"""{"value", "stamp"} and, where there is one, "spread": over subsets or splits, which is no standard error."""


class Sets(NamedTuple):
    """What a measure looks at; the real examples may be of any split."""

    extractor: Extractor
    generated: Features
    real: Features
    training: Callable[[], Features]
    """The training split's, made when asked for."""
    dataset: data.Dataset


def moments(pieces: Iterable[Float[np.ndarray | Array, "n d"]]) -> metrics.Moments:
    """Of all rows, a batch at a time: the same to the last bit whether the rows are held or not."""
    state = None
    for rows in pieces:
        state = metrics.moments_update(metrics.moments_init(rows.shape[1]) if state is None else state, rows)
    assert state is not None
    return metrics.moments_compute(state)


def frechet_of(generated: metrics.Moments, real: metrics.Moments) -> dict[str, Measure]:
    value = metrics.frechet_distance(generated, real)
    return {"frechet": _measure(value, _of_few(generated.count, real, value), covariance="ddof=1")}


def _of_few(generated: int, real: metrics.Moments, distance: float) -> str | None:
    smaller, width = min(generated, real.count), len(real.mean)
    if smaller <= width:
        return f"{smaller} examples for {width} features: the covariance is singular and the distance biased upwards"
    bias = metrics.frechet_bias(real, generated, real.count)
    if bias <= BIASED * distance:
        return None
    return (
        f"{generated} and {real.count} real examples would be about {bias:.2g} apart by chance alone: compare only "
        "numbers of equal counts"
    )


def _frechet(sets: Sets) -> dict[str, Measure]:
    return frechet_of(*(moments(pieces(of.features)) for of in (sets.generated, sets.real)))


def _frechet_infinity(sets: Sets) -> dict[str, Measure]:
    smallest, width = len(sets.generated.features) // 2, sets.real.features.shape[1]
    value = metrics.frechet_distance_infinity(
        sets.generated.features, moments(pieces(sets.real.features)), smallest=smallest, seed=0
    )
    warning = (
        f"the regression begins at {smallest} examples for {width} features, where the distance is not yet linear in "
        "1/N: it is no estimate"
    )
    protocol = {"sizes": 15, "smallest": smallest, "subset_seed": 0}
    return {"frechet_infinity": _measure(value, warning if smallest <= width else None, **protocol)}


def _kernel(sets: Sets) -> dict[str, Measure]:
    x, y = sets.generated.features, sets.real.features
    if is_kid(sets.extractor):
        value, spread = metrics.polynomial_mmd2_subsets(x, y, subsets=KID_SUBSETS, size=KID_SIZE, seed=2020)
        how = f"unbiased, {KID_SUBSETS} subsets of {KID_SIZE}, seed 2020"
        return {"kernel": _measure(value, kernel="(x.y/d + 1)^3", estimator=how) | {"spread": spread}}
    value = metrics.polynomial_mmd2(x, y)
    warning = _few(min(len(x), len(y)), "the estimate is unbiased, but varies much with them")
    return {"kernel": _measure(value, warning, kernel="(x.y/d + 1)^3", estimator="unbiased, all pairs")}


def is_kid(extractor: Extractor) -> bool:
    """Whether the kernel distance is made as it is published, from subsets."""
    return extractor.names.get("kernel", "").startswith("kid")


def _inception_score(sets: Sets) -> dict[str, Measure]:
    logits = sets.generated.logits
    assert logits is not None  # which `_obstacle` made sure of
    value, spread = metrics.inception_score_shuffled(logits, SPLITS, seed=SHUFFLE_SEED)
    few = len(logits) < 500 * SPLITS
    warning = f"{len(logits) // SPLITS} examples a split: the score is biased downwards" if few else None
    return {"class_score": _measure(value, warning, splits=SPLITS, shuffle_seed=SHUFFLE_SEED) | {"spread": spread}}


def _classes(sets: Sets) -> dict[str, Measure]:
    of_generated, of_real = sets.generated.logits, sets.real.logits
    assert of_generated is not None  # which `_obstacle` made sure of
    assert of_real is not None
    seen, seen_real = of_generated.argmax(axis=-1), of_real.argmax(axis=-1)
    classes = of_generated.shape[1]
    balance = metrics.class_balance(seen, seen_real, classes)
    counts = {
        name: np.bincount(labels, minlength=classes).tolist()
        for name, labels in (("counts", seen), ("counts_of_real", seen_real))
    }
    warning = _few(min(len(seen), len(seen_real)), "the divergence is biased upwards")
    return {
        "classes_reached": _measure(balance.reached, classes=classes),
        "class_js_bits": _measure(balance.js_bits, warning, **counts),
    }


def _prdc(sets: Sets) -> dict[str, Measure]:
    real, generated, protocol = _equal(sets)
    shares = metrics.prdc(real, generated, k=NEIGHBOURS)
    warning = _few(len(real), "balls of nearest neighbours are large")
    protocol |= {"neighbours": NEIGHBOURS, "balls": "open"}
    return {kind: _measure(value, warning, **protocol) for kind, value in shares._asdict().items()}


def _improved_precision_recall(sets: Sets) -> dict[str, Measure]:
    real, generated, protocol = _equal(sets)
    shares = metrics.improved_precision_recall(real, generated, k=IMPROVED_NEIGHBOURS)
    warning = _few(len(real), "balls of nearest neighbours are large")
    protocol |= {"neighbours": IMPROVED_NEIGHBOURS, "balls": "closed"}
    return {f"improved_{kind}": _measure(value, warning, **protocol) for kind, value in shares._asdict().items()}


def _prd(sets: Sets) -> dict[str, Measure]:
    real, generated, protocol = _equal(sets)
    curve = metrics.prd_curve_from_features(generated, real, seed=0)
    recall_heavy, precision_heavy = metrics.prd_f_scores(curve)
    warning = _few(len(real), "the histograms over clusters are rough")
    protocol |= {"clusters": 20, "runs": 10, "angles": 1001, "clustering_seed": 0}
    # Whose k-means is not the same from release to release.
    protocol |= {"scikit_learn": importlib.metadata.version("scikit-learn")}
    return {
        "prd_f8": _measure(recall_heavy, warning, **protocol),
        "prd_f1_8": _measure(precision_heavy, warning, **protocol),
    }


def _vendi(sets: Sets) -> dict[str, Measure]:
    x = sets.generated.features
    warning = _few(len(x), "the score is biased downwards")
    return {"vendi": _measure(metrics.vendi_score(x), warning, kernel="cosine", order=1)}


def _sliced_wasserstein(sets: Sets) -> dict[str, Measure]:
    x, y = sets.generated.features, sets.real.features
    projections = metrics.random_projections(y.shape[1], 200, seed=0)
    warning = _few(min(len(x), len(y)), "the distance is biased upwards")
    value = metrics.sliced_wasserstein2(x, y, projections)
    return {"sliced_wasserstein2": _measure(value, warning, projections=200, projection_seed=0)}


def _authenticity(sets: Sets) -> dict[str, Measure]:
    x = sets.generated.features
    return {"authenticity": _measure(metrics.authenticity(x, sets.training().features), _few_shares(len(x)))}


def _memorisation(sets: Sets) -> dict[str, Measure]:
    """The held-out examples' rate beside the generated ones': it isn't 0 either.

    Held out is the test split, whatever the split of the other measures: training examples are copies of themselves.
    """
    training, x = sets.training().features, sets.generated.features
    held_out = of_split(sets.extractor, sets.dataset, "test").features
    rates = [metrics.memorisation_rate(rows, training) for rows in (x, held_out)]
    of_real = {"split": "test", "examples": len(held_out)}
    return {
        "memorisation": _measure(rates[0], _few_shares(len(x)), threshold="1/3"),
        "memorisation_of_real": _measure(rates[1], _few_shares(len(held_out)), threshold="1/3", **of_real),
    }


def _nearest(sets: Sets) -> dict[str, Measure]:
    """With those of the test split beside them, whatever the split of the other measures."""
    training = sets.training().features
    test = of_split(sets.extractor, sets.dataset, "test").features
    count = min(NEAREST_OF, len(sets.generated.features), len(test))
    made, real = (_drawn(rows, count) for rows in (sets.generated.features, test))
    warning = f"only {count} examples are compared: the nearest of few are far" if count < NEAREST_OF else None
    measures: dict[str, Measure] = {}
    for name, points in (("nearest_self", None), ("nearest_train", training)):
        value, of_real = (metrics.nearest_distance(rows, points) for rows in (made, real))
        measures[name] = _measure(value, warning, of_real=of_real, compared=count, subset_seed=SUBSET_SEED)
    return measures


def _modes(sets: Sets) -> dict[str, Measure]:
    mixture = data.MIXTURES[sets.dataset.name]()
    x = sets.generated.features
    coverage = metrics.mixture_coverage(x, np.asarray(mixture.means), mixture.scale)
    return {kind: _measure(value, modes=len(mixture.means)) for kind, value in coverage._asdict().items()}


def _stacked_modes(sets: Sets) -> dict[str, Measure]:
    logits = sets.generated.logits
    assert logits is not None  # which `_obstacle` made sure of
    coverage = metrics.stacked_coverage(logits.reshape(len(logits), 3, -1).argmax(axis=-1))
    other = f"{len(logits)} generated examples: published numbers are of {STACKED_SAMPLES}, and both depend on it"
    warning = other if len(logits) != STACKED_SAMPLES else None
    return {
        "modes_covered": _measure(coverage.modes_covered, warning, modes=1000),
        "reverse_kl_nats": _measure(coverage.kl_nats, warning, modes=1000),
    }


MEASURES: dict[str, Callable[[Sets], dict[str, Measure]]] = {
    "frechet": _frechet,
    "frechet_infinity": _frechet_infinity,
    "kernel": _kernel,
    "inception_score": _inception_score,
    "classes": _classes,
    "prdc": _prdc,
    "improved_precision_recall": _improved_precision_recall,
    "prd": _prd,
    "vendi": _vendi,
    "sliced_wasserstein": _sliced_wasserstein,
    "authenticity": _authenticity,
    "memorisation": _memorisation,
    "nearest": _nearest,
    "modes": _modes,
    "stacked_modes": _stacked_modes,
}


OF_MODES = ("modes", "stacked_modes")
"""Measures whose numbers go by their own names: there is but one kind of features for them."""


def _measure(value: float, warning: str | None = None, **protocol: Any) -> Measure:
    return {"value": value, "stamp": protocol | ({"warning": warning} if warning else {})}


def _few(count: int, why: str) -> str | None:
    return f"only {count} examples of each: {why}" if count < FEW else None


def _few_shares(count: int) -> str | None:
    error = 0.5 / count**0.5
    return f"only {count} examples: the standard error of a share is up to {error:.2g}" if count < FEW else None


def _equal(sets: Sets) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """As many real as generated examples, drawn without replacement, and what a stamp says of it.

    Balls of nearest neighbours shrink and histograms sharpen with the size of a set: with 300 real and 10,000 generated
    examples recall would be about 0 whatever the model. The first of a set would be no sample of it: sets are sorted by
    class, often.
    """
    count = min(len(sets.generated.features), len(sets.real.features))
    real, generated = (_drawn(of.features, count) for of in (sets.real, sets.generated))
    return real, generated, {"generated": count, "examples": count, "subset_seed": SUBSET_SEED}


def _drawn(x: np.ndarray, count: int) -> np.ndarray:
    return x if len(x) == count else x[np.random.RandomState(SUBSET_SEED).permutation(len(x))[:count]]
