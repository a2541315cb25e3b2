"""Whole sets of examples through an extractor, in batches split over the devices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float32

from gvlab import parallel
from gvlab.extractors.extractor import Extractor

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


def pieces(x: Any) -> Iterator[np.ndarray]:
    """The rows in batches of one size, so that the extractor compiles once; the rest comes as a batch of its own.

    Of an array, or of what is indexed like one (`data.Rendered`).
    """
    return (x[start : start + BATCH] for start in range(0, len(x), BATCH))
