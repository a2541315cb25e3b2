"""Disentanglement on data whose factors of variation are known: every metric that gvlab has, of the posterior's means.

Examples are drawn from all combinations of factors, those that were trained on among them, as in Locatello et al.,
"Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations", 2019, whose counts these
are. The draws are the same for all models.
"""

from __future__ import annotations

import functools
import importlib.metadata
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from gvlab import data, metrics, rng
from gvlab.build import Program
from gvlab.evaluate.held_out import BATCH, Listener, Measure, silent
from gvlab.metrics import interventions
from gvlab.types import Batch, PyTree, UserError

MEASURE = "disentanglement"


FITTED, JUDGED = 10_000, 5_000
"""Examples that classifiers are fitted to and judged by; batches of them where the metric is one of batches."""


BATCH_SIZE, VARIANCE_EXAMPLES = 64, 10_000
"""Of the metrics of batches; the latter are of FactorVAE's alone."""


BINS = 20
"""Of each code where its information is counted, and of each factor for IRS."""


SEED = 0
"""Of NumPy's legacy generator, which draws the factors, and of the order in which trees try equal splits."""


def check(program: Program, measures: Sequence[str]) -> None:
    """Raises UserError if disentanglement is asked for where it cannot be measured, before anything is computed."""
    if MEASURE in measures:
        _truth(program)


def _truth(program: Program) -> data.GroundTruth:
    """What the data were made from (`UserError` where it isn't known, or the model has nothing to compare with it)."""
    name, truth = program.experiment.name, program.dataset.truth
    if program.model.codes is not None:
        raise UserError(f"{name} has codes for latents, but {MEASURE} is of real numbers: leave {MEASURE} out.")
    if program.model.encode is None:
        raise UserError(f"{name} has no encoder whose latents {MEASURE} could be measured of: leave {MEASURE} out.")
    if truth is None:
        raise UserError(
            f"The factors that {program.dataset.name} was made from are not known, so {MEASURE} cannot be measured on "
            f"it: leave {MEASURE} out, or train on {' or '.join(data.GROUND_TRUTHS)}."
        )
    if program.latent_dim < 2:
        raise UserError(f"{name} has 1 latent, but {MEASURE} compares at least 2: leave {MEASURE} out.")
    return truth


def disentangled(program: Program, state: PyTree, listen: Listener = silent) -> dict[str, Measure]:
    """All disentanglement metrics of the means of q(z|x).

    All images are encoded once, which are fewer than the metrics ask for.

    Args:
        program: with an encoder and at least two latents, on data of known factors.
        state: of its model.
        listen: hears as each metric begins.

    Raises:
        UserError: the model has no encoder or a single latent, or the factors are not known.
    """
    truth, count = _truth(program), len(METRICS) + 1
    listen(MEASURE, 1, count)
    codes = _codes(program, state, truth)
    random = np.random.RandomState(SEED)
    train, judged = (np.stack([random.randint(0, size, n) for size in truth.sizes], axis=1) for n in (FITTED, JUDGED))

    def represent(factors: Int[np.ndarray, "n factors"]) -> Float[np.ndarray, "n codes"]:
        return codes[np.ravel_multi_index(tuple(factors.T), truth.sizes)]

    sets = Sets(represent(train), train, represent(judged), judged, represent, truth)
    shared = {"split": "all combinations of factors", "factor_seed": SEED, "latents": codes.shape[1]}
    shared |= {"factors": dict(zip(truth.factors, truth.sizes, strict=True))}
    measures: dict[str, Measure] = {}
    for number, metric in enumerate(METRICS, start=2):
        listen(MEASURE, number, count)
        with warnings.catch_warnings():  # the published classifiers stop after so many iterations, converged or not
            warnings.filterwarnings("ignore", message=".*converge", category=UserWarning)
            measures |= metric(sets)
    return {name: measure | {"stamp": shared | measure["stamp"]} for name, measure in measures.items()}


def _codes(program: Program, state: PyTree, truth: data.GroundTruth) -> Float[np.ndarray, "images codes"]:
    """The means of q(z|x) of all images, by their numbers."""
    encode = _encoder(replace(program, experiment=replace(program.experiment, seed=0)))
    pieces, table = [], jnp.asarray(truth.table())
    for batch, start in enumerate(range(0, len(truth), BATCH)):
        numbers = np.minimum(np.arange(start, start + BATCH, dtype=np.int32), len(truth) - 1)  # the last one pads
        pieces.append(np.asarray(encode(state, table, numbers, batch)))
    return np.concatenate(pieces)[: len(truth)]


@functools.lru_cache(maxsize=16)
def _encoder(program: Program) -> Callable[..., jax.Array]:
    """(state, table, numbers of images, number of the batch) -> codes; compiled once for all seeds."""
    truth, to_latents = program.dataset.truth, program.model.encode
    assert truth is not None
    assert to_latents is not None

    @jax.jit
    def encode(state: PyTree, table: jax.Array, numbers: jax.Array, batch: jax.Array) -> jax.Array:
        factors = truth.factors_of(numbers)
        x = program.preprocess(truth.drawn(table, factors), rng.stream(rng.root(0), rng.EVALUATE, batch))
        y = factors[:, truth.factors.index(truth.label)] if program.dataset.labelled else None
        means, _ = to_latents(state, Batch(x, y))
        return means

    return encode


class Sets(NamedTuple):
    """What a metric looks at: codes and factors to fit to and to judge by, and codes of any factors."""

    train_codes: Float[np.ndarray, "n codes"]
    train_factors: Int[np.ndarray, "n factors"]
    codes: Float[np.ndarray, "m codes"]
    factors: Int[np.ndarray, "m factors"]
    represent: interventions.Represent
    truth: data.GroundTruth


def _mig(of: Sets) -> dict[str, Measure]:
    value = metrics.mutual_information_gap(of.train_codes, of.train_factors, BINS)
    return {"mig": _measure(value, examples=len(of.train_codes), bins=BINS)}


def _modularity(of: Sets) -> dict[str, Measure]:
    value = metrics.modularity(of.train_codes, of.train_factors, BINS)
    return {"modularity": _measure(value, examples=len(of.train_codes), bins=BINS)}


def _irs(of: Sets) -> dict[str, Measure]:
    value = metrics.interventional_robustness(of.train_codes, of.train_factors, quantile=0.99, bins=BINS)
    return {"irs": _measure(value, examples=len(of.train_codes), bins=BINS, quantile=0.99)}


def _explicitness(of: Sets) -> dict[str, Measure]:
    return {"explicitness": _fitted(of, metrics.explicitness(*of[:4]), "logistic regression")}


def _sap(of: Sets) -> dict[str, Measure]:
    return {"sap": _fitted(of, metrics.sap_discrete(*of[:4]), "linear support vectors of one code")}


def _dci(of: Sets) -> dict[str, Measure]:
    found = metrics.dci(*of[:4], seed=SEED)
    shares = {name: getattr(found, name) for name in ("disentanglement", "completeness", "informativeness")}
    return {f"dci_{name}": _fitted(of, value, "gradient-boosted trees") for name, value in shares.items()}


def _beta_vae(of: Sets) -> dict[str, Measure]:
    accuracy = metrics.beta_vae_metric(
        of.represent, of.truth.sizes, seed=SEED, batch_size=BATCH_SIZE, train_points=FITTED, evaluation_points=JUDGED
    )
    return {"beta_vae_score": _of_batches(accuracy, classifier="logistic regression", **_scikit_learn())}


def _factor_vae(of: Sets) -> dict[str, Measure]:
    accuracy = metrics.factor_vae_metric(
        of.represent,
        of.truth.sizes,
        seed=SEED,
        batch_size=BATCH_SIZE,
        train_votes=FITTED,
        evaluation_votes=JUDGED,
        variance_examples=VARIANCE_EXAMPLES,
    )
    return {"factor_vae_score": _of_batches(accuracy, variance_examples=VARIANCE_EXAMPLES)}


def _correlation(of: Sets) -> dict[str, Measure]:
    """Of those codes that vary: the others are independent of everything."""
    codes = of.train_codes[:, np.ptp(of.train_codes, axis=0) > 0].astype(np.float64)
    several = codes.shape[1] > 1
    total = metrics.gaussian_total_correlation(codes) if several else 0.0
    distance = metrics.gaussian_wasserstein_correlation(codes) / codes.var(axis=0, ddof=1).sum() if several else 0.0
    stated = {"examples": len(of.train_codes), "varying_latents": codes.shape[1]}
    return {
        "gaussian_tc_nats": _measure(total, **stated),
        "wasserstein_correlation": _measure(float(distance), **stated, unit="the sum of the variances"),
    }


METRICS = (_mig, _modularity, _irs, _explicitness, _sap, _dci, _beta_vae, _factor_vae, _correlation)


def _measure(value: float, **protocol: Any) -> Measure:
    return {"value": value, "stamp": protocol}


def _fitted(of: Sets, value: float, classifier: str) -> Measure:
    protocol = {"examples": len(of.codes), "fitted_to": len(of.train_codes), "classifier": classifier}
    return _measure(value, **protocol, **_scikit_learn())


def _of_batches(accuracy: metrics.Accuracy, **protocol: Any) -> Measure:
    batches = {"examples": f"{JUDGED} batches of {BATCH_SIZE}", "fitted_to": f"{FITTED} batches of {BATCH_SIZE}"}
    return _measure(accuracy.evaluation, **batches, **protocol)


def _scikit_learn() -> dict[str, str]:
    """Whose classifiers are not the same from release to release."""
    return {"scikit_learn": importlib.metadata.version("scikit-learn")}
