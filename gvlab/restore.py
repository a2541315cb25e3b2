"""Images degraded by an operator, restored by a trained model, and how well."""

from __future__ import annotations

import functools
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from gvlab import config as c
from gvlab import data, metrics, rng, statistics
from gvlab.build import Program
from gvlab.config.restoration import MAP, AnyMethod, Encoder, FineTune, Optimise, Posterior
from gvlab.data import mapped
from gvlab.extractors import extractor
from gvlab.extractors.extractor import Extractor
from gvlab.metrics.chains import effective_sample_size, split_r_hat
from gvlab.restoration import baselines, driving, finetuning, methods
from gvlab.restoration.operators import Operator
from gvlab.types import Batch, PyTree, UserError

SHOWN = 4
"""Draws of the posterior that are kept to be shown."""
LOW, HIGH = 0.05, 0.95
"""Quantiles of the interval whose coverage is measured."""
LEAST_SIDE = 11
"""Pixels of the smallest image that SSIM is of."""

Images = Float[np.ndarray, "n height width channel"]


class Restored(NamedTuple):
    """What became of the images."""

    x: Images
    baseline: Images
    baseline_name: str
    deviation: Images | None
    """Of each pixel over the posterior's draws; None without draws."""
    draws: Float[np.ndarray, "draws n height width channel"] | None
    per_image: dict[str, Float[np.ndarray, " n"]]
    """What is known without the true images: `consistency`, of a search `objective`, of draws `r_hat` and
    `effective_draws`."""
    interval: tuple[Images, Images] | None
    """Of the draws, from `LOW` to `HIGH`."""
    seconds: float
    """Of an image, with its share of compiling."""
    lowered: Bool[np.ndarray, " n"]
    """Whether the search ended below where it began; true of methods that search nothing."""


def check(program: Program, method: AnyMethod, noise: float) -> None:
    """Raises UserError if the model, or the noise, is none for the method."""
    model, name = program.model, program.experiment.name
    if program.dataset.modality != data.IMAGES:
        raise UserError(
            f"{name} makes {program.dataset.modality.shown}, but restoring is of images: use a run of images."
        )
    if model.codes is not None:
        raise UserError(f"{name} has codes for latents, which no search moves: restore with a run of a GAN or a VAE.")
    if isinstance(program.experiment.model, c.TRANSLATORS):
        raise UserError(
            f"{name} translates the pictures that it was trained on, and restores no others: use gvlab reconstruct, "
            "which shows its translations, or a run of a GAN or a VAE."
        )
    if isinstance(method, Encoder) and model.encode is None:
        raise UserError(f"The method is encoder, but {name} has none: use another method, or a VAE.")
    if not isinstance(method, Encoder) and not program.has_normal_prior:
        raise UserError(
            f"{type(method).__name__} searches the latents of a standard normal prior, but {name} has another: use "
            "encoder, or another run."
        )
    if isinstance(method, MAP | Posterior) and noise == 0:
        raise UserError(
            f"The noise is 0, but {type(method).__name__} weighs the measurements by it: give more, or use optimise."
        )


def restore(
    program: Program,
    state: PyTree,
    operator: Operator,
    y: Float[Array, "n *measured"],
    method: AnyMethod,
    noise: float,
    seed: int,
    classes: Int[np.ndarray, " n"] | None = None,
    listen: driving.Listener = driving.silent,
    searcher: driving.Searcher | None = None,
) -> Restored:
    """Images from their measurements.

    Args:
        program: of the model; see `check`.
        state: of the model.
        operator: that y was measured by.
        y: measurements, of images in [0, 1].
        method: how they are restored.
        noise: standard deviation of the measurements' noise.
        seed: of all draws.
        classes: of the images, for a conditional model.
        listen: hears how far a search is, or the chains are.
        searcher: `searcher_of` of these, if it was made before.
    """
    check(program, method, noise)
    start = time.perf_counter()
    mean = mapped.mean(program.dataset.train.x) / 255
    name, baseline = baselines.simple(operator, y, mean.astype(np.float32))
    labels = None if classes is None else jnp.asarray(classes)
    given, decode = (state, labels), functools.partial(_generated, program)
    key = rng.stream(rng.root(seed), rng.PICTURE)
    x: np.ndarray | Array
    deviation = draws = interval = None
    lowered = np.ones(len(y), bool)
    known: dict[str, np.ndarray] = {}
    match method:
        case Encoder():
            x = _encoded(program, state, baseline, labels)
        case Posterior():
            found = driving.sampled(
                decode, operator, given, key, y, latent_dim=program.latent_dim, noise=noise, chains=method.chains,
                warmup=method.warmup, draws=method.draws, thinning=method.thinning, listen=listen,
            )  # fmt: skip
            known["r_hat"] = np.nanmax(split_r_hat(np.asarray(found.z)), axis=-1)
            known["effective_draws"] = np.nanmin(effective_sample_size(np.asarray(found.z)), axis=-1)
            known["acceptance"] = np.asarray(found.acceptance)
            images = _images_of(functools.partial(decode, given), found.z)
            x, deviation, draws = images.mean(0), images.std(0), images[:: max(1, len(images) // SHOWN)][:SHOWN]
            low, high = np.quantile(images, (LOW, HIGH), axis=0)
            interval = low, high
        case Optimise() | MAP():
            by = searcher or searcher_of(program, operator, method, noise)
            searched = driving.searched(by, given, key, y, method.steps, listen)
            x = searched.x
            known["objective"] = np.asarray(searched.objective.min(axis=1))
            lowered = np.asarray(searched.objective.min(axis=1) < searched.before.min(axis=1))
        case FineTune():
            by = searcher or searcher_of(program, operator, method.first, noise)
            searched = driving.searched(by, given, key, y, method.steps, listen)
            tuned = _tuned(program, given, operator, y, searched.z, method, listen)
            x = tuned.x
            known["objective"] = np.asarray(tuned.objective)
            known["objective_before_tuning"] = np.asarray(tuned.before)
            lowered = np.asarray(tuned.objective < tuned.before)
    made = np.asarray(x)
    error = np.asarray(methods.squared_error(operator, jnp.asarray(made), y))
    if noise > 0:
        known["consistency"] = error / (operator.measurements * noise**2)
    seconds = (time.perf_counter() - start) / len(made)
    return Restored(made, np.asarray(baseline), name, deviation, draws, known, interval, seconds, lowered)


def _tuned(
    program: Program, given: tuple[PyTree, Array | None], operator: Operator, y: Array, z: Array, method: FineTune,
    listen: driving.Listener,
) -> finetuning.Tuned:  # fmt: skip
    state, labels = given

    def decoded(state: PyTree) -> Array:
        return _generated(program, (state, labels), z[:1], jnp.arange(1))

    weights, with_weights = finetuning.weights_of(state, decoded)
    return finetuning.finetune(
        weights,
        lambda weights, z, image: _generated(program, (with_weights(weights), labels), z, image),
        operator,
        y,
        z,
        steps=method.tuning_steps,
        rate=method.tuning_rate,
        latent_rate=method.rate,
        listen=listen,
    )


def searcher_of(program: Program, operator: Operator, method: Optimise | MAP, noise: float) -> driving.Searcher:
    """What searches the latents of a program, compiled once for all its states."""
    return driving.searcher(
        functools.partial(_generated, program),
        operator,
        latent_dim=program.latent_dim,
        restarts=method.restarts,
        rate=method.rate,
        weight=noise**2 if isinstance(method, MAP) else method.weight,
    )


def classifier(dataset: data.Dataset) -> Extractor | None:
    """That gvlab comes with for a data set; None where there is none."""
    return extractor.small(dataset.name) if extractor.has_small(dataset.name) else None


def measured(
    x: Images, true: Images, interval: tuple[Images, Images] | None = None, judge: Extractor | None = None
) -> dict[str, np.ndarray]:
    """How near images are to the true ones, of each image.

    Args:
        x: in [0, 1].
        true: in [0, 1].
        interval: of each pixel, whose coverage is measured as `coverage_90`: the share of true pixels in it.
        judge: a classifier: `class_agreement` is 1 where it gives an image the class that it gives the true one.
    """
    a, b = jnp.asarray(x, jnp.float32), jnp.asarray(true, jnp.float32)
    found = {
        "psnr_db": np.asarray(metrics.psnr(a, b, 1.0)),
        "error_per_pixel": np.asarray(((a - b) ** 2).mean((1, 2, 3))),
    }
    if min(x.shape[1:3]) >= LEAST_SIDE:
        found["ssim"] = np.asarray(metrics.ssim(a, b, 1.0))
    if judge is not None:
        found["class_agreement"] = np.asarray(_classes(judge, a) == _classes(judge, b), np.float64)
    if interval is not None:
        # Of a pixel that hardly moves the quantiles are equal but for rounding.
        inside = (true >= interval[0] - 1e-6) & (true <= interval[1] + 1e-6)
        found["coverage_90"] = inside.mean((1, 2, 3))
    return found


def _classes(judge: Extractor, x: Array) -> np.ndarray:
    logits = judge.apply(jnp.round(jnp.clip(x, 0, 1) * 255).astype(jnp.uint8)).logits
    assert logits is not None
    return np.asarray(logits.argmax(-1))


def _generated(
    program: Program,
    given: tuple[PyTree, Array | None],
    z: Float[Array, "rows latent"],
    image: Int[Array, " rows"],
) -> Float[Array, "rows height width channel"]:
    """Images of a state, of the class that each image has, if classes are given."""
    state, labels = given
    return program.to_unit(program.model.decode(state, z, None if labels is None else labels[image]))


def _encoded(program: Program, state: PyTree, x: Array, labels: Array | None) -> Array:
    assert program.model.encode is not None
    encode = program.model.encode
    stored = jnp.round(jnp.clip(x, 0, 1) * 255).astype(jnp.uint8)

    @jax.jit
    def both(state: PyTree, stored: Array) -> Array:
        seen = program.preprocess(stored, rng.stream(rng.root(0), rng.EVALUATE))
        z, _ = encode(state, Batch(seen, labels))
        return program.to_unit(program.model.decode(state, z, labels))

    return both(state, stored)


def _images_of(generate: methods.Generate, z: Float[Array, "draws chains n latent"]) -> np.ndarray:
    """The images of all draws [draws * chains, n, *shape], chains side by side."""
    n = z.shape[2]
    decode = jax.jit(lambda z: generate(z, jnp.arange(n)))
    return np.stack([np.asarray(decode(one)) for one in z.reshape(-1, n, z.shape[-1])])


def summary(values: dict[str, np.ndarray]) -> dict[str, Any]:
    """Mean and interval over images, of each measure; of a share of images Wilson's interval."""
    found = {}
    for name, of in values.items():
        finite = [float(value) if np.isfinite(value) else None for value in of]
        one = statistics.summarise(finite)
        low, high = one.low, one.high
        if name == "class_agreement":
            low, high = statistics.wilson(int(of.sum()), len(of))
        found[name] = {"mean": one.mean, "low": low, "high": high, "images": len(finite)}
    return found
