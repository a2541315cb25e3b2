"""Annealed importance sampling of test examples, by models with a likelihood or noise about a GAN's images."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from gvlab import config as c
from gvlab import data, losses, metrics
from gvlab.build import Program
from gvlab.evaluate.held_out import Listener, Measure, compiled, mean, silent, test_batches
from gvlab.types import Batch, Model, PyTree, UserError

AIS = {"examples": 100, "chains": 16, "temperatures": 500, "leapfrog_steps": 10}


PILOT = {"pilot_chains": 4, "target_acceptance": 0.65}
"""Of the chains that find the step sizes."""


AIS_BATCH = 20
"""Examples whose chains run at once, at most."""


LogLikelihood: TypeAlias = Callable[[jax.Array, Any], jax.Array]
"""(z [chains, batch, latent], (state, batch)) -> log p(x|z) [chains, batch] in nats, for `gvlab.metrics.ais`."""


def check(program: Program, measures: Sequence[str]) -> None:
    """Raises UserError for those of the annealed measures that do not fit the model, before anything is computed."""
    if "ais" in measures or "ais_gap" in measures:
        _observed(program)
    if "ais_gap" in measures:
        _drawn(program)


def annealed(program: Program, state: PyTree, key: jax.Array, listen: Listener = silent) -> dict[str, Measure]:
    """Annealed importance sampling on the first test examples: a lower bound on log p(x), in nats.

    Args:
        program: with a VAE, whose own likelihood counts, or with a GAN, which gets Gaussian noise of the variance
            `evaluation.ais_variance` about its images in [0, 1] (or points).
        state: of its model.
        key: of the chains.
        listen: hears of every batch.

    Raises:
        UserError: the model has no p(x|z) with a standard normal prior.

    Reference: Wu et al., "On the Quantitative Analysis of Decoder-Based Generative Models", 2017.
    """
    log_likelihood = _observed(program)
    bounds, sizes = [], []
    for number, counted, batch in _annealing_batches(program, "ais", listen):
        _, chains = _forward(jax.random.fold_in(key, number), program, log_likelihood, (state, batch))
        bounds.append(np.asarray(losses.importance_weighted_bound(chains.log_weights))[:counted])
        sizes.append(np.asarray(metrics.effective_sample_size(chains.log_weights))[:counted])
    per_example = np.concatenate(bounds)
    protocol = (
        AIS | PILOT | {"examples": len(per_example), "median_effective_chains": float(np.median(np.concatenate(sizes)))}
    )
    return {"ais_bound_nats": mean(per_example, **protocol, **_stated(program))}


def annealing_gap(program: Program, state: PyTree, key: jax.Array, listen: Listener = silent) -> dict[str, Measure]:
    """Bidirectional Monte Carlo: how far `annealed` may be from log p(x), in nats, on data that the model makes.

    A latent z is drawn from the prior and x from p(x|z), so that z is an exact sample of p(z|x), from which chains run
    back: an upper bound. The gap is that bound less the lower one on the same x. It is at least 0 in expectation, and
    so small only if both bounds are tight. It is a statement on other data only as far as the model's own are as hard.

    Args:
        program: as of `annealed`; a conditional model makes x for the labels of the first test examples.
        state: of its model.
        key: of the data and the chains.
        listen: hears of every batch.

    Raises:
        UserError: as `annealed`, or x cannot be drawn from the likelihood.

    References: Grosse, Ghahramani & Adams, "Sandwiching the marginal likelihood using bidirectional Monte Carlo", 2015;
    Wu et al. 2017, section 4.2.
    """
    log_likelihood, draw = _observed(program), _drawn(program)
    gaps = []
    for number, counted, batch in _annealing_batches(program, "ais_gap", listen):
        of_batch = jax.random.fold_in(key, number)
        z_key, x_key, ahead_key, back_key = (jax.random.fold_in(of_batch, i) for i in range(4))
        z = program.model.prior(z_key, len(batch.x))
        given = (state, batch._replace(x=draw(x_key, (state, batch), z)))
        step_sizes, ahead = _forward(ahead_key, program, log_likelihood, given)
        back = metrics.reverse_chains(
            back_key,
            log_likelihood,
            given,
            metrics.sigmoid_schedule(AIS["temperatures"]),
            step_sizes,
            jnp.broadcast_to(z[None], (AIS["chains"], *z.shape)),
            leapfrog_steps=AIS["leapfrog_steps"],
            loop=_loop(),
        )
        lower = losses.importance_weighted_bound(ahead.log_weights)
        gaps.append(np.asarray(metrics.reverse_bound(back.log_weights) - lower)[:counted])
    per_example = np.concatenate(gaps)
    protocol = AIS | PILOT | {"examples": len(per_example), "split": "drawn from the model"}
    return {"ais_gap_nats": mean(per_example, **protocol, **_stated(program))}


def _forward(
    key: jax.Array, program: Program, log_likelihood: LogLikelihood, given: tuple[PyTree, Batch]
) -> tuple[jax.Array, metrics.Chains]:
    """A pilot that finds the step sizes, and the chains that take them."""
    betas = metrics.sigmoid_schedule(AIS["temperatures"])
    common: dict[str, Any] = {
        "latent_dim": program.latent_dim,
        "leapfrog_steps": AIS["leapfrog_steps"],
        "loop": _loop(),
    }
    pilot = metrics.tune_step_sizes(
        jax.random.fold_in(key, 0),
        log_likelihood,
        given,
        betas,
        chains=int(PILOT["pilot_chains"]),
        batch=len(given[1].x),
        target=PILOT["target_acceptance"],
        **common,
    )
    chains = metrics.forward_chains(
        jax.random.fold_in(key, 1), log_likelihood, given, betas, pilot.step_sizes, chains=AIS["chains"], **common
    )
    return pilot.step_sizes, chains


def _loop() -> Any:
    # On CPU, XLA slows convolutions in loops by a factor of ten and more.
    return metrics.scan_temperatures if jax.default_backend() != "cpu" else metrics.loop_temperatures


def _annealing_batches(program: Program, measure: str, listen: Listener) -> Iterator[tuple[int, int, Batch]]:
    """The first test examples as the likelihood sees them, as `test_batches` gives them."""
    _, available, whole = next(test_batches(program))
    count = min(AIS["examples"], available)
    size = min(AIS_BATCH, count)
    batches = -(-count // size)
    # A GAN's variance is one of images in [0, 1], as a VAE's is.
    whole = whole._replace(x=program.to_unit(whole.x))
    for number in range(batches):
        listen(measure, number + 1, batches)
        rows = np.arange(number * size, (number + 1) * size)
        counted = int((rows < count).sum())
        rows[rows >= count] = 0  # padding, which the caller drops
        yield number, counted, Batch(whole.x[rows], None if whole.y is None else whole.y[rows])


def _observed(program: Program) -> LogLikelihood:
    """log p(x|z) of (z, (state, batch)): the VAE's own, or that of a GAN with noise."""
    if isinstance(program.experiment.model, c.GAN):
        return _with_noise(program.model, program.data_range, program.experiment.evaluation.ais_variance)
    model = program.model
    if model.log_likelihood is None or model.learned_prior is not None or model.codes is not None:
        raise UserError(
            f"{program.experiment.name} has no p(x|z) with a standard normal prior of z, which annealing needs: leave "
            "ais and ais_gap out."
        )
    return compiled(model).log_likelihood


@functools.lru_cache(maxsize=16)
def _with_noise(model: Model, data_range: tuple[float, float], variance: float) -> LogLikelihood:
    """One function for all seeds, by whose identity `gvlab.metrics.ais` keeps what it compiled."""
    low, span = (0.0, 1.0) if math.isinf(data_range[0]) else (data_range[0], data_range[1] - data_range[0])

    def decode(given: tuple[PyTree, jax.Array | None], z: jax.Array) -> jax.Array:
        state, y = given
        labels = None if y is None else jnp.tile(y, len(z) // len(y))
        return (model.decode(state, z, labels) - low) / span

    noisy = metrics.gaussian_observation(decode, variance)

    def log_likelihood(z: jax.Array, given: tuple[PyTree, Batch]) -> jax.Array:
        state, batch = given
        return noisy(z, ((state, batch.y), batch.x))

    return log_likelihood


def _stated(program: Program) -> dict[str, Any]:
    """What the stamp of a GAN's number must say: without the variance it means nothing."""
    if not isinstance(program.experiment.model, c.GAN):
        return {}
    variance = program.experiment.evaluation.ais_variance
    images = {data.IMAGES: "images in [0, 1]", data.WAVES: "waves in [-1, 1]"}.get(program.dataset.modality, "points")
    return {
        "likelihood": c.member_to_dict(c.Gaussian(variance)),
        "note": f"the likelihood is Gaussian noise of variance {variance:g} about the generator's {images}, on which "
        "the number depends",
    }


def _drawn(program: Program) -> Callable[[jax.Array, tuple[PyTree, Batch], jax.Array], jax.Array]:
    """(key, (state, batch), z [batch, latent]) -> x ~ p(x|z), of the shape of batch.x.

    Raises:
        UserError: the model says too little of p(x|z).
    """
    likelihood = getattr(program.experiment.model, "likelihood", None)
    if isinstance(program.experiment.model, c.GAN) or isinstance(
        likelihood, c.Gaussian | c.LearnedGaussian | c.SharedGaussian
    ):
        return _normal_draw(_observed(program))
    if isinstance(likelihood, c.Bernoulli) or likelihood == c.Categorical(levels=2):
        return _binary_draw(program.model)
    raise UserError(
        f"Data cannot be drawn from the likelihood {type(likelihood).__name__} of {program.experiment.name}: "
        "leave ais_gap out."
    )


@functools.lru_cache(maxsize=16)
def _normal_draw(log_likelihood: LogLikelihood) -> Callable[..., jax.Array]:
    @jax.jit
    def draw(key: jax.Array, given: tuple[PyTree, Batch], z: jax.Array) -> jax.Array:
        state, batch = given

        def score(x: jax.Array) -> jax.Array:
            return jax.grad(lambda x: log_likelihood(z[None], (state, batch._replace(x=x))).sum())(x)

        # Of independent normal values the score is (mean - x) / variance: two points of the line give both. The model's
        # `decode` would not do: it clips the mean to the range of the data.
        at_zero, at_one = score(jnp.zeros_like(batch.x)), score(jnp.ones_like(batch.x))
        variance = 1 / (at_zero - at_one)
        return variance * at_zero + jnp.sqrt(variance) * jax.random.normal(key, batch.x.shape)

    return draw


@functools.lru_cache(maxsize=16)
def _binary_draw(model: Model) -> Callable[..., jax.Array]:
    @jax.jit
    def draw(key: jax.Array, given: tuple[PyTree, Batch], z: jax.Array) -> jax.Array:
        state, batch = given
        return jax.random.bernoulli(key, model.decode(state, z, batch.y)).astype(batch.x.dtype)

    return draw
