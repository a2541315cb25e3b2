"""The test split, and the terms of a model's loss on it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from gvlab import config as c
from gvlab import rng
from gvlab.build import Program
from gvlab.types import Batch, Model, PyTree

BATCH = 500
"""Test examples per call of the device."""


Measure = dict[str, Any]


Listener: TypeAlias = Callable[[str, int, int], None]
"""Hears (measure, number of the batch from 1, batches) as each batch begins."""


def silent(measure: str, batch: int, batches: int) -> None:
    """The listener that says nothing."""


class Compiled(NamedTuple):
    """The model's functions, compiled once for all seeds."""

    terms: Callable[..., Any]
    encode: Callable[..., Any] | None
    partial_bound: Callable[..., Any]
    log_likelihood: Callable[..., Any]
    """(z, (state, batch)), as `gvlab.metrics.ais` wants it."""


@functools.lru_cache(maxsize=16)
def compiled(model: Model) -> Compiled:
    """One set of compiled functions per model."""

    def partial_bound(state: PyTree, batch: Batch, key: jax.Array, size: int) -> jax.Array:
        assert model.log_weights is not None
        return jax.nn.logsumexp(model.log_weights(state, batch, key, size), axis=0)

    def log_likelihood(z: jax.Array, given: tuple[PyTree, Batch]) -> jax.Array:
        assert model.log_likelihood is not None
        return model.log_likelihood(*given, z)

    return Compiled(
        jax.jit(model.evaluate),
        jax.jit(model.encode) if model.encode else None,
        jax.jit(partial_bound, static_argnums=3),
        log_likelihood,
    )


def test_batches(program: Program) -> Iterator[tuple[int, int, Batch]]:
    """The whole test split as the model sees it, in pieces of one size: (number, how many rows count, batch).

    The noise of a binarised or dequantised test set belongs to the data set, not to the run.
    """
    split = program.dataset.test
    size = min(BATCH, len(split.x))
    preprocess = _preprocessor(replace(program, experiment=replace(program.experiment, seed=0)))
    for number, start in enumerate(range(0, len(split.x), size)):
        rows = np.arange(start, start + size)
        rows[rows >= len(split.x)] = 0  # padding, which the caller drops
        counted = min(size, len(split.x) - start)
        batch = Batch(jnp.asarray(split.x[rows]), None if split.y is None else jnp.asarray(split.y[rows]))
        yield number, counted, preprocess(batch, number)


@functools.lru_cache(maxsize=16)
def _preprocessor(program: Program) -> Callable[[Batch, int], Batch]:
    """(stored examples, number of the batch) -> what the model sees; compiled once for all seeds."""

    @jax.jit
    def preprocess(batch: Batch, number: jax.Array) -> Batch:
        return Batch(program.preprocess(batch.x, rng.stream(rng.root(0), rng.EVALUATE, number)), batch.y)

    return preprocess


def mean(values: np.ndarray, **protocol: Any) -> Measure:
    """The mean over examples, with its standard error."""
    values = values.astype(np.float64)
    error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else None
    return {"value": float(values.mean()), "standard_error": error, "stamp": protocol}


def held_out(program: Program, state: PyTree, key: jax.Array) -> dict[str, Measure]:
    """The means of the model's own per-example terms over the test split."""
    terms = compiled(program.model).terms
    pieces: dict[str, list[np.ndarray]] = {}
    for number, counted, batch in test_batches(program):
        for name, values in terms(state, batch, jax.random.fold_in(key, number)).items():
            pieces.setdefault(name, []).append(np.asarray(values)[:counted])
    examples = {name: np.concatenate(values) for name, values in pieces.items()}
    model = c.pictured(program.experiment.model)
    samples = {"latent_samples": model.num_samples} if isinstance(model, c.VAE | c.HierarchicalVAE) else {}
    if isinstance(model, c.SecondStage):
        samples = {"latent_samples": 1}
    measures = {name: mean(values, **samples) for name, values in examples.items()}
    offset = bits_per_dim_offset(program)
    if "elbo_nats" in examples and offset is not None:
        bits = -examples["elbo_nats"] / (math.prod(program.dataset.shape) * math.log(2)) + offset
        measures["bits_per_dim"] = mean(bits, bound="elbo", **samples)
    return measures


def bits_per_dim_offset(program: Program) -> float | None:
    """Bits to add per dimension so that a likelihood is one of the stored data; None where it can't be made one.

    Probabilities of discrete values need none. A density of x in [0, 1] is one of 256 levels per unit, log2(256) = 8
    bits, if the values were dequantised (Theis et al. 2016); of values that were not, a density says nothing.
    """
    experiment = program.experiment
    if not program.dataset.modality.bounded:
        return None
    match getattr(experiment.model, "likelihood", None), experiment.data.quantization:
        case c.Bernoulli(), "binarize":
            return 0.0
        case c.DiscretizedLogistic() | c.MixtureOfLogistics(), "none":
            return 0.0
        case (c.Categorical(levels=256), "none") | (c.Categorical(levels=2), "binarize"):
            return 0.0
        case c.Gaussian() | c.LearnedGaussian() | c.SharedGaussian(), "dequantize":
            return 8.0
    return None
