"""What a model with a likelihood says of the test split: the terms of its ELBO, tighter bounds, and its latents."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gvlab import config as c
from gvlab import losses, metrics, rng
from gvlab.build import Program
from gvlab.types import Batch, Model, PyTree, UserError

BATCH = 500
"""Test examples per call of the device."""
ROWS = 1_000
"""Latents that one call of the importance-weighted bound decodes at once, at most."""
NUMBERS = 2**27
"""Likelihood parameters that such a call makes, at most, unless one sample per example makes more."""
AIS = {"examples": 100, "chains": 16, "temperatures": 500, "leapfrog_steps": 10}

Measure = dict[str, Any]


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
    found = {name: np.concatenate(values) for name, values in pieces.items()}
    model = program.experiment.model
    samples = {"latent_samples": model.num_samples} if isinstance(model, c.VAE) else {}
    measures = {name: mean(values, **samples) for name, values in found.items()}
    offset = bits_per_dim_offset(program)
    if "elbo_nats" in found and offset is not None:
        bits = -found["elbo_nats"] / (math.prod(program.dataset.shape) * math.log(2)) + offset
        measures["bits_per_dim"] = mean(bits, bound="elbo", **samples)
    return measures


def bits_per_dim_offset(program: Program) -> float | None:
    """Bits to add per dimension so that a likelihood is one of the stored data; None where it can't be made one.

    Probabilities of discrete values need none. A density of x in [0, 1] is one of 256 levels per unit, log2(256) = 8
    bits, if the values were dequantised (Theis et al. 2016); of values that were not, a density says nothing.
    """
    experiment = program.experiment
    if not isinstance(experiment.model, c.VAE) or len(program.dataset.shape) != 3:
        return None
    match experiment.model.likelihood, experiment.data.quantization:
        case c.Bernoulli(), "binarize":
            return 0.0
        case c.DiscretizedLogistic(), "none":
            return 0.0
        case (c.Categorical(levels=256), "none") | (c.Categorical(levels=2), "binarize"):
            return 0.0
        case c.Gaussian() | c.LearnedGaussian(), "dequantize":
            return 8.0
    return None


def bound(program: Program, state: PyTree, key: jax.Array) -> dict[str, Measure]:
    """The importance-weighted bound on log p(x) of the test split (Burda et al. 2016, equation 8), in nats.

    The k samples of an example come in chunks, whose log-sums are added on the host in float64. The measure also says
    how many test points a second it took, compilation included: the only number in it that is not repeatable.
    """
    start = time.perf_counter()
    k = program.experiment.evaluation.k
    partial = compiled(program.model).partial_bound
    bounds = []
    for number, counted, batch in test_batches(program):
        chunk = max(1, min(ROWS, NUMBERS // _parameters(program)) // len(batch.x))
        sizes = [chunk] * (k // chunk) + [k % chunk] * (k % chunk > 0)
        sums = jax.device_get(
            [
                partial(state, batch, jax.random.fold_in(jax.random.fold_in(key, number), i), size)
                for i, size in enumerate(sizes)
            ]
        )
        bounds.append(np.logaddexp.reduce(np.stack(sums).astype(np.float64), axis=0)[:counted] - math.log(k))
    found = np.concatenate(bounds)
    speed = {"points_per_second": round(len(found) / (time.perf_counter() - start), 1)}
    return {"iw_bound_nats": mean(found, k=k) | speed}


def _parameters(program: Program) -> int:
    """Numbers that a decoder makes per example, at most."""
    likelihood = program.experiment.model.likelihood if isinstance(program.experiment.model, c.VAE) else None
    return math.prod(program.dataset.shape) * (likelihood.levels if isinstance(likelihood, c.Categorical) else 2)


def latents(program: Program, state: PyTree, key: jax.Array) -> dict[str, Measure]:
    """What the encoder does with its latents on the test split: how many it uses, and what its KL term is made of."""
    encode = compiled(program.model).encode
    assert encode is not None
    pieces = [
        [np.asarray(part)[:counted] for part in encode(state, batch)] for _, counted, batch in test_batches(program)
    ]
    means, logvars = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    collapsed = int(metrics.collapsed_units(means, logvars).sum())
    surgery = metrics.elbo_surgery(key, means, logvars)
    shared = {"latents": means.shape[1]}
    warning = {"warning": "the posterior has collapsed: no latent depends on x"} if collapsed == means.shape[1] else {}
    information = {"value": surgery.mutual_information_nats, "standard_error": surgery.standard_error_nats}
    saturated = surgery.mutual_information_nats > 0.9 * surgery.log_examples
    full = {"warning": f"near its limit of log({len(means)}) = {surgery.log_examples:.2f} nats"} if saturated else {}
    return {
        "active_units": {"value": metrics.active_units(means), "stamp": shared | {"threshold": 0.01}},
        "collapsed_units": {
            "value": collapsed,
            "stamp": shared | {"epsilon_nats": 0.01, "delta": 0.01} | warning,
        },
        "mutual_information_nats": information | {"stamp": shared | full},
        "marginal_kl_nats": {
            "value": surgery.marginal_kl_nats,
            "standard_error": surgery.standard_error_nats,
            "stamp": shared | full,
        },
    }


def annealed(program: Program, state: PyTree, key: jax.Array) -> dict[str, Measure]:
    """Annealed importance sampling on the first test examples: a lower bound on log p(x), in nats.

    Raises:
        UserError: the model has no likelihood.
    """
    model = program.model
    if model.log_likelihood is None:
        raise UserError(
            f"{program.experiment.name} is a GAN, which has no likelihood of its own: from Python, give "
            "metrics.gaussian_observation a variance."
        )
    _, counted, batch = next(test_batches(program))
    count = min(AIS["examples"], counted)
    batch = Batch(batch.x[:count], None if batch.y is None else batch.y[:count])
    # On CPU, XLA slows convolutions in loops by a factor of ten and more.
    loop = metrics.scan_temperatures if jax.default_backend() != "cpu" else metrics.loop_temperatures
    log_likelihood = compiled(model).log_likelihood
    betas = metrics.sigmoid_schedule(AIS["temperatures"])
    common: dict[str, Any] = {
        "latent_dim": program.experiment.model.latent_dim,
        "leapfrog_steps": AIS["leapfrog_steps"],
        "loop": loop,
    }
    pilot = metrics.tune_step_sizes(
        jax.random.fold_in(key, 0), log_likelihood, (state, batch), betas, chains=4, batch=count, **common
    )
    chains = metrics.forward_chains(
        jax.random.fold_in(key, 1),
        log_likelihood,
        (state, batch),
        betas,
        pilot.step_sizes,
        chains=AIS["chains"],
        **common,
    )
    found = np.asarray(losses.importance_weighted_bound(chains.log_weights))
    size = float(np.median(np.asarray(metrics.effective_sample_size(chains.log_weights))))
    protocol = AIS | {"examples": count, "median_effective_chains": size}
    return {"ais_bound_nats": mean(found, **protocol)}
