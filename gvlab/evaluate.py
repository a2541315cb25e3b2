"""Measuring a trained model: numbers that carry their protocol."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gvlab import __version__, metrics, rng, rundir
from gvlab import config as c
from gvlab.build import Program
from gvlab.types import Batch, Diverged, PyTree

BATCH = 500
"""Test examples, or generated ones, per call of the device."""
ROWS = 1_000
"""Latents that one call of the importance-weighted bound decodes at once, at most."""
NUMBERS = 2**27
"""Likelihood parameters that such a call makes, at most, unless one sample per example makes more."""

Measures = dict[str, dict[str, Any]]


def evaluate(program: Program, state: PyTree) -> Measures:
    """All first measures of one trained model, each as {"value", "stamp"} and, for a mean, "standard_error".

    Every model sees the same test examples (drawn once and for all where the pixels are binarised or dequantised), and
    runs of one seed see the same noise.
    """
    key = rng.stream(rng.root(program.experiment.seed), rng.EVALUATE, 0)
    measures = _held_out(program, state, jax.random.fold_in(key, 0))
    if program.model.log_weights is not None:
        measures |= _bound(program, state, jax.random.fold_in(key, 1))
    for name, measure in measures.items():
        if not math.isfinite(measure["value"]):
            raise Diverged(f"At step {int(state.step)} the measure {name} on the test split is {measure['value']}.")
    return measures | _distances(program, state, jax.random.fold_in(key, 2))


def write(run: Path, program: Program, state: PyTree, measures: Measures) -> Path:
    """Writes evaluation.json into the run directory: the measures, and the protocol they share."""
    file = run / "evaluation.json"
    text = json.dumps({"protocol": _protocol(program, state), "measures": measures}, indent=2, allow_nan=False)
    rundir.write_atomically(file, text + "\n")
    return file


def read(run: Path, program: Program, state: PyTree) -> Measures | None:
    """The run's evaluation.json, if it was made from this state, protocol and version; None if it must be made anew."""
    made = rundir.read_json(run / "evaluation.json")
    return made["measures"] if made and made.get("protocol") == _protocol(program, state) else None


def _protocol(program: Program, state: PyTree) -> dict[str, Any]:
    return _stamp(program, state, evaluation=c.to_dict(program.experiment.evaluation))


def _stamp(program: Program, state: PyTree, **more: Any) -> dict[str, Any]:
    model = program.experiment.model
    likelihood = {"likelihood": c.to_dict(model.likelihood)} if isinstance(model, c.VAE) else {}
    if likelihood and isinstance(model.likelihood, c.Bernoulli) and program.experiment.data.quantization != "binarize":
        likelihood["note"] = "the pixels are grey, so these nats are of a cross entropy, not of a likelihood"
    return {
        "dataset": program.dataset.name,
        "dataset_sha256": program.dataset.checksum,
        "split": "test",
        "examples": len(program.dataset.test.x),
        "quantization": program.experiment.data.quantization,
        "step": int(state.step),
        "seed": program.experiment.seed,
        "gvlab": __version__,
        "backend": jax.default_backend(),
        "matmul_precision": jax.config.jax_default_matmul_precision or "default",
        **likelihood,
        **more,
    }


def _test_batches(program: Program) -> Iterator[tuple[int, int, Batch]]:
    """The whole test split in pieces of one size: (number, how many rows count, batch)."""
    split = program.dataset.test
    size = min(BATCH, len(split.x))
    for number, start in enumerate(range(0, len(split.x), size)):
        rows = np.arange(start, start + size)
        rows[rows >= len(split.x)] = 0  # padding, which the caller drops
        counted = min(size, len(split.x) - start)
        yield (
            number,
            counted,
            Batch(jnp.asarray(split.x[rows]), None if split.y is None else jnp.asarray(split.y[rows])),
        )


def _preprocessor(program: Program) -> Callable[[Batch, int], Batch]:
    """Test examples as the model sees them; the noise belongs to the data set, not to the run."""

    @jax.jit
    def preprocess(batch: Batch, number: jax.Array) -> Batch:
        return Batch(program.preprocess(batch.x, rng.stream(rng.root(0), rng.EVALUATE, number)), batch.y)

    return preprocess


def _mean(values: np.ndarray, stamp: dict[str, Any]) -> dict[str, Any]:
    values = values.astype(np.float64)
    error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else None
    return {"value": float(values.mean()), "standard_error": error, "stamp": stamp}


def _held_out(program: Program, state: PyTree, key: jax.Array) -> Measures:
    """The means of the model's own per-example terms over the test split."""
    preprocess, terms = _preprocessor(program), jax.jit(program.model.evaluate)
    pieces: dict[str, list[np.ndarray]] = {}
    for number, counted, batch in _test_batches(program):
        for name, values in terms(state, preprocess(batch, number), jax.random.fold_in(key, number)).items():
            pieces.setdefault(name, []).append(np.asarray(values)[:counted])
    found = {name: np.concatenate(values) for name, values in pieces.items()}
    samples = (
        {"latent_samples": program.experiment.model.num_samples} if isinstance(program.experiment.model, c.VAE) else {}
    )
    measures = {name: _mean(values, _stamp(program, state, **samples)) for name, values in found.items()}
    offset = bits_per_dim_offset(program)
    if "elbo_nats" in found and offset is not None:
        bits = -found["elbo_nats"] / (math.prod(program.dataset.shape) * math.log(2)) + offset
        measures["bits_per_dim"] = _mean(bits, _stamp(program, state, bound="elbo", **samples))
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


def _bound(program: Program, state: PyTree, key: jax.Array) -> Measures:
    """The importance-weighted bound on log p(x) of the test split (Burda et al. 2016, equation 8), in nats."""
    k = program.experiment.evaluation.k
    preprocess = _preprocessor(program)
    log_weights = program.model.log_weights
    assert log_weights is not None

    def partial(state: PyTree, batch: Batch, key: jax.Array, size: int) -> jax.Array:
        return jax.nn.logsumexp(log_weights(state, batch, key, size), axis=0)

    partial = jax.jit(partial, static_argnums=3)
    bounds = []
    for number, counted, batch in _test_batches(program):
        seen = preprocess(batch, number)
        chunk = max(1, min(ROWS, NUMBERS // _parameters(program)) // len(seen.x))
        sizes = [chunk] * (k // chunk) + [k % chunk] * (k % chunk > 0)
        sums = jax.device_get(
            [
                partial(state, seen, jax.random.fold_in(jax.random.fold_in(key, number), i), size)
                for i, size in enumerate(sizes)
            ]
        )
        bounds.append(np.logaddexp.reduce(np.stack(sums).astype(np.float64), axis=0)[:counted] - math.log(k))
    return {"iw_bound_nats": _mean(np.concatenate(bounds), _stamp(program, state, k=k))}


def _parameters(program: Program) -> int:
    """Numbers that a decoder makes per example, at most."""
    likelihood = program.experiment.model.likelihood if isinstance(program.experiment.model, c.VAE) else None
    return math.prod(program.dataset.shape) * (likelihood.levels if isinstance(likelihood, c.Categorical) else 2)


def _distances(program: Program, state: PyTree, key: jax.Array) -> Measures:
    """Fréchet distance and kernel MMD^2 between generated and test examples, on the raw values as features."""
    n = program.experiment.evaluation.samples
    sample = jax.jit(
        lambda state, key: program.to_unit(program.model.sample(state, key, min(BATCH, n))), static_argnums=()
    )
    pieces = [sample(state, jax.random.fold_in(key, i)) for i in range(-(-n // min(BATCH, n)))]
    generated = np.concatenate([np.asarray(piece) for piece in pieces])[:n].reshape(n, -1)
    test = program.dataset.test.x
    real = (test.astype(np.float32) / 255 if test.dtype == np.uint8 else np.asarray(test)).reshape(len(test), -1)
    features = "pixels" if len(program.dataset.shape) == 3 else "coordinates"
    kind = "mean of p(x|z)" if isinstance(program.experiment.model, c.VAE) else "generator"
    stamp = _stamp(program, state, features=features, generated=n, samples=kind, quantization="none")
    kernel = stamp | {"kernel": "(x.y/d + 1)^3", "estimator": "unbiased, all pairs"}
    return {
        f"frechet_{features}": {
            "value": metrics.frechet_distance(metrics.moments(generated), metrics.moments(real)),
            "stamp": stamp | {"covariance": "ddof=1"},
        },
        f"kernel_{features}": {"value": metrics.polynomial_mmd2(generated, real), "stamp": kernel},
    }
