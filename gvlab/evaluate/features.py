"""Sets of examples through an extractor, and the cache of those of real data."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float32

from gvlab import data, parallel
from gvlab.extractors import weights
from gvlab.extractors.extractor import Extractor
from gvlab.types import UserError

PROTOCOL = 2
"""Raised by hand whenever a measure is made in another way, or the features of unchanged weights: numbers of two
protocols are never compared, and what was kept under another is made anew."""


BATCH = 500
"""Examples per call of the device."""


class Features(NamedTuple):
    """A whole set through an extractor, on the host."""

    features: Float32[np.ndarray, "n d"]
    logits: Float32[np.ndarray, "n classes"] | None


def extract(extractor: Extractor, batches: Iterable[np.ndarray | Array]) -> Features:
    """The features of all batches, [n, *shape] each, as stored (uint8 images, or points)."""
    rows, logits = [], []
    for batch in batches:
        found = extractor.apply(on_devices(batch))
        rows.append(np.asarray(found.features, np.float32))
        if found.logits is not None:
            logits.append(np.asarray(found.logits, np.float32))
    return Features(np.concatenate(rows), np.concatenate(logits) if logits else None)


def on_devices(batch: np.ndarray | Array) -> Array:
    """A batch from the host, split over as many devices as divide it; a generator's own is where it was made."""
    if isinstance(batch, jax.Array):
        return batch
    mesh = parallel.data_mesh(parallel.devices_for(len(batch)))
    return jax.device_put(batch, parallel.split(mesh))


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
    name = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    file = weights.weights_dir().parent / "references" / f"{name}.safetensors"
    kept = _kept(file, identity)
    if kept is None:
        kept = extract(extractor, pieces(x))
        with contextlib.suppress(OSError):  # a cache that cannot be written costs time, not the number
            _keep(file, identity, kept)
    return kept


def pieces(x: np.ndarray) -> Iterator[np.ndarray]:
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
