"""Pictures of what a trained model does, as uint8 sheets [height, width, 1 or 3]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from gvlab import config as c
from gvlab import metrics, rng, sizes
from gvlab.build import Program
from gvlab.data import IMAGES, WAVES
from gvlab.evaluate.features import extract, of_split
from gvlab.extractors.extractor import Extractor
from gvlab.pictures import paths, sheets, sounds
from gvlab.types import Batch, PyTree, UserError

Sheet = UInt8[np.ndarray, "height width channel"]
SPAN = 3.0
"""A traversal goes from -SPAN to SPAN, in standard deviations of the prior."""


MOST_PIXELS = 89_478_485
"""Of a picture: beyond it Pillow takes a picture for an attack, and few programs open it."""


def samples(program: Program, made: Float[Array, "n *shape"], columns: int = 8) -> Sheet:
    """Images in [0, 1], so many in a row; points as a scatter over the data."""
    return _shown(program, np.asarray(made), columns)


def check_samples(program: Program, n: int, columns: int = 8, asked: str = "") -> None:
    """Raises `UserError` if so many samples make a picture that is too large; `asked` says what asked for them."""
    _check_pixels(program, -(-n // columns), columns, f"{asked or f'--n is {n}'}, which")


def test_batch(program: Program, n: int) -> Batch:
    """The first n test examples as the model sees them, or all where there are fewer."""
    test = program.dataset.test
    batch = batch_of(program, test.x[:n])
    return batch if test.y is None else Batch(batch.x, jnp.asarray(test.y[:n]))


def batch_of(program: Program, stored: np.ndarray, of_class: int | None = None) -> Batch:
    """Stored examples as the model sees them, all of one class or of none."""
    x = program.preprocess(jnp.asarray(stored), rng.stream(rng.root(0), rng.EVALUATE))
    return Batch(x, None if of_class is None else jnp.full(len(x), of_class))


def reconstructions(program: Program, state: PyTree, n: int) -> Sheet:
    """Of the first n test images, as `reconstructions_of`."""
    return reconstructions_of(program, state, test_batch(program, n))


def reconstructions_of(program: Program, state: PyTree, batch: Batch) -> Sheet:
    """Images as the model sees them, each row of them above its reconstructions from the posterior's mean, or
    from its codes.

    Raises:
        UserError: the model has no encoder, or the picture is too large.
    """
    _check_pixels(program, -(-len(batch.x) // 4), 8, f"--n is {len(batch.x)}, which")
    z = _encoder(program)(state, batch)[0] if program.model.codes is None else program.model.codes(state, batch)
    reconstructed = program.model.decode(state, z, batch.y)
    n, shape = len(z), program.dataset.shape
    columns = min(n, 8) if program.dataset.modality == IMAGES else n
    blank = jnp.full((-n % columns, *shape), 0.5)  # fills the last row
    rows = [jnp.concatenate([x, blank]).reshape(-1, columns, *shape) for x in (batch.x, reconstructed)]
    return _sheet(program, jnp.stack(rows, axis=1).reshape(-1, *shape), columns)


def interpolations(program: Program, state: PyTree, seed: int, rows: int, columns: int) -> Sheet:
    """Walks between two latents on the sphere, one in each row.

    Raises:
        UserError: the picture is too large, or the latents are codes.
    """
    second = getattr(program.experiment.model, "second", program.experiment.model)
    of_codes = isinstance(getattr(second, "distribution", None), c.CausalTransformer | c.GatedPixelCNN)
    if program.model.codes is not None or of_codes:
        raise UserError(f"{program.experiment.name} draws codes, between which nothing lies: walk with a VAE.")
    n, option = rows * columns, f"--rows {rows} with --columns {columns}"
    _check_pixels(program, rows, columns, option)
    sizes.check_sampling(program.experiment, program.model, state, n, program.dataset.shape, option)
    ends = program.model.latents(state, rng.stream(rng.root(seed), rng.PICTURE), 2 * rows).reshape(2, rows, -1)
    walk = paths.spherical(ends[0], ends[1], columns)  # [rows, columns, latent]
    labels = jnp.repeat(jnp.arange(rows) % max(program.dataset.num_classes, 1), columns)
    return _sheet(program, program.model.decode(state, walk.reshape(-1, walk.shape[-1]), labels), columns)


def class_walks(program: Program, state: PyTree, seed: int, rows: int, columns: int, classes: Sequence[int]) -> Sheet:
    """One latent in each row, and the label on straight lines from class to class.

    Raises:
        UserError: the picture is too large.
    """
    n, option = rows * columns, f"--rows {rows} with --columns {columns}"
    _check_pixels(program, rows, columns, option)
    sizes.check_sampling(program.experiment, program.model, state, n, program.dataset.shape, option)
    z = program.model.latents(state, rng.stream(rng.root(seed), rng.PICTURE), rows)
    ends = np.eye(program.dataset.num_classes, dtype=np.float32)[list(classes)]
    weights = paths.straight(jnp.asarray(ends), columns)  # [columns, classes]
    y = jnp.tile(weights, (rows, 1))
    return _sheet(program, program.model.decode(state, jnp.repeat(z, columns, axis=0), y), columns)


def traversals(program: Program, state: PyTree, example: int, columns: int, rows: int | None = None) -> Sheet:
    """A test image's posterior mean with one latent at a time set from -3 to 3: one row each, the most active first.

    Shows `rows` latents, or all of them.

    Raises:
        UserError: the model has no encoder, the data are no images, or there is no such example.
    """
    test = program.dataset.test
    if program.dataset.modality != IMAGES:
        raise UserError(
            f"{program.experiment.name} makes {program.dataset.modality.shown}, but a traversal is shown in images."
        )
    if not 0 <= example < len(test.x):
        raise UserError(f"--example is {example}, but the test images are numbered from 0 to {len(test.x) - 1}.")
    _check_pixels(program, rows or program.latent_dim, columns, f"--columns is {columns}, which")
    batch = test_batch(program, min(len(test.x), max(example + 1, 500)))
    means, _ = _encoder(program)(state, batch)
    order = np.argsort(-np.asarray(means).var(axis=0), kind="stable")[:rows]
    values = jnp.linspace(-SPAN, SPAN, columns)
    z = jnp.broadcast_to(means[example], (len(order), columns, means.shape[1]))
    z = jax.vmap(lambda row, latent: row.at[:, latent].set(values))(z, jnp.asarray(order))
    labels = None if batch.y is None else jnp.full(len(order) * columns, batch.y[example])
    return _sheet(program, program.model.decode(state, z.reshape(-1, z.shape[-1]), labels), columns)


def neighbours(program: Program, state: PyTree, extractor: Extractor, seed: int, n: int, k: int) -> Sheet:
    """n samples, each at the head of a row of its k nearest training images, nearest first.

    Raises:
        UserError: the data are no images, or there are fewer than k of them.
    """
    if program.dataset.modality != IMAGES:
        raise UserError(
            f"{program.experiment.name} makes {program.dataset.modality.shown}, but neighbours are shown as images."
        )
    _check_pixels(program, n, k + 1, f"--n {n} with --k {k}")
    sizes.check_sampling(program.experiment, program.model, state, n, program.dataset.shape, f"--n {n}")
    made = program.to_unit(program.model.sample(state, rng.stream(rng.root(seed), rng.PICTURE), n))
    stored = jnp.round(jnp.clip(made, 0, 1) * 255).astype(jnp.uint8)
    training = program.dataset.train.x
    features = of_split(extractor, program.dataset, "train").features
    near = metrics.nearest_neighbours(extract(extractor, [stored]).features, features, k).indices
    rows = np.concatenate([np.asarray(stored)[:, None], training[near]], axis=1)
    return sheets.enlarge(sheets.grid(rows.reshape(-1, *program.dataset.shape) / np.float32(255), k + 1))


def _check_pixels(program: Program, rows: int, columns: int, asked: str) -> None:
    """Raises `UserError` if a grid of images would be a picture that few programs open; points always fit."""
    if program.dataset.modality.exhibit == "lines":
        raise UserError(
            f"{program.experiment.name} makes {program.dataset.modality.shown}, which are no picture: read them with "
            "gvlab sample RUN --out FILE.txt."
        )
    if program.dataset.modality != IMAGES:
        return
    height, width = (side * (of + 1) + 1 for side, of in zip((rows, columns), program.dataset.shape, strict=False))
    if height * width > MOST_PIXELS:
        raise UserError(
            f"{asked} makes a picture of {height}x{width} pixels, but few programs open more than "
            f"{MOST_PIXELS}: ask for fewer."
        )


def _encoder(program: Program) -> Any:
    if program.model.codes is not None:
        raise UserError(
            f"{program.experiment.name} has codes for latents, but this picture moves real numbers: it needs a VAE."
        )
    if program.model.encode is None:
        family = type(program.experiment.model).__name__
        raise UserError(f"{program.experiment.name} is a {family}, which has no encoder: this picture needs a VAE.")
    return program.model.encode


def _sheet(program: Program, x: Array, columns: int) -> Sheet:
    return _shown(program, np.asarray(program.to_unit(x)), columns)


def _shown(program: Program, made: np.ndarray, columns: int) -> Sheet:
    if program.dataset.modality == IMAGES:
        return sheets.enlarge(sheets.grid(made, columns))
    if program.dataset.modality == WAVES:
        return sounds.sheet(made, columns)
    return sheets.scatter(made, program.dataset.test.x[:2000])
