"""The features of a data set's splits, and the cache of them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from gvlab import backend, data
from gvlab.extractors import weights
from gvlab.extractors.extractor import Extractor
from gvlab.extractors.sets import Features, extract, pieces
from gvlab.files import json_sha256
from gvlab.types import UserError

PROTOCOL = 2
"""Raised by hand whenever a measure is made in another way, or the features of unchanged weights: numbers of two
protocols are never compared, and what was kept under another is made anew."""


def of_split(extractor: Extractor, dataset: data.Dataset, split: str) -> Features:
    """The features of a whole split; those of a network are kept in the user's cache directory.

    What is kept is found by the data's checksum, split and number, by the network's hash and preprocessing and by
    `PROTOCOL`, and is used only if its bytes are those that were written.
    """
    x = getattr(dataset, split).x
    if extractor.sha256 is None:
        return extract(extractor, pieces(x))
    identity = {
        "protocol": PROTOCOL,
        "dataset_sha256": dataset.checksum,
        "split": split,
        "examples": len(x),
        "extractor": extractor.name,
        "extractor_sha256": extractor.sha256,
        "preprocessing": extractor.preprocessing,
    }
    name = json_sha256(identity)
    cache = backend.user_cache()
    if cache is None:
        return extract(extractor, pieces(x))
    file = cache / "references" / f"{name}.safetensors"
    kept = _kept(file, identity)
    if kept is None:
        kept = extract(extractor, pieces(x))
        with contextlib.suppress(OSError):  # a cache that cannot be written costs time, not the number
            _keep(file, identity, kept)
    return kept


def _keep(file: Path, identity: dict[str, Any], features: Features) -> None:
    arrays = {name: array for name, array in features._asdict().items() if array is not None}
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
