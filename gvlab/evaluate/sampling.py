"""Generated examples for measuring, as they would be stored."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from gvlab import config as c
from gvlab import data, parallel
from gvlab.build import Program
from gvlab.evaluate import usual
from gvlab.extractors.sets import BATCH
from gvlab.types import Diverged, PyTree


def sample_count(asked: c.Evaluation, dataset: data.Dataset) -> int:
    return asked.samples or usual.usual_samples(dataset)


@dataclass
class Clipped:
    """How many of the generated values lay outside the range of the data."""

    outside: int = 0
    values: int = 0


def generate(program: Program, state: PyTree, key: jax.Array, clipped: Clipped | None = None) -> Iterator[jax.Array]:
    """Generated examples as they would be stored, split over the devices; `clipped` counts what left the range.

    Raises:
        Diverged: a value is not finite. As an image it would be stored as black, and measured as if nothing were wrong.
    """
    n = sample_count(program.experiment.evaluation, program.dataset)
    size = min(BATCH, n)
    made = program.model.draw if program.experiment.evaluation.decoded == "draw" else program.model.sample
    assert made is not None
    sample, whole = _sampler(made, program.dataset.modality, program.data_range, size)
    classes = program.dataset.num_classes if program.experiment.conditional else 0
    state = jax.device_put(state, whole)  # as restored, it is on the first device alone
    for i, start in enumerate(range(0, n, size)):
        labels = (start + np.arange(size)) % classes if classes else None
        x, finite, outside = sample(state, jax.random.fold_in(key, i), labels)
        if not finite:
            raise Diverged(f"At step {int(state.step)} a generated value is not finite.")
        if clipped is not None:
            clipped.outside += int(outside)
            clipped.values += x.size
        yield x[: n - start]


@functools.lru_cache(maxsize=16)
def _sampler(
    made: Callable[..., jax.Array], modality: data.Modality, data_range: tuple[float, float], size: int
) -> tuple[Callable, parallel.Sharding]:
    """(state, key, labels or None) -> examples as stored (images in 8 bits), whether all are
    finite, and how many values lie outside the range of images; compiled once for all seeds.

    And where the state must be.
    """

    def sample(state: PyTree, key: jax.Array, y: jax.Array | None) -> tuple[jax.Array, jax.Array, jax.Array]:
        x = made(state, key, size) if y is None else made(state, key, size, y)
        finite = jnp.isfinite(x).all()
        stored, outside = modality.as_stored(x, data_range)
        return stored, finite, outside

    mesh = parallel.data_mesh(parallel.devices_for(size))
    whole = parallel.replicated(mesh)
    return jax.jit(sample, out_shardings=(parallel.split(mesh), whole, whole)), whole
