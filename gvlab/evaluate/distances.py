"""Measures of generated examples beside a data set's, on the features of an extractor.

Examples stream through the extractor, split over the devices. Measures of pairs of examples need the features of all,
which are held on the host (of images, `pixels` are the images in float32); the Fréchet distance alone holds moments. A
network's features of the data set are kept on disk, under everything that determines them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import jax
import numpy as np
from jaxtyping import Array

from gvlab import data
from gvlab.evaluate.features import PROTOCOL, of_split
from gvlab.evaluate.of_sets import (
    IMPROVED_NEIGHBOURS,
    KID_SIZE,
    MEASURES,
    NEIGHBOURS,
    OF_MODES,
    SPLITS,
    Measure,
    Sets,
    frechet_of,
    is_kid,
    moments,
)
from gvlab.extractors import extractor as features
from gvlab.extractors.catalogue import RAW, STACKED, stacked_digits
from gvlab.extractors.extractor import Extractor
from gvlab.extractors.sets import BATCH, on_devices, pieces
from gvlab.types import UserError

PAPER_NAMES = {
    "fid": "frechet with --features inception",
    "fid_infinity": "frechet_infinity with --features inception",
    "kid": "kernel with --features inception",
    "is": "inception_score with --features inception",
    **dict.fromkeys(("precision", "recall", "density", "coverage"), "prdc, which gives all four"),
}
"""What measures are called in papers, and how they are asked for here."""


def check_measures(names: Iterable[str]) -> None:
    """Raises UserError for a measure that does not exist."""
    for name in names:
        if name not in MEASURES:
            paper = PAPER_NAMES.get(name.lower().replace("-", "_"))
            known = f"ask for {paper}" if paper else f"choose from {', '.join(MEASURES)}"
            raise UserError(f"There is no measure {name!r}: {known}.")


def check_ahead(names: Sequence[str], extractor: Extractor, dataset: data.Dataset, split: str, generated: int) -> None:
    """Refuses, before anything is computed, what `measure` would refuse afterwards.

    Args:
        names: of measures.
        extractor: what they are made on.
        dataset: what generated examples are compared with.
        split: of it.
        generated: how many examples there will be.

    Raises:
        UserError: a measure cannot be made of so many examples, or of this kind, or the features aren't for such data.
    """
    x = getattr(dataset, split).x
    known = extractor.sha256 is not None or extractor in [raw() for raw in RAW.values()]
    classifies = True  # perhaps: a function of the user's own cannot be asked without calling it
    if known:
        seen = jax.eval_shape(extractor.apply, jax.ShapeDtypeStruct((BATCH, *x.shape[1:]), x.dtype))
        classifies = seen.logits is not None
    _check(names, extractor, dataset, generated, len(x), classifies)


def check_files(
    names: Sequence[str], extractor: Extractor, dataset: data.Dataset, split: str, count: int, there: int, what: str
) -> None:
    """As `check_ahead`, of another system's files, of which there are so many: where all of them are too few, it is
    files that are asked for. (What `check_ahead` takes is measuring code, which leads to no files.)"""
    try:
        check_ahead(names, extractor, dataset, split, count)
    except UserError as error:
        if count < there:
            raise
        raise UserError(str(error).replace(_MORE_SAMPLES, f"give more {what}")) from error


def _check(
    names: Sequence[str], extractor: Extractor, dataset: data.Dataset, generated: int, real: int, classifies: bool
) -> None:
    check_measures(names)
    for name in names:
        obstacle = _obstacle(name, extractor, dataset, generated, real, classifies)
        if obstacle:
            raise UserError(_cannot(name, generated, real, obstacle))


def _cannot(name: str, generated: int, real: int, why: str) -> str:
    why = re.sub(_TOO_FEW, lambda found: f"{found[0][:-1]}, so {_more(generated, real, int(found[1]))}", why)
    return f"The measure {name} cannot be made of {generated} generated and {real} real examples: {why}"


_TOO_FEW = r"^it needs at least (\d+) (of each|generated ones)\.$"
"""As `_obstacle` says it, whose text is measuring code: to change it would make measured units old."""


_MORE_SAMPLES = "ask for more samples (evaluation.samples; --samples of gvlab evaluate)"


def _more(generated: int, real: int, least: int) -> str:
    """What to do where there are fewer than that."""
    more = _MORE_SAMPLES
    if real < least <= generated:
        more = "take a larger share for testing (gvlab data add ... --test 0.3; test=0.3 in an experiment's source)"
    return f"{more}, or other measures (evaluation.measures; --metrics of gvlab evaluate)."


def _obstacle(
    name: str, extractor: Extractor, dataset: data.Dataset, generated: int, real: int, classifies: bool
) -> str | None:
    """Why a measure cannot be made, as the end of a sentence."""
    match name:
        case "inception_score" | "classes" if not classifies:
            return f"it needs a classifier's features, and {extractor.name} are none."
        case "inception_score" | "classes" if extractor is stacked_digits():
            return f"it needs one class for each image, and {extractor.name} sees three digits."
        case "modes" if dataset.name not in data.MIXTURES:
            return f"it needs a mixture of known modes ({', '.join(data.MIXTURES)}), and {dataset.name} is none."
        case "modes" if extractor is not features.coordinates():
            return f"modes are known in the features coordinates, and not in {extractor.name}."
        case "stacked_modes" if dataset.name != STACKED:
            return f"it needs the thousand modes of {STACKED}, and {dataset.name} has others."
        case "stacked_modes" if extractor is not stacked_digits():
            return f"modes are known in the features {STACKED}, and not in {extractor.name}."
    kid = KID_SIZE if is_kid(extractor) else 2
    least = {"prdc": NEIGHBOURS + 1, "improved_precision_recall": IMPROVED_NEIGHBOURS + 1, "kernel": kid}.get(name, 2)
    if min(generated, real) < least:
        return f"it needs at least {least} of each."
    least = {"inception_score": SPLITS, "frechet_infinity": 4}.get(name, 2)
    return f"it needs at least {least} generated ones." if generated < least else None


def measure(sets: Sets, names: Sequence[str]) -> dict[str, Measure]:
    """The measures of those names, each under the name that it has earned on these features.

    Raises:
        UserError: there is no such measure, or these sets are too small or of the wrong kind for it.
    """
    generated, real = len(sets.generated.features), len(sets.real.features)
    _check(names, sets.extractor, sets.dataset, generated, real, sets.generated.logits is not None)
    measures: dict[str, Measure] = {}
    for name in names:
        try:
            values = MEASURES[name](sets)
        except UserError as error:  # of a function that knows nothing of generated examples and data sets
            raise UserError(_cannot(name, generated, real, str(error))) from error
        measures |= _named(name, sets.extractor, generated, real, values)
    return measures


def frechet_streamed(
    extractor: Extractor, batches: Iterable[np.ndarray | Array], dataset: data.Dataset, split: str
) -> dict[str, Measure]:
    """`measure` of "frechet" alone, the same to the last bit, without holding anybody's features.

    But for those of a network on the data set, which are kept on disk.
    """
    x = getattr(dataset, split).x
    generated = moments(extractor.apply(on_devices(batch)).features for batch in batches)
    if extractor.sha256 is None:
        real = moments(extractor.apply(on_devices(batch)).features for batch in pieces(x))
    else:
        real = moments(pieces(of_split(extractor, dataset, split).features))
    return _named("frechet", extractor, generated.count, real.count, frechet_of(generated, real))


def _named(
    name: str, extractor: Extractor, generated: int, real: int, measures: dict[str, Measure]
) -> dict[str, Measure]:
    """Under the name that a measure has earned on these features, with what all stamps say."""
    shared = {
        "protocol": PROTOCOL,
        "features": extractor.name,
        "features_sha256": extractor.sha256,
        "preprocessing": extractor.preprocessing,
        "generated": generated,
        "examples": real,
    }
    return {
        kind if name in OF_MODES else extractor.measure(kind): measure | {"stamp": shared | measure["stamp"]}
        for kind, measure in measures.items()
    }
